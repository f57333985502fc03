/**
 * State of the feeds of a partition's mirrors, in its image: after the slots, as items of the
 * same framing whose kinds are above those of slots. Absent from images of partitions that know no
 * mirrors yet.
 */
import {
  mirrorCursorCodec,
  mirrorFloorCodec,
  mirrorSourceCodec,
  mirrorTombstoneCodec,
} from "../../../schemas/gen/record.ts";
import { RegistryError } from "../../base/errors.ts";
import { type MirrorSources, type MirrorSourceState, tombstoneKey } from "./mirror_sources.ts";

/** The first kind of an item that is not a slot. */
export const MIRROR_ITEM_MIN = 32;
const FLOOR = 32;
const SOURCE = 33;
const CURSOR = 34;
const TOMBSTONE = 35;

/** An item: its kind and its segment. */
export interface MirrorItem {
  readonly kind: number;
  readonly bytes: Uint8Array;
}

/** Returns the items, the same for the same state. */
export function* mirrorItems(sources: MirrorSources): Generator<MirrorItem, void, undefined> {
  const { all, floor } = sources;
  let itemCount = 0;
  for (const source of all) {
    itemCount += 1 + source.cursors.size;
    for (const shard of source.shards.values()) itemCount += shard.removedCount;
  }
  yield { kind: FLOOR, bytes: mirrorFloorCodec.encode({ fence: floor, itemCount }) };
  for (const source of all) yield* itemsOf(source);
}

function* itemsOf(source: MirrorSourceState): Generator<MirrorItem, void, undefined> {
  const { home, feed } = source;
  const byNumber = [...source.shards].sort(([left], [right]) => left - right);
  const shards = byNumber.map(([number, { fence, batch }]) => ({ number, fence, batch }));
  yield { kind: SOURCE, bytes: mirrorSourceCodec.encode({ home, feed, shards }) };
  const cursors = [...source.cursors.values()].sort((left, right) =>
    left.partition - right.partition
  );
  for (const cursor of cursors) yield { kind: CURSOR, bytes: mirrorCursorCodec.encode(cursor) };
  for (const [shard, { removed }] of byNumber) {
    for (const one of removed) {
      yield { kind: TOMBSTONE, bytes: mirrorTombstoneCodec.encode({ ...one, shard }) };
    }
  }
}

/** Reads the items of an image. */
export class MirrorItemLoader {
  readonly #sources: MirrorSources;
  #source: MirrorSourceState | undefined;
  /** Items that are still to come; undefined before the first one. */
  #left: number | undefined;

  constructor(sources: MirrorSources) {
    this.#sources = sources;
  }

  /** Whether all items were read. */
  get isComplete(): boolean {
    return this.#left === 0;
  }

  /** Reads an item. @throws RegistryError `malformed`. */
  load(kind: number, bytes: Uint8Array): void {
    if (kind === FLOOR && this.#left === undefined) {
      const { fence, itemCount } = mirrorFloorCodec.decode(bytes);
      this.#sources.floor = fence;
      this.#left = itemCount;
      return;
    }
    if (this.#left === undefined || this.#left === 0) throw unexpected(kind);
    this.#left--;
    if (kind === SOURCE) {
      const { home, feed, shards } = mirrorSourceCodec.decode(bytes);
      this.#source = this.#sources.source(home);
      this.#source.feed = feed;
      for (const { number, fence, batch } of shards) {
        const shard = this.#source.shard(number);
        shard.follow(fence);
        shard.batch = batch;
      }
    } else if (kind === CURSOR && this.#source !== undefined) {
      this.#source.advance(mirrorCursorCodec.decode(bytes));
    } else if (kind === TOMBSTONE && this.#source !== undefined) {
      const { shard, ...removed } = mirrorTombstoneCodec.decode(bytes);
      this.#source.shard(shard).bury(tombstoneKey(removed.kind, removed.id, 0), removed);
    } else throw unexpected(kind);
  }
}

function unexpected(kind: number): RegistryError {
  return new RegistryError("malformed", `Item of kind ${kind} must follow what it belongs to`);
}
