/**
 * The history of one partition: its latest changes with their positions, as applied by this
 * replica. It holds every change behind its floor; older ones are given up when the partition's or
 * the node's bytes are used up, and none is known from before an image.
 *
 * The changes are those that watches deliver, regardless of who watches: extensions of covers are
 * none, and a removed agent's claim ends with it. So the ordinals are the same on every replica.
 *
 * Form of a change in a chunk, little-endian: bytes in all u32, type u8, kind u8, unused u16, index
 * f64, ordinal u32, bytes of the form u32, bytes of the form before u32, unused u32, the forms.
 */
import { WATCH_HISTORY_PARTITION_BYTES } from "../../base/limits.ts";
import { UUID_BYTES } from "../../base/uuid.ts";
import type { EventType, StoreEvent } from "../../store/event.ts";
import { emptySpan, type StoredSpan } from "../../store/reply.ts";
import { WATCH_EVENT_TYPES } from "../../../schemas/gen/wire.ts";
import { ORDINAL_END } from "../../wire/watch_message.ts";
import type { ChunkOwner, HistoryChunk, HistoryChunks } from "./history_chunks.ts";

const HEADER_BYTES = 32;
const TYPE_AT = 4;
const KIND_AT = 5;
const INDEX_AT = 8;
const ORDINAL_AT = 16;
const FORM_BYTES_AT = 20;
const BEFORE_BYTES_AT = 24;
/** Offset of the id in a stored form, behind the root pointer. */
const ID_AT = 8;

/** A change as it is read; one object is reused for all. */
export interface HistoryChange {
  /** One of `WATCH_EVENT_TYPES`. */
  type: number;
  kind: number;
  index: number;
  ordinal: number;
  /** The form after the change, or of types without one the form before. */
  readonly record: StoredSpan;
  /** The form before; empty if there was none. */
  readonly before: StoredSpan;
}

/** Returns a change to read into. */
export function newHistoryChange(): HistoryChange {
  const { put: type } = WATCH_EVENT_TYPES;
  return { type, kind: 0, index: 0, ordinal: 0, record: emptySpan(), before: emptySpan() };
}

/** The history of one partition. */
export class PartitionHistory implements ChunkOwner {
  readonly #pool: HistoryChunks;
  readonly #chunks: HistoryChunk[] = [];
  #bytes = 0;
  /** The position behind which all changes are held. */
  #floorIndex: number;
  #floorOrdinal = ORDINAL_END;
  #lastIndex: number;
  #lastOrdinal = 0;
  /** Index of the last event if it ended an agent: a claim that it drops next is no change itself. */
  #endIndex = 0;
  #generation = 1;

  /** @param index of the state with which the history begins. */
  constructor(pool: HistoryChunks, index: number) {
    this.#pool = pool;
    this.#floorIndex = this.#lastIndex = index;
  }

  /** The generation of the last change. */
  get generation(): number {
    return this.#generation;
  }

  /** Index of the last change, or of the beginning. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  /** Reports whether all changes behind the position are held. */
  covers(index: number, ordinal: number): boolean {
    return index > this.#floorIndex ||
      index === this.#floorIndex && ordinal >= this.#floorOrdinal;
  }

  /** Appends an event, unless watches do not deliver it; returns whether they do. */
  append(event: StoreEvent): boolean {
    const type = typeOf(event);
    const { stored, before, index } = event;
    const isOfEnd = event.type === "claim_dropped" && this.#endIndex === index;
    this.#endIndex = event.type === "removed" || event.type === "expired" ? index : 0;
    if (type === 0 || isOfEnd) return false;
    const formBytes = stored.end - stored.start;
    const beforeBytes = before === undefined ? 0 : before.end - before.start;
    const size = HEADER_BYTES + formBytes + beforeBytes;
    const chunk = this.#chunkFor(size);
    const { view, bytes, length: at } = chunk;
    this.#lastOrdinal = index === this.#lastIndex ? this.#lastOrdinal + 1 : 1;
    this.#lastIndex = index;
    this.#generation = event.generation;
    view.setUint32(at, size, true);
    view.setUint8(at + TYPE_AT, type);
    view.setUint8(at + KIND_AT, event.kind);
    view.setFloat64(at + INDEX_AT, index, true);
    view.setUint32(at + ORDINAL_AT, this.#lastOrdinal, true);
    view.setUint32(at + FORM_BYTES_AT, formBytes, true);
    view.setUint32(at + BEFORE_BYTES_AT, beforeBytes, true);
    bytes.set(stored.bytes.subarray(stored.start, stored.end), at + HEADER_BYTES);
    if (before !== undefined) {
      bytes.set(before.bytes.subarray(before.start, before.end), at + HEADER_BYTES + formBytes);
    }
    chunk.length = at + size;
    return true;
  }

  /**
   * Reads the changes behind a position, which must be covered, in order, until `visit` returns
   * false. The change and its forms are valid during the call of `visit` only, the bytes of the
   * forms until the next entry is applied.
   */
  read(
    index: number,
    ordinal: number,
    change: HistoryChange,
    visit: (change: HistoryChange) => boolean,
  ): void {
    for (let which = this.#chunkOf(index, ordinal); which < this.#chunks.length; which++) {
      const chunk = this.#chunks[which]!;
      const { view, length } = chunk;
      for (let at = 0; at < length; at += view.getUint32(at, true)) {
        const found = view.getFloat64(at + INDEX_AT, true);
        if (found < index) continue;
        if (found === index && view.getUint32(at + ORDINAL_AT, true) <= ordinal) continue;
        if (!visit(readChange(chunk, at, change))) return;
      }
    }
  }

  /** Gives up everything, as the partition leaves this node or its state begins anew. */
  clear(): void {
    while (this.#chunks.length > 0) this.dropOldest();
  }

  /** Implements {@link ChunkOwner.dropOldest}. */
  dropOldest(): void {
    const chunk = this.#chunks.shift()!;
    const last = lastChangeAt(chunk);
    this.#floorIndex = chunk.view.getFloat64(last + INDEX_AT, true);
    this.#floorOrdinal = chunk.view.getUint32(last + ORDINAL_AT, true);
    this.#bytes -= chunk.bytes.length;
    this.#pool.release(chunk);
  }

  #chunkFor(size: number): HistoryChunk {
    const chunk = this.#chunks.at(-1);
    if (chunk !== undefined && chunk.length + size <= chunk.bytes.length) return chunk;
    while (this.#bytes + size > WATCH_HISTORY_PARTITION_BYTES && this.#chunks.length > 0) {
      this.dropOldest();
    }
    const added = this.#pool.allocate(this, size);
    this.#chunks.push(added);
    this.#bytes += added.bytes.length;
    return added;
  }

  /** Returns the number of the last chunk that begins at or before the position, or the first. */
  #chunkOf(index: number, ordinal: number): number {
    let low = 0;
    let high = this.#chunks.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      const { view } = this.#chunks[middle]!;
      const first = view.getFloat64(INDEX_AT, true);
      const isAtOrBefore = first < index ||
        first === index && view.getUint32(ORDINAL_AT, true) <= ordinal;
      if (isAtOrBefore) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** Types of changes, by type of event; 0: not delivered. */
const TYPES: Readonly<Record<EventType, number>> = {
  registered: WATCH_EVENT_TYPES.put,
  updated: WATCH_EVENT_TYPES.put,
  taken_over: WATCH_EVENT_TYPES.superseded,
  extended: 0,
  removed: WATCH_EVENT_TYPES.deregistered,
  expired: WATCH_EVENT_TYPES.expired,
  claim_dropped: WATCH_EVENT_TYPES.domainLost,
  claimed: WATCH_EVENT_TYPES.put,
  confirmed: WATCH_EVENT_TYPES.put,
  released: WATCH_EVENT_TYPES.domainLost,
  mirrored: 0,
  mirror_removed: 0,
};

/** Returns the type of a change. A claim that replaces another agent's takes the domain over. */
function typeOf({ type, stored, before }: StoreEvent): number {
  if (type !== "claimed" || before === undefined) return TYPES[type];
  const isSame = isSameId(stored.bytes, stored.start, before.bytes, before.start);
  return isSame ? WATCH_EVENT_TYPES.put : WATCH_EVENT_TYPES.superseded;
}

/** Reports whether two stored forms have the same id: of an alias, that of its agent. */
function isSameId(left: Uint8Array, leftAt: number, right: Uint8Array, rightAt: number): boolean {
  for (let at = ID_AT; at < ID_AT + UUID_BYTES; at++) {
    if (left[leftAt + at] !== right[rightAt + at]) return false;
  }
  return true;
}

function lastChangeAt({ view, length }: HistoryChunk): number {
  let at = 0;
  for (;;) {
    const next = at + view.getUint32(at, true);
    if (next >= length) return at;
    at = next;
  }
}

function readChange(
  { bytes, view }: HistoryChunk,
  at: number,
  change: HistoryChange,
): HistoryChange {
  const { record, before } = change;
  change.type = view.getUint8(at + TYPE_AT);
  change.kind = view.getUint8(at + KIND_AT);
  change.index = view.getFloat64(at + INDEX_AT, true);
  change.ordinal = view.getUint32(at + ORDINAL_AT, true);
  record.bytes = before.bytes = bytes;
  record.view = before.view = view;
  record.start = at + HEADER_BYTES;
  record.end = before.start = record.start + view.getUint32(at + FORM_BYTES_AT, true);
  before.end = before.start + view.getUint32(at + BEFORE_BYTES_AT, true);
  return change;
}
