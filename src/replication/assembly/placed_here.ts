/**
 * Locations of the groups' replicas, by group 0's state. Pure.
 *
 * Replica ids are those of group 0's replica table, but for the founder's: replica 1 of every group is
 * that of the node which founded the cluster.
 */
import {
  GOVERNED_PLACE,
  groupOfPartition,
  type NodeId,
  type PartitionId,
  replicaId,
  SYSTEM_GROUP,
} from "../../base/ids.ts";
import type { PlacedRole } from "../../../schemas/gen/system.ts";
import type { PartitionPlacement } from "../../system/placement/placement_state.ts";
import type { SystemState } from "../../system/system_state.ts";
import { FOUNDING_POINT } from "../group_founding.ts";
import { FOUNDER_REPLICA } from "../log_entry.ts";
import type { ReplicaPlace } from "./node_groups.ts";

/** A replica of a partition that is placed on this node. */
export interface PlacedHere extends ReplicaPlace {
  /** Whether it is about to join, so that the log may have nothing of it yet. */
  readonly isJoining: boolean;
  /** Whether it founds its group alone, unless the log has it: the governed plane's first one. */
  readonly isFounding: boolean;
}

/**
 * Returns the node of a replica, which may have been removed from the cluster; undefined if no replica has
 * that id now.
 */
export function nodeOfReplica(state: SystemState, replica: number): NodeId | undefined {
  const node = replica === FOUNDER_REPLICA
    ? state.members.first || undefined
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

/** Returns the replica of a place on node `self`; undefined if it has none there. */
export function placedHere(
  state: SystemState,
  partition: PartitionId,
  self: NodeId,
): PlacedHere | undefined {
  const group = groupOfPartition(partition);
  const placement = state.placement.of(partition);
  if (placement === undefined) {
    if (partition === GOVERNED_PLACE) return undefined;
    // Before the first member is put there is only the node that founds the cluster.
    const founder = state.members.founder ?? (state.members.count === 0 ? self : undefined);
    if (founder !== self) return undefined;
    return { group, replica: replicaId(FOUNDER_REPLICA), isJoining: false, isFounding: false };
  }
  const here = placement.replicas.find(({ replica }) => nodeOfReplica(state, replica) === self);
  if (here === undefined) return undefined;
  const isJoining = isNew(here.role);
  // Others may be joining it already.
  const isFounding = !isJoining && placement.configurationIndex === FOUNDING_POINT.index &&
    placement.replicas.every(({ replica, role }) => replica === here.replica || isNew(role));
  return { group, replica: replicaId(here.replica), isJoining, isFounding };
}

/** Reports whether a replica of that role may have nothing of the log. */
function isNew(role: PlacedRole): boolean {
  return role === "joining" || role === "withdrawn";
}

/**
 * Returns the placement of a partition, which without one has the replica that founded it, or of the
 * governed plane, which without one has none.
 */
export function placementOf(state: SystemState, partition: PartitionId): PartitionPlacement {
  const isPartition = partition !== GOVERNED_PLACE;
  return state.placement.of(partition) ?? {
    partition,
    revision: 0,
    configurationIndex: 0,
    replicas: isPartition ? [{ replica: FOUNDER_REPLICA, role: "voter" }] : [],
  };
}

/** Returns the nodes that hold a place, in the order of its placement. */
export function nodesOf(state: SystemState, partition: PartitionId): number[] {
  return placementOf(state, partition).replicas.map(({ replica }) => nodeOfReplica(state, replica))
    .filter((node) => node !== undefined);
}
