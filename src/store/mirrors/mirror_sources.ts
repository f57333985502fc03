/**
 * State of the feeds that a partition's mirrors come from, for each region: the accepted
 * generation of the feed, for each shard the fence of its puller and the last batch, the saved
 * cursors, and the tombstones of removed mirrors. It is state: part of the image, and changed by
 * entries alone.
 *
 * A tombstone refuses changes that a new puller repeats because its cursor is older than they are. It
 * is dropped on the puller's word that no older change can come again (`settle`), not after a time:
 * the other region may be out of reach for any time.
 */
import type { MirrorCursor } from "../../../schemas/gen/record.ts";
import { isBytesAt } from "../../base/bytes.ts";
import { MIRROR_HOMES_MAX, MIRROR_TOMBSTONES_MAX } from "../../base/limits.ts";
import { comparePositions, type Position } from "../../base/position.ts";

/** The place of a change among all changes of its record. */
export interface MirrorOrder {
  /** Generation of the feed. */
  readonly feed: number;
  /** Position in the home region. */
  readonly revision: Position;
}

/** Compares two changes of one record: negative when `left` is the earlier one. */
export function compareOrders(left: MirrorOrder, right: MirrorOrder): number {
  return left.feed - right.feed || comparePositions(left.revision, right.revision);
}

/** The batch of a puller. */
interface BatchNumber {
  readonly fence: number;
  readonly batch: number;
}

/** A removed mirror. */
export interface RemovedMirror extends MirrorOrder, BatchNumber {
  readonly id: Uint8Array;
  readonly kind: number;
}

/** A shard of a region's partitions, which one puller follows at a time. */
export class MirrorShardState {
  #fence = 0;
  /** Number of the last batch of the fence. */
  batch = 0;
  /** Tombstones of earlier fences, and of this one in the order of their batches; by key. */
  readonly #earlier = new Map<string, RemovedMirror>();
  readonly #current = new Map<string, RemovedMirror>();

  /** The fence of the puller that is followed. */
  get fence(): number {
    return this.#fence;
  }

  /** Follows another puller, from its first batch on. */
  follow(fence: number): void {
    this.#fence = fence;
    this.batch = 0;
    for (const [key, removed] of this.#current) this.#earlier.set(key, removed);
    this.#current.clear();
  }

  /** The tombstones, those of the earliest batch first. */
  get removed(): RemovedMirror[] {
    return [...this.#earlier.values(), ...this.#current.values()];
  }

  get removedCount(): number {
    return this.#earlier.size + this.#current.size;
  }

  /** Reports whether there is room for `count` more tombstones. */
  hasRoom(count: number): boolean {
    return this.removedCount + count <= MIRROR_TOMBSTONES_MAX;
  }

  /** Returns the tombstone of a key; undefined if there is none. */
  find(key: string): RemovedMirror | undefined {
    return this.#current.get(key) ?? this.#earlier.get(key);
  }

  /** Adds a tombstone, of the last batch or, from an image, of any. */
  bury(key: string, removed: RemovedMirror): void {
    this.revive(key);
    (removed.fence === this.#fence ? this.#current : this.#earlier).set(key, removed);
  }

  /** Drops the tombstone of a record that is mirrored again. */
  revive(key: string): void {
    this.#current.delete(key);
    this.#earlier.delete(key);
  }

  /**
   * Drops the tombstones of batches whose changes cannot come again: those of this fence up to
   * `batch`, and, if `isEarlier`, all of earlier fences.
   */
  settle(batch: number, isEarlier: boolean): void {
    if (isEarlier) this.#earlier.clear();
    for (const [key, removed] of this.#current) {
      if (removed.batch > batch) return;
      this.#current.delete(key);
    }
  }

  /** Drops all tombstones: a feed of a later generation does not repeat changes of this one. */
  forget(): void {
    this.#earlier.clear();
    this.#current.clear();
  }
}

/** State of one region's feed in a partition. */
export class MirrorSourceState {
  readonly home: string;
  /** The name of the region as stored forms have it. */
  readonly homeBytes: Uint8Array;
  /** Generation of the feed. */
  feed = 0;
  readonly shards = new Map<number, MirrorShardState>();
  /** By partition of the source. */
  readonly cursors = new Map<number, MirrorCursor>();
  /** Derived from the table: the number of mirrors and of aliases. */
  mirrorCount = 0;
  aliasCount = 0;

  constructor(home: string) {
    this.home = home;
    this.homeBytes = new TextEncoder().encode(home);
  }

  /** Whether it has any tombstone. */
  get hasRemoved(): boolean {
    for (const shard of this.shards.values()) if (shard.removedCount > 0) return true;
    return false;
  }

  /** Returns a shard, adding it if there is none. */
  shard(number: number): MirrorShardState {
    let shard = this.shards.get(number);
    if (shard === undefined) this.shards.set(number, shard = new MirrorShardState());
    return shard;
  }

  /** Returns the tombstone of a key, of any shard. */
  removed(key: string): RemovedMirror | undefined {
    for (const shard of this.shards.values()) {
      const removed = shard.find(key);
      if (removed !== undefined) return removed;
    }
    return undefined;
  }

  /** Begins a feed of another generation, which starts from the beginning. */
  begin(feed: number): void {
    this.feed = feed;
    this.cursors.clear();
    for (const shard of this.shards.values()) shard.forget();
  }

  /** Moves the cursor of a partition forward. */
  advance(cursor: MirrorCursor): void {
    const known = this.cursors.get(cursor.partition);
    const isLater = known === undefined ||
      (comparePositions(cursor, known) || cursor.ordinal - known.ordinal) > 0;
    if (isLater) this.cursors.set(cursor.partition, cursor);
  }
}

/** The sources of one partition. */
export class MirrorSources {
  readonly #sources = new Map<string, MirrorSourceState>();
  /** The highest fence of a removed region. */
  floor = 0;

  get isEmpty(): boolean {
    return this.#sources.size === 0;
  }

  /** Reports whether there is room for the source of a region. */
  hasRoom(home: string): boolean {
    return this.#sources.has(home) || this.#sources.size < MIRROR_HOMES_MAX;
  }

  /** The sources, by the name of their region. */
  get all(): MirrorSourceState[] {
    return [...this.#sources.values()].sort((left, right) => left.home < right.home ? -1 : 1);
  }

  find(home: string): MirrorSourceState | undefined {
    return this.#sources.get(home);
  }

  /** Returns the source of a region, adding it if there is none. */
  source(home: string): MirrorSourceState {
    let source = this.#sources.get(home);
    if (source === undefined) this.#sources.set(home, source = new MirrorSourceState(home));
    return source;
  }

  /** Returns the source of the region with the name at `[start, end)`; undefined if there is none. */
  findAt(bytes: Uint8Array, start: number, end: number): MirrorSourceState | undefined {
    for (const source of this.#sources.values()) {
      if (isBytesAt(source.homeBytes, bytes, start, end)) return source;
    }
    return undefined;
  }

  /** Forgets all pullers: feeds are then followed from the beginning, by fences from the lowest on. */
  forgetPullers(): void {
    this.floor = 0;
    for (const { cursors, shards } of this.#sources.values()) {
      cursors.clear();
      for (const shard of shards.values()) shard.follow(0);
    }
  }

  /** Forgets a region; none of its pullers, up to `fence`, is followed any more. */
  drop(home: string, fence: number): void {
    this.#sources.delete(home);
    this.floor = Math.max(this.floor, fence);
  }
}

/** Returns the key of a tombstone: the id at `at` and the kind, as text of single bytes. */
export function tombstoneKey(kind: number, bytes: Uint8Array, at: number): string {
  return String.fromCharCode(kind, ...bytes.subarray(at, at + 16));
}
