/** Limits of sessions between nodes. */

/** Size at which a frame to another node is closed. */
export const PEER_FRAME_BYTES = 1024 * 1024;
/** Largest frame to another node: one entry of the largest size, with room to spare. */
export const PEER_FRAME_BYTES_MAX = 8 * 1024 * 1024;
/** Messages per frame between nodes: several for each group. */
export const PEER_MESSAGES_MAX = 32_768;
/** Bytes sent to one node in one turn; messages beyond it count as lost. */
export const PEER_TURN_BYTES_MAX = 64 * 1024 * 1024;
/** Images in transfer from one node to others, in total: a node that joins needs one of each group. */
export const PEER_IMAGES_AT_ONCE = 64;
/** Bytes of images in transfer from one node at which it makes no further one. */
export const PEER_IMAGES_OUT_BYTES = 128 * 1024 * 1024;
/** Bytes of images made in a row, about 30 ms of the node's time, and the time until more are made, ms. */
export const PEER_IMAGES_BURST_BYTES = 4 * 1024 * 1024;
export const PEER_IMAGES_BURST_MS = 100;
/**
 * Bytes of images that a node goes through in a turn, about 3 ms of its time, and the pause until the next
 * such turn, ms: beats and requests are served in between.
 */
export const IMAGE_TURN_BYTES = 256 * 1024;
export const IMAGE_TURN_MS = 2;
/** Largest image accepted from another node: a partition of several million records. */
export const PEER_IMAGE_BYTES_MAX = 1024 * 1024 * 1024;
/** Chunk of an image, bytes: a node that sends 64 at once at the lowest rate sends one of each in 8 s. */
export const PEER_IMAGE_CHUNK_BYTES = 128 * 1024;
/** Bytes of images per second that a node sends, if nothing else is configured; at least, and at most. */
export const PEER_IMAGE_BYTES_PER_SECOND = 64 * 1024 * 1024;
export const PEER_IMAGE_BYTES_PER_SECOND_MIN = 1024 * 1024;
export const PEER_IMAGE_BYTES_PER_SECOND_MAX = 16 * 1024 * 1024 * 1024;
/** Time for which images that were cut may be continued, ms: a node that restarted has lost its part anyway. */
export const PEER_IMAGE_RESUME_MS = 5_000;
/** Interval at which a new session is looked for after a cut, ms. */
export const PEER_IMAGE_RESUME_LOOK_MS = 50;
/** Attempts to send one image; what ends it so often is no cut. */
export const PEER_IMAGE_ATTEMPTS_MAX = 8;
/**
 * Time that a node has to read an image that arrived, ms: the largest takes half a minute, and others may
 * be before it. A node that is gone ends the session, and so the wait, much earlier.
 */
export const PEER_IMAGE_READ_MS = 120_000;
/** Interval of pings on a session between two nodes, ms, and of the keep-alives of its transport. */
export const PEER_PING_MS = 1_000;
/** Silence after which a session between two nodes is given up, ms: three pings. */
export const PEER_SILENCE_MS = 3_000;
/** Time for which a process answers a ping, ms, before another process may take its node number. */
export const PEER_PROBE_MS = 500;
/**
 * Time for which a node is dialed, ms: QUIC sends its first packet again after 1 s, and a node that
 * starts meanwhile is reached by the next attempt at the latest.
 */
export const PEER_DIAL_MS = 2_000;
/** Longest delay before the first attempt to dial a node again, ms; doubled with each failure. */
export const PEER_REDIAL_MS = 50;
/** The same after many failures: a node that returns is reached within a second. */
export const PEER_REDIAL_MS_MAX = 1_000;
/** Frames queued for a node that does not read, bytes: 0.2 s of a link of 100 MB/s. */
export const PEER_BACKLOG_BYTES_MAX = 16 * 1024 * 1024;
/** Size of one write of queued frames: larger writes cost no less per byte. */
export const PEER_WRITE_BYTES = 256 * 1024;
/** Control frame between nodes: the largest is a hello. */
export const PEER_CONTROL_BYTES_MAX = 4_096;
/** Header of an image between nodes: one message without data, which may name 64 members. */
export const PEER_IMAGE_HEADER_BYTES_MAX = 64 * 1024;
/** Images that one node may be sending to another at once; the others have places left. */
export const PEER_IMAGES_IN_PER_NODE_MAX = 48;
/** Streams of operations that one node may have open on another. */
export const PEER_REQUEST_STREAMS_MAX = 4;
/** Streams of a session between nodes: control, frames, images both ways, and operations. */
export const PEER_STREAMS_MAX = 256;
/** Log lines about the link to one node in a burst, and per second after it. */
export const PEER_LOG_LINES = 10;
export const PEER_LOG_LINES_PER_SECOND = 0.1;
