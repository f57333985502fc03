/**
 * A file of the memory disk: its content in the page cache and its durable content, page by page.
 *
 * Pages are immutable: a write puts new ones, a sync makes the same ones durable. A sync therefore
 * costs only the dirty pages, and a page of zeros costs nothing. Of a dirty page the disk may hold
 * any state that it went through since it was durable, in pieces as small as a sector.
 */
import { isZero } from "../base/bytes.ts";
import type { Entropy } from "../base/world.ts";

/** Page size of the page cache. */
export const PAGE_BYTES = 4_096;

/** The shared page of written zeros; a page that was never written is `undefined`. */
const ZEROS = new Uint8Array(PAGE_BYTES);
/** Earlier states kept of a dirty page. */
const VERSIONS_MAX = 4;

/** Content of a page; `undefined` was never written, takes no space and reads as zeros. */
type Page = Uint8Array | undefined;

/** The state that a sync makes durable: the file as it was when the sync was submitted. */
export interface FileCapture {
  /** Grows with each capture of a file. */
  readonly ordinal: number;
  readonly size: number;
  /** Number of sizes that the file had before. */
  readonly sizeCount: number;
  readonly pages: ReadonlyMap<number, Page>;
}

/** A file of the memory disk. */
export class MemoryFile {
  #size = 0;
  /** Sizes since the file was durable, oldest first, and the number of sizes before those. */
  #sizes: number[] = [];
  #sizesBefore = 0;
  #cached: Page[] = [];
  #durableSize = 0;
  #durable: Page[] = [];
  /** Earlier states of each dirty page since it was durable, without the current one. */
  readonly #dirty = new Map<number, Page[]>();
  #captures = 0;
  /** The newest capture that was made durable. */
  #durableOrdinal = 0;

  /** Returns a file with durable content. */
  static of(bytes: Uint8Array): MemoryFile {
    const file = new MemoryFile();
    file.write(0, bytes);
    file.makeDurable(file.capture());
    return file;
  }

  get size(): number {
    return this.#size;
  }

  /** Copies bytes from `position` on into `target` and returns their number. */
  read(position: number, target: Uint8Array): number {
    const end = Math.min(position + target.length, this.#size);
    for (let at = position; at < end;) {
      const offset = at % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - offset, end - at);
      const page = this.#cached[(at - offset) / PAGE_BYTES];
      const to = at - position;
      if (page === undefined) target.fill(0, to, to + count);
      else target.set(page.subarray(offset, offset + count), to);
      at += count;
    }
    return Math.max(0, end - position);
  }

  /** Returns the number of pages that a write would have to allocate. */
  pagesWanted(position: number, byteCount: number): number {
    let wanted = 0;
    const end = pagesOf(position + byteCount);
    for (let page = Math.floor(position / PAGE_BYTES); page < end; page++) {
      if (this.#cached[page] === undefined) wanted++;
    }
    return wanted;
  }

  /** Number of allocated pages. */
  get pageCount(): number {
    let count = 0;
    for (const page of this.#cached) if (page !== undefined) count++;
    return count;
  }

  write(position: number, data: Uint8Array): void {
    const end = position + data.length;
    this.#growTo(end);
    let copy: Uint8Array | undefined;
    for (let at = position; at < end;) {
      const offset = at % PAGE_BYTES;
      const page = (at - offset) / PAGE_BYTES;
      const from = at - position;
      const count = Math.min(PAGE_BYTES - offset, end - at);
      const isBlank = count === PAGE_BYTES || (this.#cached[page] ?? ZEROS) === ZEROS;
      if (isBlank && isZero(data, from, from + count)) {
        this.#put(page, ZEROS);
      } else if (count === PAGE_BYTES) {
        copy ??= data.slice();
        this.#put(page, copy.subarray(from, from + PAGE_BYTES));
      } else {
        const merged = (this.#cached[page] ?? ZEROS).slice();
        merged.set(data.subarray(from, from + count), offset);
        this.#put(page, merged);
      }
      at += count;
    }
  }

  truncate(size: number): void {
    this.#growTo(size);
    if (size === this.#size) return;
    this.#resize(size);
    for (const page of this.#dirty.keys()) if (page >= pagesOf(size)) this.#put(page, undefined);
    this.#cached.length = Math.min(this.#cached.length, pagesOf(size));
    const last = pagesOf(size) - 1;
    const cut = withoutTail(this.#cached[last], size - last * PAGE_BYTES);
    if (cut !== this.#cached[last]) this.#put(last, cut);
  }

  /** Returns the state that a sync submitted now makes durable. */
  capture(): FileCapture {
    const pages = new Map<number, Page>();
    for (const page of this.#dirty.keys()) pages.set(page, this.#cached[page]);
    const sizeCount = this.#sizesBefore + this.#sizes.length;
    return { ordinal: ++this.#captures, size: this.#size, sizeCount, pages };
  }

  /** Applies a successful sync. */
  makeDurable({ ordinal, size, sizeCount, pages }: FileCapture): void {
    // A sync that was submitted later contains everything in this one, or something newer.
    if (ordinal < this.#durableOrdinal) return;
    this.#durableOrdinal = ordinal;
    this.#durableSize = size;
    this.#sizes.splice(0, sizeCount - this.#sizesBefore);
    this.#sizesBefore = sizeCount;
    for (const [page, content] of pages) {
      this.#durable[page] = content;
      this.#clean(page, content);
      const isCut = page >= pagesOf(this.#size);
      if (!isCut && this.#cached[page] !== content && !this.#dirty.has(page)) {
        this.#dirty.set(page, []);
      }
    }
    this.#durable.length = Math.min(this.#durable.length, pagesOf(size));
  }

  /**
   * Applies a failed sync: the kernel marks its pages clean, so that they stay in the cache and no
   * later sync writes them (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX
   * ATC 2020, of ext4 and XFS). The size is metadata, kept by a journal.
   */
  dropDirty({ pages }: FileCapture): void {
    for (const [page, content] of pages) this.#clean(page, content);
  }

  /** Returns what a power cut leaves; without `entropy`, only what was synced. */
  crash(entropy: Entropy | undefined, sectorBytes: number): MemoryFile {
    const left = new MemoryFile();
    left.#size = entropy === undefined ? this.#durableSize : this.#sizeLeft(entropy);
    left.#cached = this.#durable.slice(0, pagesOf(left.#size));
    if (entropy !== undefined) {
      // Skip zeros over zeros: they change nothing, and would reduce the randomness of the others.
      const pages = [...this.#dirty.keys()].filter((page) => !this.#isBlank(page));
      for (const page of survivors(pages, entropy)) {
        if (page >= pagesOf(left.#size)) continue;
        left.#cached[page] = this.#versionLeft(page, entropy, sectorBytes);
      }
    }
    const last = pagesOf(left.#size) - 1;
    if (last >= 0) {
      left.#cached[last] = withoutTail(left.#cached[last], left.#size - last * PAGE_BYTES);
    }
    left.#durable = left.#cached.slice();
    left.#durableSize = left.#size;
    return left;
  }

  /** Flips one bit on the disk, and in the cache if that is not newer. */
  flip(offset: number, bit: number): void {
    const page = Math.floor(offset / PAGE_BYTES);
    const before = this.#durable[page];
    const flipped = (before ?? ZEROS).slice();
    flipped[offset % PAGE_BYTES]! ^= 1 << bit;
    if (this.#cached[page] === before && page < this.#cached.length) this.#cached[page] = flipped;
    this.#durable[page] = flipped;
  }

  #growTo(size: number): void {
    if (size <= this.#size) return;
    // Data that was cut off and not synced since now reads as zeros, but is still on the disk.
    for (
      let page = pagesOf(this.#size);
      page < Math.min(pagesOf(size), this.#durable.length);
      page++
    ) {
      if (this.#durable[page] !== undefined && !this.#dirty.has(page)) this.#dirty.set(page, []);
    }
    this.#resize(size);
  }

  #resize(size: number): void {
    this.#sizes.push(this.#size);
    this.#size = size;
  }

  #put(page: number, content: Page): void {
    const versions = this.#dirty.get(page);
    if (versions === undefined) this.#dirty.set(page, []);
    else if (versions.length < VERSIONS_MAX) versions.push(this.#cached[page]);
    this.#cached[page] = content;
  }

  /** Removes the states of the page up to `content` from the dirty ones. */
  #clean(page: number, content: Page): void {
    const versions = this.#dirty.get(page);
    if (versions === undefined) return;
    if (this.#cached[page] === content) this.#dirty.delete(page);
    else versions.splice(0, versions.indexOf(content) + 1);
  }

  /** Returns any size since the file was durable; one that it grew to may be reached in part. */
  #sizeLeft(entropy: Entropy): number {
    const draw = entropy.unit();
    if (draw < 0.4) return this.#size;
    const sizes = [this.#durableSize, ...this.#sizes, this.#size];
    const at = draw < 0.7 ? 0 : Math.floor(entropy.unit() * sizes.length);
    const [size, next] = [sizes[at]!, sizes[at + 1] ?? 0];
    if (next <= size || entropy.unit() < 0.5) return size;
    const part = Math.floor(size + entropy.unit() * (next - size));
    return Math.max(size, part - part % PAGE_BYTES);
  }

  #isBlank(page: number): boolean {
    const versions = [this.#durable[page], this.#cached[page], ...this.#dirty.get(page)!];
    return versions.every((version) => version === undefined || version === ZEROS);
  }

  #versionLeft(page: number, entropy: Entropy, sectorBytes: number): Page {
    const earlier = this.#dirty.get(page)!;
    const isCut = page >= pagesOf(this.#size);
    const latest = isCut ? earlier.at(-1) : this.#cached[page];
    const version = earlier.length > 0 && entropy.unit() < 0.25
      ? earlier[Math.floor(entropy.unit() * earlier.length)]
      : latest;
    if (sectorBytes === PAGE_BYTES || entropy.unit() < 0.75) return version;
    const torn = (this.#durable[page] ?? ZEROS).slice();
    for (let at = 0; at < PAGE_BYTES; at += sectorBytes) {
      if (entropy.unit() < 0.5) torn.set((version ?? ZEROS).subarray(at, at + sectorBytes), at);
    }
    return torn;
  }
}

function pagesOf(size: number): number {
  return Math.ceil(size / PAGE_BYTES);
}

/** Returns the dirty pages that survive: none, all, all up to one, or any. */
function survivors(pages: number[], entropy: Entropy): number[] {
  pages.sort((left, right) => left - right);
  const draw = entropy.unit();
  if (draw < 0.2) return [];
  if (draw < 0.4) return pages;
  if (draw < 0.6) return pages.slice(0, Math.floor(entropy.unit() * (pages.length + 1)));
  const part = entropy.unit();
  return pages.filter(() => entropy.unit() < part);
}

/** Returns the page with zeros from `end` on. */
function withoutTail(page: Page, end: number): Page {
  if (page === undefined || end >= PAGE_BYTES || isZero(page, end, PAGE_BYTES)) return page;
  const cut = page.slice();
  cut.fill(0, end);
  return cut;
}
