/**
 * What a core is started with: identity, clockwork, limits and rules, checked once.
 *
 * Time is counted in ticks of the owner's choice; randomness is passed in, so that a seed replays
 * every election.
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
import type { Storage } from "./storage.ts";

/**
 * What node liveness (`src/liveness/`) says about votes of one replica. While it is bound it ignores
 * vote requests and does not campaign, ticks or no ticks, whatever became of its leader and its term
 * in here; a group may so sleep without a clock of its own. Elections that the leader itself asked for
 * pass. Where this is given, ticks since the leader was heard of no longer decide about votes.
 */
export interface LeaderSupport {
  /**
   * Whether a promise to vote for nobody else stands, or, of a leader, whether a quorum supports it.
   *
   * @param lead whom this replica follows now: itself where it leads, 0 where it knows nobody.
   */
  isBound(lead: number, term: number): boolean;
}

/** Whether a replica id was ever given to a member of this group, and not taken away since. */
export interface ReplicaDirectory {
  knows(replica: number): boolean;
}

/**
 * How reads are confirmed. `quorum`: a round of heartbeats. `clock`: by the election timeout alone,
 * which a slow clock breaks; for scenarios only, production takes its leases from node liveness.
 */
export type ReadMode = "quorum" | "clock";

/** See each field; those with a default may be left out. */
export interface RaftOptions {
  /** This replica, from 1. */
  readonly id: number;
  readonly storage: Storage;
  readonly entropy: Entropy;
  /** What the state machine already applied, when it outlived a restart. */
  readonly applied?: number;
  /** A follower waits this long, and up to twice as long, before it campaigns. */
  readonly electionTicks: number;
  /** Must be less than `electionTicks`. */
  readonly heartbeatTicks: number;
  readonly preVote?: boolean;
  readonly checkQuorum?: boolean;
  /** Writes are told by messages and may overlap, instead of `ready` and `advance` in turn. */
  readonly asyncStorageWrites?: boolean;
  readonly readMode?: ReadMode;
  /** Followers send proposals on to their leader instead of refusing them. */
  readonly forwardProposals?: boolean;
  /** A leader that is removed, or made a learner, stops leading at once. */
  readonly stepDownOnRemoval?: boolean;
  /** Lets any change of the configuration into the log; for scenarios only. */
  readonly skipConfChangeChecks?: boolean;
  /** Bytes of entries in one append. */
  readonly appendBytesMax?: number;
  /** Bytes of committed entries that may be under way to the state machine. */
  readonly applyingBytesMax?: number;
  /** Bytes of proposals that are not committed; what goes beyond is refused. */
  readonly uncommittedBytesMax?: number;
  readonly inflightMessagesMax?: number;
  readonly inflightBytesMax?: number;
  readonly readsPendingMax?: number;
  /** Of this replica alone; all other rules may be shared by many. */
  readonly support?: LeaderSupport;
  readonly directory?: ReplicaDirectory;
}

/** The same with every default in its place; shared by all groups that are started alike. */
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
  readonly directory: ReplicaDirectory | undefined;
}

/**
 * Fills in the defaults. A node with many groups does this once and passes the result to each.
 *
 * @throws RangeError when a field cannot be.
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
    throw new RangeError("readMode clock needs checkQuorum: a deposed leader must notice it");
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
