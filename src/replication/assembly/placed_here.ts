/**
 * Locations of the groups' replicas, by group 0's state. Pure.
 *
 * Replica ids are those of group 0's replica table, but for the founder's: replica 1 of every group is
 * that of the node which founded the cluster.
 */
import {
  groupOfPartition,
  type NodeId,
  type PartitionId,
  replicaId,
  SYSTEM_GROUP,
} from "../../base/ids.ts";
import type { PartitionPlacement } from "../../system/placement/placement_state.ts";
import type { SystemState } from "../../system/system_state.ts";
import { FOUNDER_REPLICA } from "../log_entry.ts";
import type { ReplicaPlace } from "./node_groups.ts";

/** A replica of a partition that is placed on this node. */
export interface PlacedHere extends ReplicaPlace {
  /** Whether it is about to join, so that the log may have nothing of it yet. */
  readonly isJoining: boolean;
}

/** Returns the node of a replica; undefined if no replica has that id now. */
export function nodeOfReplica(state: SystemState, replica: number): NodeId | undefined {
  const node = replica === FOUNDER_REPLICA
    ? state.members.founder
    : state.replicas.replica(replica)?.nodeId;
  return node as NodeId | undefined;
}

/**
 * Returns the replica of group 0 that a node other than the founder has; undefined if it has none.
 * If several were assigned, because joins of the node crossed, it is the first.
 */
export function systemReplicaOf(state: SystemState, node: number): number | undefined {
  for (const { replica, groupId } of state.replicas.onNode(node)) {
    if (groupId === SYSTEM_GROUP) return replica;
  }
  return undefined;
}

/** Returns the replica of a partition on node `self`; undefined if it has none there. */
export function placedHere(
  state: SystemState,
  partition: PartitionId,
  self: NodeId,
): PlacedHere | undefined {
  const group = groupOfPartition(partition);
  const placement = state.placement.of(partition);
  if (placement === undefined) {
    // Before the first member is put there is only the node that founds the cluster.
    const founder = state.members.founder ?? (state.members.count === 0 ? self : undefined);
    if (founder !== self) return undefined;
    return { group, replica: replicaId(FOUNDER_REPLICA), isJoining: false };
  }
  const here = placement.replicas.find(({ replica }) => nodeOfReplica(state, replica) === self);
  if (here === undefined) return undefined;
  return { group, replica: replicaId(here.replica), isJoining: here.role === "joining" };
}

/** Returns the placement of a partition; without one it has the replica that founded it. */
export function placementOf(state: SystemState, partition: PartitionId): PartitionPlacement {
  return state.placement.of(partition) ?? {
    partition,
    revision: 0,
    configurationIndex: 0,
    replicas: [{ replica: FOUNDER_REPLICA, role: "voter" }],
  };
}

/** Returns the nodes that hold a partition, in the order of its placement. */
export function nodesOf(state: SystemState, partition: PartitionId): number[] {
  return placementOf(state, partition).replicas.map(({ replica }) => nodeOfReplica(state, replica))
    .filter((node) => node !== undefined);
}
