/** Limits of what the faces of a front, HTTP and gRPC, share (src/faces). */

/** Time for which a front trusts what the node said of its region and readiness, ms. */
export const FACE_NODE_CONDITION_MS = 1_000;
/**
 * Time for which a front trusts that the reader of a stream may still read the governed plane, ms: a ban
 * counts within a second.
 */
export const FACE_PERMISSION_MS = 1_000;
/** Age of the copy of the governed log from which on another client is to read it, ms. */
export const FACE_GOVERNED_AGE_MS_MAX = 10_000;
