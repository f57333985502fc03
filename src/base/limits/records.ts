/** Limits of records, of their fields and of sealed labels. */

/** Shortest lease, ms: below it renewals would cost more than the liveness they prove is worth. */
export const TTL_MS_MIN = 5_000;
/** Default lease, ms. */
export const TTL_MS_DEFAULT = 30_000;
/** Longest lease, ms: one day. */
export const TTL_MS_MAX = 86_400_000;
/** Longest domain name (RFC 1035 §2.3.4), without the trailing dot. */
export const DOMAIN_BYTES_MAX = 253;
/** Longest label of a domain name (RFC 1035 §2.3.4). */
export const DOMAIN_LABEL_BYTES_MAX = 63;
/** Longest region name. */
export const REGION_BYTES_MAX = 63;
/** Labels per record. */
export const LABELS_MAX = 16;
/** Size of a label's key, and of its value. */
export const LABEL_KEY_BYTES_MAX = 63;
export const LABEL_VALUE_BYTES_MAX = 255;
/**
 * Total size of the keys and values of a record's labels: 16 of the longest, or fewer sealed ones.
 */
export const LABELS_BYTES_MAX = LABELS_MAX * (LABEL_KEY_BYTES_MAX + LABEL_VALUE_BYTES_MAX);
/** Size of a credential hash: up to SHA-512. */
export const CREDENTIAL_HASH_BYTES_MAX = 64;
/** Size of a record's stored form; a record at all limits above stays below it. */
export const RECORD_BYTES_MAX = 8_184;
/** Superseded processes remembered per record, and for how long they are refused, ms. */
export const SUPERSEDED_PROCESSES_MAX = 4;
export const SUPERSEDED_MS = 600_000;
/** Retention of a removed record's process and sequence, to refuse delayed duplicates, ms. */
export const TOMBSTONE_MS = 600_000;
/** Value of a sealed label: four recipients of 250 bytes each, and the longest plain value. */
export const SEALED_LABEL_BYTES_MAX = 2_048;
/** Recipients of one sealed label: each adds 250 bytes to its record. */
export const SEALED_RECIPIENTS_MAX = 4;
