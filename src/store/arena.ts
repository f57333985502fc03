/**
 * The memory of all partitions of a node: large chunks, cut into blocks of whole words.
 *
 * A block is named by a 32-bit reference that counts words (8 bytes), so 32 GiB can be named; it has
 * no header: who holds a reference knows the block's length. Freed blocks go to a list of blocks of
 * exactly their length and are taken from there first; a record renewed or registered again so finds
 * the room of its like. Near the ceiling a larger free block is split.
 *
 * The ceiling is admission's business ({@link Arena.room}): apply must succeed alike on every
 * replica, so `allocate` goes on beyond it.
 */
import { assert } from "../base/assert.ts";
import { ARENA_CHUNK_BYTES } from "../base/limits.ts";

/** Bytes of a word. */
export const WORD_BYTES = 8;
/** The longest block: what ten bits can say. */
export const BLOCK_WORDS_MAX = 1_023;

const CHUNK_WORDS = ARENA_CHUNK_BYTES / WORD_BYTES;
const CHUNK_SHIFT = 31 - Math.clz32(CHUNK_WORDS);
const WORD_MASK = CHUNK_WORDS - 1;
const CHUNKS_MAX = 2 ** (32 - CHUNK_SHIFT);

/** How an arena stands, in bytes. */
export interface ArenaStatistics {
  /** In blocks that are in use. */
  readonly usedBytes: number;
  /** In blocks that wait to be used again. */
  readonly freeBytes: number;
  /** Taken from the system. */
  readonly chunkBytes: number;
  /** Where admission stops. */
  readonly bytesMax: number;
}

/** Blocks of words. Reference 0 is no block. */
export class Arena {
  readonly bytesMax: number;
  readonly #chunks: Uint8Array[] = [];
  readonly #views: DataView[] = [];
  /** The first free block of each length; each holds the next in its first four bytes. */
  readonly #free = new Uint32Array(BLOCK_WORDS_MAX + 1);
  /** The next word of the newest chunk that was never given out. */
  #nextWord = CHUNK_WORDS;
  #usedWords = 0;
  #freeWords = 0;

  /** @param bytesMax the ceiling that {@link room} keeps. */
  constructor({ bytesMax }: { bytesMax: number }) {
    this.bytesMax = bytesMax;
  }

  /** The chunk that holds the block, in which it stands at {@link offsetOf}. */
  bytesOf(ref: number): Uint8Array {
    return this.#chunks[ref >>> CHUNK_SHIFT]!;
  }

  /** The same chunk. */
  viewOf(ref: number): DataView {
    return this.#views[ref >>> CHUNK_SHIFT]!;
  }

  /** The byte offset of the block in its chunk. */
  offsetOf(ref: number): number {
    return (ref & WORD_MASK) * WORD_BYTES;
  }

  /** A block of `words`, `[1, 1023]`; what it holds is arbitrary. */
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

  /** Gives a block of `words` back. */
  release(ref: number, words: number): void {
    this.#usedWords -= words;
    this.#put(ref, words);
  }

  /** True where `bytes` more fit below the ceiling. */
  room(bytes: number): boolean {
    return this.#usedWords * WORD_BYTES + bytes <= this.bytesMax;
  }

  /** How it stands. */
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

  /** Cuts the smallest free block that is long enough; 0 where none is. */
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
    // Reference 0 is no block.
    this.#nextWord = this.#chunks.length === 1 ? 1 : 0;
  }

  /** Keeps the rest of the newest chunk, which is too short for the block at hand. */
  #putRest(words: number): void {
    const ref = (((this.#chunks.length - 1) << CHUNK_SHIFT) | this.#nextWord) >>> 0;
    this.#put(ref, words);
  }
}
