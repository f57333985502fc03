/** Limits of tokens, and of the records that a token granted. */

/**
 * Size of a token, which is sent with each session: with the most useful grants it has some 2 KiB.
 */
export const TOKEN_BYTES_MAX = 4 * 1024;
/** Tokens with grants in group 0, 400 bytes each: half of all lineages at once, 52 MB. */
export const TOKEN_GRANTS_MAX = 131_072;
/** The same per lineage: a token every minute, each with the longest life. */
export const TOKEN_GRANTS_PER_LINEAGE_MAX = 16;
/** Retention of an ended grant, ms: records that depend on it end long before. */
export const TOKEN_GRANT_KEPT_MS = 86_400_000;
/**
 * Time by which a record outlives the token that granted it, ms: issuing the next token as the last
 * one expires takes a moment, and the clocks of issuer and leader differ.
 */
export const RECORD_GRANT_GRACE_MS = 10_000;
/** Interval at which a leader checks whether rights of its records have ended, ms. */
export const RECORD_RIGHTS_CHECK_MS = 1_000;
/** Interval of checking all bans and grants again, ms, beside the checks by a new leader. */
export const RECORD_RIGHTS_ROUND_MS = 60_000;
/** Bans and grants checked per turn, some 2 µs each, so that requests are served in between. */
export const RECORD_RIGHTS_AT_ONCE = 1_024;
/** Longest lifetime of a token, ms: the window in which a stolen one can be used. */
export const TOKEN_LIFE_MS_MAX = 900_000;
/** Name of an issuer or audience: a SPIFFE id or a host, with room to spare. */
export const TOKEN_NAME_BYTES_MAX = 400;
/** Allowed lead of a token issuer's clock over the verifier's, ms: both follow a time service. */
export const TOKEN_SKEW_MS = 30_000;
/**
 * Keys that tokens are verified with at one time: one per rotation, and rotations are hours apart.
 */
export const TOKEN_KEYS_MAX = 8;
/**
 * Time for which a new token key is published before it signs, ms: verifiers fetch keys more often.
 */
export const TOKEN_KEY_LEAD_MS = 300_000;
/** Size of a published set of token keys: 8 keys of some 170 bytes, with room to spare. */
export const JWKS_BYTES_MAX = 4 * 1024;
