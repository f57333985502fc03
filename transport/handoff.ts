/**
 * Passes items from a producer to one waiting consumer: the queue behind every `accept`. The queue
 * is bounded. If it is full or closed it refuses items, and the producer drops them.
 */
import { assert } from "../src/base/assert.ts";
import { BoundedQueue } from "../src/base/bounded_queue.ts";

/** A bounded queue with one waiting consumer. */
export class Handoff<T> {
  readonly #capacity: number;
  #items: BoundedQueue<T> | undefined;
  #waiting: ((item: T | undefined) => void) | undefined;
  #closed = false;

  /** @param capacity maximum number of items that may wait. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Passes `item` to the waiting consumer or queues it; returns false if full or closed. */
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

  /** Returns the next item; `undefined` once closed and empty. One take may wait at a time. */
  take(): Promise<T | undefined> {
    assert(this.#waiting === undefined, "One accept may wait at a time");
    const item = this.#items?.shift();
    if (item !== undefined) return Promise.resolve(item);
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Whether a consumer waits. */
  get isAwaited(): boolean {
    return this.#waiting !== undefined;
  }

  /** Refuses further items, ends a waiting take, and returns the items not taken. */
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
