/** Limits of frames and of messages in general. */

/** Request frame from a client: 1,000 renewals take 40 KB, so several such batches fit. */
export const REQUEST_FRAME_BYTES_MAX = 256 * 1024;
/** Response frame: a page of 1,000 records of 200 bytes fits with room to spare. */
export const RESPONSE_FRAME_BYTES_MAX = 1024 * 1024;
/** Control frame of a server: a ring map of 8,192 placements of three replicas fits. */
export const CONTROL_FRAME_BYTES_MAX = 1024 * 1024;
/** Segments accepted per message from foreign writers; our own writers use one. */
export const FRAME_SEGMENTS_MAX = 16;
/** Pointer nesting in one message; no schema of the project nests deeper than 8. */
export const POINTER_DEPTH_MAX = 16;
/** Traversal steps allowed per word of a message: enough to read a valid one several times. */
export const TRAVERSAL_STEPS_PER_WORD = 16;
/** Traversal steps allowed for even the smallest message, so that a record can be read often. */
export const TRAVERSAL_STEPS_MIN = 1_024;
/** Size of one encoded segment: far above every frame and record. */
export const SEGMENT_BYTES_MAX = 64 * 1024 * 1024;
