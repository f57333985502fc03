/**
 * The memory of all partitions of a node: large chunks, cut into blocks of whole words.
 *
 * A block is identified by a 32-bit reference that counts words (8 bytes), which addresses 32 GiB.
 * It has no header: the holder of a reference knows the block's length. Freed blocks go to a list
 * of blocks of exactly their length and are reused first, so a record that is renewed or registered
 * again finds a block of its size. Near the ceiling a larger free block is split.
 *
 * Admission enforces the ceiling ({@link Arena.room}). Apply must succeed alike on every replica,
 * so `allocate` continues beyond it.
 */
import { assert } from "../base/assert.ts";
import { ARENA_CHUNK_BYTES } from "../base/limits.ts";

/** Size of a word, bytes. */
export const WORD_BYTES = 8;
/** Longest block: the maximum of a ten-bit length. */
export const BLOCK_WORDS_MAX = 1_023;

const CHUNK_WORDS = ARENA_CHUNK_BYTES / WORD_BYTES;
const CHUNK_SHIFT = 31 - Math.clz32(CHUNK_WORDS);
const WORD_MASK = CHUNK_WORDS - 1;
const CHUNKS_MAX = 2 ** (32 - CHUNK_SHIFT);

/** Memory use of an arena, bytes. */
export interface ArenaStatistics {
  /** Bytes in blocks in use. */
  readonly usedBytes: number;
  /** Bytes in free blocks. */
  readonly freeBytes: number;
  /** Bytes allocated from the system. */
  readonly chunkBytes: number;
  /** Ceiling at which admission stops. */
  readonly bytesMax: number;
}

/** An allocator of blocks of words. Reference 0 means no block. */
export class Arena {
  readonly bytesMax: number;
  readonly #chunks: Uint8Array[] = [];
  readonly #views: DataView[] = [];
  /** First free block of each length; each contains the next one in its first four bytes. */
  readonly #free = new Uint32Array(BLOCK_WORDS_MAX + 1);
  /** Next word of the newest chunk that was never allocated. */
  #nextWord = CHUNK_WORDS;
  #usedWords = 0;
  #freeWords = 0;

  /** @param bytesMax the ceiling that {@link room} checks. */
  constructor({ bytesMax }: { bytesMax: number }) {
    this.bytesMax = bytesMax;
  }

  /** Returns the chunk that holds the block, at {@link offsetOf}. */
  bytesOf(ref: number): Uint8Array {
    return this.#chunks[ref >>> CHUNK_SHIFT]!;
  }

  /** Returns a view of the same chunk. */
  viewOf(ref: number): DataView {
    return this.#views[ref >>> CHUNK_SHIFT]!;
  }

  /** Returns the byte offset of the block in its chunk. */
  offsetOf(ref: number): number {
    return (ref & WORD_MASK) * WORD_BYTES;
  }

  /** Allocates a block of `words`, `[1, 1023]`, with arbitrary content. */
  allocate(words: number): number {
    assert(words >= 1 && words <= BLOCK_WORDS_MAX, `A block must have 1 to 1,023 words: ${words}`);
    this.#usedWords += words;
    if (this.#free[words] !== 0) return this.#take(words);
    if (this.#nextWord + words > CHUNK_WORDS) {
      const ref = this.#isFull() ? this.#split(words) : 0;
      if (ref !== 0) return ref;
      this.#addChunk();
    }
    const ref = (((this.#chunks.length - 1) << CHUNK_SHIFT) | this.#nextWord) >>> 0;
    this.#nextWord += words;
    return ref;
  }

  /** Frees a block of `words`. */
  release(ref: number, words: number): void {
    this.#usedWords -= words;
    this.#put(ref, words);
  }

  /** Reports whether `bytes` more fit below the ceiling. */
  room(bytes: number): boolean {
    return this.#usedWords * WORD_BYTES + bytes <= this.bytesMax;
  }

  /** Returns the memory use. */
  statistics(): ArenaStatistics {
    return {
      usedBytes: this.#usedWords * WORD_BYTES,
      freeBytes: this.#freeWords * WORD_BYTES,
      chunkBytes: this.#chunks.length * ARENA_CHUNK_BYTES,
      bytesMax: this.bytesMax,
    };
  }

  #isFull(): boolean {
    return (this.#chunks.length + 1) * ARENA_CHUNK_BYTES > this.bytesMax;
  }

  #take(words: number): number {
    const ref = this.#free[words]!;
    this.#free[words] = this.viewOf(ref).getUint32(this.offsetOf(ref), true);
    this.#freeWords -= words;
    return ref;
  }

  #put(ref: number, words: number): void {
    this.viewOf(ref).setUint32(this.offsetOf(ref), this.#free[words]!, true);
    this.#free[words] = ref;
    this.#freeWords += words;
  }

  /** Splits the smallest free block that is long enough; returns 0 if there is none. */
  #split(words: number): number {
    for (let longer = words + 1; longer <= BLOCK_WORDS_MAX; longer++) {
      if (this.#free[longer] === 0) continue;
      const ref = this.#take(longer);
      this.#put(ref + words, longer - words);
      return ref;
    }
    return 0;
  }

  #addChunk(): void {
    assert(this.#chunks.length < CHUNKS_MAX, `The arena must stay below ${CHUNKS_MAX} chunks`);
    const left = CHUNK_WORDS - this.#nextWord;
    if (left > 0) this.#putRest(left);
    const bytes = new Uint8Array(ARENA_CHUNK_BYTES);
    this.#chunks.push(bytes);
    this.#views.push(new DataView(bytes.buffer));
    // Reference 0 means no block.
    this.#nextWord = this.#chunks.length === 1 ? 1 : 0;
  }

  /**
   * Adds the rest of the newest chunk, which is too short for the requested block, to the free
   * lists.
   */
  #putRest(words: number): void {
    const ref = (((this.#chunks.length - 1) << CHUNK_SHIFT) | this.#nextWord) >>> 0;
    this.#put(ref, words);
  }
}
