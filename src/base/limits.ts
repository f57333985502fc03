/**
 * Every limit of the registry, with its reason. A queue, frame, batch, retry or timer that is not
 * bounded here is bounded by nothing, and so a defect.
 */

// Frames and streams.

/** A request frame from a client: 1,000 renewals take 40 KB, so a batch fits several times over. */
export const REQUEST_FRAME_BYTES_MAX = 256 * 1024;
/** A response frame: a page of 1,000 records of 200 bytes, with room. */
export const RESPONSE_FRAME_BYTES_MAX = 1024 * 1024;
/** A frame on the control stream: a ring map of 8,192 placements of three replicas fits. */
export const CONTROL_FRAME_BYTES_MAX = 1024 * 1024;
/** Segments accepted where foreign tools write; our own writers use one. */
export const FRAME_SEGMENTS_MAX = 16;
/** Nesting of pointers in one message; no schema of ours goes deeper than 8. */
export const POINTER_DEPTH_MAX = 16;

// Records.

/** Shortest lease, ms: below it renewals would cost more than what they prove. */
export const TTL_MS_MIN = 5_000;
/** Lease when none is asked for, ms. */
export const TTL_MS_DEFAULT = 30_000;
/** Longest lease, ms: a day. */
export const TTL_MS_MAX = 86_400_000;
/** Longest domain name (RFC 1035 §2.3.4), without the trailing dot. */
export const DOMAIN_BYTES_MAX = 253;
/** Longest region name. */
export const REGION_BYTES_MAX = 63;
/** Labels of one record. */
export const LABELS_MAX = 16;
/** Bytes of a label's key, and of its value. */
export const LABEL_KEY_BYTES_MAX = 63;
export const LABEL_VALUE_BYTES_MAX = 255;
/** A credential hash: up to SHA-512. */
export const CREDENTIAL_HASH_BYTES_MAX = 64;
/** A record's stored form; all the limits above together stay below it. */
export const RECORD_BYTES_MAX = 8_184;
/** Processes remembered as superseded, and for how long they stay refused. */
export const SUPERSEDED_PROCESSES_MAX = 4;
export const SUPERSEDED_MS = 600_000;
/** For how long a removed record's process and sequence are kept against delayed duplicates. */
export const TOMBSTONE_MS = 600_000;

// Time.

/** The cover that is logged, in leases: a renewal that ends inside it costs no log entry. */
export const COVER_TTLS = 2;
/** Clock drift between two machines that is reckoned with, parts per million. */
export const CLOCK_DRIFT_PPM = 500;

// Requests.

/** Items of one RegisterMany, RenewMany or ResolveMany. */
export const RENEW_ITEMS_MAX = 4_096;
export const REGISTER_ITEMS_MAX = 512;
export const RESOLVE_ITEMS_MAX = 256;
/** Records of one page, and of one ResolveGateways. */
export const LIST_ITEMS_MAX = 1_000;
export const RESOLVE_GATEWAYS_MAX = 256;
/** A request's time when it names none, and the most it may name, ms. */
export const REQUEST_TIMEOUT_MS_DEFAULT = 5_000;
export const REQUEST_TIMEOUT_MS_MAX = 60_000;

// Groups.

/** Commands of one group that wait for the disk; beyond it a caller is told to come back. */
export const GROUP_PROPOSALS_MAX = 8_192;

// Transport.

/** Sessions of one listener: at 25 KB each they take half a gigabyte. */
export const SESSIONS_MAX = 20_000;
/**
 * Sessions of one remote address (IPv6: one /64), loopback excepted: many proxies behind one NAT fit,
 * one machine alone cannot take all places.
 */
export const SESSIONS_PER_ADDRESS_MAX = 2_048;
/** Sessions that are ready and that nobody accepted yet: a burst while the process is in one turn. */
export const SESSIONS_BACKLOG_MAX = 1_024;
/** Streams of one session, both sides together: control, a few of requests, peer, some of bulk. */
export const STREAMS_PER_SESSION_MAX = 16;
/**
 * One-way streams that a peer may open: HTTP/3 needs three (RFC 9114 §6.2), one is for grease. We
 * read none after the upgrade, and each holds up to 1.25 MB that cannot be limited otherwise.
 */
export const UNIDIRECTIONAL_STREAMS_MAX = 4;
/** Handshakes in progress, each some 50 KB: more than a second's worth of what two cores can do. */
export const HANDSHAKES_MAX = 2_048;
/** The most that a TLS handshake, and after it an HTTP/3 upgrade, may take, ms: five round trips. */
export const HANDSHAKE_MS_MAX = 5_000;
/** From a stream's first byte to its whole preface, ms: it is one packet. */
export const PREFACE_MS_MAX = 5_000;
/** The most that connecting may take when the caller names no time, ms. */
export const DIAL_MS_MAX = 5_000;
/** A client's session: how often it is kept alive, and after what silence it is given up, ms. */
export const CLIENT_KEEP_ALIVE_MS = 15_000;
export const CLIENT_IDLE_MS = 45_000;
/** A peer's session, ms: three missed beats, and elections may start. */
export const PEER_KEEP_ALIVE_MS = 1_000;
export const PEER_IDLE_MS = 3_000;
/** Pending writes get this long when a session says goodbye, ms; a stuck peer must not hold us. */
export const GOODBYE_WRITES_MS_MAX = 1_000;
/** Then the last bytes on their way get this long, unless the peer closes first, ms. */
export const GOODBYE_LINGER_MS = 50;
/** The text that goes with a close: it must fit one packet of 1,200 bytes, whatever its script. */
export const CLOSE_MESSAGE_BYTES_MAX = 256;
