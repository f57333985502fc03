/**
 * Encoding and decoding of a partition's state, in pieces between which the state may change and others
 * are served. The same state gives the same bytes. An image is of the state at one applied index: its
 * writer copies the slots at once, and holds their blocks (`block_holds.ts`) until it has read them.
 *
 * Layout, all numbers little-endian. Header, 32 bytes: version u32 (1), apply version u32 (0 for the
 * first), group time f64, applied index f64, slot count u32, count of forgettable slots u32. Then each
 * slot in order: kind u8, tombstone u8 (0 or 1), words u16, rank from 1 in the order of forgetting u32
 * (0 if not forgettable), then `words` * 8 bytes of stored form. From the apply version on that knows
 * mirrors, items of the same form and of higher kinds follow (mirrors/mirror_image.ts). The image file
 * adds framing and checksums.
 */
import { RegistryError } from "../base/errors.ts";
import { IMAGE_CHUNK_BYTES } from "../base/limits.ts";
import { concatBytes } from "../base/bytes.ts";
import { laterProgram } from "../record/command.ts";
import { KIND_ALIAS, KIND_REVOCATION, RESERVED_KINDS } from "../record/key.ts";
import { MIRRORS_APPLY_VERSION } from "./apply_version.ts";
import { BLOCK_WORDS_MAX, WORD_BYTES } from "./arena.ts";
import {
  MIRROR_ITEM_MIN,
  type MirrorItem,
  MirrorItemLoader,
  mirrorItems,
} from "./mirrors/mirror_image.ts";
import { FIRST_APPLY_VERSION, type PartitionState } from "./partition_state.ts";
import { SLOTS_MAX, type SlotsCopy } from "./slot_table.ts";

/** The version of the layout. */
export const PARTITION_IMAGE_VERSION = 1;
const HEADER_BYTES = 32;
const ITEM_HEADER_BYTES = 8;

/** An image as it is written: whoever does not take all of it must call `return`. */
export interface WrittenImage extends Iterable<Uint8Array> {
  next(): IteratorResult<Uint8Array, undefined>;
  return(): IteratorResult<Uint8Array, undefined>;
}

/**
 * Begins an image of the state as it is now; returns its chunks of about 64 KiB.
 *
 * @param scratch at least IMAGE_CHUNK_BYTES; each chunk is then valid until any image with the same
 * scratch is continued. Without it the receiver owns each chunk.
 */
export function writeImage(
  state: PartitionState,
  scratch?: Uint8Array<ArrayBuffer>,
): WrittenImage {
  const { holds, table, mirrors, forgettable, shared } = state;
  const writer = new ChunkWriter(shared.imageChunkBytes, scratch);
  const header = headerOf(state);
  const content = {
    slots: table.copy(),
    ranks: forgettable.ranks(),
    mirrors: state.applyVersion >= MIRRORS_APPLY_VERSION ? mirrorItems(mirrors.sources) : [],
  };
  const hold = holds.open();
  return new HeldImage(chunksOf(state, { header, ...content }, writer), () => holds.close(hold));
}

/** The content of an image: a copy of all that a change of the state would alter. */
interface ImageContent {
  readonly header: Uint8Array;
  readonly slots: SlotsCopy;
  readonly ranks: Uint32Array;
  readonly mirrors: Iterable<MirrorItem>;
}

function* chunksOf(
  state: PartitionState,
  { header, slots, ranks, mirrors }: ImageContent,
  writer: ChunkWriter,
): Generator<Uint8Array, undefined, undefined> {
  const { arena } = state.shared;
  writer.addHeader(header);
  for (let slot = 0; slot < slots.count; slot++) {
    const kind = slots.kindOf(slot);
    const isTombstone = slots.isTombstone(slot);
    const ref = slots.refOf(slot);
    const bytes = WORD_BYTES * state.formWords(ref, slots.wordsOf(slot), kind, isTombstone);
    if (!writer.fits(bytes)) yield writer.take();
    const start = arena.offsetOf(ref);
    const item = { kind, tombstone: isTombstone ? 1 : 0, rank: ranks[slot]! };
    writer.add(item, arena.bytesOf(ref), start, start + bytes);
  }
  for (const { kind, bytes } of mirrors) {
    if (!writer.fits(bytes.length)) yield writer.take();
    writer.add({ kind, tombstone: 0, rank: 0 }, bytes, 0, bytes.length);
  }
  yield writer.take();
}

/** Chunks that read held blocks. */
class HeldImage implements WrittenImage {
  readonly #chunks: Iterator<Uint8Array, undefined, undefined>;
  readonly #close: () => void;

  constructor(chunks: Iterator<Uint8Array, undefined, undefined>, close: () => void) {
    this.#chunks = chunks;
    this.#close = close;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Uint8Array, undefined> {
    const next = this.#chunks.next();
    if (next.done) this.#close();
    return next;
  }

  return(): IteratorResult<Uint8Array, undefined> {
    this.#chunks.return?.();
    this.#close();
    return { done: true, value: undefined };
  }
}

function headerOf(
  { applyVersion, timeMs, appliedIndex, table, forgettable }: PartitionState,
): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, PARTITION_IMAGE_VERSION, true);
  view.setUint32(4, applyVersion === FIRST_APPLY_VERSION ? 0 : applyVersion, true);
  view.setFloat64(8, timeMs, true);
  view.setFloat64(16, appliedIndex, true);
  view.setUint32(24, table.count, true);
  view.setUint32(28, forgettable.count, true);
  return header;
}

/** Writes an image into chunks. */
class ChunkWriter {
  readonly #chunkBytes: number;
  readonly #scratch: Uint8Array<ArrayBuffer> | undefined;
  #chunk: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  /** @param chunkBytes the size above which a chunk takes no second item. */
  constructor(chunkBytes: number, scratch: Uint8Array<ArrayBuffer> | undefined) {
    this.#chunkBytes = chunkBytes;
    this.#scratch = scratch;
    this.#chunk = scratch ?? new Uint8Array(IMAGE_CHUNK_BYTES);
    this.#view = new DataView(this.#chunk.buffer);
  }

  addHeader(header: Uint8Array): void {
    this.#chunk.set(header);
    this.#length = header.length;
  }

  /** Reports whether an item of that many bytes still fits into the chunk. */
  fits(bytes: number): boolean {
    return this.#length === 0 || this.#length + ITEM_HEADER_BYTES + bytes <= this.#chunkBytes;
  }

  /** Adds an item whose stored form is `[start, end)` of `bytes`. */
  add(
    { kind, tombstone, rank }: {
      readonly kind: number;
      readonly tombstone: number;
      readonly rank: number;
    },
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const at = this.#length;
    this.#view.setUint8(at, kind);
    this.#view.setUint8(at + 1, tombstone);
    this.#view.setUint16(at + 2, (end - start) / WORD_BYTES, true);
    this.#view.setUint32(at + 4, rank, true);
    this.#chunk.set(bytes.subarray(start, end), at + ITEM_HEADER_BYTES);
    this.#length = at + ITEM_HEADER_BYTES + end - start;
  }

  /** Returns the chunk, and begins the next one. */
  take(): Uint8Array {
    const taken = this.#chunk.subarray(0, this.#length);
    if (this.#scratch === undefined) {
      this.#chunk = new Uint8Array(IMAGE_CHUNK_BYTES);
      this.#view = new DataView(this.#chunk.buffer);
    }
    this.#length = 0;
    return taken;
  }
}

/**
 * Loads an image, given as chunks of any sizes, into an empty state. After an error the state is
 * unusable.
 */
export class ImageLoader {
  readonly #state: PartitionState;
  readonly #applyVersionMax: number;
  #rest: Uint8Array = new Uint8Array(0);
  #header = false;
  #slotCount = 0;
  readonly #mirrorItems: MirrorItemLoader;
  /** Slot + 1 by rank in the order of forgetting; 0 while the rank was not read. */
  #forgettable = new Uint32Array(0);

  /** @param applyVersionMax the highest apply version that this program knows. */
  constructor(state: PartitionState, applyVersionMax: number) {
    this.#state = state;
    this.#applyVersionMax = applyVersionMax;
    this.#mirrorItems = new MirrorItemLoader(state.mirrors.sources);
  }

  /**
   * Reads the next bytes, which are not retained.
   *
   * @throws RegistryError `corrupt` when they are not part of an image; `unsupported_version` if a later
   * program wrote it.
   */
  push(chunk: Uint8Array): void {
    const bytes = this.#rest.length === 0 ? chunk : concatBytes([this.#rest, chunk]);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = this.#header ? 0 : this.#readHeader(view);
    while (this.#header && bytes.length - at >= ITEM_HEADER_BYTES) {
      const end = at + ITEM_HEADER_BYTES + view.getUint16(at + 2, true) * 8;
      if (end > bytes.length) break;
      this.#readItem(bytes, view, at, end);
      at = end;
    }
    this.#rest = bytes.slice(at);
  }

  /** Ends the image and checks that it was complete. */
  finish(): void {
    for (const _ of this.finishing());
  }

  /** Does the same step by step. Yields the bytes that it went through. */
  *finishing(): Generator<number, void, undefined> {
    const { table, applyVersion, forgettable } = this.#state;
    if (!this.#header || this.#rest.length > 0 || table.count !== this.#slotCount) {
      throw corrupt(`must have ${this.#slotCount} slots`, `${table.count}`);
    }
    if (applyVersion >= MIRRORS_APPLY_VERSION && !this.#mirrorItems.isComplete) {
      throw corrupt("must have all it knows of other regions", "a part");
    }
    let last = -1;
    let bytes = 0;
    for (const ranked of this.#forgettable) {
      if (ranked === 0) throw corrupt("must rank all forgettable slots", "a gap");
      const slot = ranked - 1;
      forgettable.appendAfter(slot, last);
      last = slot;
      bytes += table.wordsOf(slot) * WORD_BYTES;
      if (bytes < IMAGE_CHUNK_BYTES) continue;
      yield bytes;
      bytes = 0;
    }
  }

  #readHeader(view: DataView): number {
    if (view.byteLength < HEADER_BYTES) return 0;
    const version = view.getUint32(0, true);
    if (version > PARTITION_IMAGE_VERSION) {
      throw laterProgram(`version ${version} of images of partitions`);
    }
    if (version !== PARTITION_IMAGE_VERSION) {
      throw corrupt(`must have version ${PARTITION_IMAGE_VERSION}`, `${version}`);
    }
    const state = this.#state;
    state.applyVersion = view.getUint32(4, true) || FIRST_APPLY_VERSION;
    if (state.applyVersion > this.#applyVersionMax) {
      throw laterProgram(`apply version ${state.applyVersion}`);
    }
    state.advanceTime(view.getFloat64(8, true));
    state.appliedIndex = view.getFloat64(16, true);
    this.#slotCount = view.getUint32(24, true);
    const forgettableCount = view.getUint32(28, true);
    if (this.#slotCount > SLOTS_MAX || forgettableCount > this.#slotCount) {
      const found = `${this.#slotCount}, of which ${forgettableCount} are ranked`;
      throw corrupt(`must have at most ${SLOTS_MAX} slots`, found);
    }
    this.#forgettable = new Uint32Array(forgettableCount);
    state.table.reserve(this.#slotCount);
    this.#header = true;
    return HEADER_BYTES;
  }

  #readItem(bytes: Uint8Array, view: DataView, at: number, end: number): void {
    const kind = view.getUint8(at);
    const tombstone = view.getUint8(at + 1) === 1;
    const words = (end - at - ITEM_HEADER_BYTES) / 8;
    const rank = view.getUint32(at + 4, true);
    const { table, shared, applyVersion } = this.#state;
    const hasMirrors = applyVersion >= MIRRORS_APPLY_VERSION;
    const isMirrorItem = kind >= MIRROR_ITEM_MIN && hasMirrors && table.count === this.#slotCount;
    const isKnown = isMirrorItem || shared.kinds.find(kind) !== undefined || kind === KIND_ALIAS ||
      kind === KIND_REVOCATION || hasMirrors && RESERVED_KINDS.has(kind);
    if (!isKnown || words < 1 || words > BLOCK_WORDS_MAX || rank > this.#forgettable.length) {
      throw corrupt("must hold known kinds, in bounds", `kind ${kind} of ${words} words`);
    }
    try {
      if (isMirrorItem) {
        this.#mirrorItems.load(kind, bytes.subarray(at + ITEM_HEADER_BYTES, end));
        return;
      }
      const slot = this.#state.restore(kind, tombstone, bytes, at + ITEM_HEADER_BYTES, end);
      // A link behind a form that has no room for one would overwrite it.
      if (this.#state.forgettable.holds(slot) !== rank > 0) {
        throw corrupt("must rank forgettable slots only", `rank ${rank} of kind ${kind}`);
      }
      if (rank > 0) this.#forgettable[rank - 1] = slot + 1;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      throw corrupt("must hold stored forms", error.message);
    }
  }
}

/** An image that was read and is not in use yet; each method returns the work of freeing memory. */
export interface PreparedState {
  readonly install: () => Generator<number, void, undefined>;
  readonly discard: () => Generator<number, void, undefined>;
}

/**
 * Reads a whole image into an empty state. Yields the bytes that it went through. If it fails, or is
 * ended early, the state is freed.
 *
 * @throws RegistryError `corrupt`, `unsupported_version`.
 */
export function* readImage(
  state: PartitionState,
  image: Uint8Array,
  applyVersionMax: number,
): Generator<number, void, undefined> {
  let isRead = false;
  try {
    const loader = new ImageLoader(state, applyVersionMax);
    const { imageChunkBytes } = state.shared;
    for (let at = 0; at < image.length; at += imageChunkBytes) {
      loader.push(image.subarray(at, at + imageChunkBytes));
      yield imageChunkBytes;
    }
    yield* loader.finishing();
    isRead = true;
  } finally {
    if (!isRead) { for (const _ of state.release()); }
  }
}

function corrupt(needed: string, found: string): RegistryError {
  return new RegistryError("corrupt", `Partition image ${needed}: found ${found}`);
}
