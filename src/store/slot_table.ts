/**
 * The contents of a partition as dense slots of three 32-bit numbers, and an index over them.
 *
 * A slot contains the location of the stored form (`ref`), its nature (`packed`), and the time at
 * which the leader lets it expire (`due`, volatile). Slots have no holes: the last one takes the
 * place of a removed one. Their order is therefore a function of the log alone, an image in slot
 * order restores it, and a scan is a loop over one array. The index uses open addressing with
 * linear probing and backward-shift deletion over cells of 24 bits of slot and 8 bits of hash. Both
 * are stored in pages of pools that the partitions share; an empty table holds none.
 */
import { assert } from "../base/assert.ts";
import {
  CELL_PAGE_NUMBERS,
  type KeySpan,
  MIRROR_KEY_BYTES,
  SLOT_PAGE_NUMBERS,
  type StoreShared,
} from "./shared.ts";
import {
  KIND_ALIAS,
  KIND_MAX,
  KIND_MIRROR,
  KIND_MIRROR_ALIAS,
  KIND_REVOCATION,
} from "../record/key.ts";

/** Bits of `packed`, which is not stored: words (10), region (12), kind (4), and the flags. */
const WORDS_MASK = 0x3ff;
const REGION_SHIFT = 10;
const REGION_MASK = 0xfff;
const KIND_SHIFT = 22;
const KIND_MASK = KIND_MAX;
/** The remainder of a removed record. */
export const FLAG_TOMBSTONE = 1 << 26;
/** Volatile: its expiry was proposed. */
export const FLAG_EXPIRING = 1 << 27;
/** Volatile: its owner waits for an extension of its cover. */
export const FLAG_WAITING = 1 << 28;
/** Volatile: it was renewed since its cover was last extended, or the extension gathered. */
export const FLAG_RENEWED = 1 << 29;
/** Volatile: its due time is its cover, because this leader has not seen a renewal of it yet. */
export const FLAG_BY_COVER = 1 << 30;
/** Volatile: its owner's right has ended; it is not renewed any more until it is removed. */
export const FLAG_ENDED = 1 << 31;

/** Returns `packed` composed of its parts. */
export function pack(kind: number, words: number, region: number, flags: number): number {
  return (words | (region << REGION_SHIFT) | (kind << KIND_SHIFT) | flags) >>> 0;
}

/**
 * Size of the key at the start of a stored form, by kind: the id, for a revocation with its claim, for
 * a mirror with its kind; 0 where the key is the domain.
 */
const KEY_BYTES = new Uint8Array(KIND_MAX + 1).fill(16);
KEY_BYTES[KIND_REVOCATION] = 32;
KEY_BYTES[KIND_MIRROR] = MIRROR_KEY_BYTES;
KEY_BYTES[KIND_ALIAS] = KEY_BYTES[KIND_MIRROR_ALIAS] = 0;

const STRIDE = 3;
const SLOT_PAGE_SHIFT = 31 - Math.clz32(SLOT_PAGE_NUMBERS / STRIDE);
const SLOT_PAGE_MASK = (1 << SLOT_PAGE_SHIFT) - 1;
const CELL_PAGE_SHIFT = 31 - Math.clz32(CELL_PAGE_NUMBERS);
const CELL_PAGE_MASK = CELL_PAGE_NUMBERS - 1;
/** Slots of one partition: their number takes 24 bits of a cell, in which 0 means none. */
export const SLOTS_MAX = 0xff_fffe;
const REF = 0;
const PACKED = 1;
const DUE = 2;

/** The slots and index of one partition. */
export class SlotTable {
  #count = 0;
  readonly #slotPages: number[] = [];
  #cellPages: number[] = [];
  /** Number of cells, a power of two, - 1; -1 if there are none. */
  #cellMask = -1;
  readonly #shared: StoreShared;

  constructor(shared: StoreShared) {
    this.#shared = shared;
  }

  /** Number of slots, which are `[0, count)`. */
  get count(): number {
    return this.#count;
  }

  /** Size of the pages held, bytes. */
  get tableBytes(): number {
    return 4 * (this.#slotPages.length * SLOT_PAGE_NUMBERS +
      this.#cellPages.length * CELL_PAGE_NUMBERS);
  }

  refOf(slot: number): number {
    return this.#get(slot, REF);
  }

  wordsOf(slot: number): number {
    return this.#get(slot, PACKED) & WORDS_MASK;
  }

  regionOf(slot: number): number {
    return (this.#get(slot, PACKED) >>> REGION_SHIFT) & REGION_MASK;
  }

  kindOf(slot: number): number {
    return (this.#get(slot, PACKED) >>> KIND_SHIFT) & KIND_MASK;
  }

  hasFlag(slot: number, flag: number): boolean {
    return (this.#get(slot, PACKED) & flag) !== 0;
  }

  setFlag(slot: number, flag: number): void {
    this.#set(slot, PACKED, this.#get(slot, PACKED) | flag);
  }

  clearFlag(slot: number, flag: number): void {
    this.#set(slot, PACKED, this.#get(slot, PACKED) & ~flag);
  }

  /** Returns the lease tick from which on the slot may expire. */
  dueOf(slot: number): number {
    return this.#get(slot, DUE);
  }

  setDue(slot: number, tick: number): void {
    this.#set(slot, DUE, tick);
  }

  /** Sets the slot's block and nature; its key stays the same. */
  update(slot: number, ref: number, packed: number): void {
    this.#set(slot, REF, ref);
    this.#set(slot, PACKED, packed);
  }

  /** Sets the slot's block to a copy of it. */
  move(slot: number, ref: number): void {
    this.#set(slot, REF, ref);
  }

  /** Sets the slot's region to the one whose name is at `[start, end)` beside its block. */
  setRegion(slot: number, start: number, end: number): void {
    const ref = this.refOf(slot);
    const region = this.#shared.regions.intern(this.#shared.arena.bytesOf(ref), start, end);
    this.update(slot, ref, pack(this.kindOf(slot), this.wordsOf(slot), region, 0));
  }

  /** Reports whether the slot holds a live record of that kind and region, by `packed` alone. */
  matches(slot: number, kind: number, region: number): boolean {
    const mask = ((REGION_MASK << REGION_SHIFT) | (KIND_MASK << KIND_SHIFT) | FLAG_TOMBSTONE) >>> 0;
    return ((this.#get(slot, PACKED) & mask) >>> 0) === pack(kind, 0, region, 0);
  }

  /** Returns the slot of the key `[start, end)` of `bytes`, including a tombstone's; -1 if none. */
  find(kind: number, bytes: Uint8Array, start: number, end: number): number {
    if (this.#count === 0) return -1;
    const hash = this.#shared.hash;
    hash.hash(kind, bytes, start, end);
    const tag = hash.high >>> 24;
    const mask = this.#cellMask;
    for (let at = hash.low & mask;; at = (at + 1) & mask) {
      const cell = this.#cell(at);
      if (cell === 0) return -1;
      if (cell >>> 24 !== tag) continue;
      const slot = (cell & 0xff_ffff) - 1;
      if (this.kindOf(slot) === kind && this.#keyEquals(slot, bytes, start, end)) return slot;
    }
  }

  /**
   * Fills `into` with the slots of the key, of kinds whose keys may be in the table more than once;
   * in no particular order. The search is that of {@link find}, which every read takes and which ends
   * at the first.
   */
  findEach(
    kind: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    into: number[],
  ): number[] {
    into.length = 0;
    if (this.#count === 0) return into;
    const hash = this.#shared.hash;
    hash.hash(kind, bytes, start, end);
    const tag = hash.high >>> 24;
    const mask = this.#cellMask;
    for (let at = hash.low & mask;; at = (at + 1) & mask) {
      const cell = this.#cell(at);
      if (cell === 0) return into;
      if (cell >>> 24 !== tag) continue;
      const slot = (cell & 0xff_ffff) - 1;
      if (this.kindOf(slot) === kind && this.#keyEquals(slot, bytes, start, end)) into.push(slot);
    }
  }

  /**
   * Adds a slot for a block whose key is not in the table yet, unless its kind allows that.
   *
   * @throws RegistryError `malformed` if the block has no key; then nothing was added.
   */
  add(ref: number, packed: number): number {
    const slot = this.#count;
    assert(slot < SLOTS_MAX, `A partition must hold at most ${SLOTS_MAX} slots`);
    if (slot >>> SLOT_PAGE_SHIFT === this.#slotPages.length) {
      this.#slotPages.push(this.#shared.slotPages.allocate());
    }
    this.update(slot, ref, packed);
    this.setDue(slot, 0);
    if ((slot + 1) * 4 > (this.#cellMask + 1) * 3) {
      this.#rebuildIndex(Math.max(CELL_PAGE_NUMBERS, (this.#cellMask + 1) * 2));
    }
    this.#insertCell(slot);
    this.#count = slot + 1;
    return slot;
  }

  /** Sizes the index for `count` slots, so that a load does not rebuild it step by step. */
  reserve(count: number): void {
    let cells = Math.max(CELL_PAGE_NUMBERS, this.#cellMask + 1);
    while (count * 4 > cells * 3) cells *= 2;
    if (count > 0 && cells !== this.#cellMask + 1) this.#rebuildIndex(cells);
  }

  /** Removes a slot, whose block must still exist; the last slot takes its place. */
  remove(slot: number): void {
    this.#removeCell(this.#cellOf(slot));
    const last = this.#count - 1;
    if (slot !== last) {
      const at = this.#cellOf(last);
      this.#setCell(at, ((this.#cell(at) & 0xff00_0000) | (slot + 1)) >>> 0);
      this.update(slot, this.#get(last, REF), this.#get(last, PACKED));
      this.setDue(slot, this.#get(last, DUE));
    }
    this.#count = last;
    if (last === 0) {
      this.clear();
      return;
    }
    // Keep one spare page, so that a count that goes up and down does not allocate and free it each
    // time.
    if (last + 2 * SLOT_PAGE_MASK < this.#slotPages.length << SLOT_PAGE_SHIFT) {
      this.#shared.slotPages.release(this.#slotPages.pop()!);
    }
    if (last * 8 < this.#cellMask && this.#cellPages.length > 1) {
      this.#rebuildIndex((this.#cellMask + 1) / 2);
    }
  }

  /** Returns a copy of the slots as they are now. */
  copy(): SlotsCopy {
    const pool = this.#shared.slotPages;
    const numbers = new Uint32Array(this.#slotPages.length * SLOT_PAGE_NUMBERS);
    this.#slotPages.forEach((page, at) => {
      const start = pool.offsetOf(page);
      const content = pool.chunkOf(page).subarray(start, start + SLOT_PAGE_NUMBERS);
      numbers.set(content, at * SLOT_PAGE_NUMBERS);
    });
    return new SlotsCopy(this.#count, numbers);
  }

  /** Removes all slots and frees the pages; the owner frees the blocks. */
  clear(): void {
    this.#count = 0;
    for (const page of this.#slotPages) this.#shared.slotPages.release(page);
    this.#slotPages.length = 0;
    this.#dropIndex();
  }

  /** Returns the location of the slot's key. */
  keyOf(slot: number, into: KeySpan): KeySpan {
    const { arena, views } = this.#shared;
    const ref = this.refOf(slot);
    const kind = this.kindOf(slot);
    into.bytes = arena.bytesOf(ref);
    const length = KEY_BYTES[kind]!;
    if (length === 0) {
      const start = arena.offsetOf(ref);
      const alias = kind === KIND_ALIAS ? views.aliasKey : views.mirrorAliasKey;
      alias.wrap(arena.viewOf(ref), into.bytes, start, start + this.wordsOf(slot) * 8);
      into.start = alias.domainOffset;
      into.end = into.start + alias.domainLength;
    } else {
      // Every stored form has its root struct right after the root pointer, with the key first.
      into.start = arena.offsetOf(ref) + 8;
      into.end = into.start + length;
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
    const mask = this.#cellMask;
    let at = low & mask;
    while (this.#cell(at) !== 0) at = (at + 1) & mask;
    this.#setCell(at, ((high & 0xff00_0000) | (slot + 1)) >>> 0);
  }

  /** Returns the cell that refers to the slot. */
  #cellOf(slot: number): number {
    this.#hashOf(slot);
    const mask = this.#cellMask;
    let at = this.#shared.hash.low & mask;
    while ((this.#cell(at) & 0xff_ffff) !== slot + 1) {
      assert(this.#cell(at) !== 0, `Slot ${slot} must be in the index`);
      at = (at + 1) & mask;
    }
    return at;
  }

  /** Empties a cell, and moves back the following cells that would no longer be found. */
  #removeCell(cell: number): void {
    const mask = this.#cellMask;
    let hole = cell;
    for (let at = (hole + 1) & mask; this.#cell(at) !== 0; at = (at + 1) & mask) {
      this.#hashOf((this.#cell(at) & 0xff_ffff) - 1);
      const home = this.#shared.hash.low & mask;
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        this.#setCell(hole, this.#cell(at));
        hole = at;
      }
    }
    this.#setCell(hole, 0);
  }

  #rebuildIndex(cells: number): void {
    this.#dropIndex();
    const pool = this.#shared.cellPages;
    this.#cellPages = Array.from({ length: cells >>> CELL_PAGE_SHIFT }, () => pool.allocate());
    this.#cellMask = cells - 1;
    for (let slot = 0; slot < this.#count; slot++) this.#insertCell(slot);
  }

  #dropIndex(): void {
    for (const page of this.#cellPages) this.#shared.cellPages.release(page);
    this.#cellPages = [];
    this.#cellMask = -1;
  }

  #get(slot: number, which: number): number {
    const pool = this.#shared.slotPages;
    const page = this.#slotPages[slot >>> SLOT_PAGE_SHIFT]!;
    return pool.chunkOf(page)[pool.offsetOf(page) + (slot & SLOT_PAGE_MASK) * STRIDE + which]!;
  }

  #set(slot: number, which: number, value: number): void {
    const pool = this.#shared.slotPages;
    const page = this.#slotPages[slot >>> SLOT_PAGE_SHIFT]!;
    pool.chunkOf(page)[pool.offsetOf(page) + (slot & SLOT_PAGE_MASK) * STRIDE + which] = value;
  }

  #cell(at: number): number {
    const pool = this.#shared.cellPages;
    const page = this.#cellPages[at >>> CELL_PAGE_SHIFT]!;
    return pool.chunkOf(page)[pool.offsetOf(page) + (at & CELL_PAGE_MASK)]!;
  }

  #setCell(at: number, value: number): void {
    const pool = this.#shared.cellPages;
    const page = this.#cellPages[at >>> CELL_PAGE_SHIFT]!;
    pool.chunkOf(page)[pool.offsetOf(page) + (at & CELL_PAGE_MASK)] = value;
  }
}

/** The slots of a table as they were at some time. */
export class SlotsCopy {
  readonly count: number;
  readonly #numbers: Uint32Array;

  /** @param numbers those of each slot, which the copy owns. */
  constructor(count: number, numbers: Uint32Array) {
    this.count = count;
    this.#numbers = numbers;
  }

  refOf(slot: number): number {
    return this.#numbers[slot * STRIDE + REF]!;
  }

  wordsOf(slot: number): number {
    return this.#packedOf(slot) & WORDS_MASK;
  }

  kindOf(slot: number): number {
    return (this.#packedOf(slot) >>> KIND_SHIFT) & KIND_MASK;
  }

  isTombstone(slot: number): boolean {
    return (this.#packedOf(slot) & FLAG_TOMBSTONE) !== 0;
  }

  #packedOf(slot: number): number {
    return this.#numbers[slot * STRIDE + PACKED]!;
  }
}
