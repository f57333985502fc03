/**
 * The memory of a node's histories: chunks in large slabs, of which the oldest is given up when the
 * node holds too many. Slabs are allocated when changes are written to them, and kept for reuse.
 *
 * Chunks are numbers, and what belongs to each stands in arrays: a change of any partition touches
 * few cache lines besides those of its own bytes.
 */
import { WATCH_HISTORY_CHUNK_BYTES } from "../../base/limits.ts";

/** Memory with a view on it. */
export interface ChunkMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** No chunk. */
export const NO_CHUNK = -1;

const SLAB_CHUNKS = 256;
const SLAB_SHIFT = 8;
const CHUNK_MASK = SLAB_CHUNKS - 1;

/** The chunks of all histories of a node. */
export class HistoryChunks {
  readonly #bytesMax: number;
  readonly #dropOldest: (owner: number) => void;
  readonly #slabs: ChunkMemory[] = [];
  /** Memory of chunks with one change that is larger than a chunk. */
  readonly #large = new Map<number, ChunkMemory>();
  #bytes = 0;
  #count = 0;
  readonly #spare: number[] = [];
  /** By chunk: its owner, bytes written, and neighbours in the order of allocation. */
  #owner = new Int32Array(0);
  #length = new Int32Array(0);
  #older = new Int32Array(0);
  #newer = new Int32Array(0);
  #oldest = NO_CHUNK;
  #newest = NO_CHUNK;

  /**
   * @param bytesMax bound of the bytes in use.
   * @param dropOldest lets an owner release the oldest of its chunks.
   */
  constructor(bytesMax: number, dropOldest: (owner: number) => void) {
    this.#bytesMax = bytesMax;
    this.#dropOldest = dropOldest;
  }

  /** Bytes of the chunks in use. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Returns the memory of a chunk, at {@link startOf}. */
  memoryOf(chunk: number): ChunkMemory {
    if (this.#large.size > 0) {
      const large = this.#large.get(chunk);
      if (large !== undefined) return large;
    }
    return this.#slabs[chunk >> SLAB_SHIFT]!;
  }

  /** Returns where a chunk begins in its memory. */
  startOf(chunk: number): number {
    if (this.#large.size > 0 && this.#large.has(chunk)) return 0;
    return (chunk & CHUNK_MASK) * WATCH_HISTORY_CHUNK_BYTES;
  }

  /** Returns the number of bytes written to a chunk. */
  lengthOf(chunk: number): number {
    return this.#length[chunk]!;
  }

  /** Returns the size of a chunk. */
  sizeOf(chunk: number): number {
    return this.#large.get(chunk)?.bytes.length ?? WATCH_HISTORY_CHUNK_BYTES;
  }

  /** Takes `bytes` more of a chunk, which must have room; returns their offset in it. */
  take(chunk: number, bytes: number): number {
    const at = this.#length[chunk]!;
    this.#length[chunk] = at + bytes;
    return at;
  }

  /**
   * Returns an empty chunk with room for `bytesMin`. Chunks of any history may be given up for it,
   * the oldest first; those of the owner, too.
   */
  allocate(owner: number, bytesMin: number): number {
    const size = Math.max(bytesMin, WATCH_HISTORY_CHUNK_BYTES);
    while (this.#bytes + size > this.#bytesMax && this.#oldest !== NO_CHUNK) {
      this.#dropOldest(this.#owner[this.#oldest]!);
    }
    const chunk = this.#spare.pop() ?? this.#add();
    if (size > WATCH_HISTORY_CHUNK_BYTES) this.#large.set(chunk, newMemory(size));
    this.#owner[chunk] = owner;
    this.#length[chunk] = 0;
    this.#older[chunk] = this.#newest;
    this.#newer[chunk] = NO_CHUNK;
    if (this.#newest === NO_CHUNK) this.#oldest = chunk;
    else this.#newer[this.#newest] = chunk;
    this.#newest = chunk;
    this.#bytes += size;
    return chunk;
  }

  /** Takes back a chunk, whose bytes are no longer read. */
  release(chunk: number): void {
    const older = this.#older[chunk]!;
    const newer = this.#newer[chunk]!;
    if (older === NO_CHUNK) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NO_CHUNK) this.#newest = older;
    else this.#older[newer] = older;
    this.#bytes -= this.sizeOf(chunk);
    this.#large.delete(chunk);
    this.#spare.push(chunk);
  }

  #add(): number {
    const chunk = this.#count++;
    if ((chunk & CHUNK_MASK) === 0) {
      this.#slabs.push(newMemory(SLAB_CHUNKS * WATCH_HISTORY_CHUNK_BYTES));
      const chunks = this.#slabs.length * SLAB_CHUNKS;
      this.#owner = grown(this.#owner, chunks);
      this.#length = grown(this.#length, chunks);
      this.#older = grown(this.#older, chunks);
      this.#newer = grown(this.#newer, chunks);
    }
    return chunk;
  }
}

function newMemory(size: number): ChunkMemory {
  const bytes = new Uint8Array(size);
  return { bytes, view: new DataView(bytes.buffer) };
}

function grown(numbers: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length);
  larger.set(numbers);
  return larger;
}
