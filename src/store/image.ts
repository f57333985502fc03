/**
 * Encoding and decoding of a partition's state. The same state gives the same bytes.
 *
 * Layout, all numbers little-endian. Header, 32 bytes: version u32 (1), apply version u32 (0 for the
 * first), group time f64, applied index f64, slot count u32, count of forgettable slots u32. Then each
 * slot in order: kind u8, tombstone u8 (0 or 1), words u16, rank from 1 in the order of forgetting u32
 * (0 if not forgettable), then `words` * 8 bytes of stored form. The image file adds framing and
 * checksums.
 */
import { RegistryError } from "../base/errors.ts";
import { IMAGE_CHUNK_BYTES } from "../base/limits.ts";
import { concatBytes } from "../base/bytes.ts";
import { laterProgram } from "../record/command.ts";
import { KIND_ALIAS, KIND_REVOCATION } from "../record/key.ts";
import { BLOCK_WORDS_MAX } from "./arena.ts";
import { FIRST_APPLY_VERSION, type PartitionState } from "./partition_state.ts";
import type { StoredSpan } from "./reply.ts";
import { FLAG_TOMBSTONE } from "./slot_table.ts";

const VERSION = 1;
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

  let chunk = scratch ?? new Uint8Array(IMAGE_CHUNK_BYTES);
  let view = new DataView(chunk.buffer);
  chunk.fill(0, 0, HEADER_BYTES);
  view.setUint32(0, VERSION, true);
  view.setUint32(4, state.applyVersion === FIRST_APPLY_VERSION ? 0 : state.applyVersion, true);
  view.setFloat64(8, state.timeMs, true);
  view.setFloat64(16, state.appliedIndex, true);
  view.setUint32(24, table.count, true);
  view.setUint32(28, state.forgetCount, true);
  let length = HEADER_BYTES;
  const span: StoredSpan = { bytes: chunk, view, start: 0, end: 0 };
  for (let slot = 0; slot < table.count; slot++) {
    const { bytes, start, end } = state.locate(slot, span);
    if (length + ITEM_HEADER_BYTES + end - start > chunk.length) {
      yield chunk.subarray(0, length);
      chunk = scratch ?? new Uint8Array(IMAGE_CHUNK_BYTES);
      view = new DataView(chunk.buffer);
      length = 0;
    }
    view.setUint8(length, table.kindOf(slot));
    view.setUint8(length + 1, table.hasFlag(slot, FLAG_TOMBSTONE) ? 1 : 0);
    view.setUint16(length + 2, (end - start) / 8, true);
    view.setUint32(length + 4, ranks[slot]!, true);
    chunk.set(bytes.subarray(start, end), length + ITEM_HEADER_BYTES);
    length += ITEM_HEADER_BYTES + end - start;
  }
  yield chunk.subarray(0, length);
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
  /** Slot + 1 by rank in the order of forgetting; 0 while the rank was not read. */
  #forgettable = new Uint32Array(0);

  /** @param applyVersionMax the highest apply version that this program knows. */
  constructor(state: PartitionState, applyVersionMax: number) {
    this.#state = state;
    this.#applyVersionMax = applyVersionMax;
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
    const { table } = this.#state;
    if (!this.#header || this.#rest.length > 0 || table.count !== this.#slotCount) {
      throw corrupt(`must have ${this.#slotCount} slots`, `${table.count}`);
    }
    for (const slot of this.#forgettable) {
      if (slot === 0) throw corrupt("must rank all forgettable slots", "a gap");
      this.#state.linkForget(slot - 1);
    }
  }

  #readHeader(view: DataView): number {
    if (view.byteLength < HEADER_BYTES) return 0;
    const version = view.getUint32(0, true);
    if (version !== VERSION) throw corrupt(`must have version ${VERSION}`, `${version}`);
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
    const isKnown = kind === KIND_ALIAS || kind === KIND_REVOCATION ||
      this.#state.shared.kinds.find(kind) !== undefined;
    if (!isKnown || words < 1 || words > BLOCK_WORDS_MAX || rank > this.#forgettable.length) {
      throw corrupt("must hold known kinds, in bounds", `kind ${kind} of ${words} words`);
    }
    try {
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
