/**
 * Encoding and decoding of a partition's state. The same state gives the same bytes.
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
import { BLOCK_WORDS_MAX } from "./arena.ts";
import { MIRROR_ITEM_MIN, MirrorItemLoader, mirrorItems } from "./mirrors/mirror_image.ts";
import { FIRST_APPLY_VERSION, type PartitionState } from "./partition_state.ts";
import { emptySpan, type StoredSpan } from "./reply.ts";
import { FLAG_TOMBSTONE } from "./slot_table.ts";

/** The version of the layout. */
export const PARTITION_IMAGE_VERSION = 1;
const HEADER_BYTES = 32;
const ITEM_HEADER_BYTES = 8;

/**
 * Returns the state in chunks of about 64 KiB; it must not change in between.
 *
 * @param scratch at least IMAGE_CHUNK_BYTES; each chunk then overwrites the previous one. Without
 * it the receiver owns each chunk.
 */
export function* writeImage(
  state: PartitionState,
  scratch?: Uint8Array<ArrayBuffer>,
): Generator<Uint8Array, void, undefined> {
  const { table } = state;
  const ranks = new Uint32Array(table.count);
  let rank = 0;
  state.forEachForgettable((slot) => ranks[slot] = ++rank);

  const writer = new ChunkWriter(scratch);
  writer.addHeader(state);
  const span: StoredSpan = emptySpan();
  for (let slot = 0; slot < table.count; slot++) {
    const { bytes, start, end } = state.locate(slot, span);
    if (!writer.fits(end - start)) yield writer.take();
    const tombstone = table.hasFlag(slot, FLAG_TOMBSTONE) ? 1 : 0;
    writer.add(table.kindOf(slot), tombstone, ranks[slot]!, bytes, start, end);
  }
  if (state.applyVersion >= MIRRORS_APPLY_VERSION) {
    for (const { kind, bytes } of mirrorItems(state.mirrors.sources)) {
      if (!writer.fits(bytes.length)) yield writer.take();
      writer.add(kind, 0, 0, bytes, 0, bytes.length);
    }
  }
  yield writer.take();
}

/** Writes an image into chunks. */
class ChunkWriter {
  readonly #scratch: Uint8Array<ArrayBuffer> | undefined;
  #chunk: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(scratch: Uint8Array<ArrayBuffer> | undefined) {
    this.#scratch = scratch;
    this.#chunk = scratch ?? new Uint8Array(IMAGE_CHUNK_BYTES);
    this.#view = new DataView(this.#chunk.buffer);
  }

  addHeader({ applyVersion, timeMs, appliedIndex, table, forgetCount }: PartitionState): void {
    const view = this.#view;
    view.setUint32(0, PARTITION_IMAGE_VERSION, true);
    view.setUint32(4, applyVersion === FIRST_APPLY_VERSION ? 0 : applyVersion, true);
    view.setFloat64(8, timeMs, true);
    view.setFloat64(16, appliedIndex, true);
    view.setUint32(24, table.count, true);
    view.setUint32(28, forgetCount, true);
    this.#length = HEADER_BYTES;
  }

  /** Reports whether an item of that many bytes still fits into the chunk. */
  fits(bytes: number): boolean {
    return this.#length + ITEM_HEADER_BYTES + bytes <= this.#chunk.length;
  }

  /** Adds the item `[start, end)` of `bytes`. */
  add(
    kind: number,
    tombstone: number,
    rank: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const at = this.#length;
    this.#view.setUint8(at, kind);
    this.#view.setUint8(at + 1, tombstone);
    this.#view.setUint16(at + 2, (end - start) / 8, true);
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
    const { table, applyVersion } = this.#state;
    if (!this.#header || this.#rest.length > 0 || table.count !== this.#slotCount) {
      throw corrupt(`must have ${this.#slotCount} slots`, `${table.count}`);
    }
    if (applyVersion >= MIRRORS_APPLY_VERSION && !this.#mirrorItems.isComplete) {
      throw corrupt("must have all it knows of other regions", "a part");
    }
    for (const slot of this.#forgettable) {
      if (slot === 0) throw corrupt("must rank all forgettable slots", "a gap");
      this.#state.linkForget(slot - 1);
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
    this.#forgettable = new Uint32Array(view.getUint32(28, true));
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
      if (rank > 0) this.#forgettable[rank - 1] = slot + 1;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      throw corrupt("must hold stored forms", error.message);
    }
  }
}

function corrupt(needed: string, found: string): RegistryError {
  return new RegistryError("corrupt", `Partition image ${needed}: found ${found}`);
}
