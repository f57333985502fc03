/** The subscriptions of a node's watches, and the partitions that are watched by them. */
import { defined } from "../../base/assert.ts";
import { RegistryError } from "../../base/errors.ts";
import { generationOfTerm } from "../../base/ids.ts";
import { WATCH_CATCH_UP_MS } from "../../base/limits.ts";
import { notReplica, type Partition, type PartitionTable } from "../partitions.ts";
import type { StoredFilter } from "./watch_filter.ts";
import type { WatchOrder } from "./watch_order.ts";
import { WatchedPartition } from "./watched_partition.ts";
import { Subscription, type Watcher } from "./watcher.ts";

/** The subscriptions of one node. */
export class Subscriptions {
  readonly #table: PartitionTable;
  readonly #byName = new Map<string, Subscription>();
  readonly #watched = new Map<number, WatchedPartition>();
  #dirty: WatchedPartition[] = [];

  constructor(table: PartitionTable) {
    this.#table = table;
  }

  /** The number of different subscriptions. */
  get count(): number {
    return this.#byName.size;
  }

  /** The partitions that are watched. */
  get partitions(): Iterable<WatchedPartition> {
    return this.#watched.values();
  }

  /** Returns a partition that is watched. */
  partition(id: number): WatchedPartition {
    return defined(this.#watched.get(id), "A subscription's partitions are watched");
  }

  /** Returns those of the keys of a kind that are in a partition. */
  keysIn(kind: number, keys: readonly Uint8Array[], partition: number): Uint8Array[] {
    const { partitioner } = this.#table;
    return keys.filter((key) => partitioner.partitionOf(kind, key, 0, key.length) === partition);
  }

  /**
   * Returns the subscription of an order.
   *
   * @param partitions those that it is about, in ascending order, all of which are here.
   */
  of(
    { filter, withBefore }: Pick<WatchOrder, "filter" | "withBefore">,
    partitions: readonly number[],
  ): Subscription {
    const name = nameOf(filter, partitions, withBefore);
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const subscription = new Subscription(name, { filter, partitions, withBefore });
    this.#byName.set(name, subscription);
    for (const id of partitions) this.#watch(id).add(subscription, this.#keysOf(filter, id));
    return subscription;
  }

  /** Ends a watch in a partition; it has others. */
  leave(watcher: Watcher, partition: number): void {
    const { subscription } = watcher;
    const others = subscription.partitions.filter((id) => id !== partition);
    watcher.subscription = this.of(subscription, others);
    this.remove(watcher, subscription);
    watcher.subscription.add(watcher);
  }

  /** Removes a watch from a subscription. */
  remove(watcher: Watcher, subscription: Subscription): void {
    subscription.delete(watcher);
    if (subscription.watchers.length > 0) return;
    const { name, partitions, filter } = subscription;
    this.#byName.delete(name);
    for (const id of partitions) {
      const watched = this.partition(id);
      watched.delete(subscription, this.#keysOf(filter, id));
      if (watched.isIdle) this.#watched.delete(id);
    }
  }

  /**
   * Notes that a partition has changed, or that its state began anew; returns whether it is watched.
   */
  soil(id: number, hasBegun = false): boolean {
    const watched = this.#watched.get(id);
    if (watched === undefined) return false;
    if (hasBegun) watched.hasBegun = true;
    if (!watched.isDirty) {
      watched.isDirty = true;
      this.#dirty.push(watched);
    }
    return true;
  }

  /** Takes the partitions that have changed and are still watched. */
  takeDirty(): readonly WatchedPartition[] {
    if (this.#dirty.length === 0) return this.#dirty;
    const dirty = this.#dirty.filter(({ isIdle }) => !isIdle);
    this.#dirty = [];
    return dirty;
  }

  /** Notes that a partition is here, with another replica than before. */
  placed(place: Partition): void {
    const watched = this.#watched.get(place.id);
    if (watched !== undefined) watched.place = place;
  }

  /** Returns the watches of a partition. */
  watchersOf(id: number): Watcher[] {
    const watched = this.#watched.get(id);
    return watched === undefined
      ? []
      : [...watched.subscriptions()].flatMap(({ watchers }) => watchers);
  }

  /** Returns why a watch ends in partitions whose positions this replica has not reached. */
  notCaughtUp({ behind }: Watcher): Map<number, RegistryError> {
    const late = new Map<number, RegistryError>();
    for (const [id, { index }] of behind ?? []) {
      const { pumpedIndex, place } = this.partition(id);
      if (index <= pumpedIndex) continue;
      const { leader } = place.group.status();
      const message = `This replica of partition ${id} must reach the position within ` +
        `${WATCH_CATCH_UP_MS} ms: it is at entry ${pumpedIndex}`;
      const hint = leader === 0 ? {} : { leaderHint: leader };
      late.set(id, new RegistryError("not_caught_up", message, hint));
    }
    return late;
  }

  #watch(id: number): WatchedPartition {
    const place = this.#table.at(id);
    if (!place.isHere) throw notReplica(place);
    const generation = generationOfTerm(place.group.status().term);
    let watched = this.#watched.get(id);
    if (watched === undefined) {
      watched = new WatchedPartition(place, generation);
      this.#watched.set(id, watched);
    }
    watched.generation = Math.max(watched.generation, generation);
    return watched;
  }

  #keysOf({ kinds, keys }: StoredFilter, id: number): Uint8Array[] {
    return kinds.flatMap((kind) => this.keysIn(kind, keys, id));
  }
}

/** Returns a text that is the same for subscriptions that receive the same. */
function nameOf(
  { kinds, region, labels, keys, isFeed, withMirrors, reads }: StoredFilter,
  partitions: readonly number[],
  withBefore: boolean,
): string {
  const texts = [region, ...labels.flatMap(({ key, value }) => [key, value])].map(textOf);
  // Keys have 16 bytes, or no space in them.
  const ids = keys.map(textOf).sort();
  const flags = [withBefore, isFeed, withMirrors];
  const limits = reads?.name ?? "";
  return JSON.stringify([kinds, texts, flags, ids.join(" "), rangesOf(partitions), limits]);
}

function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** Returns ascending numbers as ranges. */
function rangesOf(numbers: readonly number[]): string {
  const ranges: string[] = [];
  for (let at = 0; at < numbers.length;) {
    const first = at;
    while (numbers[at + 1] === numbers[at]! + 1) at++;
    ranges.push(first === at ? `${numbers[at]}` : `${numbers[first]}-${numbers[at]}`);
    at++;
  }
  return ranges.join(",");
}
