/** Limits of the HTTP face (src/http) and of its listener (src/front). */

/** Bytes of a request's body; larger ones are refused with 413. */
export const HTTP_BODY_BYTES_MAX = 1024 * 1024;
/**
 * Bytes of a request's head: a capability of 4 KiB, and the longest `Last-Event-ID`, the token of a watch
 * of all records in 8,192 partitions (`WATCH_TOKEN_CHARACTERS_MAX`). Larger ones are refused with 431.
 */
export const HTTP_HEADER_BYTES_MAX = 112 * 1024;
/** Time for the head, and for the body after it, ms: slower senders hold a connection for nothing. */
export const HTTP_HEAD_MS_MAX = 10_000;
export const HTTP_BODY_MS_MAX = 10_000;
/**
 * Time from a complete request to its answer, ms: half a minute of waiting for a change, and some more. An
 * event stream has none once it has begun.
 */
export const HTTP_ANSWER_MS_MAX = 45_000;
/** Time for which a connection may wait for its next request, ms. */
export const HTTP_IDLE_MS_MAX = 60_000;
/** Interval at which the listener looks for connections that are over these times, ms. */
export const HTTP_CHECK_MS = 1_000;
/** Open connections: all event streams, and others. */
export const HTTP_CONNECTIONS_MAX = 16_384;
/** TLS handshakes in progress; above it the oldest ends. */
export const HTTP_HANDSHAKES_MAX = 1_024;
/** Interval at which a front looks for another certificate in its files, ms. */
export const HTTP_CERTIFICATE_LOOK_MS = 10_000;
/** Requests in flight, beside the event streams, also those that wait for a change; above it: 503. */
export const HTTP_IN_FLIGHT_MAX = 4_096;
/** Open event streams; above it: 503. */
export const HTTP_STREAMS_MAX = 12_288;
/** Interval of the heartbeat of an event stream, ms. */
export const HTTP_HEARTBEAT_MS = 5_000;
/** Time in which the heartbeats of streams that began within it are sent together, ms: a part of it. */
export const HTTP_HEARTBEAT_TICK_MS = 100;
/** Delay after which a client that lost its event stream connects again, ms. */
export const HTTP_STREAM_RETRY_MS = 1_000;
/** `Retry-After` of refusals that state no time of their own, ms. */
export const HTTP_RETRY_AFTER_MS = 1_000;
/** Levels of objects and arrays in a body. */
export const HTTP_JSON_DEPTH_MAX = 32;
/** Regions whose seeders are kept for the next who asks. */
export const HTTP_SEEDER_REGIONS_MAX = 64;
/**
 * Regions per second, and at once, whose seeders are asked for although none of the last ones that are kept:
 * each is a list over the whole cluster, which callers without an identity may cause.
 */
export const HTTP_SEEDER_REGIONS_PER_SECOND = 16;
export const HTTP_SEEDER_REGIONS_BURST = 64;
/** Receipts in the headers of an answer; the body has all of them. */
export const HTTP_RECEIPT_HEADERS_MAX = 16;
/** Records in one answer of service discovery: more would be an answer of 100 MB. */
export const HTTP_TARGETS_MAX = 100_000;
/** Records on a page unless the caller says otherwise. */
export const HTTP_PAGE_DEFAULT = 100;
/**
 * Time for requests in progress to end when the listener closes, and for a sender to read the refusal of
 * its body, ms.
 */
export const HTTP_DRAIN_MS = 2_000;
/** Requests to apply a proposal of which a front remembers the correlation ids. */
export const HTTP_CORRELATIONS_MAX = 1_024;
/** Proposals that wait for one slow reader of events; older ones are dropped. */
export const HTTP_PROPOSED_WAITING_MAX = 64;
/** Bytes of descriptors that a front keeps as they are answered, so as not to write them for each reader. */
export const HTTP_WRITTEN_BYTES_MAX = 32 * 1024 * 1024;
/** Paths of which a front remembers the route: some MB. */
export const HTTP_QUICK_PATHS_MAX = 16_384;
/** Number of the descriptors that are kept, by default and at most. */
export const HTTP_WRITTEN_COUNT_DEFAULT = 65_536;
export const HTTP_WRITTEN_COUNT_MAX = 1_000_000;
