/** Limits of certificates, the trust bundle, enrolment, bans and the audit log. */

/**
 * Lifetime of a development server certificate, ms: 13 days, one day below the limit of pinning.
 */
export const SERVER_CERTIFICATE_LIFE_MS = 13 * 86_400_000;
/**
 * Lifetime of a development CA, ms: 10 years; replaced when it would expire before what it signs.
 */
export const DEVELOPMENT_CA_LIFE_MS = 3_650 * 86_400_000;
/** Backdating of certificates, ms, for clients whose clock is behind. */
export const CERTIFICATE_BACKDATE_MS = 3_600_000;
/**
 * Interval of checking the clock for a rotation, ms: clocks are adjusted, and a check costs
 * nothing.
 */
export const ROTATION_LOOK_MS = 30_000;
/** Delay before a failed rotation is retried, ms: a disk has space again within minutes. */
export const ROTATION_RETRY_MS = 60_000;
/** File of keys or certificates, or `node.json`: all are far smaller. */
export const IDENTITY_FILE_BYTES_MAX = 64 * 1024;
/** Addresses of one node: one per transport and address family. */
export const NODE_ADDRESSES_MAX = 16;
/**
 * Longest trust domain: a SPIFFE id with it and the longest region and role is within its own
 * limit.
 */
export const TRUST_DOMAIN_BYTES_MAX = 253;
/** Longest SPIFFE id: prefix, trust domain, region, role and UUID. */
export const SPIFFE_ID_BYTES_MAX = 400;
/** Size of a certificate: the largest issued, an agent's with all its grants, has some 9 KiB. */
export const CERTIFICATE_BYTES_MAX = 12 * 1024;
/** Certificates of a path, root included: root, one more CA of an organization, region, leaf. */
export const CERTIFICATE_PATH_MAX = 4;
/** Roots, and intermediates, of a trust store: two per region, and room for rotation. */
export const TRUST_AUTHORITIES_MAX = 128;
/** Extensions of a certificate; issued ones have at most eight. */
export const CERTIFICATE_EXTENSIONS_MAX = 16;
/** Names of a certificate, and subtrees of its name constraints. */
export const CERTIFICATE_NAMES_MAX = 32;
/** Domains and gateways that an identity may name; more are granted by a pattern. */
export const GRANT_DOMAINS_MAX = 32;
export const GRANT_GATEWAYS_MAX = 16;
/** Limits on what an identity may read: one of its certificate, and some more of a token. */
export const READ_LIMITS_MAX = 4;
/** Conditions of each sort in such a limit: more are granted by a pattern, or by a common label. */
export const READ_LIMIT_ENTRIES_MAX = 8;
/** Size of a certificate request: a key and a signature over it, some 200 bytes. */
export const CERTIFICATE_REQUEST_BYTES_MAX = 1024;
/** Lifetime of an identity's leaf, ms: one hour (design §8). */
export const IDENTITY_LIFE_MS = 3_600_000;
/** Backdating of an identity's leaf, ms, for peers whose clock is behind. */
export const IDENTITY_BACKDATE_MS = 300_000;
/** Minimum lifetime of an issued leaf, ms: its owner could hardly renew a shorter one in time. */
export const IDENTITY_LIFE_MS_MIN = 300_000;
/** Lifetime of a join token, ms: long enough to carry it to a new machine by hand. */
export const JOIN_TOKEN_LIFE_MS = 600_000;
/**
 * Default time after its expiry during which a leaf may still be renewed, ms: an outage of a day.
 */
export const RENEWAL_GRACE_MS_DEFAULT = 86_400_000;
/** The same for a node whose key is in the member list, ms: a cluster that was off for a month. */
export const MEMBER_RENEWAL_GRACE_MS_DEFAULT = 30 * 86_400_000;
/** Longest grace that can be configured, ms; intermediates are kept for as long. */
export const RENEWAL_GRACE_MS_MAX = 30 * 86_400_000;
/**
 * Bounds of the interval between attempts to renew, ms: half a leaf's life holds a hundred of them.
 */
export const RENEWAL_RETRY_MS_MIN = 1_000;
export const RENEWAL_RETRY_MS_MAX = 60_000;
/**
 * Remaining lifetime below which a certificate is renewed before it is presented, ms: it might
 * expire in the meantime.
 */
export const RENEWAL_SESSION_LEFT_MS_MIN = 30_000;
/** Time a due renewal waits for a client to connect, ms: as long as connecting may take. */
export const RENEWAL_SESSION_WAIT_MS = 5_000;
/**
 * Lifetime of a region's intermediate, ms; its successor is issued at half of it, so that they
 * overlap.
 */
export const INTERMEDIATE_LIFE_MS = 180 * 86_400_000;
/** Time for which the trust bundle must have carried an intermediate before it signs, ms. */
export const INTERMEDIATE_LEAD_MS = 3_600_000;
/** Longest lifetime of a server's TLS certificate, ms: browsers do not pin longer-lived ones. */
export const SERVER_CERTIFICATE_LIFE_MS_MAX = 14 * 86_400_000;
/** Size of a trust bundle: 256 CAs of 600 bytes and 1,024 servers of 350, in base64url. */
export const TRUST_BUNDLE_BYTES_MAX = 768 * 1024;
/** Servers of a trust bundle, and addresses of each: one per transport and address family. */
export const TRUST_SERVERS_MAX = 1_024;
export const TRUST_SERVER_ADDRESSES_MAX = 8;
/** Hosts that a node advertises: a member has room for 8 addresses, three per host. */
export const ADVERTISED_HOSTS_MAX = 2;
/** Longest lifetime of a certificate that signs trust bundles, ms: its key is not offline. */
export const BUNDLE_SIGNER_LIFE_MS = 90 * 86_400_000;
/** Lifetime of a root, ms: its key is offline, and all that trust it must be given the next one. */
export const ROOT_LIFE_MS = 3_650 * 86_400_000;
/**
 * Allowed difference of a renewal request's time from the node's clock, ms: equal to a leaf's
 * backdating.
 */
export const RENEWAL_PROOF_MS = 300_000;
/** Attempts of a decision on an identity that lost to a concurrent one. */
export const IDENTITY_DECISIONS_MAX = 8;
/** Validity of a trust bundle, ms; a new one is issued at half of it. */
export const TRUST_BUNDLE_LIFE_MS = 30 * 86_400_000;
/**
 * Interval at which a node checks whether bundle, token keys or its own certificate need work, ms.
 */
export const IDENTITY_CHECK_MS = 60_000;
/**
 * Interval at which a node reminds that the root must sign something, ms: there are weeks for it.
 */
export const ROOT_REMINDER_MS = 86_400_000;
/** Entries of group 0's audit log, 200 bytes each: 13 MB, some days of renewals. */
export const AUDIT_ENTRIES_MAX = 65_536;
/** Entries per page in an image: 100 KB, well below the limit of a message. */
export const AUDIT_PAGE_ENTRIES = 512;
/** Join tokens in group 0: a rollout of some thousands at once, 300 bytes each. */
export const JOIN_TOKENS_MAX = 16_384;
/** Lineages in group 0, 600 bytes each: 150 MB at the limit. */
export const LINEAGES_MAX = 262_144;
/** Size of a document of group 0: the trust bundle is the largest. */
export const DOCUMENT_BYTES_MAX = 768 * 1024;
/** Bans at one time, some 100 bytes each in group 0; every node holds all of them in memory. */
export const BANS_MAX = 100_000;
/** Bans per reply: at most 700 bytes each, well below the limit of a frame. */
export const BANS_PAGE_MAX = 512;
/**
 * Bans and stopped lineages listed for a node: all that group 0 can hold, so that none is ignored.
 */
export const LISTED_BANS_MAX = BANS_MAX + LINEAGES_MAX;
/** Sampling interval of logging refused identities, ms, so that clients cannot fill the disk. */
export const REFUSAL_SAMPLE_MS = 1_000;
/**
 * Reasons by which refused identities are counted separately: all existing ones, and room for more.
 */
export const REFUSAL_REASONS_MAX = 128;
/** Text of a ban's reason. */
export const BAN_REASON_BYTES_MAX = 255;
/** Interval at which a node looks whether it has applied what the leader of group 0 had, ms. */
export const SYSTEM_APPLIED_LOOK_MS = 10;
/** Names of a server's TLS certificate: the advertised hosts, and this machine's own. */
export const SERVER_NAMES_MAX = 24;
/** Time for one member to renew another one's certificate, ms; it may have to find a leader first. */
export const NODE_RENEWAL_TIMEOUT_MS = 10_000;
