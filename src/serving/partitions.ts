/**
 * The partitions of the key space that this node holds; routes the requests of the read and the
 * write path. The hash of a key selects its partition; a partition has a group and a store.
 */
import { RegistryError } from "../base/errors.ts";
import type { PartitionId } from "../base/ids.ts";
import type { Partitioner } from "../ring/partition.ts";
import type { ApplyReply } from "../store/reply.ts";
import type { PartitionStore } from "../store/store.ts";
import type { Group } from "../replication/group_interface.ts";

/** Partition held by this node. */
export interface Partition {
  readonly id: PartitionId;
  readonly group: Group<ApplyReply>;
  readonly store: PartitionStore;
}

/** Lookup of the partitions held by this node, by key and by number. */
export class PartitionTable {
  readonly partitioner: Partitioner;
  readonly #partitions: readonly (Partition | undefined)[];

  /** @param partitions one element for each partition, undefined if another node holds it. */
  constructor(partitioner: Partitioner, partitions: readonly (Partition | undefined)[]) {
    if (partitions.length !== partitioner.partitionCount) {
      throw new RangeError(
        `Partition table must have ${partitioner.partitionCount} places: found ${partitions.length}`,
      );
    }
    this.partitioner = partitioner;
    this.#partitions = partitions;
  }

  /** Returns the partition of a key; undefined if this node does not hold it. */
  of(kind: number, key: Uint8Array, start = 0, end: number = key.length): Partition | undefined {
    return this.#partitions[this.partitioner.partitionOf(kind, key, start, end)];
  }

  /** Returns the partition of that number; undefined if this node does not hold it. */
  at(id: number): Partition | undefined {
    return this.#partitions[id];
  }

  /** Iterates over the partitions that this node holds, in ascending order. */
  *[Symbol.iterator](): IterableIterator<Partition> {
    for (const partition of this.#partitions) if (partition !== undefined) yield partition;
  }
}

/** Returns the refusal of a request whose partition this node does not hold. */
export function notReplica(): RegistryError {
  return new RegistryError("not_replica", "This node does not hold the partition of that key");
}
