/**
 * What a partition holds, as dense slots of three 32-bit numbers, and an index over them.
 *
 * A slot says where the stored form stands (`ref`), what it is (`packed`), and when the leader lets
 * it expire (`due`, volatile). Slots have no holes: the last one takes the place of a removed one.
 * So their order is a function of the log alone, an image in slot order restores it, and a scan is a
 * loop over one array. The index is open addressing with linear probing and backward-shift deletion
 * over cells of 24 bits of slot and 8 bits of hash. An empty table holds no memory of its own.
 */
import { assert } from "../base/assert.ts";
import type { KeySpan, StoreShared } from "./shared.ts";
import { KIND_ALIAS } from "../record/key.ts";

/** A claim that was refused, beside the kinds of src/record/key.ts. */
export const KIND_REVOCATION = 4;

/** Bits of `packed`: words (10), region (12), kind (3), and the flags. */
const WORDS_MASK = 0x3ff;
const REGION_SHIFT = 10;
const REGION_MASK = 0xfff;
const KIND_SHIFT = 22;
const KIND_MASK = 0x7;
/** What is left of a removed record. */
export const FLAG_TOMBSTONE = 1 << 25;
/** Volatile: its expiry was proposed. */
export const FLAG_EXPIRING = 1 << 26;
/** Volatile: its owner waits for an extension of its cover. */
export const FLAG_WAITING = 1 << 27;
/** Volatile: it was renewed since its cover was last extended, or the extension gathered. */
export const FLAG_RENEWED = 1 << 28;

/** `packed` of its parts. */
export function pack(kind: number, words: number, region: number, flags: number): number {
  return (words | (region << REGION_SHIFT) | (kind << KIND_SHIFT) | flags) >>> 0;
}

const STRIDE = 3;
const SLOTS_MIN = 8;
const CELLS_MIN = 16;
const SLOTS_MAX = 0xff_fffe;
const NO_NUMBERS = new Uint32Array(0);

/** The slots and index of one partition. */
export class SlotTable {
  #count = 0;
  #slots: Uint32Array = NO_NUMBERS;
  #cells: Uint32Array = NO_NUMBERS;
  readonly #shared: StoreShared;

  constructor(shared: StoreShared) {
    this.#shared = shared;
  }

  /** How many slots there are: `[0, count)`. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of typed arrays that it holds. */
  get tableBytes(): number {
    return this.#slots.byteLength + this.#cells.byteLength;
  }

  refOf(slot: number): number {
    return this.#slots[slot * STRIDE]!;
  }

  wordsOf(slot: number): number {
    return this.#slots[slot * STRIDE + 1]! & WORDS_MASK;
  }

  regionOf(slot: number): number {
    return (this.#slots[slot * STRIDE + 1]! >>> REGION_SHIFT) & REGION_MASK;
  }

  kindOf(slot: number): number {
    return (this.#slots[slot * STRIDE + 1]! >>> KIND_SHIFT) & KIND_MASK;
  }

  hasFlag(slot: number, flag: number): boolean {
    return (this.#slots[slot * STRIDE + 1]! & flag) !== 0;
  }

  setFlag(slot: number, flag: number): void {
    this.#slots[slot * STRIDE + 1]! |= flag;
  }

  clearFlag(slot: number, flag: number): void {
    this.#slots[slot * STRIDE + 1]! &= ~flag;
  }

  /** The lease tick from which on it may expire. */
  dueOf(slot: number): number {
    return this.#slots[slot * STRIDE + 2]!;
  }

  setDue(slot: number, tick: number): void {
    this.#slots[slot * STRIDE + 2] = tick;
  }

  /** The slot takes another block and another nature; its key stays. */
  update(slot: number, ref: number, packed: number): void {
    this.#slots[slot * STRIDE] = ref;
    this.#slots[slot * STRIDE + 1] = packed;
  }

  /** True where `packed` of the slot says: a live record of that kind and region. */
  matches(slot: number, kind: number, region: number): boolean {
    const mask = ((REGION_MASK << REGION_SHIFT) | (KIND_MASK << KIND_SHIFT) | FLAG_TOMBSTONE) >>> 0;
    return ((this.#slots[slot * STRIDE + 1]! & mask) >>> 0) === pack(kind, 0, region, 0);
  }

  /** The slot of the key `[start, end)` of `bytes`, a tombstone's too; -1: none. */
  find(kind: number, bytes: Uint8Array, start: number, end: number): number {
    if (this.#count === 0) return -1;
    const hash = this.#shared.hash;
    hash.hash(kind, bytes, start, end);
    const tag = hash.high >>> 24;
    const mask = this.#cells.length - 1;
    for (let at = hash.low & mask;; at = (at + 1) & mask) {
      const cell = this.#cells[at]!;
      if (cell === 0) return -1;
      if (cell >>> 24 !== tag) continue;
      const slot = (cell & 0xff_ffff) - 1;
      if (this.kindOf(slot) === kind && this.#keyEquals(slot, bytes, start, end)) return slot;
    }
  }

  /** Adds a slot for a block whose key is not in the table yet. */
  add(ref: number, packed: number): number {
    const slot = this.#count;
    assert(slot < SLOTS_MAX, `A partition must hold at most ${SLOTS_MAX} slots`);
    if ((slot + 1) * STRIDE > this.#slots.length) {
      this.#resizeSlots(Math.max(SLOTS_MIN, slot + 1 + (slot >>> 3)));
    }
    this.#slots[slot * STRIDE] = ref;
    this.#slots[slot * STRIDE + 1] = packed;
    this.#slots[slot * STRIDE + 2] = 0;
    this.#count = slot + 1;
    if (this.#count * 4 > this.#cells.length * 3) {
      this.#rebuildIndex(Math.max(CELLS_MIN, this.#cells.length * 2));
    } else {
      this.#insertCell(slot);
    }
    return slot;
  }

  /** Makes room for `count` slots at once: a load then never grows step by step. */
  reserve(count: number): void {
    if (count * STRIDE > this.#slots.length) this.#resizeSlots(count);
    let cells = Math.max(CELLS_MIN, this.#cells.length);
    while (count * 4 > cells * 3) cells *= 2;
    if (count > 0 && cells !== this.#cells.length) this.#rebuildIndex(cells);
  }

  /** Removes a slot, whose block must still stand; the last slot takes its place. */
  remove(slot: number): void {
    this.#removeCell(this.#cellOf(slot));
    const last = this.#count - 1;
    if (slot !== last) {
      const cell = this.#cellOf(last);
      this.#cells[cell] = ((this.#cells[cell]! & 0xff00_0000) | (slot + 1)) >>> 0;
      this.#slots.copyWithin(slot * STRIDE, last * STRIDE, last * STRIDE + STRIDE);
    }
    this.#count = last;
    if (last * STRIDE * 2 < this.#slots.length && this.#slots.length > 8 * SLOTS_MIN * STRIDE) {
      this.#resizeSlots(last + (last >>> 3));
      if (last * 3 < this.#cells.length) this.#rebuildIndex(this.#cells.length / 2);
    } else if (last === 0) {
      this.clear();
    }
  }

  /** Forgets all slots and gives the arrays back; the blocks are the owner's business. */
  clear(): void {
    this.#count = 0;
    this.#slots = NO_NUMBERS;
    this.#cells = NO_NUMBERS;
  }

  /** Where the slot's key stands. */
  keyOf(slot: number, into: KeySpan): KeySpan {
    const { arena, views } = this.#shared;
    const ref = this.refOf(slot);
    const kind = this.kindOf(slot);
    into.bytes = arena.bytesOf(ref);
    if (kind === KIND_ALIAS) {
      const start = arena.offsetOf(ref);
      const alias = views.aliasKey;
      alias.wrap(arena.viewOf(ref), into.bytes, start, start + this.wordsOf(slot) * 8);
      into.start = alias.domainOffset;
      into.end = into.start + alias.domainLength;
    } else {
      // Every stored form has its root struct right after the root pointer, and its id first; a
      // revocation has its claim next.
      into.start = arena.offsetOf(ref) + 8;
      into.end = into.start + (kind === KIND_REVOCATION ? 32 : 16);
    }
    return into;
  }

  #keyEquals(slot: number, bytes: Uint8Array, start: number, end: number): boolean {
    const key = this.keyOf(slot, this.#shared.keySpan);
    if (key.end - key.start !== end - start) return false;
    const own = key.bytes;
    const from = key.start - start;
    for (let at = start; at < end; at++) {
      if (own[from + at] !== bytes[at]) return false;
    }
    return true;
  }

  #hashOf(slot: number): void {
    const key = this.keyOf(slot, this.#shared.keySpan);
    this.#shared.hash.hash(this.kindOf(slot), key.bytes, key.start, key.end);
  }

  #insertCell(slot: number): void {
    this.#hashOf(slot);
    const { low, high } = this.#shared.hash;
    const mask = this.#cells.length - 1;
    let at = low & mask;
    while (this.#cells[at] !== 0) at = (at + 1) & mask;
    this.#cells[at] = ((high & 0xff00_0000) | (slot + 1)) >>> 0;
  }

  /** The cell that names the slot. */
  #cellOf(slot: number): number {
    this.#hashOf(slot);
    const mask = this.#cells.length - 1;
    let at = this.#shared.hash.low & mask;
    while ((this.#cells[at]! & 0xff_ffff) !== slot + 1) {
      assert(this.#cells[at] !== 0, `Slot ${slot} must be in the index`);
      at = (at + 1) & mask;
    }
    return at;
  }

  /** Empties a cell, and moves back those behind it that would no longer be found. */
  #removeCell(cell: number): void {
    const mask = this.#cells.length - 1;
    let hole = cell;
    for (let at = (hole + 1) & mask; this.#cells[at] !== 0; at = (at + 1) & mask) {
      this.#hashOf((this.#cells[at]! & 0xff_ffff) - 1);
      const home = this.#shared.hash.low & mask;
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        this.#cells[hole] = this.#cells[at]!;
        hole = at;
      }
    }
    this.#cells[hole] = 0;
  }

  #resizeSlots(capacity: number): void {
    const resized = new Uint32Array(capacity * STRIDE);
    resized.set(this.#slots.subarray(0, this.#count * STRIDE));
    this.#slots = resized;
  }

  #rebuildIndex(cells: number): void {
    this.#cells = new Uint32Array(cells);
    for (let slot = 0; slot < this.#count; slot++) this.#insertCell(slot);
  }
}
