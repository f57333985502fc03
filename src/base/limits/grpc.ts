/** Limits of the gRPC face (src/grpc) and of its listener (src/front). */

/** Bytes of a received message: a record is at most 64 KiB, and further fields have room beside it. */
export const GRPC_REQUEST_BYTES_MAX = 256 * 1024;
/** Bytes of a sent message: clients of gRPC refuse more than 4 MiB unless they are told otherwise. */
export const GRPC_REPLY_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes of one part of a document that is sent in parts, as it may be longer than a message. */
export const GRPC_PART_BYTES = 256 * 1024;
/** Bytes of a request's metadata, as HTTP/2 counts them: a capability of 4 KiB and some more. */
export const GRPC_METADATA_BYTES_MAX = 16 * 1024;
/** Time for a unary call, ms, whatever deadline the caller states. */
export const GRPC_CALL_MS_MAX = 60_000;
/** Calls in flight in one front, streams included; above it: RESOURCE_EXHAUSTED. */
export const GRPC_IN_FLIGHT_MAX = 4_096;
/** Streams among them, which last as long as their callers want: the rest is kept for unary calls. */
export const GRPC_STREAMS_MAX = 1_024;
/**
 * Calls whose request has not arrived, some kB each; above it the oldest is refused, so that callers that
 * never send one keep nobody out.
 */
export const GRPC_INCOMPLETE_MAX = 2_048;
/**
 * Bytes of answers in one front that their callers have not taken; above it: RESOURCE_EXHAUSTED.
 * Some dozens of the largest lists: a caller that takes nothing could ask for one on each stream.
 */
export const GRPC_UNTAKEN_BYTES_MAX = 128 * 1024 * 1024;
/** Calls in flight on one connection; HTTP/2 makes clients wait for a free one. */
export const GRPC_CONNECTION_STREAMS_MAX = 256;
/** Open connections. */
export const GRPC_CONNECTIONS_MAX = 4_096;
/** Connections that have not completed TLS; above it the oldest ends. */
export const GRPC_HANDSHAKES_MAX = 512;
/** Time for TLS and the preface together, ms. */
export const GRPC_HANDSHAKE_MS_MAX = 10_000;
/** Time after which a silent connection is asked whether it lives, ms. */
export const GRPC_PING_AFTER_MS = 30_000;
/** Time for the answer to that, ms: half-open connections end within 40 s. */
export const GRPC_PING_MS_MAX = 10_000;
/** Time without calls after which a connection ends, ms. Relays send heartbeats every 10 s. */
export const GRPC_IDLE_MS_MAX = 300_000;
/** Age at which a connection ends, ms, so that connections spread over fronts again; ±10 %. */
export const GRPC_AGE_MS_MAX = 1_800_000;
/** Time for the calls of a connection that ends by its age, ms; streams are opened again elsewhere. */
export const GRPC_AGE_GRACE_MS = 10_000;
/** Interval at which the listener looks for connections that are over these times, ms. */
export const GRPC_CHECK_MS = 1_000;
/**
 * Calls of one connection that its client resets: this many at once and per second thereafter. A client that
 * resets more ends its connection, as each costs work that nobody waits for.
 */
export const GRPC_RESETS_BURST = 1_000;
export const GRPC_RESETS_PER_SECOND = 100;
/** Time for calls in progress to end when the listener closes, and for the socket of a dropped connection, ms. */
export const GRPC_DRAIN_MS = 2_000;
/** Retry hint of refusals that state no time of their own, ms. */
export const GRPC_RETRY_AFTER_MS = 1_000;
/** Messages of a stream of requests that wait for their handler. */
export const GRPC_WAITING_MESSAGES_MAX = 8;
/** Bytes of a status message: it travels in the trailers, whose size clients limit. */
export const GRPC_STATUS_TEXT_BYTES_MAX = 1_024;
/** Time after which a reader that follows the log looks whether it may still read it, ms. */
export const GRPC_LOG_WAIT_MS = 5_000;
/**
 * Time for the caller of a stream to take something, ms; thereafter it is ended, as what waits for it takes
 * memory. It begins again where it was.
 */
export const GRPC_UNTAKEN_MS_MAX = 30_000;
/** Interval at which a watch of the health looks for a change, ms. */
export const GRPC_HEALTH_LOOK_MS = 1_000;
/** Requests of one reflection stream: a client needs a few for each file. */
export const GRPC_REFLECTION_REQUESTS_MAX = 1_024;
/** Time for which a front trusts that the identity of a relay is valid, ms: a ban counts within a second. */
export const RELAY_CALLER_MS = 1_000;
