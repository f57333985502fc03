/**
 * The state of one partition and its primitive changes: insert, replace, bury, remove.
 *
 * State (identical on every replica, and contained in the image) is: group time, the slots in their
 * order with their stored forms, and the order of forgetting. Due times, flags marked volatile and
 * region numbers are not state.
 *
 * An image of it is made while it changes (`image.ts`): blocks are overwritten and freed only by way of
 * {@link BlockHolds}.
 */
import { GROUP_TIME_MS_MAX, IMAGE_CHUNK_BYTES, TOMBSTONE_MS } from "../base/limits.ts";
import type { Position } from "../base/position.ts";
import {
  revocationCodec,
  type SupersededProcess,
  supersededProcessCodec,
  tombstoneCodec,
} from "../../schemas/gen/record.ts";
import { KIND_ALIAS, KIND_REVOCATION } from "../record/key.ts";
import { MirrorTable } from "./mirrors/mirror_table.ts";
import type { OwnedView } from "../record/kind_row.ts";
import { isStaleState } from "../record/record_state.ts";
import type { EventSink, EventType } from "./event.ts";
import type { StoredSpan } from "./reply.ts";
import { WORD_BYTES } from "./arena.ts";
import { BlockHolds } from "./block_holds.ts";
import { ForgetOrder, LINK_WORDS } from "./forget_order.ts";
import { newCounts, type StoreShared } from "./shared.ts";
import { FLAG_TOMBSTONE, pack, SlotTable } from "./slot_table.ts";
import { countStale } from "./stale_records.ts";

/** A view over a record of any kind. */
export type RecordView = OwnedView;

/** The apply version of a partition that never raised it. */
export const FIRST_APPLY_VERSION = 1;

/** Longest block, in words, that a tombstone keeps from its record; a longer one is freed. */
const KEPT_WORDS_MAX = 48;
/** Words of a tombstone's root pointer, data and pointer; superseded processes follow. */
const TOMBSTONE_WORDS = 1 + tombstoneCodec.layout.dataWords + tombstoneCodec.layout.pointerWords;

/** The state of one partition. */
export class PartitionState {
  readonly shared: StoreShared;
  /** Generation of the entry being applied: the first part of new incarnations. */
  generation = 1;
  /** The version by which commands are applied. */
  applyVersion = FIRST_APPLY_VERSION;
  /** Number of the partition, from 0. */
  readonly partition: number;
  readonly table: SlotTable;
  /** The mirrors among the slots, and the feeds that they come from. */
  readonly mirrors: MirrorTable;
  timeMs = 0;
  appliedIndex = 0;
  /** Live records, by the number of their kind. */
  readonly counts: number[] = newCounts();
  /** Live records of kinds with a lease. */
  leaseCount = 0;
  /** Those of them that are stale. */
  staleCount = 0;
  aliasCount = 0;
  /** Tombstones and revocations. */
  readonly forgettable: ForgetOrder;
  /** The blocks that images still read. */
  readonly holds: BlockHolds;
  readonly #sink: EventSink | undefined;
  /** Words of the blocks of all slots. */
  #words = 0;

  /** True while something could expire or be forgotten, so that the time must be logged. */
  get wantsTime(): boolean {
    return this.leaseCount + this.forgettable.count > 0;
  }

  constructor(
    shared: StoreShared,
    partition: number,
    sink: EventSink | undefined,
  ) {
    this.shared = shared;
    this.partition = partition;
    this.table = new SlotTable(shared);
    this.mirrors = new MirrorTable(shared, this.table);
    this.forgettable = new ForgetOrder(shared, this.table);
    this.holds = new BlockHolds(shared.arena);
    this.#sink = sink;
  }

  // Reading.

  /** Returns the slot of a live agent, gateway or alias; -1 if none. */
  findLive(kind: number, bytes: Uint8Array, start: number, end: number): number {
    const slot = this.table.find(kind, bytes, start, end);
    return slot === -1 || this.table.hasFlag(slot, FLAG_TOMBSTONE) ? -1 : slot;
  }

  /** Sets `into` to the location of the slot's stored form. */
  locate(slot: number, into: StoredSpan): StoredSpan {
    const { arena } = this.shared;
    const ref = this.table.refOf(slot);
    const start = arena.offsetOf(ref);
    into.bytes = arena.bytesOf(ref);
    into.view = arena.viewOf(ref);
    into.start = start;
    const { table } = this;
    const isTombstone = table.hasFlag(slot, FLAG_TOMBSTONE);
    into.end = start +
      8 * this.formWords(ref, table.wordsOf(slot), table.kindOf(slot), isTombstone);
    return into;
  }

  /** Returns the shared view of the slot's kind, positioned on its live record. */
  recordView(slot: number): RecordView {
    const { bytes, view, start, end } = this.locate(slot, this.shared.span);
    // A slot holds a record only if its kind has a row: inserts and images check it.
    return this.shared.views.records[this.table.kindOf(slot)]!.wrap(view, bytes, start, end);
  }

  /** Returns the shared view positioned on an alias. */
  aliasView(slot: number) {
    const { bytes, view, start, end } = this.locate(slot, this.shared.span);
    return this.shared.views.alias.wrap(view, bytes, start, end);
  }

  /** Returns the shared view positioned on a tombstone. */
  tombstoneView(slot: number) {
    return this.#tombstoneIn(this.table.refOf(slot), this.table.wordsOf(slot));
  }

  #tombstoneIn(ref: number, words: number) {
    const { arena, views } = this.shared;
    const start = arena.offsetOf(ref);
    const end = start + (words - LINK_WORDS) * 8;
    return views.tombstone.wrap(arena.viewOf(ref), arena.bytesOf(ref), start, end);
  }

  /** Returns the time at which a tombstone or revocation expires. */
  forgetAtMs(slot: number): number {
    if (this.table.kindOf(slot) !== KIND_REVOCATION) return this.tombstoneView(slot).forgetAtMs;
    const { bytes, view, start, end } = this.locate(slot, this.shared.span);
    return this.shared.views.revocation.wrap(view, bytes, start, end).forgetAtMs;
  }

  // Changing.

  /** Advances group time; never moves it back. */
  advanceTime(timeMs: number): void {
    if (timeMs > this.timeMs) this.timeMs = Math.min(timeMs, GROUP_TIME_MS_MAX);
  }

  /** Adds a record or alias with the stored form `[start, end)` of `bytes`, and returns its slot. */
  insert(kind: number, bytes: Uint8Array, start: number, end: number): number {
    const words = (end - start) / 8;
    const slot = this.table.add(this.#store(words, bytes, start, end), pack(kind, words, 0, 0));
    this.#enter(slot);
    return slot;
  }

  /**
   * Returns the shared view of the slot's kind, positioned on its live record, whose fields may be set: no
   * image reads its block.
   */
  writableRecord(slot: number): RecordView {
    this.#ensureWritable(slot);
    return this.recordView(slot);
  }

  /** Returns the shared view positioned on an alias whose fields may be set, as those of a record. */
  writableAlias(slot: number) {
    this.#ensureWritable(slot);
    return this.aliasView(slot);
  }

  /** Copies the block of a live record or alias if an image reads it. */
  #ensureWritable(slot: number): void {
    const { table, holds, shared: { arena } } = this;
    const ref = table.refOf(slot);
    if (holds.mayWrite(ref)) return;
    const words = table.wordsOf(slot);
    const start = arena.offsetOf(ref);
    table.move(slot, this.#store(words, arena.bytesOf(ref), start, start + words * WORD_BYTES));
    holds.release(ref, words);
  }

  /** Replaces the stored form of a live record, alias or tombstone by another of the same key. */
  replace(slot: number, bytes: Uint8Array, start: number, end: number): void {
    const { table, shared } = this;
    const kind = table.kindOf(slot);
    const words = (end - start) / 8;
    const oldRef = table.refOf(slot);
    const oldWords = table.wordsOf(slot);
    this.#leave(slot);
    if (oldWords === words && this.holds.mayWrite(oldRef)) {
      shared.arena.bytesOf(oldRef).set(bytes.subarray(start, end), shared.arena.offsetOf(oldRef));
      table.update(slot, oldRef, pack(kind, words, 0, 0));
    } else {
      const ref = this.#store(words, bytes, start, end);
      table.update(slot, ref, pack(kind, words, 0, 0));
      this.holds.release(oldRef, oldWords);
    }
    this.#enter(slot);
  }

  /** Removes the content of the slot without a tombstone. */
  remove(slot: number): void {
    const { table } = this;
    this.#leave(slot);
    const ref = table.refOf(slot);
    const words = table.wordsOf(slot);
    table.remove(slot);
    this.holds.release(ref, words);
  }

  /**
   * Replaces a live record by a tombstone in the same block: a mass expiry takes no memory, and a
   * record of the same length finds a block when the tombstone is forgotten.
   */
  bury(slot: number, sequence: number, superseded: readonly SupersededProcess[]): void {
    const { table, shared } = this;
    const kind = table.kindOf(slot);
    const record = this.recordView(slot);
    const { writer } = shared;
    writer.reset();
    tombstoneCodec.append(writer, {
      id: record.id,
      process: record.process,
      forgetAtMs: this.timeMs + TOMBSTONE_MS,
      incarnation: { generation: record.incarnationGeneration, index: record.incarnationIndex },
      sequence,
      kind,
      superseded,
    });
    this.#leave(slot);
    this.#keepBlock(slot, writer.length / 8 + LINK_WORDS);
    const ref = table.refOf(slot);
    const at = shared.arena.offsetOf(ref);
    shared.arena.bytesOf(ref).set(writer.bytes.subarray(0, writer.length), at);
    table.update(slot, ref, pack(kind, table.wordsOf(slot), 0, FLAG_TOMBSTONE));
    table.setDue(slot, 0);
    this.#enter(slot);
  }

  /** Adds a revocation; a known one is renewed. */
  revoke(agentId: Uint8Array, claim: Position): void {
    const { writer } = this.shared;
    writer.reset();
    revocationCodec.append(writer, { agentId, claim, forgetAtMs: this.timeMs + TOMBSTONE_MS });
    const known = this.table.find(KIND_REVOCATION, writer.bytes, 8, 40);
    if (known !== -1) this.remove(known);
    this.#addForgettable(KIND_REVOCATION, 0, writer.bytes, 0, writer.length);
  }

  /** Reports whether a revocation of the claim is in effect. */
  isRevoked(agentId: Uint8Array, claim: Position): boolean {
    if (this.shared.counts.revocations === 0) return false;
    const { writer } = this.shared;
    writer.reset();
    revocationCodec.append(writer, { agentId, claim, forgetAtMs: 0 });
    const slot = this.table.find(KIND_REVOCATION, writer.bytes, 8, 40);
    return slot !== -1 && this.forgetAtMs(slot) > this.timeMs;
  }

  /** Drops at most `limit` expired tombstones and revocations, the oldest first. */
  forget(limit: number): void {
    for (let dropped = 0; dropped < limit && this.forgettable.count > 0; dropped++) {
      const slot = this.forgettable.first();
      if (this.forgetAtMs(slot) > this.timeMs) return;
      this.remove(slot);
    }
  }

  /** Copies the slot's form before it is changed, for {@link emitChange}. */
  keepForm(slot: number): void {
    if (this.#sink === undefined) return;
    const { span, formBefore } = this.shared;
    const { bytes, start, end } = this.locate(slot, span);
    formBefore.bytes.set(bytes.subarray(start, end));
    formBefore.end = end - start;
  }

  /**
   * Stores what the shared writer holds, as a new row if `slot` is -1, else in place of that slot's, and
   * passes the event to the sink.
   */
  storeWritten(kind: number, slot: number, type: EventType, index: number): void {
    const { writer } = this.shared;
    if (slot === -1) {
      this.emit(type, this.insert(kind, writer.bytes, 0, writer.length), index);
      return;
    }
    this.keepForm(slot);
    this.replace(slot, writer.bytes, 0, writer.length);
    this.emitChange(type, slot, index);
  }

  /** Passes an event about the slot to the sink, if there is one. */
  emit(type: EventType, slot: number, index: number): void {
    this.#emit(type, slot, index, undefined);
  }

  /** Passes an event to the sink with the form that {@link keepForm} copied. */
  emitChange(type: EventType, slot: number, index: number): void {
    this.#emit(type, slot, index, this.shared.formBefore);
  }

  #emit(type: EventType, slot: number, index: number, before: StoredSpan | undefined): void {
    if (this.#sink === undefined) return;
    const { event } = this.shared;
    event.partition = this.partition;
    event.type = type;
    event.kind = this.table.kindOf(slot);
    event.generation = this.generation;
    event.index = index;
    event.before = before;
    this.locate(slot, event.stored);
    this.#sink.onEvent(event);
  }

  /**
   * Frees all blocks, some at each step; nothing else may use the state from now on. Yields the bytes
   * that it went through.
   */
  *release(): Generator<number, void> {
    const { table, forgettable } = this;
    let bytes = 0;
    for (let slot = table.count - 1; slot >= 0; slot--) {
      const words = table.wordsOf(slot);
      this.#count(slot, -1);
      this.holds.release(table.refOf(slot), words);
      bytes += words * WORD_BYTES;
      if (bytes < IMAGE_CHUNK_BYTES) continue;
      yield bytes;
      bytes = 0;
    }
    table.clear();
    forgettable.clear();
  }

  // For the image.

  /** Estimated size of an image, bytes: the blocks, and a word before each. */
  get imageBytes(): number {
    return WORD_BYTES * (this.#words + this.table.count);
  }

  /**
   * Adds a stored form read from an image; forgettable ones are not in their order yet.
   *
   * @throws RegistryError `malformed`; then nothing was added.
   */
  restore(kind: number, tombstone: boolean, bytes: Uint8Array, start: number, end: number): number {
    const forgettable = tombstone || kind === KIND_REVOCATION;
    const words = (end - start) / 8 + (forgettable ? LINK_WORDS : 0);
    const ref = this.#store(words, bytes, start, end);
    const { table } = this;
    const { count } = table;
    try {
      const slot = table.add(ref, pack(kind, words, 0, tombstone ? FLAG_TOMBSTONE : 0));
      this.#count(slot, 1);
      return slot;
    } catch (error) {
      if (table.count > count) table.remove(count);
      this.holds.release(ref, words);
      throw error;
    }
  }

  /** Returns the words of the stored form in a block; that of a tombstone may be longer. */
  formWords(ref: number, words: number, kind: number, isTombstone: boolean): number {
    if (!isTombstone) return words - (kind === KIND_REVOCATION ? LINK_WORDS : 0);
    const { count } = this.#tombstoneIn(ref, words).superseded;
    const { dataWords } = supersededProcessCodec.layout;
    return TOMBSTONE_WORDS + (count === 0 ? 0 : 1 + count * dataWords);
  }

  /**
   * Ensures that the slot's block may be written, has `words` and is not too long; otherwise allocates
   * another one, whose content is arbitrary.
   */
  #keepBlock(slot: number, words: number): void {
    const { table } = this;
    const oldRef = table.refOf(slot);
    const oldWords = table.wordsOf(slot);
    const isKept = oldWords >= words && oldWords <= KEPT_WORDS_MAX && this.holds.mayWrite(oldRef);
    if (isKept) return;
    table.update(slot, this.holds.allocate(words), pack(table.kindOf(slot), words, 0, 0));
    this.holds.release(oldRef, oldWords);
  }

  #store(words: number, bytes: Uint8Array, start: number, end: number): number {
    const { arena } = this.shared;
    const ref = this.holds.allocate(words);
    arena.bytesOf(ref).set(bytes.subarray(start, end), arena.offsetOf(ref));
    return ref;
  }

  #addForgettable(kind: number, flags: number, bytes: Uint8Array, start: number, end: number) {
    const words = (end - start) / 8 + LINK_WORDS;
    const ref = this.#store(words, bytes, start, end);
    this.#enter(this.table.add(ref, pack(kind, words, 0, flags)));
  }

  /** Accounts for the new content of the slot. */
  #enter(slot: number): void {
    this.#count(slot, 1);
    if (this.forgettable.holds(slot)) this.forgettable.append(slot);
  }

  /** Accounts for the removal of the slot's content. */
  #leave(slot: number): void {
    this.#count(slot, -1);
    if (this.forgettable.holds(slot)) this.forgettable.remove(slot);
  }

  #count(slot: number, by: 1 | -1): void {
    const { table, shared } = this;
    const kind = table.kindOf(slot);
    if (table.hasFlag(slot, FLAG_TOMBSTONE)) shared.counts.tombstones += by;
    else if (shared.kinds.find(kind) !== undefined) this.#countRecord(slot, kind, by);
    else if (kind === KIND_ALIAS) {
      this.aliasCount += by;
      shared.counts.aliases += by;
    } else if (kind === KIND_REVOCATION) shared.counts.revocations += by;
    else this.mirrors.count(slot, by);
    this.#words += by * table.wordsOf(slot);
  }

  #countRecord(slot: number, kind: number, by: 1 | -1): void {
    const { table, shared } = this;
    // Read first: of a form that is malformed, nothing is counted.
    const { state, regionOffset: start, regionLength } = this.recordView(slot);
    this.counts[kind]! += by;
    shared.counts.records[kind]! += by;
    if (shared.kinds.hasLease(kind)) this.leaseCount += by;
    if (isStaleState(state)) countStale(this, by);
    if (by === 1) {
      table.setRegion(slot, start, start + regionLength);
    }
    shared.regions.add(kind, table.regionOf(slot), by);
  }
}
