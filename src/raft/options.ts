/**
 * The options of a core: identity, timing, limits and rules, all checked once.
 *
 * Time is counted in ticks, whose length the owner chooses. Randomness is passed in, so a seed
 * reproduces every election.
 */
import {
  RAFT_APPEND_BYTES_MAX,
  RAFT_APPLYING_BYTES_MAX,
  RAFT_INFLIGHT_BYTES_MAX,
  RAFT_INFLIGHT_MESSAGES_MAX,
  RAFT_READS_PENDING_MAX,
  RAFT_UNCOMMITTED_BYTES_MAX,
} from "../base/limits.ts";
import type { Entropy } from "../base/world.ts";
import type { RaftStorage } from "./storage.ts";

/**
 * Node liveness (`src/liveness/`) as seen by the votes of one replica. While a replica is bound it
 * ignores vote requests and does not campaign, whether or not it receives ticks, and whatever
 * became of its leader and its term in the core; so a group can sleep without a clock of its own.
 * Elections that the leader itself asked for pass. With a LeaderSupport, the ticks since the last
 * message of the leader no longer decide about votes.
 */
export interface LeaderSupport {
  /**
   * Reports whether a promise not to vote for anybody else stands, or, for a leader, whether a
   * quorum supports it.
   *
   * @param lead the leader this replica follows now: itself if it leads, 0 if it knows none.
   */
  isBound(lead: number, term: number): boolean;
  /**
   * Returns after how many ticks a bound replica may vote, rounded up; Infinity if no time ends that.
   * Absent if candidates are not to be told.
   */
  boundTicks?(lead: number, term: number): number;
}

/**
 * The replica ids of a group: an id is known if it was assigned to a member of this group and not
 * withdrawn since.
 */
export interface KnownReplicas {
  knows(replica: number): boolean;
}

/**
 * The way in which reads are confirmed. `quorum`: by a round of heartbeats. `clock`: by the
 * election timeout alone, which a slow clock breaks; for scenarios only. Production takes its
 * leases from node liveness.
 */
export type ReadMode = "quorum" | "clock";

/** The options of a core. Optional fields have defaults. */
export interface RaftOptions {
  /** The id of this replica, from 1. */
  readonly id: number;
  readonly storage: RaftStorage;
  readonly entropy: Entropy;
  /** The applied index of a state machine that survived a restart. */
  readonly applied?: number;
  /** The election timeout: a follower waits between one and two of it before it campaigns. */
  readonly electionTicks: number;
  /** The interval between heartbeats; must be less than `electionTicks`. */
  readonly heartbeatTicks: number;
  readonly preVote?: boolean;
  readonly checkQuorum?: boolean;
  /**
   * Storage writes are requested by messages and may overlap, instead of alternating `ready` and
   * `advance`.
   */
  readonly asyncStorageWrites?: boolean;
  readonly readMode?: ReadMode;
  /** Followers forward proposals to their leader instead of refusing them. */
  readonly forwardProposals?: boolean;
  /** A leader that is removed or made a learner steps down at once. */
  readonly stepDownOnRemoval?: boolean;
  /** Accepts any configuration change into the log; for scenarios only. */
  readonly skipConfChangeChecks?: boolean;
  /** Maximum size of the entries of one append, in bytes. */
  readonly appendBytesMax?: number;
  /** Maximum size of the committed entries that are being applied, in bytes. */
  readonly applyingBytesMax?: number;
  /** Maximum size of uncommitted proposals in bytes; proposals beyond it are refused. */
  readonly uncommittedBytesMax?: number;
  readonly inflightMessagesMax?: number;
  readonly inflightBytesMax?: number;
  readonly readsPendingMax?: number;
  /** Belongs to this replica alone; all other rules may be shared by many replicas. */
  readonly support?: LeaderSupport;
  readonly directory?: KnownReplicas;
}

/**
 * The options with all defaults filled in; shared by all groups that start with the same options.
 */
export interface RaftSettings {
  readonly entropy: Entropy;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  readonly asyncStorageWrites: boolean;
  readonly readMode: ReadMode;
  readonly forwardProposals: boolean;
  readonly stepDownOnRemoval: boolean;
  readonly skipConfChangeChecks: boolean;
  readonly appendBytesMax: number;
  readonly applyingBytesMax: number;
  readonly uncommittedBytesMax: number;
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  readonly readsPendingMax: number;
  readonly directory: KnownReplicas | undefined;
}

/**
 * Fills in the defaults. A node with many groups does this once and passes the result to each.
 *
 * @throws RangeError when a field is out of range.
 */
export function raftSettings(
  options: Omit<RaftOptions, "id" | "storage" | "applied" | "support">,
): RaftSettings {
  const settings: RaftSettings = {
    entropy: options.entropy,
    electionTicks: options.electionTicks,
    heartbeatTicks: options.heartbeatTicks,
    preVote: options.preVote ?? true,
    checkQuorum: options.checkQuorum ?? true,
    asyncStorageWrites: options.asyncStorageWrites ?? false,
    readMode: options.readMode ?? "quorum",
    forwardProposals: options.forwardProposals ?? false,
    stepDownOnRemoval: options.stepDownOnRemoval ?? true,
    skipConfChangeChecks: options.skipConfChangeChecks ?? false,
    appendBytesMax: options.appendBytesMax ?? RAFT_APPEND_BYTES_MAX,
    applyingBytesMax: options.applyingBytesMax ?? RAFT_APPLYING_BYTES_MAX,
    uncommittedBytesMax: options.uncommittedBytesMax ?? RAFT_UNCOMMITTED_BYTES_MAX,
    inflightMessagesMax: options.inflightMessagesMax ?? RAFT_INFLIGHT_MESSAGES_MAX,
    inflightBytesMax: options.inflightBytesMax ?? RAFT_INFLIGHT_BYTES_MAX,
    readsPendingMax: options.readsPendingMax ?? RAFT_READS_PENDING_MAX,
    directory: options.directory,
  };
  check(settings);
  return settings;
}

function check(settings: RaftSettings): void {
  const { electionTicks, heartbeatTicks, readMode, checkQuorum } = settings;
  if (!Number.isInteger(heartbeatTicks) || heartbeatTicks < 1) {
    throw new RangeError(`heartbeatTicks must be a positive integer: found ${heartbeatTicks}`);
  }
  if (!Number.isInteger(electionTicks) || electionTicks <= heartbeatTicks) {
    throw new RangeError(
      `electionTicks must be an integer above heartbeatTicks: found ${electionTicks}`,
    );
  }
  if (readMode === "clock" && !checkQuorum) {
    throw new RangeError(
      "readMode clock needs checkQuorum: a deposed leader must notice that it was deposed",
    );
  }
  const limits = [
    "appendBytesMax",
    "applyingBytesMax",
    "uncommittedBytesMax",
    "inflightMessagesMax",
    "inflightBytesMax",
    "readsPendingMax",
  ] as const;
  for (const name of limits) {
    if (!(settings[name] >= 1)) {
      throw new RangeError(`${name} must be at least 1: found ${settings[name]}`);
    }
  }
  if (settings.inflightBytesMax < settings.appendBytesMax) {
    throw new RangeError("inflightBytesMax must be at least appendBytesMax, or no append fits");
  }
}
