/**
 * The partitions of the key space, as far as this node holds them: the router of both paths. A key
 * leads to a partition by hash, a partition to its group and its state.
 */
import type { PartitionId } from "../base/ids.ts";
import type { Partitioner } from "../ring/partition.ts";
import type { ApplyReply } from "../store/reply.ts";
import type { PartitionStore } from "../store/store.ts";
import type { Group } from "../replication/group_interface.ts";

/** A partition that this node holds. */
export interface Partition {
  readonly id: PartitionId;
  readonly group: Group<ApplyReply>;
  readonly store: PartitionStore;
}

/** Which partitions are here, and which one a key belongs to. */
export class PartitionTable {
  readonly partitioner: Partitioner;
  readonly #partitions: readonly (Partition | undefined)[];

  /** @param partitions one place for each partition, empty where another node holds it. */
  constructor(partitioner: Partitioner, partitions: readonly (Partition | undefined)[]) {
    if (partitions.length !== partitioner.partitionCount) {
      throw new RangeError(
        `Partition table must have ${partitioner.partitionCount} places: found ${partitions.length}`,
      );
    }
    this.partitioner = partitioner;
    this.#partitions = partitions;
  }

  /** The partition of a key, where this node holds it. */
  of(kind: number, key: Uint8Array, start = 0, end: number = key.length): Partition | undefined {
    return this.#partitions[this.partitioner.partitionOf(kind, key, start, end)];
  }

  /** The partition of that number, where this node holds it. */
  at(id: number): Partition | undefined {
    return this.#partitions[id];
  }

  /** All that are here, in ascending order. */
  *[Symbol.iterator](): IterableIterator<Partition> {
    for (const partition of this.#partitions) if (partition !== undefined) yield partition;
  }
}
