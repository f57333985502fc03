/** Limits of the governed plane: signed descriptors, their proposals, signers and history. */

/**
 * Size of a payload: a map of a region with some two thousand services. With the signatures that may come
 * with it, it fits into a request.
 */
export const GOVERNED_PAYLOAD_BYTES_MAX = 224 * 1024;
/** Levels of objects and arrays in a payload. */
export const GOVERNED_JSON_DEPTH_MAX = 32;
/** Length of a descriptor's id. */
export const GOVERNED_ID_LENGTH_MAX = 200;
/** Length of a signer's id, and of the time that a signer states. */
export const SIGNER_ID_LENGTH_MAX = 128;
export const SIGNED_AT_LENGTH_MAX = 40;
/** Signers of a registry: each needs a verification of 0.6 ms on every replica. */
export const SIGNERS_MAX = 64;
/**
 * Approvals of a proposal, and so of an entry: a change of signers may have one of each old and each new
 * key. With them an entry fits into the 65,535 bytes of an entry of a tile.
 */
export const APPROVALS_MAX: number = 2 * SIGNERS_MAX;
/** Keys that were revoked; they are listed in every later signer set. */
export const REVOKED_KEYS_MAX = 1_024;
/** Keys by which checkpoints may be signed: one for each region's authority, twice while rotated. */
export const CHECKPOINT_KEYS_MAX = 32;
/** Time, in group time, within which a proposal must be applied, ms. */
export const PROPOSAL_LIFE_MS = 72 * 3_600_000;
/** Open proposals, and the bytes of their payloads, in all, of one caller, and of one descriptor. */
export const PROPOSALS_OPEN_MAX = 4_096;
export const PROPOSALS_BYTES_MAX = 64 * 1024 * 1024;
export const PROPOSALS_PER_CALLER_MAX = 1_024;
export const PROPOSALS_PER_ID_MAX = 16;
/**
 * Commands of one caller within a window, each with its signatures and keys: each of these takes about a
 * millisecond, so a caller costs about a tenth of a core. And commands for one descriptor that bring no
 * signature or are refused.
 */
export const GOVERNED_QUOTA_WINDOW_MS = 60_000;
export const GOVERNED_COMMANDS_PER_CALLER_MAX = 6_000;
export const GOVERNED_COMMANDS_PER_ID_MAX = 300;
/** Callers and descriptors counted within a window: a few MB. */
export const GOVERNED_QUOTA_KEYS_MAX = 32_768;
/** Records of the audit of proposals that are kept. */
export const GOVERNED_AUDIT_RECORDS_MAX = 4_096;
/** Length of a caller's name in the audit, and of a message there and in a reply. */
export const GOVERNED_CALLER_LENGTH_MAX = 400;
export const GOVERNED_MESSAGE_LENGTH_MAX = 300;
/** Bytes of all entries of the log with their payloads; it is held in memory and never shortened. */
export const GOVERNED_LOG_BYTES_MAX = 512 * 1024 * 1024;
/** Highest number of a proposal in a mirrored entry: no signer signs it, and a new home counts on from it. */
export const MIRRORED_PROPOSAL_MAX: number = 2 ** 48;
/** Entries of a home in one command of its mirror: some 30 ms of signatures with three each. */
export const MIRRORED_ENTRIES_MAX = 16;
/** Pause before the leader of the plane looks again whether it mirrors a region, ms. */
export const GOVERNED_MIRROR_LOOK_MS = 500;
/** Longest pause after entries of the home were refused, ms: somebody has to act first. */
export const GOVERNED_MIRROR_REFUSED_MS = 60_000;
/** Services of a region in its map. */
export const REGION_SERVICES_MAX = 4_096;
/** Size of a bundle: a payload, and the history of the signers. */
export const BUNDLE_BYTES_MAX = 8 * 1024 * 1024;
/** Age from which on a verifier refuses a checkpoint as frozen, ms, unless it is set otherwise. */
export const CHECKPOINT_AGE_MS_DEFAULT = 10 * 60_000;
/** Time by which a checkpoint may be ahead of the verifier's clock, ms. */
export const CHECKPOINT_AHEAD_MS_MAX = 60_000;
/** Descriptors of which a verifier remembers the version that it saw. */
export const VERIFIED_IDS_MAX = 16_384;
/** Bytes of the entries in one answer, unless the first one is larger. */
export const GOVERNED_LOG_REPLY_BYTES_MAX = 512 * 1024;
/** Time for which a request for entries may wait, ms, and requests that wait on a node. */
export const GOVERNED_WAIT_MS_MAX = 30_000;
export const GOVERNED_WAITERS_MAX = 16_384;
/** Time for which a checkpoint of an unchanged log is shown again, ms. */
export const CHECKPOINT_KEPT_MS = 60_000;
/** Records of the audit in one answer. */
export const GOVERNANCE_AUDIT_PAGE_MAX = 500;
/** Time for which the request of a view for entries waits, ms: an idle view is about as old. */
export const GOVERNED_FOLLOW_WAIT_MS = 2_000;
/** Pause of a view before it asks again after a failure, ms; doubled up to the other, with jitter. */
export const GOVERNED_FOLLOW_RETRY_MS_MIN = 100;
export const GOVERNED_FOLLOW_RETRY_MS_MAX = 5_000;
/** Time for which a start waits for the governed plane to compare its settings with it, and pause, ms. */
export const SIGNERS_AGREE_MS_MAX = 30_000;
export const SIGNERS_AGREE_LOOK_MS = 100;
/**
 * Entries of the governed plane's group after which an image replaces them, so that a start replays less
 * than a second of them, and the interval of the check, ms. An image of 10,000 descriptors takes 18 MB.
 */
export const PLANE_IMAGE_ENTRIES = 1_000;
export const PLANE_IMAGE_LOOK_MS = 5_000;
/** Entries for which a stop writes an image, so that a start replays less than a tenth of a second of them. */
export const PLANE_IMAGE_ENTRIES_AT_STOP = 64;
