/** Limits of the SDK's watches and of views kept by them. */

/**
 * Requests of watches on one connection, as a power of two: twice as many as a node allows a session,
 * as all of them may be canceled at once.
 */
export const CLIENT_WATCHES_BITS = 16;
/** Time for a node to answer that a watch is canceled, ms, after which it is told again. */
export const CLIENT_CANCEL_MS = 10_000;
/** Progress intervals without a word from a node after which another one is asked. */
export const WATCH_SILENT_INTERVALS = 3;
/** Time for the first reply to a watch, ms; a node that lives sends it at once. */
export const WATCH_FIRST_REPLY_MS = 2_000;
/**
 * Progress intervals without a proof of age, at most, after which another node is asked. They begin
 * with three and double, as there may be nobody who can prove it.
 */
export const WATCH_UNPROVEN_INTERVALS_MAX = 60;
/** Partitions in one request: 48 bytes each, half of a frame. */
export const WATCH_REQUEST_PARTITIONS_MAX = 2_730;
/**
 * Events, and bytes of their records, that wait for the reader of a watch: some 50 ms of the largest
 * stream. Above it the watch pauses until half of them are read.
 */
export const WATCH_WAITING_EVENTS_MAX = 4_096;
export const WATCH_WAITING_BYTES_MAX = 2 * 1024 * 1024;
/** Default size of a cached view: a large region of agents, in some 100 MB of memory. */
export const VIEW_RECORDS_MAX_DEFAULT = 100_000;
export const VIEW_BYTES_MAX_DEFAULT = 64 * 1024 * 1024;
/** Default time for a view to be complete, ms. */
export const VIEW_TIMEOUT_MS_DEFAULT = 30_000;
