/** Limits of the groups of one node. */

/** Commands per group waiting for the disk; above it new ones are refused with a retry hint. */
export const GROUP_PROPOSALS_MAX = 8_192;
/** Reads per group waiting for permission; above it new ones are refused with a retry hint. */
export const GROUP_READS_MAX = 8_192;
/**
 * Time for which a command stays open after its replica ceased to lead, ms: long enough for the next
 * leader to decide it, and short beside the time of a request, which is repeated elsewhere then.
 */
export const GROUP_FORMER_PROPOSAL_MS = 500;
/** Retry hint when the limit on waiting commands or reads is reached, ms. */
export const GROUP_RETRY_MS = 50;
/** Delay after which a follower repeats an unanswered read request to its leader, ms. */
export const GROUP_READ_AGAIN_MS = 300;
/** Rounds of work per group and turn, so that no group delays the others. */
export const GROUP_ROUNDS_MAX = 16;
/** Age at which a record that is not durable means a stuck disk, ms: the node stops leading. */
export const STALL_MS = 1_000;
/** Ticks between the elections of two replicas of a group whose leader has lost support. */
export const RANK_TICKS = 3;
/** Entries a replica keeps in memory for lagging followers; beyond that an image costs no more. */
export const REPLICA_LOG_BYTES = 128 * 1024;
/** The same limit while a follower catches up with the entries, or they are not applied yet. */
export const REPLICA_LOG_BYTES_MAX = 8 * 1024 * 1024;
/**
 * Entries committed since the commit index was last saved after which it is saved again. A restarted
 * replica applies only entries up to the saved index before it hears of a leader; saving the index
 * costs as much as saving an entry.
 */
export const GROUP_COMMIT_SAVED_EVERY = 16;
