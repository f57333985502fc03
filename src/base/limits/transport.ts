/** Limits of connections, sessions and streams of any transport. */

/** Sessions per listener: at 25 KB each they take half a gigabyte. */
export const SESSIONS_MAX = 20_000;
/**
 * Sessions per remote address (IPv6: per /64), loopback excepted. Four machines of some 250 pods
 * each behind one NAT fit, and filling a node takes twenty addresses.
 */
export const SESSIONS_PER_ADDRESS_MAX = 1_024;
/** Ready sessions not yet accepted: a burst during one turn of the process. */
export const SESSIONS_BACKLOG_MAX = 1_024;
/**
 * Streams per session, both sides together: the first, one for large replies, one for watches, and
 * two for renewing proof and token. The runtime reserves memory for each that a peer may open, in
 * every connection.
 */
export const STREAMS_PER_SESSION_MAX = 6;
/**
 * Unidirectional streams that a peer may open: HTTP/3 needs three (RFC 9114 §6.2), the others allow
 * for reserved types (§6.2.3). Only the beginning of each is read, and each holds up to 1.25 MB.
 */
export const UNIDIRECTIONAL_STREAMS_MAX = 7;
/** First bytes of an HTTP/3 stream, SETTINGS or a request: browsers send a few hundred. */
export const HTTP3_START_BYTES_MAX = 4_096;
/**
 * Delay between the close of a WebTransport session and that of its connection, ms: a peer that
 * closes both gives its reason with the second.
 */
export const WEBTRANSPORT_END_MS = 100;
/** Handshakes in progress, some 50 KB each: more than two cores complete in a second. */
export const HANDSHAKES_MAX = 2_048;
/** Connections that wait for their handshake, some 2 KB each. */
export const HANDSHAKES_WAITING_MAX = 2_048;
/**
 * Time for which a connection waits for its handshake, ms: half of a client's first attempt
 * (`CLIENT_ATTEMPT_MS_BASE`), so that the handshake ends before the client gives it up.
 */
export const HANDSHAKE_WAIT_MS_MAX = 500;
/** Time for new handshakes per turn, ms: three or four, whose later steps take as long again. */
export const HANDSHAKE_TURN_MS = 2;
/** Longest rest after it, ms: a pause of the whole process, as for garbage, is no work of others. */
export const HANDSHAKE_REST_MS_MAX = 20;
/**
 * QUIC or TLS connections that one address may start per second, as a share of the sessions it may have (64
 * of 1,024), after a burst of all of them: a fleet behind one NAT reconnects at once, and an
 * unauthenticated client then costs a tenth of a core.
 */
export const CONNECTION_RATE_SHARE = 1 / 16;
/** Addresses whose rate is tracked, some 200 bytes each. */
export const CONNECTION_RATE_ADDRESSES_MAX = 8_192;
/** Concurrent TLS connections that are accepted only to be refused for lack of room. */
export const REFUSALS_MAX = 64;
/** Interval of checking a TCP address that accepted nothing, ms. */
export const ACCEPT_LOOK_MS = 5_000;
/** Connections between two checks that bring the next check forward. */
export const ACCEPT_BURST = 32;
/** Time for the connection of such a check, ms: on a machine that starves the process it takes a while. */
export const ACCEPT_PROBE_MS = 1_000;
/** Delay after a check that failed, ms; doubled with each failed bind, up to ten minutes. */
export const ACCEPT_RETRY_MS = 500;
export const ACCEPT_LOOK_MS_MAX = 600_000;
/** Maximum duration of a TLS handshake, and of a following HTTP/3 upgrade, ms: five round trips. */
export const HANDSHAKE_MS_MAX = 5_000;
/** Maximum time from a stream's first byte to its complete preface, ms: a preface is one packet. */
export const PREFACE_MS_MAX = 5_000;
/**
 * Time after which an incomplete preface no longer holds up the streams behind it, ms. It is longer
 * than a preface takes within one packet.
 */
export const PREFACE_SOON_MS = 20;
/** Default timeout for connecting, ms. */
export const DIAL_MS_MAX = 5_000;
/** Keep-alive interval and idle timeout of a client's session, ms. */
export const CLIENT_KEEP_ALIVE_MS = 15_000;
export const CLIENT_IDLE_MS = 45_000;
/**
 * Time for pending writes when a session says goodbye, ms, so that a stuck peer cannot delay us.
 */
export const GOODBYE_WRITES_MS_MAX = 1_000;
/**
 * Time for the last bytes in flight after that, unless the peer closes first, ms. Closing a QUIC
 * connection discards whatever the peer has not acknowledged: this covers several round trips of a
 * path between continents and the scheduling delays of a loaded machine. A peer that follows the
 * protocol closes as soon as it has read the goodbye.
 */
export const GOODBYE_LINGER_MS = 1_000;
/**
 * The same for a session that ends without replies in flight, or whose peer must not keep it: the
 * code of the close says the same as a goodbye frame that does not arrive.
 */
export const REFUSAL_LINGER_MS = 50;
/** Unread bytes in flight per TLS stream; 16 streams make 8 MB per session. */
export const TLS_STREAM_WINDOW_BYTES = 512 * 1024;
/**
 * Payload of one frame over TLS: four TLS records, so that no stream delays the others for long.
 */
export const TLS_FRAME_BYTES_MAX = 64 * 1024;
/**
 * Output queued for sending over TLS: data stays far below it, so a peer above it is not reading.
 */
export const TLS_OUTPUT_BYTES_MAX = 4 * 1024 * 1024;
/** Size of a close message: it must fit one packet of 1,200 bytes in any script. */
export const CLOSE_MESSAGE_BYTES_MAX = 256;
