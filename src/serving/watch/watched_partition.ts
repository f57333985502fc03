/** A partition that is watched: who takes part in its changes, and how far they were told. */
import { isBytesAt } from "../../base/bytes.ts";
import type { Partition } from "../partitions.ts";
import { hashOfKey, type KeyPlace } from "./watch_filter.ts";
import type { Subscription } from "./watcher.ts";

/** Subscriptions of one key, or of keys with the same hash. */
type OfKey = Subscription | Subscription[];

/** One watched partition. */
export class WatchedPartition {
  place: Partition;
  /** All changes up to the entry of this index were passed to the watchers that are not behind. */
  pumpedIndex: number;
  /** The generation of positions in it. */
  generation: number;
  /** Whether changes wait to be passed on. */
  isDirty = false;
  /** Whether the state began anew since changes were passed on. */
  hasBegun = false;
  /** The last tick at which `pumpedIndex` had moved, and what it was. */
  movedTick = 0;
  seenIndex = -1;
  /** The last tick at which its history had a further change, and the index of that. */
  changedTick = 0;
  seenChange = -1;
  /** The proven age at a tick, ms. */
  ageMs = Infinity;
  ageTick = -1;
  /** Subscriptions of no particular keys. */
  readonly wide: Subscription[] = [];
  #ofKeys: Map<number, OfKey> | undefined;
  #count = 0;

  constructor(place: Partition, generation: number) {
    this.place = place;
    this.pumpedIndex = place.store.appliedIndex;
    this.generation = generation;
  }

  get id(): number {
    return this.place.id;
  }

  /** Whether nobody watches it any more. */
  get isIdle(): boolean {
    return this.#count === 0;
  }

  get hasKeys(): boolean {
    return this.#ofKeys !== undefined;
  }

  /** Adds a subscription. @param keys those of its keys that are in this partition. */
  add(subscription: Subscription, keys: readonly Uint8Array[]): void {
    this.#count++;
    if (subscription.filter.keys.length === 0) {
      this.wide.push(subscription);
      return;
    }
    const ofKeys = this.#ofKeys ??= new Map();
    for (const hash of hashesOf(keys)) {
      const found = ofKeys.get(hash);
      if (found === undefined) ofKeys.set(hash, subscription);
      else if (Array.isArray(found)) found.push(subscription);
      else ofKeys.set(hash, [found, subscription]);
    }
  }

  /** Removes a subscription; `keys` as in {@link add}. */
  delete(subscription: Subscription, keys: readonly Uint8Array[]): void {
    this.#count--;
    const ofKeys = this.#ofKeys;
    if (subscription.filter.keys.length === 0 || ofKeys === undefined) {
      this.wide.splice(this.wide.indexOf(subscription), 1);
      return;
    }
    for (const hash of hashesOf(keys)) {
      const found = ofKeys.get(hash);
      if (Array.isArray(found) && found.length > 1) {
        found.splice(found.indexOf(subscription), 1);
      } else ofKeys.delete(hash);
    }
    if (ofKeys.size === 0) this.#ofKeys = undefined;
  }

  /** Calls `visit` for each subscription of a key; its kind is not compared. */
  forEachOfKey({ bytes, start, end }: KeyPlace, visit: (of: Subscription) => void): void {
    const found = this.#ofKeys?.get(hashOfKey(bytes, start, end));
    if (found === undefined) return;
    for (const of of Array.isArray(found) ? found : [found]) {
      if (of.filter.keys.some((key) => isBytesAt(key, bytes, start, end))) visit(of);
    }
  }

  /** Iterates over all its subscriptions, each once. */
  *subscriptions(): IterableIterator<Subscription> {
    yield* this.wide;
    if (this.#ofKeys === undefined) return;
    const seen = new Set<Subscription>();
    for (const found of this.#ofKeys.values()) {
      for (const of of Array.isArray(found) ? found : [found]) seen.add(of);
    }
    yield* seen;
  }
}

function hashesOf(keys: readonly Uint8Array[]): Iterable<number> {
  return new Set(keys.map((key) => hashOfKey(key, 0, key.length)));
}
