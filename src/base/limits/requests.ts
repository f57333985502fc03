/** Limits of requests, and of the streams of a node that carry them. */

/** Items of one RegisterMany, RenewMany and ResolveMany. */
export const RENEW_ITEMS_MAX = 4_096;
export const REGISTER_ITEMS_MAX = 512;
export const RESOLVE_ITEMS_MAX = 256;
/** Records per page, and per ResolveGateways. */
export const LIST_ITEMS_MAX = 1_000;
export const RESOLVE_GATEWAYS_MAX = 256;
/** Default and maximum timeout of a request, ms. */
export const REQUEST_TIMEOUT_MS_DEFAULT = 5_000;
export const REQUEST_TIMEOUT_MS_MAX = 60_000;
/** Maximum age that a read may accept, ms: as long as any call may wait for a newer answer. */
export const READ_STALENESS_MS_MAX = 60_000;
/** Read buffer of an idle stream: a get fits; after a full read the next buffer is larger. */
export const IDLE_READ_BYTES = 256;
/** Read buffer of a busy stream: a larger one yields no more frames per wakeup. */
export const STREAM_READ_BYTES_MAX = 64 * 1024;
/**
 * Unread replies per session: above `HIGH` the session is not served until they fall below `LOW`.
 */
export const REPLY_BACKLOG_BYTES_HIGH = 512 * 1024;
export const REPLY_BACKLOG_BYTES_LOW = 128 * 1024;
/** Maximum replies gathered by one stream: those of requests already in progress, and pages. */
export const REPLY_BACKLOG_BYTES_MAX = 64 * 1024 * 1024;
/**
 * Size of one write of replies: a peer that takes it within `PEER_STALL_MS` is slow but not stuck.
 */
export const REPLY_WRITE_BYTES_MAX = 256 * 1024;
/**
 * Unread replies and unfinished frames held by the node in total; above it the largest holder is
 * closed.
 */
export const NODE_HELD_BYTES_MAX = 64 * 1024 * 1024;
/** The same limit per identity: 16 sessions that do not read, or 64 large requests. */
export const IDENTITY_HELD_BYTES_MAX = 16 * 1024 * 1024;
/** Time without progress in reading replies or finishing a frame that ends a session, ms. */
export const PEER_STALL_MS = 15_000;
/** Interval of checking streams that hold data, ms. */
export const STALL_LOOK_MS = 1_000;
/** Writes of clients in progress on a node while there are reads: what they delay a read by is bounded. */
export const WRITES_IN_PROGRESS_MAX = 256;
/** Time after which writes in progress count no more while others wait, ms: something else holds them. */
export const WRITE_HELD_MS = 8;
/** Time since the last read after which there are none, ms. */
export const WRITES_ALONE_MS = 100;
/** Requests of a stream that are served before those of another one, while both wait: under a millisecond. */
export const WRITES_OF_STREAM = 8;
/** Time for lists per turn, ms: the longest that another request waits for them. */
export const LIST_TURN_MS = 1;
/**
 * Bytes of pages that the node's thread sends in a millisecond: encryption and system calls take 8
 * ns a byte on two shared cores, and half of the time is for other requests.
 */
export const LIST_BYTES_PER_MS = 64 * 1024;
/** Lists per session waiting for their turn; above it the session's requests are not read. */
export const LISTS_WAITING_MAX = 64;
/** Unanswered requests per stream; above it new ones are refused with a retry hint. */
export const REQUESTS_IN_FLIGHT_MAX = 4_096;
/**
 * Time over which the requests of a caller above its rate are spread, ms; later ones come back among the
 * first again, because many of those that were promised a time do not come.
 */
export const RETRY_SPREAD_MS_MAX = 5_000;
/** Maximum time from a session's first stream to its Hello, ms. */
export const HELLO_MS_MAX = 5_000;
/** Cache time of a negative answer, ms: shorter than anybody waits for a new agent. */
export const NEGATIVE_CACHE_MS = 1_000;
/** Bytes of records after which a page ends: with its receipts it fits a response frame. */
export const LIST_PAGE_BYTES = 512 * 1024;
/** Control frame from a client: clients send only Hello and Goodbye. */
export const HELLO_BYTES_MAX = 4_096;
/**
 * Time that one node has for a step of a write that spans nodes, ms: a node that hangs is asked again, or
 * another one is, within the request's deadline.
 */
export const NODE_CALL_MS_MAX = 2_000;
/** Back-off of such a step, ms: full jitter up to base × 2^attempt, at most the cap. */
export const NODE_CALL_RETRY_MS_BASE = 10;
export const NODE_CALL_RETRY_MS_CAP = 200;
/** Attempts of a register whose claim was revoked in the meantime. */
export const REGISTER_TRIES_MAX = 3;
/**
 * Agents of a removed gateway that are removed at once, so that other requests are served in
 * between.
 */
export const REMOVE_AGENTS_AT_ONCE = 256;
