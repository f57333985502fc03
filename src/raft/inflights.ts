/**
 * The appends in flight to one follower: a sliding window bounded by count and by bytes.
 *
 * Each append is recorded by the index of its last entry; an acknowledgement frees all appends up
 * to it. The window accepts one message that exceeds the byte limit, so an entry larger than the
 * limit passes.
 */
import { assert } from "../base/assert.ts";

/** The limits of one window. */
export interface InflightLimits {
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
}

/** The window of one follower. Its arrays grow with use; a sleeping group holds none. */
export class Inflights {
  readonly #limits: InflightLimits;
  #lastIndexes: number[] | undefined;
  #byteCounts: number[] = [];
  /** Count of freed elements at the front of the arrays. */
  #head = 0;
  #bytes = 0;

  constructor(limits: InflightLimits) {
    this.#limits = limits;
  }

  /** Count of messages in the window. */
  get count(): number {
    return this.#lastIndexes === undefined ? 0 : this.#lastIndexes.length - this.#head;
  }

  /** Whether the window is full, so nothing more may be sent. */
  get isFull(): boolean {
    return this.count >= this.#limits.inflightMessagesMax ||
      this.#bytes >= this.#limits.inflightBytesMax;
  }

  /** Adds a message whose last entry is at `lastIndex`; indexes must ascend. */
  add(lastIndex: number, bytes: number): void {
    assert(!this.isFull, "Cannot add a message to a full window");
    (this.#lastIndexes ??= []).push(lastIndex);
    this.#byteCounts.push(bytes);
    this.#bytes += bytes;
  }

  /** Frees all messages that end at or before `index`. */
  freeTo(index: number): void {
    const indexes = this.#lastIndexes;
    if (indexes === undefined) return;
    while (this.#head < indexes.length && indexes[this.#head]! <= index) {
      this.#bytes -= this.#byteCounts[this.#head]!;
      this.#head++;
    }
    if (this.#head === indexes.length) this.clear();
    else if (this.#head >= 64 && this.#head * 2 >= indexes.length) this.#dropFreed(indexes);
  }

  /** Empties the window. */
  clear(): void {
    this.#lastIndexes = undefined;
    if (this.#byteCounts.length > 0) this.#byteCounts = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  #dropFreed(indexes: number[]): void {
    this.#lastIndexes = indexes.slice(this.#head);
    this.#byteCounts = this.#byteCounts.slice(this.#head);
    this.#head = 0;
  }
}
