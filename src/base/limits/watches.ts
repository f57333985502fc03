/** Limits of watches. */

/** Ids, and domains, that one watch may name. */
export const WATCH_KEYS_MAX = 1_024;
/** Labels that one watch may require: as many as a record can have of some length. */
export const WATCH_LABELS_MAX = 32;
/** Interval of progress replies, ms: default, and bounds of what a client may choose. */
export const WATCH_PROGRESS_MS_DEFAULT = 1_000;
export const WATCH_PROGRESS_MS_MIN = 100;
export const WATCH_PROGRESS_MS_MAX = 60_000;
/** Text of a token: 8,192 partitions of eight bytes each, in base64url. */
export const WATCH_TOKEN_CHARACTERS_MAX = 96 * 1024;
/** Memory of the histories of a node: with 1,024 partitions and 1,000 changes a second some minute. */
export const WATCH_HISTORY_NODE_BYTES = 32 * 1024 * 1024;
/** Memory of one partition's history: a busy one leaves room for the others. */
export const WATCH_HISTORY_PARTITION_BYTES = 1024 * 1024;
/** Size of an allocation of history: some ten changes; 8,192 partitions have one each. */
export const WATCH_HISTORY_CHUNK_BYTES = 4 * 1024;
/** Keys that are collected at once when the state of a partition is sent, at least. */
export const WATCH_PAGE_KEYS_MIN = 1_024;
/** Bytes of events after which a reply of a watch ends: small enough that watches take turns. */
export const WATCH_REPLY_BYTES = 64 * 1024;
/**
 * Partitions in one progress reply whose position moved without a change. All partitions log the time
 * once a minute, and to name each of them would be most of what an idle watch receives.
 */
export const WATCH_QUIET_PARTS = 6;
/** Positions in one progress reply: with 48 bytes each it fits a response frame. */
export const WATCH_PARTS_MAX = 8_192;
/**
 * Bytes that a stream with watches holds for its peer; above it nothing is added for them. Below
 * `REPLY_BACKLOG_BYTES_HIGH`, so that watches that are not read do not hold up a session's requests.
 */
export const WATCH_BACKLOG_BYTES = 256 * 1024;
/** Interval of a node's work for all watches, ms: their progress is due at multiples of it. */
export const WATCH_TICK_MS = 100;
/** Minimum pause between turns in which changes are passed on, ms: those in between share a write. */
export const WATCH_PAUSE_MS = 1;
/** Time for watches that are behind per turn, ms: the longest that a request waits for them. */
export const WATCH_TURN_MS = 1;
/** Time for which a replica may be behind the position of a watch before it is refused, ms. */
export const WATCH_CATCH_UP_MS = 2_000;
/** Watches per session: a proxy that follows 10,000 domains has two for each. */
export const WATCHES_SESSION_MAX = 24_576;
/** Watches per identity, and per node: each takes about a kilobyte. */
export const WATCHES_IDENTITY_MAX = 49_152;
export const WATCHES_NODE_MAX = 98_304;
/** Interval in which proofs of age are asked for while something is watched, in ticks. */
export const WATCH_PROOF_TICKS = 16;
