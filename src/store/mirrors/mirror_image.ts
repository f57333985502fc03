/**
 * State of the feeds of a partition's mirrors, in its image: after the slots, as items of the
 * same framing whose kinds are above those of slots. Absent from images of partitions that know no
 * mirrors yet.
 */
import {
  type MirrorCursor,
  mirrorCursorCodec,
  mirrorFloorCodec,
  type MirrorShard,
  mirrorSourceCodec,
  mirrorTombstoneCodec,
} from "../../../schemas/gen/record.ts";
import { RegistryError } from "../../base/errors.ts";
import {
  type MirrorSources,
  type MirrorSourceState,
  type RemovedMirror,
  tombstoneKey,
} from "./mirror_sources.ts";

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

/** The state of one source at some time. */
interface CopiedSource {
  readonly home: string;
  readonly feed: number;
  readonly cursors: readonly MirrorCursor[];
  readonly shards: readonly (MirrorShard & { readonly removed: readonly RemovedMirror[] })[];
}

/**
 * Returns the items of the sources as they are now, the same for the same state. The sources may change
 * while the items are taken.
 */
export function mirrorItems({ all, floor }: MirrorSources): Generator<MirrorItem, void, undefined> {
  return itemsOf(floor, all.map(copyOf));
}

/** Copies what changes; cursors and tombstones are replaced as a whole. */
function copyOf({ home, feed, cursors, shards }: MirrorSourceState): CopiedSource {
  const copied = Array.from(shards, ([number, { fence, batch, removed }]) => {
    return { number, fence, batch, removed };
  });
  return { home, feed, cursors: [...cursors.values()], shards: copied };
}

function* itemsOf(
  fence: number,
  sources: readonly CopiedSource[],
): Generator<MirrorItem, void, undefined> {
  let itemCount = 0;
  for (const { cursors, shards } of sources) {
    itemCount += 1 + cursors.length;
    for (const { removed } of shards) itemCount += removed.length;
  }
  yield { kind: FLOOR, bytes: mirrorFloorCodec.encode({ fence, itemCount }) };
  for (const source of sources) yield* itemsOfSource(source);
}

function* itemsOfSource(source: CopiedSource): Generator<MirrorItem, void, undefined> {
  const { home, feed } = source;
  const shards = source.shards.toSorted((left, right) => left.number - right.number);
  const cursors = source.cursors.toSorted((left, right) => left.partition - right.partition);
  yield { kind: SOURCE, bytes: mirrorSourceCodec.encode({ home, feed, shards }) };
  for (const cursor of cursors) yield { kind: CURSOR, bytes: mirrorCursorCodec.encode(cursor) };
  for (const { number: shard, removed } of shards) {
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
