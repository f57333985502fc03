/**
 * A file of the memory disk: what the page cache holds of it, and what is durable, page by page.
 *
 * Pages are never changed once they are there: a write puts new ones, a sync names the same ones as
 * durable. So a sync costs what is dirty and a page of zeros costs nothing. Of a dirty page the disk
 * may hold any state that it went through since it was durable, in pieces as small as a sector.
 */
import { isZero } from "../base/bytes.ts";
import type { Entropy } from "../base/world.ts";

/** What the page cache works with. */
export const PAGE_BYTES = 4_096;

/** The page that was written with zeros, wherever it is; a page that was not is `undefined`. */
const ZEROS = new Uint8Array(PAGE_BYTES);
/** Earlier states of a dirty page that are kept. */
const VERSIONS_MAX = 4;

/** A page as read; `undefined`: never written, so it takes no room and reads as zeros. */
type Page = Uint8Array | undefined;

/** What a sync makes durable: the file as it was when the sync was submitted. */
export interface FileCapture {
  /** Grows with each capture of a file. */
  readonly ordinal: number;
  readonly size: number;
  /** How many sizes the file had had before. */
  readonly sizeCount: number;
  readonly pages: ReadonlyMap<number, Page>;
}

/** One file. */
export class MemoryFile {
  #size = 0;
  /** Sizes that it had since it was durable, oldest first, and how many were before those. */
  #sizes: number[] = [];
  #sizesBefore = 0;
  #cached: Page[] = [];
  #durableSize = 0;
  #durable: Page[] = [];
  /** What each dirty page was since it was durable, without what it is now. */
  readonly #dirty = new Map<number, Page[]>();
  #captures = 0;
  /** The newest capture that was made durable. */
  #durableOrdinal = 0;

  /** A file that has been there for ever. */
  static of(bytes: Uint8Array): MemoryFile {
    const file = new MemoryFile();
    file.write(0, bytes);
    file.makeDurable(file.capture());
    return file;
  }

  get size(): number {
    return this.#size;
  }

  /** Copies what is there from `position` on into `target` and returns how much that was. */
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

  /** Pages that a write would have to find room for. */
  pagesWanted(position: number, byteCount: number): number {
    let wanted = 0;
    const end = pagesOf(position + byteCount);
    for (let page = Math.floor(position / PAGE_BYTES); page < end; page++) {
      if (this.#cached[page] === undefined) wanted++;
    }
    return wanted;
  }

  /** Pages that take room. */
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

  /** What a sync that is submitted now makes durable. */
  capture(): FileCapture {
    const pages = new Map<number, Page>();
    for (const page of this.#dirty.keys()) pages.set(page, this.#cached[page]);
    const sizeCount = this.#sizesBefore + this.#sizes.length;
    return { ordinal: ++this.#captures, size: this.#size, sizeCount, pages };
  }

  /** The sync ended well. */
  makeDurable({ ordinal, size, sizeCount, pages }: FileCapture): void {
    // A sync that was submitted later holds all that this one does, or something newer.
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
   * The sync failed: the kernel takes its pages for clean, so that they stay in the cache and no
   * later sync writes them (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX
   * ATC 2020, of ext4 and XFS). The size is metadata, in a journal that keeps it.
   */
  dropDirty({ pages }: FileCapture): void {
    for (const [page, content] of pages) this.#clean(page, content);
  }

  /** What a power cut leaves of it; without `entropy` nothing that was not synced. */
  crash(entropy: Entropy | undefined, sectorBytes: number): MemoryFile {
    const left = new MemoryFile();
    left.#size = entropy === undefined ? this.#durableSize : this.#sizeLeft(entropy);
    left.#cached = this.#durable.slice(0, pagesOf(left.#size));
    if (entropy !== undefined) {
      // Zeros over zeros change nothing, and would leave little to chance for the rest.
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

  /** Turns one bit on the disk, and in the cache where that is no newer. */
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
    // What was cut off and not synced since reads as zeros now, and on the disk it is still there.
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

  /** The page is not dirty any more up to `content`. */
  #clean(page: number, content: Page): void {
    const versions = this.#dirty.get(page);
    if (versions === undefined) return;
    if (this.#cached[page] === content) this.#dirty.delete(page);
    else versions.splice(0, versions.indexOf(content) + 1);
  }

  /** Any size that it had since it was durable; one that it grew to perhaps in part. */
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

/** Which of the dirty pages survive: none, all, all up to one, or any. */
function survivors(pages: number[], entropy: Entropy): number[] {
  pages.sort((left, right) => left - right);
  const draw = entropy.unit();
  if (draw < 0.2) return [];
  if (draw < 0.4) return pages;
  if (draw < 0.6) return pages.slice(0, Math.floor(entropy.unit() * (pages.length + 1)));
  const part = entropy.unit();
  return pages.filter(() => entropy.unit() < part);
}

/** The page with zeros from `end` on. */
function withoutTail(page: Page, end: number): Page {
  if (page === undefined || end >= PAGE_BYTES || isZero(page, end, PAGE_BYTES)) return page;
  const cut = page.slice();
  cut.fill(0, end);
  return cut;
}
