/**
 * The order in which a partition forgets tombstones and revocations. All are kept for the same time, so
 * they are dropped in the order in which they were added: a doubly linked list through the word behind
 * each stored form.
 */
import { defined } from "../base/assert.ts";
import { revocationCodec, tombstoneCodec } from "../../schemas/gen/record.ts";
import { KIND_REVOCATION } from "../record/key.ts";
import type { StoreShared } from "./shared.ts";
import { FLAG_TOMBSTONE, type SlotTable } from "./slot_table.ts";

/** Words of the links behind a stored form. */
export const LINK_WORDS = 1;
const BEFORE = 0;
const AFTER = 4;

/** The forgettable slots of one partition, in their order. */
export class ForgetOrder {
  /** Number of forgettable slots. */
  count = 0;
  readonly #shared: StoreShared;
  readonly #table: SlotTable;
  /** Blocks of the first and last forgettable slot; 0 if none. */
  #head = 0;
  #tail = 0;

  constructor(shared: StoreShared, table: SlotTable) {
    this.#shared = shared;
    this.#table = table;
  }

  /** Reports whether the slot is forgettable: a tombstone or a revocation. */
  holds(slot: number): boolean {
    return this.#table.hasFlag(slot, FLAG_TOMBSTONE) ||
      this.#table.kindOf(slot) === KIND_REVOCATION;
  }

  /** Returns the slot that is forgotten first; -1 if there is none. */
  first(): number {
    return this.#head === 0 ? -1 : this.#slotOfBlock(this.#head);
  }

  /** Appends a forgettable slot. */
  append(slot: number): void {
    this.appendAfter(slot, this.#tail === 0 ? -1 : this.#slotOfBlock(this.#tail));
  }

  /** Does the same if the last slot is known; -1 if there is none. */
  appendAfter(slot: number, last: number): void {
    const ref = this.#table.refOf(slot);
    this.#setLink(slot, BEFORE, this.#tail);
    this.#setLink(slot, AFTER, 0);
    if (last === -1) this.#head = ref;
    else this.#setLink(last, AFTER, ref);
    this.#tail = ref;
    this.count++;
  }

  /** Takes out a slot, whose block must still exist. */
  remove(slot: number): void {
    const before = this.#link(slot, BEFORE);
    const after = this.#link(slot, AFTER);
    if (before === 0) this.#head = after;
    else this.#setLink(this.#slotOfBlock(before), AFTER, after);
    if (after === 0) this.#tail = before;
    else this.#setLink(this.#slotOfBlock(after), BEFORE, before);
    this.count--;
  }

  /** Forgets all slots. */
  clear(): void {
    this.#head = this.#tail = this.count = 0;
  }

  /** Returns the rank of each slot, from 1; 0 for those that are not forgettable. */
  ranks(): Uint32Array {
    const table = this.#table;
    const ranks = new Uint32Array(table.count);
    if (this.count === 0) return ranks;
    // A search by key for each block would take ten times as long.
    const slots = new BlockSlots(this.count);
    for (let slot = 0; slot < table.count; slot++) {
      if (this.holds(slot)) slots.add(table.refOf(slot), slot);
    }
    let rank = 0;
    for (let ref = this.#head; ref !== 0;) {
      const slot = slots.find(ref);
      ranks[slot] = ++rank;
      ref = this.#link(slot, AFTER);
    }
    return ranks;
  }

  #link(slot: number, which: typeof BEFORE | typeof AFTER): number {
    const ref = this.#table.refOf(slot);
    return this.#shared.arena.viewOf(ref).getUint32(this.#linkOffset(slot) + which, true);
  }

  #setLink(slot: number, which: typeof BEFORE | typeof AFTER, value: number): void {
    const ref = this.#table.refOf(slot);
    this.#shared.arena.viewOf(ref).setUint32(this.#linkOffset(slot) + which, value, true);
  }

  #linkOffset(slot: number): number {
    const words = this.#table.wordsOf(slot);
    return this.#shared.arena.offsetOf(this.#table.refOf(slot)) + (words - LINK_WORDS) * 8;
  }

  /** Returns the slot of a tombstone or revocation whose block is `ref`. */
  #slotOfBlock(ref: number): number {
    const { arena, views } = this.#shared;
    const bytes = arena.bytesOf(ref);
    const start = arena.offsetOf(ref);
    // The size of the data section tells the two apart; both have their key at byte 8.
    const dataWords = arena.viewOf(ref).getUint16(start + 4, true);
    if (dataWords === revocationCodec.layout.dataWords) {
      return this.#known(this.#table.find(KIND_REVOCATION, bytes, start + 8, start + 40));
    }
    const end = start + tombstoneCodec.layout.dataWords * 8 + 16;
    const kind = views.tombstone.wrap(arena.viewOf(ref), bytes, start, end).kind;
    return this.#known(this.#table.find(kind, bytes, start + 8, start + 24));
  }

  #known(slot: number): number {
    return defined(slot === -1 ? undefined : slot, "A forgettable block must be in the table");
  }
}

/** Slots by their blocks: open addressing, at most half full. */
class BlockSlots {
  readonly #refs: Uint32Array;
  readonly #slots: Uint32Array;
  readonly #mask: number;

  constructor(count: number) {
    const cells = 2 ** Math.ceil(Math.log2(2 * count));
    this.#refs = new Uint32Array(cells);
    this.#slots = new Uint32Array(cells);
    this.#mask = cells - 1;
  }

  add(ref: number, slot: number): void {
    const at = this.#cellOf(ref);
    this.#refs[at] = ref;
    this.#slots[at] = slot;
  }

  /** Returns the slot of a block that was added. */
  find(ref: number): number {
    const at = this.#cellOf(ref);
    return this.#slots[defined(this.#refs[at] === ref ? at : undefined, "The block was added")]!;
  }

  /** Returns the cell of a block, or the empty one where it belongs. */
  #cellOf(ref: number): number {
    let at = (Math.imul(ref, 0x9e3779b1) >>> 7) & this.#mask;
    while (this.#refs[at] !== 0 && this.#refs[at] !== ref) at = (at + 1) & this.#mask;
    return at;
  }
}
