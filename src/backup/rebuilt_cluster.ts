/**
 * A cluster made anew from images of its groups, be they of a backup or of the one data folder that is left:
 * held by one node alone, under a higher generation, with its id and hash key. By the generation everything
 * of before is recognized as of before: incarnations, revisions, tokens of watches, epochs of the ring, and
 * cursors of the regions that follow this one.
 */
import { assert } from "../base/assert.ts";
import {
  GOVERNED_GROUP,
  type GroupId,
  groupOfPartition,
  partitionId,
  SYSTEM_GROUP,
} from "../base/ids.ts";

import type {
  GovernanceMachine,
  PartitionMachine,
  SystemMachine,
} from "../replication/machines.ts";
import type { AnyMachine } from "./backup_folder.ts";
import type { Membership } from "../node/cluster_file.ts";
import type { RebuiltGroup } from "./rebuilt_log.ts";
import { type ClaimsMade, rebuildPartitions } from "./rebuilt_partitions.ts";
import { rebuildSystem, type RebuiltSystemOptions } from "./rebuilt_system.ts";

/** The groups of a cluster as images give them: group 0, every partition, the governed plane if any. */
export interface ImagedCluster {
  readonly system: SystemMachine;
  /** By their numbers. */
  readonly partitions: readonly PartitionMachine[];
  readonly plane: GovernanceMachine | undefined;
}

/** A cluster that was made anew. */
export interface RebuiltCluster {
  readonly groups: readonly RebuiltGroup[];
  readonly membership: Membership;
  readonly claims: ClaimsMade;
}

/** Makes the cluster one node's. The machines are changed. */
export function rebuildCluster(
  { system, partitions, plane }: ImagedCluster,
  options: RebuiltSystemOptions,
): RebuiltCluster {
  const { generation, node: { folderId } } = options;
  const { store } = system;
  const { genesis } = store;
  assert(genesis !== undefined, "Group 0 has its genesis");
  const { clusterId, hashKey, partitionCount, region } = genesis;
  assert(partitions.length === partitionCount, "Each partition has an image");
  const { nodeId, replicas } = rebuildSystem(store, options);
  const claims = rebuildPartitions(partitions.map((machine) => machine.store), {
    hashKey,
    generation,
    feedOf: (home) => store.state.regions.of(home)?.feed,
  });
  const machines = new Map<GroupId, AnyMachine>([[SYSTEM_GROUP, system]]);
  partitions.forEach((machine, number) =>
    machines.set(groupOfPartition(partitionId(number)), machine)
  );
  if (plane !== undefined) machines.set(GOVERNED_GROUP, plane);
  const groups = [...machines].map(([group, machine]): RebuiltGroup => ({
    group,
    replica: replicaOf(replicas, group),
    // A log has no image of index 0.
    index: Math.max(1, machine.store.appliedIndex),
    image: () => machine.writeImage(),
  }));
  const replica = replicaOf(replicas, SYSTEM_GROUP);
  const self = { nodeId, folderId, addresses: [], pin: NO_PIN, nextPin: NO_PIN };
  const membership = {
    ...{ nodeId, clusterId, generation, partitionCount, region, replica, isNew: false },
    members: [self],
    systemReplicas: [{ replica, nodeId }],
  };
  return { groups, membership, claims };
}

function replicaOf(replicas: ReadonlyMap<GroupId, number>, group: GroupId): number {
  const replica = replicas.get(group);
  assert(replica !== undefined, `Group ${group} has a replica`);
  return replica;
}

/** No certificate is known yet: the node states its own when it starts. */
const NO_PIN = new Uint8Array(32);
