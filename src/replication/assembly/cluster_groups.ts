/**
 * Group 0, the governed plane and the partitions of a node, typed, and the creation of a cluster.
 *
 * A cluster is created once: only while group 0 has no genesis may groups be founded. The genesis is
 * logged last, after every group has an entry of its own, so that a crash while a cluster is being
 * created leaves no genesis and the next start creates it again. Once there is a genesis, a group opens
 * from the log, and one that is not in the log is `corrupt`: founded again, it would assign the
 * incarnations of the lost one a second time. After a loss of data that the operator accepted it may
 * be, because its terms then belong to a greater generation.
 *
 * The governed plane's group comes later, once all nodes know it: group 0 places its first replica, under
 * a new id, and the node of that replica founds the group alone. It then grows as partitions do.
 */
import { assert } from "../../base/assert.ts";
import { RegistryError } from "../../base/errors.ts";
import {
  GOVERNED_GROUP,
  GOVERNED_PLACE,
  type GroupId,
  groupOfPartition,
  type PartitionId,
  partitionId,
  partitionOfGroup,
  type ReplicaId,
  replicaId,
  SYSTEM_GROUP,
} from "../../base/ids.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT } from "../../base/limits.ts";
import type { GovernanceReply, GovernanceStore } from "../../governance/governance_store.ts";
import { encodeGenesis } from "../../record/command.ts";
import type { LogDone } from "../../storage/shared_log.ts";
import { PARTITION_APPLY_VERSION } from "../../store/apply_version.ts";
import type { EventSink } from "../../store/event.ts";
import type { ApplyReply } from "../../store/reply.ts";
import type { StoreShared } from "../../store/shared.ts";
import { PartitionStore } from "../../store/store.ts";
import type { SystemState } from "../../system/system_state.ts";
import type { SystemReply, SystemStore } from "../../system/system_store.ts";
import type { RaftGroup } from "../group.ts";
import type { PeerInput } from "../group_host.ts";
import type { Proposed } from "../group_interface.ts";
import { FOUNDER_REPLICA, soleConfiguration } from "../log_entry.ts";
import { GovernanceMachine, PartitionMachine, SystemMachine } from "../machines.ts";
import type { ReplicaDirectory } from "../replica_directory.ts";
import {
  type HostedReplica,
  type IfAbsent,
  NodeGroups,
  type NodeGroupsOptions,
  type ReplicaPlace,
} from "./node_groups.ts";
import { nodeOfReplica, nodesOf, type PlacedHere, placedHere } from "./placed_here.ts";
import { checkEmpty, checkPartitionCount } from "./start_checks.ts";
import { ACTIVITY, failedStartClosed, unlessStopped, untilReadable } from "./stopped_start.ts";

/** The machine of any group of a node. */
export type ClusterMachine = PartitionMachine | SystemMachine | GovernanceMachine;

/** Group 0 on this node. */
export interface HostedSystem {
  readonly group: RaftGroup<SystemReply>;
  readonly store: SystemStore;
}

/** A partition on this node. */
export interface HostedPartition {
  readonly isHere: true;
  readonly id: PartitionId;
  readonly group: RaftGroup<ApplyReply>;
  readonly store: PartitionStore;
}

/** The governed plane on this node. */
export interface HostedPlane {
  readonly isHere: true;
  readonly id: typeof GOVERNED_PLACE;
  readonly group: RaftGroup<GovernanceReply>;
  readonly store: GovernanceStore;
}

/** Reports whether what is placed is the governed plane, and no partition. */
export function isPlane(placed: HostedPartition | HostedPlane): placed is HostedPlane {
  return placed.id === GOVERNED_PLACE;
}

/** The dependencies of a node's groups, and the parameters of a cluster that is to be created. */
export interface ClusterGroupsOptions
  extends Omit<NodeGroupsOptions<ClusterMachine>, "newMachine" | "directory" | "ownerDefault"> {
  /** Memory and indexes shared by the partitions. */
  readonly shared: StoreShared;
  /** Receives the events of apply. */
  readonly sink: EventSink;
  /** Called when the governed log has grown or was replaced. */
  readonly onGovernedEntries?: () => void;
  readonly region: string;
  /** The highest apply version of partitions; default: this program's. */
  readonly partitionVersionMax?: number;
  /** Fixed when the cluster is created; another one is refused later. */
  readonly partitionCount: number;
  /** Aborts a start that waits for the log. */
  readonly signal?: AbortSignal;
  /**
   * Called once, before the groups start, with the input for what other nodes send. A node that has just
   * joined waits for that input, so that it comes before {@link ClusterGroups.open} resolves.
   */
  readonly connect?: (input: PeerInput) => void;
  /** Set on a node that joined a cluster: it never founds one. Default: the node founds. */
  readonly joined?: JoinedCluster;
  /** Replicas of group 0 of which other nodes told; used for those that this node's table lacks. */
  readonly told?: ReplicaDirectory;
}

/** The answer to a node's join, which the node stores durably outside of its log. */
export interface JoinedCluster {
  /** The id of its replica of group 0. */
  readonly replica: ReplicaId;
  /**
   * Whether the log may have nothing of that replica: until {@link ClusterGroups.open} has resolved
   * once. A replica that was in the log and is not any more is `corrupt`, as it may have voted.
   */
  readonly isNew: boolean;
  /** Group 0's replicas at that time; used until group 0's own table is here. */
  readonly directory: ReplicaDirectory;
}

/** The groups of a node in its cluster. */
export class ClusterGroups {
  readonly nodes: NodeGroups<ClusterMachine>;
  readonly system: HostedSystem;
  readonly #options: ClusterGroupsOptions;
  readonly #partitions = new Map<PartitionId, HostedPartition>();
  #plane: HostedPlane | undefined;
  #isStarted = false;
  /** Whether this start created the cluster. */
  readonly created: boolean;

  private constructor(
    nodes: NodeGroups<ClusterMachine>,
    system: HostedSystem,
    options: ClusterGroupsOptions,
  ) {
    this.nodes = nodes;
    this.system = system;
    this.#options = options;
    this.created = system.group.replica === FOUNDER_REPLICA && system.store.genesis === undefined;
  }

  /** The partitions that this node hosts. */
  get partitions(): Iterable<HostedPartition> {
    return this.#partitions.values();
  }

  /** Returns a partition that this node hosts; undefined if it is elsewhere. */
  partition(id: PartitionId): HostedPartition | undefined {
    return this.#partitions.get(id);
  }

  /** The governed plane; undefined if this node does not host it. */
  get plane(): HostedPlane | undefined {
    return this.#plane;
  }

  /** Returns what this node hosts under a number of the placement table; undefined if nothing. */
  placed(id: PartitionId): HostedPartition | HostedPlane | undefined {
    return id === GOVERNED_PLACE ? this.#plane : this.partition(id);
  }

  /** Returns the nodes that hold a partition or the governed plane, as group 0 says. */
  nodesOf(id: PartitionId): number[] {
    return nodesOf(this.system.store.state, id);
  }

  /**
   * Recovers the log, opens and leads every group, and creates the cluster if there is none.
   *
   * @throws RegistryError `corrupt`, `locked`, `storage_unavailable`; `shutting_down` if `signal` is
   * aborted; `invalid_configuration` if the partition count differs from the cluster's.
   */
  static async open(options: ClusterGroupsOptions): Promise<ClusterGroups> {
    const opened: { system?: HostedSystem } = {};
    const directory = directoryOf(options, () => opened.system?.store.state);
    const { signal, world } = options;
    const opening = openNodeGroups(options, directory);
    try {
      const nodes = await unlessStopped(opening, signal, ACTIVITY);
      const system = opened.system = await openSystem(nodes, options.joined);
      const groups = new ClusterGroups(nodes, system, options);
      // A node that joined a moment ago learns from group 0 what it has to host.
      if (system.store.genesis === undefined && !groups.created) await groups.#lead();
      groups.#openPartitions();
      await groups.#lead();
      if (groups.created) await groups.#create();
      return groups;
    } catch (error) {
      // The folder must be free for the next attempt.
      const closed = opening.then((nodes) => nodes.close(), () => {});
      await failedStartClosed(closed, signal, world.scheduler);
      throw error;
    }
  }

  /** The number of entries appended to all groups' logs since they were opened. */
  get entriesAppended(): number {
    let count = 0;
    for (const { raft } of this.nodes.all) count += raft.entriesAppended;
    return count;
  }

  /**
   * Takes in a replica under an id that group 0 assigned: as it is in the log, where an earlier run left
   * it, or new.
   *
   * @param done called in a later turn. With an error (the log failed) nothing is hosted.
   */
  join(
    id: PartitionId,
    { group, replica, isFounding }: PlacedHere,
    done: (placed: HostedPartition | HostedPlane | RegistryError) => void,
  ): void {
    const place = { group, replica };
    const joined = (replica: HostedReplica<ClusterMachine> | RegistryError) =>
      done(replica instanceof RegistryError ? replica : this.#hosted(id, replica));
    // A copy of group 0 that is behind knows of the founding, and not of what the group did since.
    if (!isFounding || this.#isInLog(place)) return this.nodes.join(place, joined);
    this.nodes.found(place, soleConfiguration(replica), joined);
  }

  /**
   * Removes this node's replica of a partition or of the governed plane for good.
   *
   * @param done called in a later turn; with an error a restart may find the replica still.
   */
  remove(id: PartitionId, done: LogDone): void {
    if (id === GOVERNED_PLACE) this.#plane = undefined;
    else this.#partitions.delete(id);
    this.nodes.retire(groupOfPartition(id), done);
  }

  /**
   * Reports whether a replica that this node's copy of group 0 places here cannot join: the node has
   * removed it, or had a later one, so that the copy is older than that; or it should be in the log,
   * because it votes, and is not.
   */
  cannotJoin(id: PartitionId, placed: PlacedHere): boolean {
    const { group, replica, isJoining, isFounding } = placed;
    if (this.nodes.isPast({ group, replica })) return true;
    return !isJoining && !isFounding && !this.#isInLog({ group, replica }) &&
      this.placed(id) === undefined;
  }

  /** Reports whether recovery found this replica, which is not hosted yet, in the log. */
  #isInLog({ group, replica }: ReplicaPlace): boolean {
    return this.nodes.ownerOf(group) === replica && this.nodes.isInLog(group);
  }

  /**
   * Reports whether the log holds a replica of a place that group 0 says is no more. A replica that
   * this copy of group 0 does not know yet is none.
   */
  holdsRetired(id: PartitionId): boolean {
    const group = groupOfPartition(id);
    if (this.placed(id) !== undefined || !this.nodes.isInLog(group)) return false;
    const { replicas, placement } = this.system.store.state;
    const owner = this.nodes.ownerOf(group);
    if (owner === FOUNDER_REPLICA) {
      const placed = placement.of(id);
      return placed !== undefined && placed.replicas.every(({ replica }) => replica !== owner);
    }
    return owner < replicas.next && replicas.replica(owner) === undefined;
  }

  /** Closes log and groups; resolves when the folder is free. */
  close(): Promise<void> {
    return this.nodes.close();
  }

  /** Opens the partitions that are placed on this node. */
  #openPartitions(): void {
    const { nodeId, log, partitionCount: configured } = this.#options;
    const { genesis, state } = this.system.store;
    const partitionCount = genesis?.partitionCount ?? configured;
    checkPartitionCount(partitionCount, configured);
    const isLossAccepted = genesis !== undefined && log.acceptDataLoss === true &&
      this.nodes.log.generation > genesis.generation;
    for (let number = 0; number < partitionCount; number++) {
      const id = partitionId(number);
      const placed = placedHere(state, id, nodeId);
      if (placed === undefined) continue;
      const isFounder = placed.replica === FOUNDER_REPLICA;
      const mayFound = isFounder && (this.created || isLossAccepted);
      this.#open(id, placed, mayFound ? "sole voter" : placed.isJoining ? "empty" : "corrupt");
    }
    if (this.created) checkEmpty(this.partitions);
    const plane = placedHere(state, GOVERNED_PLACE, nodeId);
    if (plane === undefined || plane.isFounding && !this.nodes.isInLog(GOVERNED_GROUP)) return;
    this.#open(GOVERNED_PLACE, plane, plane.isJoining ? "empty" : "corrupt");
  }

  #open(id: PartitionId, placed: PlacedHere, ifAbsent: IfAbsent): void {
    // This copy of group 0 may be older than the last run's, as nobody waits for its commit index.
    if (this.nodes.isPast(placed)) return;
    // One that is still to join, because the node stopped before it recorded the new owner.
    const isToJoin = ifAbsent === "empty" && this.nodes.ownerOf(placed.group) !== placed.replica;
    if (!isToJoin) this.#hosted(id, this.nodes.open(placed, ifAbsent));
  }

  #hosted(
    id: PartitionId,
    { machine, raft }: HostedReplica<ClusterMachine>,
  ): HostedPartition | HostedPlane {
    if (machine instanceof GovernanceMachine) {
      const group = raft as RaftGroup<GovernanceReply>;
      this.#plane = { isHere: true, id: GOVERNED_PLACE, group, store: machine.store };
      return this.#plane;
    }
    assert(machine instanceof PartitionMachine, "The other groups above 0 hold partitions");
    const group = raft as RaftGroup<ApplyReply>;
    const partition = { isHere: true, id, group, store: machine.store } as const;
    this.#partitions.set(id, partition);
    return partition;
  }

  /**
   * Starts the groups, and waits until those that this node decides alone are led; their first terms
   * share one write of the log. If the log refuses it, the groups serve their recovered state and lead
   * once the log takes writes again. Groups of several voters are not waited for, but for group 0 while
   * nothing of it is here.
   */
  async #lead(): Promise<void> {
    this.#start();
    for (const { group, raft } of this.nodes.all) {
      const isWanted = group === SYSTEM_GROUP && this.system.store.genesis === undefined;
      if (raft.isSole || isWanted) await untilReadable(raft, this.#options);
    }
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#options.connect?.(this.nodes.input);
    this.nodes.start();
  }

  /** Proposes the first command of group 0, which fixes the cluster's parameters. */
  async #create(): Promise<void> {
    const { world, region, partitionCount } = this.#options;
    const clusterId = new Uint8Array(16);
    world.entropy.fill(clusterId);
    const unixS = Math.floor(world.wall.unixMs() / 1_000);
    const proposed = await this.system.group.propose(
      encodeGenesis({ timeMs: 0, unixS, writer: 0 }, {
        clusterId,
        // Keys are hashed with the cluster's own id, so that nobody can choose colliding keys.
        hashKey: clusterId,
        partitionCount,
        generation: this.nodes.log.generation,
        region,
      }),
      REQUEST_TIMEOUT_MS_DEFAULT,
    );
    systemApplied(proposed);
  }
}

/** Returns the reply to a command of group 0. @throws RegistryError if it was refused or not logged. */
export function systemApplied(proposed: Proposed<SystemReply>): SystemReply & { code: "ok" } {
  if (!proposed.ok) throw proposed.error;
  const { outcome } = proposed;
  if (outcome.code === "ok") return outcome;
  throw new RegistryError(outcome.code, outcome.message);
}

function openNodeGroups(
  options: ClusterGroupsOptions,
  directory: ReplicaDirectory,
): Promise<NodeGroups<ClusterMachine>> {
  const newMachine = (group: GroupId): ClusterMachine => {
    const { shared, sink, partitionVersionMax: applyVersionMax = PARTITION_APPLY_VERSION } =
      options;
    const partition = partitionOfGroup(group);
    if (group === GOVERNED_GROUP) return new GovernanceMachine(options.onGovernedEntries);
    if (partition === undefined) return new SystemMachine();
    return new PartitionMachine(
      new PartitionStore({ shared, partition, sink, applyVersionMax }),
      shared.imageScratch,
    );
  };
  return new Promise((resolve, reject) => {
    NodeGroups.open<ClusterMachine>(
      { ...options, newMachine, directory },
      (opened) => opened instanceof RegistryError ? reject(opened) : resolve(opened),
    );
  });
}

/** Returns the directory that group 0 maintains, and before its state is here what the node was told. */
function directoryOf(
  { nodeId, joined, told }: ClusterGroupsOptions,
  stateOf: () => SystemState | undefined,
): ReplicaDirectory {
  return {
    nodeOf: (replica) => {
      const state = stateOf();
      if (state !== undefined && state.members.count > 0) {
        return nodeOfReplica(state, replica) ?? joined?.directory.nodeOf(replica) ??
          told?.nodeOf(replica);
      }
      if (joined !== undefined) return joined.directory.nodeOf(replica) ?? told?.nodeOf(replica);
      return replica === FOUNDER_REPLICA ? nodeId : undefined;
    },
  };
}

/** Opens group 0: from the log, as the founder of a cluster, or as a replica that joined one. */
async function openSystem(
  nodes: NodeGroups<ClusterMachine>,
  joined: JoinedCluster | undefined,
): Promise<HostedSystem> {
  const group = SYSTEM_GROUP;
  // Without being told, a node continues as the replica that it was: only the founder may found.
  const replica = joined?.replica ?? replicaId(nodes.ownerOf(group));
  const mayFound = joined === undefined && replica === FOUNDER_REPLICA;
  const ifAbsent = mayFound ? "sole voter" : joined?.isNew === true ? "empty" : "corrupt";
  const hosted = await new Promise<HostedReplica<ClusterMachine> | RegistryError>((done) => {
    if (ifAbsent === "empty" && nodes.ownerOf(group) !== replica) {
      nodes.join({ group, replica }, done);
    } else done(nodes.open({ group, replica }, ifAbsent));
  });
  if (hosted instanceof RegistryError) throw hosted;
  const { machine, raft } = hosted;
  assert(machine instanceof SystemMachine, "Group 0 holds the system");
  return { group: raft as RaftGroup<SystemReply>, store: machine.store };
}
