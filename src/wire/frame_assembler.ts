/**
 * Splits a stream's bytes into frames. Frames that lie whole in a chunk are handed out in place;
 * only a frame split by a chunk boundary is copied, into a buffer that grows with the bytes
 * received, not with the size that a header claims.
 *
 * An error is final: the stream's framing is lost, so the owner discards both assembler and stream.
 */
import { FRAME_INCOMPLETE, type FrameLimits, inspectFrame } from "../../schemas/runtime/frame.ts";

/**
 * Handles one whole frame, `[start, end)` of `bytes`, table included. The bytes are valid only
 * during the call; `view` covers exactly `bytes`.
 */
export type FrameHandler = (
  view: DataView,
  bytes: Uint8Array,
  start: number,
  end: number,
) => void;

/** Initial size of the buffer for a split frame, in bytes; most frames fit. */
const PARTIAL_BYTES_INITIAL = 512;
/** Size of a table of 16 segments, in bytes. */
const TABLE_BYTES_MAX = 72;

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(NO_BYTES.buffer);

/** The frames of one stream. */
export class FrameAssembler {
  readonly #limits: FrameLimits;
  #partial: Uint8Array = NO_BYTES;
  #partialView = NO_VIEW;
  #partialLength = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** Count of buffered bytes of a frame that has not arrived completely. */
  get partialBytes(): number {
    return this.#partialLength;
  }

  /**
   * Passes every frame that `chunk` completes to `onFrame`, in order, and keeps a copy of the rest.
   *
   * @throws RegistryError `too_large` or `malformed`: the stream cannot be read any further.
   */
  push(chunk: Uint8Array, onFrame: FrameHandler): void {
    let at = this.#partialLength === 0 ? 0 : this.#complete(chunk, onFrame);
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (at < chunk.length) {
      const size = inspectFrame(view, at, chunk.length, this.#limits);
      if (size === FRAME_INCOMPLETE || at + size > chunk.length) break;
      onFrame(view, chunk, at, at + size);
      at += size;
    }
    if (at < chunk.length) this.#keep(chunk, at, chunk.length);
    else if (this.#partialLength === 0 && this.#partial.length > PARTIAL_BYTES_INITIAL) {
      this.#partial = NO_BYTES;
      this.#partialView = NO_VIEW;
    }
  }

  /** Completes the split frame from `chunk`; returns how many bytes of the chunk belonged to it. */
  #complete(chunk: Uint8Array, onFrame: FrameHandler): number {
    let used = 0;
    for (;;) {
      const size = inspectFrame(this.#partialView, 0, this.#partialLength, this.#limits);
      // Until the table is complete, only the table is filled: the bytes after it may be another
      // frame.
      const wanted = size === FRAME_INCOMPLETE ? this.#tableBytes() : size;
      const taken = Math.min(wanted - this.#partialLength, chunk.length - used);
      this.#keep(chunk, used, used + taken);
      used += taken;
      if (this.#partialLength < wanted) return used;
      if (size === FRAME_INCOMPLETE) continue;
      this.#partialLength = 0;
      onFrame(this.#partialView, this.#partial, 0, size);
      return used;
    }
  }

  /** Returns how many bytes are needed to know the size of the split frame. */
  #tableBytes(): number {
    if (this.#partialLength < 4) return 4;
    const segments = this.#partialView.getUint32(0, true) + 1;
    return Math.min(TABLE_BYTES_MAX, 4 + 4 * segments);
  }

  #keep(chunk: Uint8Array, lo: number, hi: number): void {
    const needed = this.#partialLength + (hi - lo);
    if (needed > this.#partial.length) {
      const grown = new Uint8Array(
        Math.max(needed, PARTIAL_BYTES_INITIAL, this.#partial.length * 2),
      );
      grown.set(this.#partial.subarray(0, this.#partialLength));
      this.#partial = grown;
      this.#partialView = new DataView(grown.buffer);
    }
    this.#partial.set(
      lo === 0 && hi === chunk.length ? chunk : chunk.subarray(lo, hi),
      this.#partialLength,
    );
    this.#partialLength = needed;
  }
}
