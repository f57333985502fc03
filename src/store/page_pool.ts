/**
 * Pages of 32-bit numbers, shared by the partitions of a node.
 *
 * Tables of partitions grow in step, since keys spread evenly. Were each an array that is replaced by
 * a larger one, the freed arrays would be too small for all others, and the holes they leave would
 * cost as much memory as the tables. Pages of one size leave no holes.
 */

const PAGES_PER_CHUNK = 2_048;
const CHUNK_SHIFT = 11;
const PAGE_MASK = PAGES_PER_CHUNK - 1;

/** Pages of one size. */
export class PagePool {
  readonly pageNumbers: number;
  readonly #chunks: Uint32Array[] = [];
  readonly #free: number[] = [];
  #pageCount = 0;

  /** @param pageNumbers how many numbers a page holds. */
  constructor(pageNumbers: number) {
    this.pageNumbers = pageNumbers;
  }

  /** A page whose numbers are all zero. */
  allocate(): number {
    const freed = this.#free.pop();
    if (freed !== undefined) {
      const start = this.offsetOf(freed);
      this.chunkOf(freed).fill(0, start, start + this.pageNumbers);
      return freed;
    }
    if (this.#pageCount === this.#chunks.length * PAGES_PER_CHUNK) {
      this.#chunks.push(new Uint32Array(PAGES_PER_CHUNK * this.pageNumbers));
    }
    return this.#pageCount++;
  }

  /** Gives a page back. */
  release(page: number): void {
    this.#free.push(page);
  }

  /** The array that holds the page, which begins there at {@link offsetOf}. */
  chunkOf(page: number): Uint32Array {
    return this.#chunks[page >>> CHUNK_SHIFT]!;
  }

  offsetOf(page: number): number {
    return (page & PAGE_MASK) * this.pageNumbers;
  }
}
