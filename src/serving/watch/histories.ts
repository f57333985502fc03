/**
 * The histories of a node's partitions: the latest changes with their positions, as applied by its
 * replicas. A history holds every change behind its floor; older ones are given up when the
 * partition's or the node's bytes are used up, and none is known from before an image.
 *
 * The changes are those that watches deliver, regardless of who watches: extensions of covers are
 * none, and a removed agent's claim ends with it. So the ordinals are the same on every replica.
 *
 * The history of a partition that left the node stays until others take its place: its store may come
 * back as it was, if the node only learns late that it holds it.
 *
 * Every applied change passes here, watched or not, so the state of all partitions stands in arrays.
 */
import { WATCH_HISTORY_NODE_BYTES, WATCH_HISTORY_PARTITION_BYTES } from "../../base/limits.ts";
import type { EventSink, StoreEvent } from "../../store/event.ts";
import { ORDINAL_END } from "../../wire/watch_message.ts";
import {
  changeBytes,
  type HistoryChange,
  isAtOrBefore,
  positionOfChange,
  readChange,
  sizeOfChange,
  typeOfEvent,
  writeChange,
} from "./history_change.ts";
import { HistoryChunks, NO_CHUNK } from "./history_chunks.ts";

/** Receives the events of the histories that watches act on at once. Its methods must apply nothing. */
export interface HistoryWatcher {
  /** A change was appended. */
  changed(partition: number): void;
  /** The state of a partition begins anew: watches must not continue theirs. */
  begun(partition: number): void;
}

/** Partitions for which the arrays are made first. */
const PARTITIONS_MIN = 64;

/** The histories of all partitions of a node. */
export class Histories implements EventSink {
  /** Told of every change, once there are watches. */
  watcher: HistoryWatcher | undefined;
  readonly #chunks: HistoryChunks;
  // By partition.
  /** The chunks that are full, the oldest first. */
  readonly #full: (number[] | undefined)[] = [];
  /** Bytes of all its chunks. */
  #bytes = new Int32Array(0);
  /** The chunk that is written. */
  #chunk = new Int32Array(0);
  #generation = new Int32Array(0);
  /** The position behind which all changes are held. */
  #floorIndex = new Float64Array(0);
  #floorOrdinal = new Float64Array(0);
  /** The position of the last change. */
  #lastIndex = new Float64Array(0);
  #lastOrdinal = new Float64Array(0);
  /** Index of the last event if it ended an agent: a claim that it drops next is no change itself. */
  #endIndex = new Float64Array(0);

  /** @param bytesMax bound of the memory of all histories. */
  constructor(bytesMax: number = WATCH_HISTORY_NODE_BYTES) {
    this.#chunks = new HistoryChunks(bytesMax, (partition) => this.#dropOldest(partition));
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#chunks.bytes;
  }

  /** Returns the generation of a partition's last change; 0 if it had none. */
  generationOf(partition: number): number {
    return this.#generation[partition] ?? 0;
  }

  /** Returns the index of a partition's last change; 0 if it had none. */
  lastIndexOf(partition: number): number {
    return this.#lastIndex[partition] ?? 0;
  }

  /** Reports whether all changes of a partition behind a position are held. */
  covers(partition: number, index: number, ordinal: number): boolean {
    const floorIndex = this.#floorIndex[partition];
    return floorIndex === undefined || index > floorIndex ||
      index === floorIndex && ordinal >= this.#floorOrdinal[partition]!;
  }

  onEvent(event: StoreEvent): void {
    const { partition, type, index } = event;
    if (partition >= this.#chunk.length) this.#grow(partition + 1);
    const number = typeOfEvent(event);
    const isOfEnd = type === "claim_dropped" && this.#endIndex[partition] === index;
    this.#endIndex[partition] = type === "removed" || type === "expired" ? index : 0;
    if (number === 0 || isOfEnd) return;
    const isSame = this.#lastIndex[partition] === index;
    const ordinal = isSame ? this.#lastOrdinal[partition]! + 1 : 1;
    const size = changeBytes(event);
    const chunk = this.#chunkFor(partition, size);
    this.#lastIndex[partition] = index;
    this.#lastOrdinal[partition] = ordinal;
    this.#generation[partition] = event.generation;
    const chunks = this.#chunks;
    const at = chunks.startOf(chunk) + chunks.take(chunk, size);
    writeChange(chunks.memoryOf(chunk), at, event, number, ordinal);
    this.watcher?.changed(partition);
  }

  onBegin(partition: number, index: number): void {
    this.#drop(partition);
    if (index > 0) {
      if (partition >= this.#chunk.length) this.#grow(partition + 1);
      this.#floorIndex[partition] = this.#lastIndex[partition] = index;
      this.#floorOrdinal[partition] = ORDINAL_END;
    }
    this.watcher?.begun(partition);
  }

  /** Gives up the history of a partition whose state begins anew. */
  #drop(partition: number): void {
    if (partition >= this.#chunk.length) return;
    while (this.#chunk[partition] !== NO_CHUNK) this.#dropOldest(partition);
    this.#floorIndex[partition] = this.#floorOrdinal[partition] = 0;
    this.#lastIndex[partition] = this.#lastOrdinal[partition] = this.#endIndex[partition] = 0;
    this.#generation[partition] = 0;
  }

  /**
   * Reads the changes of a partition behind a position, which must be covered, in order, until
   * `visit` returns false. The change and its forms are valid during the call of `visit` only, the
   * bytes of the forms until the next entry is applied.
   */
  read(
    partition: number,
    index: number,
    ordinal: number,
    change: HistoryChange,
    visit: (change: HistoryChange) => boolean,
  ): void {
    const current = this.#chunk[partition] ?? NO_CHUNK;
    if (current === NO_CHUNK) return;
    const chunks = this.#chunks;
    const full = this.#full[partition] ?? [];
    let which = this.#chunkBefore(full, current, index, ordinal);
    for (; which <= full.length; which++) {
      const chunk = full[which] ?? current;
      const memory = chunks.memoryOf(chunk);
      let at = chunks.startOf(chunk);
      for (const end = at + chunks.lengthOf(chunk); at < end; at += sizeOfChange(memory, at)) {
        if (isAtOrBefore(memory, at, index, ordinal)) continue;
        if (!visit(readChange(memory, at, change))) return;
      }
    }
  }

  /**
   * Returns the place, among the full chunks and the current one behind them, of the last chunk that
   * begins at or before a position, or of the first.
   */
  #chunkBefore(full: readonly number[], current: number, index: number, ordinal: number): number {
    const chunks = this.#chunks;
    let low = 0;
    let high = full.length + 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      const chunk = full[middle] ?? current;
      const isBefore = isAtOrBefore(chunks.memoryOf(chunk), chunks.startOf(chunk), index, ordinal);
      if (isBefore) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Returns the chunk with room for a change, which becomes the current one. */
  #chunkFor(partition: number, size: number): number {
    const chunks = this.#chunks;
    const current = this.#chunk[partition]!;
    const hasRoom = current !== NO_CHUNK &&
      chunks.lengthOf(current) + size <= chunks.sizeOf(current);
    if (hasRoom) return current;
    while (this.#bytes[partition]! + size > WATCH_HISTORY_PARTITION_BYTES) {
      this.#dropOldest(partition);
    }
    const chunk = chunks.allocate(partition, size);
    // Those of this partition may have been given up for it.
    const full = this.#full[partition] ??= [];
    if (this.#chunk[partition] !== NO_CHUNK) full.push(this.#chunk[partition]!);
    this.#chunk[partition] = chunk;
    this.#bytes[partition]! += chunks.sizeOf(chunk);
    return chunk;
  }

  /** Gives up the oldest chunk of a partition: its last change is the floor then. */
  #dropOldest(partition: number): void {
    const chunks = this.#chunks;
    const chunk = this.#full[partition]?.shift() ?? this.#chunk[partition]!;
    if (chunk === this.#chunk[partition]) {
      this.#chunk[partition] = NO_CHUNK;
      this.#floorIndex[partition] = this.#lastIndex[partition]!;
      this.#floorOrdinal[partition] = this.#lastOrdinal[partition]!;
    } else this.#raiseFloor(partition, chunk);
    this.#bytes[partition]! -= chunks.sizeOf(chunk);
    chunks.release(chunk);
  }

  #raiseFloor(partition: number, chunk: number): void {
    const memory = this.#chunks.memoryOf(chunk);
    let at = this.#chunks.startOf(chunk);
    const end = at + this.#chunks.lengthOf(chunk);
    for (let size = sizeOfChange(memory, at); at + size < end; size = sizeOfChange(memory, at)) {
      at += size;
    }
    const { index, ordinal } = positionOfChange(memory, at);
    this.#floorIndex[partition] = index;
    this.#floorOrdinal[partition] = ordinal;
  }

  #grow(count: number): void {
    let length = Math.max(PARTITIONS_MIN, this.#chunk.length);
    while (length < count) length *= 2;
    const before = this.#chunk.length;
    this.#bytes = grownInts(this.#bytes, length);
    this.#chunk = grownInts(this.#chunk, length);
    this.#chunk.fill(NO_CHUNK, before);
    this.#generation = grownInts(this.#generation, length);
    this.#floorIndex = grownFloats(this.#floorIndex, length);
    this.#floorOrdinal = grownFloats(this.#floorOrdinal, length);
    this.#lastIndex = grownFloats(this.#lastIndex, length);
    this.#lastOrdinal = grownFloats(this.#lastOrdinal, length);
    this.#endIndex = grownFloats(this.#endIndex, length);
  }
}

function grownInts(numbers: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length);
  larger.set(numbers);
  return larger;
}

function grownFloats(numbers: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(length);
  larger.set(numbers);
  return larger;
}
