/** The options of a set of groups (group_set.ts), and the parts of a group that is added. */
import type { GroupId, NodeId, ReplicaId } from "../base/ids.ts";
import type { Logger } from "../base/logger.ts";
import type { MonotonicClock, World } from "../base/world.ts";
import type { LivenessTiming } from "../liveness/mod.ts";
import type { RaftOptions } from "../raft/mod.ts";
import type { SharedLog } from "../storage/shared_log.ts";
import type { OutageTiming } from "./available_time.ts";
import type { PeerLinks } from "./group_host.ts";
import type { NodeState, RecoveredState } from "./recovery.ts";
import type { ReplicaDirectory } from "./replica_directory.ts";
import type { StateMachine } from "./state_machine.ts";

/** Settings of groups; each has a default. */
export interface GroupSettings
  extends Partial<Omit<RaftOptions, "id" | "storage" | "entropy" | "directory" | "support">> {
  /** The tick interval of the groups that are awake, ms. */
  readonly tickMs?: number;
  /** Bytes of images that the node goes through in a turn. */
  readonly imageTurnBytes?: number;
  /** The timing of support between nodes. */
  readonly liveness?: LivenessTiming;
  /** The thresholds of an outage of this node, and the grace after it. */
  readonly outages?: OutageTiming;
}

/** The dependencies of a set. */
export interface GroupSetOptions {
  readonly nodeId: NodeId;
  readonly world: World;
  /** The clock for available time, deadlines and leases; default: the world's. */
  readonly clock?: MonotonicClock;
  readonly logger: Logger;
  /** The open log; its owner calls {@link GroupSet.logWritable} and {@link GroupSet.logPoisoned}. */
  readonly log: SharedLog;
  readonly peers: PeerLinks;
  readonly directory: ReplicaDirectory;
  /** The node state recovered from the log. */
  readonly nodeState: NodeState;
  readonly settings?: GroupSettings;
  /**
   * If false, no lease serves reads: for machines whose clocks may both stop during a pause. Default
   * true.
   */
  readonly leases?: boolean;
  /** Called when a group broke an invariant; the group serves nothing from then on. */
  readonly onFailure?: (group: GroupId, error: unknown) => void;
}

/** The parts of a group to be added. */
export interface NewGroup<Outcome> {
  readonly id: GroupId;
  /** The id of this node's replica. */
  readonly replica: ReplicaId;
  readonly machine: StateMachine<Outcome>;
  /** The recovered state of machine and log. */
  readonly recovered: RecoveredState;
  /** If nothing was recovered: whether to start as the only voter instead of waiting to be added. */
  readonly founds?: boolean;
}
