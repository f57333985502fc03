/** Limits of the consensus core. */

/** Raft tick of active groups, ms. */
export const RAFT_TICK_MS = 100;
/** Ticks without a leader before a replica campaigns, randomized up to twice as many: 1 to 2 s. */
export const RAFT_ELECTION_TICKS = 10;
/** Ticks between heartbeats: five fit into the shortest election timeout. */
export const RAFT_HEARTBEAT_TICKS = 2;
/** Size of one append's entries: the cost of resending a lost one; a frame holds it. */
export const RAFT_APPEND_BYTES_MAX = 256 * 1024;
/** Appends in flight to one follower: a round trip of 10 ms at 25,000 appends/s. */
export const RAFT_INFLIGHT_MESSAGES_MAX = 256;
/** Size of their entries: the memory a slow follower may occupy at its leader. */
export const RAFT_INFLIGHT_BYTES_MAX = 8 * 1024 * 1024;
/** Size of a group's uncommitted proposals, so that the log stops growing without a quorum. */
export const RAFT_UNCOMMITTED_BYTES_MAX = 32 * 1024 * 1024;
/** Size of a group's committed entries on their way to its state machine: some ms of work. */
export const RAFT_APPLYING_BYTES_MAX = 2 * 1024 * 1024;
/** Reads per group waiting for a round of heartbeats, or for the term's first commit. */
export const RAFT_READS_PENDING_MAX = 16_384;
/**
 * Terms by which a message may be ahead of its recipient: those of half a year of elections, one after
 * the other. A member that lies needs 2^29 messages to use up all terms, which is noticed before.
 */
export const RAFT_TERM_AHEAD_MAX = 2 ** 24;
/** The highest term that a replica which is new in its group adopts: 256 generations of 2^32 terms. */
export const RAFT_FIRST_TERM_MAX = 2 ** 40;
/** Members named in one configuration change. */
export const RAFT_CHANGES_MAX = 64;
/** Replicas per group, including learners and both halves of a joint configuration. */
export const RAFT_MEMBERS_MAX = 64;
