/**
 * Hands items from a producer to one consumer that waits: the queue behind every `accept`. It is
 * bounded, and a full or closed one refuses, so that the producer drops what nobody takes.
 */
import { assert } from "../src/base/assert.ts";
import { BoundedQueue } from "../src/base/bounded_queue.ts";

/** A bounded queue with one waiting consumer. */
export class Handoff<T> {
  readonly #capacity: number;
  #items: BoundedQueue<T> | undefined;
  #waiting: ((item: T | undefined) => void) | undefined;
  #closed = false;

  /** @param capacity items that may wait while nobody takes. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Gives `item` to whoever waits, or keeps it; false when full or closed. */
  push(item: T): boolean {
    if (this.#closed) return false;
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting(item);
      return true;
    }
    this.#items ??= new BoundedQueue(this.#capacity);
    return this.#items.push(item);
  }

  /** The next item; `undefined` once closed and empty. One take may wait at a time. */
  take(): Promise<T | undefined> {
    assert(this.#waiting === undefined, "One accept may wait at a time");
    const item = this.#items?.shift();
    if (item !== undefined) return Promise.resolve(item);
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Refuses from now on, ends a waiting take, and gives back what nobody took. */
  close(): T[] {
    this.#closed = true;
    this.#waiting?.(undefined);
    this.#waiting = undefined;
    const left: T[] = [];
    for (let item = this.#items?.shift(); item !== undefined; item = this.#items?.shift()) {
      left.push(item);
    }
    return left;
  }
}
