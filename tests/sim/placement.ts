/**
 * The replicas and their places, in place of the system group. Replica ids are assigned once and
 * never reused; a replica that was removed from its group no longer exists.
 */
import type { NodeId } from "../../src/base/ids.ts";
import type { ReplicaDirectory } from "../../src/replication/replica_directory.ts";
import type { ReplicaRef } from "./history.ts";

/** The founder of a single-voter group always has id 1; here every group begins with an image. */
const FIRST_REPLICA = 2;

/** A replica with its place. */
export interface PlacedReplica extends ReplicaRef {
  /** True for the replicas with which a group begins. */
  readonly isFounding: boolean;
  /** Whether the group's configuration ever named it. */
  isMember: boolean;
}

/** All replicas that have not been removed. */
export class Placement implements ReplicaDirectory {
  readonly #replicas = new Map<number, PlacedReplica>();
  readonly #founders = new Map<number, number[]>();
  #nextReplica = FIRST_REPLICA;

  /** Places a replica of a group on a node. */
  place(group: number, node: number, isFounding = false): PlacedReplica {
    const replica = this.#nextReplica++;
    const placed = { node, group, replica, isFounding, isMember: isFounding };
    this.#replicas.set(replica, placed);
    if (isFounding) this.#founders.set(group, [...this.foundersOf(group), replica]);
    return placed;
  }

  /** Removes a replica that is permanently no longer a member. */
  retire({ replica }: ReplicaRef): void {
    this.#replicas.delete(replica);
  }

  /** Reports whether the replica still has its place. */
  has({ replica }: ReplicaRef): boolean {
    return this.#replicas.has(replica);
  }

  /** Returns the voters with which a group began. */
  foundersOf(group: number): readonly number[] {
    return this.#founders.get(group) ?? [];
  }

  nodeOf(replica: number): NodeId | undefined {
    return this.#replicas.get(replica)?.node as NodeId | undefined;
  }

  /** Returns the replica of that id while it has its place. */
  replica(id: number): PlacedReplica | undefined {
    return this.#replicas.get(id);
  }

  /** Returns the replicas on a node. */
  onNode(node: number): PlacedReplica[] {
    return [...this.#replicas.values()].filter((placed) => placed.node === node);
  }

  /** Returns the replicas of a group. */
  ofGroup(group: number): PlacedReplica[] {
    return [...this.#replicas.values()].filter((placed) => placed.group === group);
  }
}
