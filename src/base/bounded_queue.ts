/** A bounded first-in, first-out queue. A full queue refuses items instead of growing. */

/** A ring buffer of at most `capacity` items. */
export class BoundedQueue<T> {
  readonly capacity: number;
  #items: (T | undefined)[];
  #head = 0;
  #count = 0;

  /** @param capacity the maximum number of items, at least 1. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(
        `Queue capacity must be a positive integer: current value is ${capacity}`,
      );
    }
    this.capacity = capacity;
    this.#items = new Array<T | undefined>(Math.min(capacity, 16));
  }

  /** Number of queued items. */
  get count(): number {
    return this.#count;
  }

  /** The oldest item; `undefined` when the queue is empty. */
  get first(): T | undefined {
    return this.#count === 0 ? undefined : this.#items[this.#head];
  }

  /** Appends `item`. Returns false, and adds nothing, when the queue is full. */
  push(item: T): boolean {
    if (this.#count === this.capacity) return false;
    if (this.#count === this.#items.length) this.#grow();
    this.#items[(this.#head + this.#count) % this.#items.length] = item;
    this.#count++;
    return true;
  }

  /** Removes and returns the oldest item, or returns `undefined` when the queue is empty. */
  shift(): T | undefined {
    if (this.#count === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.#items.length;
    this.#count--;
    return item;
  }

  /** Iterates over the items, oldest first. The queue must not change during the iteration. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.#count; index++) {
      yield this.#items[(this.#head + index) % this.#items.length] as T;
    }
  }

  #grow(): void {
    const grown = new Array<T | undefined>(Math.min(this.capacity, this.#items.length * 2));
    for (let index = 0; index < this.#count; index++) {
      grown[index] = this.#items[(this.#head + index) % this.#items.length];
    }
    this.#items = grown;
    this.#head = 0;
  }
}
