/**
 * Pages of 32-bit numbers, shared by the partitions of a node.
 *
 * The tables of partitions grow in step, because keys are spread evenly. If each were an array that
 * is replaced by a larger one, the freed arrays would be too small for all others, and the holes
 * would cost as much memory as the tables. Pages of one size leave no holes.
 */

const PAGES_PER_CHUNK = 2_048;
const CHUNK_SHIFT = 11;
const PAGE_MASK = PAGES_PER_CHUNK - 1;

/** A pool of pages of one size. */
export class PagePool {
  readonly pageNumbers: number;
  readonly #chunks: Uint32Array[] = [];
  readonly #free: number[] = [];
  #pageCount = 0;

  /** @param pageNumbers numbers per page. */
  constructor(pageNumbers: number) {
    this.pageNumbers = pageNumbers;
  }

  /** Allocates a page whose numbers are all zero. */
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

  /** Frees a page. */
  release(page: number): void {
    this.#free.push(page);
  }

  /** Returns the array that holds the page, at {@link offsetOf}. */
  chunkOf(page: number): Uint32Array {
    return this.#chunks[page >>> CHUNK_SHIFT]!;
  }

  offsetOf(page: number): number {
    return (page & PAGE_MASK) * this.pageNumbers;
  }
}
