/** Limits of a session's handshake, its proof of identity, and unauthenticated sessions. */
import { CERTIFICATE_PATH_MAX } from "./identity.ts";

/**
 * Timeout of each stage of `registry-auth/1`, ms: a round trip around the earth, a resend, a busy
 * node.
 */
export const AUTH_STAGE_MS_MAX = 3_000;
/** Certificates of a chain in the handshake: leaf and CAs, without the root, which the peer has. */
export const AUTH_CHAIN_CERTIFICATES_MAX = CERTIFICATE_PATH_MAX - 1;
/** Size of that chain: the largest leaf, and CAs of some 600 bytes each. */
export const AUTH_CHAIN_BYTES_MAX = 16 * 1024;
/** Size of host and port as dialed: a name of 253 characters, brackets, a colon, five digits. */
export const AUTH_AUTHORITY_BYTES_MAX = 261;
/** Size of an ALPN protocol name: `crs`, `h3`, with room to spare. */
export const AUTH_ALPN_BYTES_MAX = 16;
/** Size of a token in the handshake, equal to the limit of tokens. */
export const AUTH_TOKEN_BYTES_MAX = 4 * 1024;
/** Unfinished handshakes of one node; above it the oldest is evicted: at most 40 MB. */
export const AUTH_HALF_OPEN_MAX = 2_048;
/** The same per address: as many clients behind one NAT may reconnect at once. */
export const AUTH_HALF_OPEN_PER_ADDRESS_MAX = 1_024;
/** Longest life of a session before its identity is proven again, ms: the lifetime of a leaf. */
export const AUTH_SESSION_MS_MAX = 3_600_000;
/**
 * Maximum interval of comparing a session's expiry with the wall clock, which may be adjusted, ms.
 */
export const SESSION_LIFE_CHECK_MS = 60_000;
/** Minimum interval of renewals of a session's proof, ms: each costs some signatures. */
export const AUTH_RENEW_MS_MIN = 500;
/** Delay before a failed renewal of a session's proof is retried, ms; also the minimum interval. */
export const AUTH_RENEW_RETRY_MS = 1_000;
/**
 * Concurrent sessions that ask for a certificate without a proof; the oldest idle one is evicted.
 */
export const ANONYMOUS_SESSIONS_MAX = 1_024;
/**
 * The same per address (IPv6: per /64), some 9 MB. A request takes milliseconds, so a site needs
 * few; a generous limit on idle ones spares the node the handshakes of clients that reconnect after
 * eviction.
 */
export const ANONYMOUS_SESSIONS_PER_ADDRESS_MAX = 128;
/** Retry hint for an address at that limit, ms: the time of some requests. */
export const ANONYMOUS_SESSIONS_RETRY_MS = 250;
/**
 * Lifetime of an unauthenticated client's session, ms: one request, with a few reads of group 0.
 */
export const ANONYMOUS_SESSION_MS = 10_000;
