/**
 * Priority queue of items by deadline: a binary heap that tracks the place of each item, so that a
 * deadline can be changed. Items are numbers `[0, count)`, each in the queue at most once. Setting
 * and taking cost O(log n), reading the earliest O(1); nothing is allocated after the constructor.
 */

const ABSENT = -1;

/** Queue of items ordered by deadline. */
export class DeadlineQueue {
  readonly #deadlines: Float64Array;
  /** Items in heap order; the parent of place `p` is at `(p - 1) >> 1`. */
  readonly #heap: Int32Array;
  /** Place in the heap, by item. */
  readonly #places: Int32Array;
  #size = 0;

  /** @param count number of items. */
  constructor(count: number) {
    this.#deadlines = new Float64Array(count);
    this.#heap = new Int32Array(count);
    this.#places = new Int32Array(count).fill(ABSENT);
  }

  /** The earliest deadline; Infinity if the queue is empty. */
  get nextMs(): number {
    return this.#size === 0 ? Infinity : this.#deadlines[this.#heap[0]!]!;
  }

  /** Adds an item, or changes its deadline. The deadline Infinity removes the item. */
  set(item: number, deadlineMs: number): void {
    if (deadlineMs === Infinity) return this.#remove(item);
    let place = this.#places[item]!;
    if (place === ABSENT) place = this.#size++;
    this.#deadlines[item] = deadlineMs;
    this.#place(item, place);
    this.#settle(place);
  }

  /** Removes and returns the earliest item due at or before `nowMs`; undefined if there is none. */
  takeDue(nowMs: number): number | undefined {
    if (this.nextMs > nowMs) return undefined;
    const item = this.#heap[0]!;
    this.#remove(item);
    return item;
  }

  #remove(item: number): void {
    const place = this.#places[item]!;
    if (place === ABSENT) return;
    this.#places[item] = ABSENT;
    const last = this.#heap[--this.#size]!;
    if (place === this.#size) return;
    this.#place(last, place);
    this.#settle(place);
  }

  /** Restores the heap order after the deadline at place `from` changed. */
  #settle(from: number): void {
    const heap = this.#heap;
    const item = heap[from]!;
    const deadlineMs = this.#deadlines[item]!;
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#deadlines[heap[parent]!]! <= deadlineMs) break;
      this.#place(heap[parent]!, place);
      place = parent;
    }
    for (let child = this.#earlierChild(place); child < this.#size;) {
      if (this.#deadlines[heap[child]!]! >= deadlineMs) break;
      this.#place(heap[child]!, place);
      place = child;
      child = this.#earlierChild(place);
    }
    this.#place(item, place);
  }

  /** Returns the place of the child with the earlier deadline; a place >= the size means none. */
  #earlierChild(place: number): number {
    const left = 2 * place + 1;
    const right = left + 1;
    if (right >= this.#size) return left;
    const [leftItem, rightItem] = [this.#heap[left]!, this.#heap[right]!];
    return this.#deadlines[rightItem]! < this.#deadlines[leftItem]! ? right : left;
  }

  #place(item: number, place: number): void {
    this.#heap[place] = item;
    this.#places[item] = place;
  }
}
