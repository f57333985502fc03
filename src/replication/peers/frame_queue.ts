/**
 * Frames on their way to a peer, on the stream for frames: one write at a time, with everything that
 * is ready. Frames beyond a limit of bytes are dropped, as a network may drop them; Raft sends them
 * again. The first failed write ends the queue.
 */
import { concatBytes } from "../../base/bytes.ts";
import { PEER_BACKLOG_BYTES_MAX, PEER_WRITE_BYTES } from "../../base/limits.ts";

/** The destination of the frames. It owns the bytes until the promise settles. */
export interface FrameSink {
  write(bytes: Uint8Array): Promise<void>;
}

/** The frames queued for one stream. */
export class FrameQueue {
  readonly #sink: FrameSink;
  readonly #onFailure: (error: unknown) => void;
  readonly #nowMs: () => number;
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #writingSinceMs: number | undefined;
  #failed = false;

  /** @param onFailure called once, when a write fails. */
  constructor(sink: FrameSink, nowMs: () => number, onFailure: (error: unknown) => void) {
    this.#sink = sink;
    this.#nowMs = nowMs;
    this.#onFailure = onFailure;
  }

  /** Bytes that the sink has not taken. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The age of the write in progress, which waits for the peer to read, ms; 0 if there is none. */
  get stalledMs(): number {
    return this.#writingSinceMs === undefined ? 0 : this.#nowMs() - this.#writingSinceMs;
  }

  /** Queues a frame, which the queue owns from now on; returns false if it was dropped. */
  push(frame: Uint8Array): boolean {
    const isFull = this.#bytes > 0 && this.#bytes + frame.length > PEER_BACKLOG_BYTES_MAX;
    if (isFull || this.#failed) return false;
    this.#waiting.push(frame);
    this.#bytes += frame.length;
    if (this.#writingSinceMs === undefined) void this.#write();
    return true;
  }

  /** Drops what is queued; the stream is over. */
  close(): void {
    this.#failed = true;
    this.#waiting = [];
    this.#bytes = 0;
  }

  async #write(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        this.#writingSinceMs = this.#nowMs();
        const chunk = this.#takeChunk();
        await this.#sink.write(chunk);
        if (this.#failed) return;
        this.#bytes -= chunk.length;
      }
      this.#writingSinceMs = undefined;
    } catch (error) {
      const isFirst = !this.#failed;
      this.close();
      if (isFirst) this.#onFailure(error);
    }
  }

  /** Takes one frame, or several small ones joined. */
  #takeChunk(): Uint8Array {
    let count = 0;
    for (let bytes = 0; count < this.#waiting.length; count++) {
      bytes += this.#waiting[count]!.length;
      if (count > 0 && bytes > PEER_WRITE_BYTES) break;
    }
    const frames = this.#waiting.splice(0, count);
    return frames.length === 1 ? frames[0]! : concatBytes(frames);
  }
}
