/** A first-in, first-out queue with a limit: a full one refuses, it does not grow. */

/** A ring of at most `capacity` items. */
export class BoundedQueue<T> {
  readonly capacity: number;
  #items: (T | undefined)[];
  #head = 0;
  #count = 0;

  /** @param capacity the most items it holds, at least 1. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(
        `Queue capacity must be a positive integer: current value is ${capacity}`,
      );
    }
    this.capacity = capacity;
    this.#items = new Array<T | undefined>(Math.min(capacity, 16));
  }

  /** How many items wait. */
  get count(): number {
    return this.#count;
  }

  /** Adds `item` at the end; false, and nothing added, when it is full. */
  push(item: T): boolean {
    if (this.#count === this.capacity) return false;
    if (this.#count === this.#items.length) this.#grow();
    this.#items[(this.#head + this.#count) % this.#items.length] = item;
    this.#count++;
    return true;
  }

  /** Takes the oldest item, or `undefined` when none waits. */
  shift(): T | undefined {
    if (this.#count === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.#items.length;
    this.#count--;
    return item;
  }

  /** The items, oldest first; the queue must not change meanwhile. */
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
