/**
 * The memory of a node's histories: chunks of bytes, of which the oldest is given up when the node
 * holds too many. A chunk is allocated when the first change is written to it, and kept for reuse
 * afterwards.
 */
import { WATCH_HISTORY_CHUNK_BYTES } from "../../base/limits.ts";

/** A chunk of one partition's history. */
export interface HistoryChunk {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Number of bytes written. */
  length: number;
  /** The history that it belongs to. */
  owner: ChunkOwner;
  /** Neighbours in the order of allocation. */
  older: HistoryChunk | undefined;
  newer: HistoryChunk | undefined;
}

/** A history. */
export interface ChunkOwner {
  /** Gives up its oldest chunk, by {@link HistoryChunks.release}. */
  dropOldest(): void;
}

/** The chunks of all histories of a node. */
export class HistoryChunks {
  readonly #bytesMax: number;
  /** Bytes of the chunks in use. */
  #bytes = 0;
  #oldest: HistoryChunk | undefined;
  #newest: HistoryChunk | undefined;
  /** Chunks of the usual size that are not in use. */
  readonly #spare: HistoryChunk[] = [];

  /** @param bytesMax bound of the bytes in use. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of the chunks in use. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Returns an empty chunk with room for `bytesMin`. Chunks of any history may be given up for it,
   * the oldest first; the caller's too.
   */
  allocate(owner: ChunkOwner, bytesMin: number): HistoryChunk {
    const size = Math.max(bytesMin, WATCH_HISTORY_CHUNK_BYTES);
    while (this.#bytes + size > this.#bytesMax && this.#oldest !== undefined) {
      this.#oldest.owner.dropOldest();
    }
    const spare = size === WATCH_HISTORY_CHUNK_BYTES ? this.#spare.pop() : undefined;
    const chunk = spare ?? newChunk(owner, size);
    chunk.owner = owner;
    chunk.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = chunk;
    else this.#newest.newer = chunk;
    this.#newest = chunk;
    this.#bytes += size;
    return chunk;
  }

  /** Takes back a chunk, whose bytes are no longer read. */
  release(chunk: HistoryChunk): void {
    const { older, newer } = chunk;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    chunk.older = chunk.newer = undefined;
    chunk.length = 0;
    this.#bytes -= chunk.bytes.length;
    if (chunk.bytes.length === WATCH_HISTORY_CHUNK_BYTES) this.#spare.push(chunk);
  }
}

function newChunk(owner: ChunkOwner, size: number): HistoryChunk {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  return { bytes, view, length: 0, owner, older: undefined, newer: undefined };
}
