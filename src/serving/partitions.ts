/**
 * The partitions of the key space and where they are, as this node knows it; routes the requests of the
 * read and the write path. The hash of a key selects its partition. A partition is either here, with a
 * group and a store, or elsewhere, with the nodes that hold it: a request for one that is elsewhere is
 * refused with a hint, and never answered without it.
 */
import { RegistryError } from "../base/errors.ts";
import type { PartitionId } from "../base/ids.ts";
import type { Partitioner } from "../ring/partition.ts";
import type { ApplyReply } from "../store/reply.ts";
import type { PartitionStore } from "../store/store.ts";
import type { Group } from "../replication/group_interface.ts";

/** A partition of which this node holds a replica. */
export interface Partition {
  readonly isHere: true;
  readonly id: PartitionId;
  readonly group: Group<ApplyReply>;
  readonly store: PartitionStore;
}

/** A partition that only other nodes hold. */
export interface PartitionElsewhere {
  readonly isHere: false;
  readonly id: PartitionId;
  /** Ids of the nodes that hold it; empty if none is known. */
  readonly nodes: readonly number[];
  /** The node that leads it, as known here; 0 if unknown. */
  readonly leader: number;
}

/** The place of a partition. */
export type PartitionPlace = Partition | PartitionElsewhere;

/** Lookup of partitions, by key and by number. Places change as replicas come and go. */
export class PartitionTable {
  readonly partitioner: Partitioner;
  readonly #places: PartitionPlace[];
  readonly #watchers: ((place: PartitionPlace) => void)[] = [];

  /** @param places one for each partition, in ascending order. */
  constructor(partitioner: Partitioner, places: readonly PartitionPlace[]) {
    if (places.length !== partitioner.partitionCount) {
      throw new RangeError(
        `Partition table must have ${partitioner.partitionCount} places: found ${places.length}`,
      );
    }
    this.partitioner = partitioner;
    this.#places = [...places];
  }

  /** Returns the place of a key's partition. */
  of(kind: number, key: Uint8Array, start = 0, end: number = key.length): PartitionPlace {
    return this.#places[this.partitioner.partitionOf(kind, key, start, end)]!;
  }

  /**
   * Returns the partition of a key.
   *
   * @throws RegistryError `not_replica` if this node does not hold it.
   */
  held(kind: number, key: Uint8Array, start = 0, end: number = key.length): Partition {
    const place = this.of(kind, key, start, end);
    if (!place.isHere) throw notReplica(place);
    return place;
  }

  /**
   * Returns the partition of a key, which this node leads or is about to lead. Whether it still leads is
   * settled by what is logged.
   *
   * @throws RegistryError `not_replica`; `not_leader`, with the leader as the hint if it is known.
   */
  led(kind: number, key: Uint8Array): Partition {
    const partition = this.held(kind, key);
    const refusal = partition.group.notLeading();
    if (refusal !== undefined) throw refusal;
    return partition;
  }

  /** Returns the place of the partition of that number, which must be below the partition count. */
  at(id: number): PartitionPlace {
    const place = this.#places[id];
    if (place !== undefined) return place;
    throw new RangeError(`Partition must be below ${this.#places.length}: current value is ${id}`);
  }

  /** Changes the place of a partition, and tells the watchers. */
  put(place: PartitionPlace): void {
    this.at(place.id);
    this.#places[place.id] = place;
    for (const watcher of this.#watchers) watcher(place);
  }

  /** Calls `watcher` after each change of a place, for as long as the table lives. */
  watch(watcher: (place: PartitionPlace) => void): void {
    this.#watchers.push(watcher);
  }

  /** Iterates over the partitions that this node holds, in ascending order. */
  *here(): IterableIterator<Partition> {
    for (const place of this.#places) if (place.isHere) yield place;
  }
}

/** Returns the refusal of a request that needs a partition that is elsewhere. */
export function notReplica({ id, nodes, leader }: PartitionElsewhere): RegistryError {
  const holders = nodes.length === 0 ? "no node is known to" : `nodes ${nodes.join(", ")} do`;
  return new RegistryError(
    "not_replica",
    `This node does not hold partition ${id}: ${holders}`,
    leader === 0 ? {} : { leaderHint: leader },
  );
}
