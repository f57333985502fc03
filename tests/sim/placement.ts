/**
 * Which replicas there are and where: what the system group will say. Replica ids are given out once
 * and never again; a replica that was removed from its group is nobody any more.
 */
import type { NodeId } from "../../src/base/ids.ts";
import type { ReplicaDirectory } from "../../src/replication/group_set.ts";
import type { ReplicaRef } from "./history.ts";

/** Founders of groups of one have id 1 by their nature; here every group begins with an image. */
const FIRST_REPLICA = 2;

/** A replica that has its place. */
export interface PlacedReplica extends ReplicaRef {
  /** True for those a group begins with. */
  readonly isFounding: boolean;
  /** Whether the group's configuration ever named it. */
  isMember: boolean;
}

/** All replicas that have not been removed. */
export class Placement implements ReplicaDirectory {
  readonly #replicas = new Map<number, PlacedReplica>();
  readonly #founders = new Map<number, number[]>();
  #nextReplica = FIRST_REPLICA;

  /** Gives a group a replica on a node. */
  place(group: number, node: number, isFounding = false): PlacedReplica {
    const replica = this.#nextReplica++;
    const placed = { node, group, replica, isFounding, isMember: isFounding };
    this.#replicas.set(replica, placed);
    if (isFounding) this.#founders.set(group, [...this.foundersOf(group), replica]);
    return placed;
  }

  /** The replica is no member any more, for good. */
  retire({ replica }: ReplicaRef): void {
    this.#replicas.delete(replica);
  }

  /** Whether it has its place still. */
  has({ replica }: ReplicaRef): boolean {
    return this.#replicas.has(replica);
  }

  /** The voters that a group began with. */
  foundersOf(group: number): readonly number[] {
    return this.#founders.get(group) ?? [];
  }

  nodeOf(replica: number): NodeId | undefined {
    return this.#replicas.get(replica)?.node as NodeId | undefined;
  }

  /** The replica of that id, while it has its place. */
  replica(id: number): PlacedReplica | undefined {
    return this.#replicas.get(id);
  }

  /** Those of a node. */
  onNode(node: number): PlacedReplica[] {
    return [...this.#replicas.values()].filter((placed) => placed.node === node);
  }

  /** Those of a group. */
  ofGroup(group: number): PlacedReplica[] {
    return [...this.#replicas.values()].filter((placed) => placed.group === group);
  }
}
