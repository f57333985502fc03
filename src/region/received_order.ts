/**
 * The order in which events of a feed were received, and up to where all of them were applied. Changes
 * are applied in any order, as they go to many partitions; what says "everything before this was handed
 * out" (a cursor, a proof of freshness) holds here once everything before it was applied.
 */
import { assert } from "../base/assert.ts";

/** A received event. */
export interface Received {
  /** Number of the event, from 1. */
  readonly seq: number;
}

interface Entry extends Received {
  /** The parts of it that are not applied. */
  left: number;
  readonly reached: (() => void) | undefined;
}

/** Removed entries after which the queue is shortened. */
const SHORTEN_MIN = 4_096;

/** The events of one puller. */
export class ReceivedOrder {
  #queue: Entry[] = [];
  #head = 0;
  #last = 0;

  /** Number of the last event. */
  get last(): number {
    return this.#last;
  }

  /** The number of events of which some part, or some part of one before, is not applied. */
  get waiting(): number {
    return this.#queue.length - this.#head;
  }

  /**
   * Adds the next event.
   *
   * @param parts the number of calls of {@link applied} that it takes.
   * @param reached called once it and everything before it was applied.
   */
  add(parts: number, reached?: () => void): Received {
    const entry: Entry = { seq: ++this.#last, left: parts, reached };
    this.#queue.push(entry);
    return entry;
  }

  /** Calls the functions that are due; after {@link add} without parts. */
  settle(): void {
    for (let first = this.#queue[this.#head]; first?.left === 0;) {
      this.#head++;
      first.reached?.();
      first = this.#queue[this.#head];
    }
    if (this.#head < SHORTEN_MIN || this.#head * 2 < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  /** Records that a part of an event was applied. */
  applied(received: Received): void {
    const entry = received as Entry;
    assert(entry.left > 0, "A part of an event is applied once");
    if (--entry.left === 0 && entry === this.#queue[this.#head]) this.settle();
  }
}
