/**
 * Selection of the best few of many items without sorting all: a binary heap of at most `limit`
 * items with the worst at the top, which a better item replaces.
 */

/** A collector of the `limit` items that come first in the order. */
export class BoundedBest<T> {
  readonly #limit: number;
  readonly #compare: (left: T, right: T) => number;
  readonly #heap: T[] = [];

  /**
   * @param limit at least 0.
   * @param compare negative when `left` comes before `right`; a total order.
   */
  constructor(limit: number, compare: (left: T, right: T) => number) {
    this.#limit = limit;
    this.#compare = compare;
  }

  /** The item that the next better one replaces; `undefined` while fewer than `limit` are kept. */
  get worst(): T | undefined {
    return this.#heap.length < this.#limit ? undefined : this.#heap[0];
  }

  /** Offers an item. */
  add(item: T): void {
    const heap = this.#heap;
    if (heap.length < this.#limit) {
      heap.push(item);
      this.#up(heap.length - 1);
    } else if (heap.length > 0 && this.#compare(item, heap[0]!) < 0) {
      heap[0] = item;
      this.#down();
    }
  }

  /** Returns the kept items in order. */
  sorted(): T[] {
    return [...this.#heap].sort(this.#compare);
  }

  #up(from: number): void {
    const heap = this.#heap;
    const item = heap[from]!;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#compare(item, heap[parent]!) <= 0) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = item;
  }

  #down(): void {
    const heap = this.#heap;
    const item = heap[0]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#compare(heap[child + 1]!, heap[child]!) > 0) child++;
      if (this.#compare(heap[child]!, item) <= 0) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = item;
  }
}
