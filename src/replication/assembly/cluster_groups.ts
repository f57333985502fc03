/**
 * Group 0 and the partitions of a node, typed, and the creation of a cluster.
 *
 * A cluster is created once: only while group 0 has no genesis may groups be founded. The genesis is
 * logged last, after every group has an entry of its own, so that a crash while a cluster is being
 * created leaves no genesis and the next start creates it again. Once there is a genesis, a group opens
 * from the log, and one that is not in the log is `corrupt`: founded again, it would assign the
 * incarnations of the lost one a second time. After a loss of data that the operator accepted it may
 * be, because its terms then belong to a greater generation.
 */
import { assert } from "../../base/assert.ts";
import { RegistryError } from "../../base/errors.ts";
import {
  type GroupId,
  groupOfPartition,
  type NodeId,
  type PartitionId,
  partitionId,
  partitionOfGroup,
  replicaId,
  SYSTEM_GROUP,
} from "../../base/ids.ts";
import { REQUEST_TIMEOUT_MS_DEFAULT } from "../../base/limits.ts";
import { encodeGenesis } from "../../record/command.ts";
import type { ApplyReply, EventSink } from "../../store/reply.ts";
import type { StoreShared } from "../../store/shared.ts";
import { PartitionStore } from "../../store/store.ts";
import { type SystemReply, SystemStore } from "../../system/system_store.ts";
import type { RaftGroup } from "../group.ts";
import type { Proposed } from "../group_interface.ts";
import { FOUNDER_REPLICA } from "../log_entry.ts";
import { PartitionMachine, SystemMachine } from "../machines.ts";
import type { ReplicaDirectory } from "../replica_directory.ts";
import { type IfAbsent, NodeGroups, type NodeGroupsOptions } from "./node_groups.ts";

/** The time limit for leading all groups at a start, ms: two syncs of a very slow disk. */
const START_MS_MAX = 60_000;

/** The machine of any group of a node. */
export type ClusterMachine = PartitionMachine | SystemMachine;

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

/** The dependencies of a node's groups, and the parameters of a cluster that is to be created. */
export interface ClusterGroupsOptions
  extends Omit<NodeGroupsOptions<ClusterMachine>, "newMachine" | "directory" | "ownerDefault"> {
  /** Memory and indexes shared by the partitions. */
  readonly shared: StoreShared;
  /** Receives the events of apply. */
  readonly sink: EventSink;
  readonly region: string;
  /** Fixed when the cluster is created; another one is refused later. */
  readonly partitionCount: number;
  /** Aborts a start that waits for the log. */
  readonly signal?: AbortSignal;
}

/** The groups of a node in its cluster. */
export class ClusterGroups {
  readonly nodes: NodeGroups<ClusterMachine>;
  readonly system: HostedSystem;
  readonly partitions: readonly HostedPartition[];
  /** Whether this start created the cluster. */
  readonly created: boolean;

  private constructor(nodes: NodeGroups<ClusterMachine>, options: ClusterGroupsOptions) {
    this.nodes = nodes;
    const ifAbsent: IfAbsent = nodes.isInLog(SYSTEM_GROUP) ? "corrupt" : "sole voter";
    this.system = openSystem(nodes, ifAbsent);
    const { genesis } = this.system.store;
    this.created = genesis === undefined;
    const partitionCount = genesis?.partitionCount ?? options.partitionCount;
    checkPartitionCount(partitionCount, options.partitionCount);
    const isLossAccepted = genesis !== undefined && options.log.acceptDataLoss === true &&
      nodes.log.generation > genesis.generation;
    const mayFound = this.created || isLossAccepted;
    this.partitions = Array.from({ length: partitionCount }, (_, number) => {
      return openPartition(nodes, partitionId(number), mayFound ? "sole voter" : "corrupt");
    });
    if (this.created) checkEmpty(this.partitions);
  }

  /**
   * Recovers the log, opens and leads every group, and creates the cluster if there is none.
   *
   * @throws RegistryError `corrupt`, `locked`, `storage_unavailable`; `shutting_down` if `signal` is
   * aborted; `invalid_configuration` if the partition count differs from the cluster's.
   */
  static async open(options: ClusterGroupsOptions): Promise<ClusterGroups> {
    const nodes = await openNodeGroups(options);
    try {
      const groups = new ClusterGroups(nodes, options);
      await groups.#lead(options.signal);
      if (groups.created) await groups.#create(options);
      return groups;
    } catch (error) {
      // The folder must be free for the next attempt.
      await nodes.close();
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
   * Leads every group; their first terms share one write of the log. If the log refuses it, the groups
   * serve their recovered state and lead once the log takes writes again.
   */
  async #lead(signal: AbortSignal | undefined): Promise<void> {
    const stopped = Promise.withResolvers<RegistryError>();
    const stop = () =>
      stopped.resolve(
        new RegistryError("shutting_down", "The node was stopped while it was starting"),
      );
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted === true) stop();
    try {
      this.nodes.start();
      for (const { raft } of this.nodes.all) {
        const led = await Promise.race([stopped.promise, raft.readBarrier(0, START_MS_MAX)]);
        if (led instanceof RegistryError) throw led;
      }
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  /** Proposes the first command of group 0, which fixes the cluster's parameters. */
  async #create({ world, region, partitionCount }: ClusterGroupsOptions): Promise<void> {
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

function openNodeGroups(options: ClusterGroupsOptions): Promise<NodeGroups<ClusterMachine>> {
  const newMachine = (group: GroupId): ClusterMachine => {
    const { shared, sink } = options;
    const partition = partitionOfGroup(group);
    if (partition === undefined) return new SystemMachine(new SystemStore());
    return new PartitionMachine(
      new PartitionStore({ shared, partition, sink }),
      shared.imageScratch,
    );
  };
  const { nodeId } = options;
  return new Promise((resolve, reject) => {
    NodeGroups.open<ClusterMachine>(
      { ...options, newMachine, directory: soleDirectory(nodeId) },
      (opened) => opened instanceof RegistryError ? reject(opened) : resolve(opened),
    );
  });
}

/** Returns the directory of a cluster of one node. */
function soleDirectory(self: NodeId): ReplicaDirectory {
  return { nodeOf: (replica) => replica === FOUNDER_REPLICA ? self : undefined };
}

function openSystem(nodes: NodeGroups<ClusterMachine>, ifAbsent: IfAbsent): HostedSystem {
  const { machine, raft } = nodes.open(founder(SYSTEM_GROUP), ifAbsent);
  assert(machine instanceof SystemMachine, "Group 0 holds the system");
  return { group: raft as RaftGroup<SystemReply>, store: machine.store };
}

function openPartition(
  nodes: NodeGroups<ClusterMachine>,
  id: PartitionId,
  ifAbsent: IfAbsent,
): HostedPartition {
  const { machine, raft } = nodes.open(founder(groupOfPartition(id)), ifAbsent);
  assert(machine instanceof PartitionMachine, "Groups above 0 hold partitions");
  return { isHere: true, id, group: raft as RaftGroup<ApplyReply>, store: machine.store };
}

/** Returns the replica by which a group was founded. */
function founder(group: GroupId) {
  return { group, replica: replicaId(FOUNDER_REPLICA) };
}

/** Checks that no partition has state before there is a cluster: its keys would be hashed anew. */
function checkEmpty(partitions: readonly HostedPartition[]): void {
  const found = partitions.find(({ store }) => store.appliedIndex > 0);
  if (found === undefined) return;
  throw new RegistryError(
    "corrupt",
    `Group 0 must say to which cluster partition ${found.id} belongs: the log holds the partition, ` +
      "but no creation of a cluster. Restore the data folder from a copy, or start with an empty one",
  );
}

function checkPartitionCount(cluster: number, configured: number): void {
  if (cluster === configured) return;
  throw new RegistryError(
    "invalid_configuration",
    `partitions must be ${cluster}, with which this data folder was created: ` +
      `current value is ${configured}`,
    { field: "partitions" },
  );
}
