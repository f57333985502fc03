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
