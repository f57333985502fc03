/**
 * The share of the log that the mirrors of one region may take while others write: the rest is for this
 * cluster's own writes. Batches are paced then, so that writes do not wait behind many of them. Some bytes
 * a second are left to mirrors in any case, and everything while nobody else writes.
 */
import {
  REGION_LOG_BYTES_PER_SECOND_MIN,
  REGION_LOG_OTHERS_PER_SECOND_MIN,
} from "../base/limits.ts";

/** The time over which the writes of others are counted, ms. */
const WINDOW_MS = 250;
/** Time by which batches may run ahead of their rate, ms. */
const AHEAD_MS_MAX = 20;
/** Bytes logged for mirrors beyond their batches, as a share of these: frames, answers to reads. */
const OVERHEAD_SHARE = 0.2;

/** The share of one region. */
export class LogShare {
  readonly #writtenBytes: () => number;
  readonly #percentMax: () => number;
  #windowMs: number;
  #windowWritten: number;
  #windowTaken = 0;
  #bytesPerMs = Infinity;
  #isAlone = true;
  /** The time up to which the rate is used up, monotonic ms. */
  #usedMs = 0;

  /**
   * @param writtenBytes returns what was ever written to the node's log.
   * @param percentMax returns the share, percent.
   */
  constructor(writtenBytes: () => number, percentMax: () => number, nowMs: number) {
    this.#writtenBytes = writtenBytes;
    this.#percentMax = percentMax;
    this.#windowMs = nowMs;
    this.#windowWritten = writtenBytes();
  }

  /** Whether nobody else wrote to the log lately, or mirrors may take all of it. */
  get isAlone(): boolean {
    return this.#isAlone;
  }

  /** Takes bytes of a batch; returns the time to wait before it is sent, ms. */
  take(bytes: number, nowMs: number): number {
    this.#measure(nowMs);
    this.#windowTaken += bytes;
    this.#usedMs = Math.max(this.#usedMs, nowMs - AHEAD_MS_MAX) + bytes / this.#bytesPerMs;
    return Math.max(0, this.#usedMs - nowMs);
  }

  #measure(nowMs: number): void {
    const elapsedMs = nowMs - this.#windowMs;
    if (elapsedMs < WINDOW_MS) return;
    const written = this.#writtenBytes();
    const ours = this.#windowTaken * (1 + OVERHEAD_SHARE);
    const others = Math.max(0, written - this.#windowWritten - ours) / elapsedMs;
    const percent = this.#percentMax();
    const isAlone = percent >= 100 || others * 1_000 < REGION_LOG_OTHERS_PER_SECOND_MIN;
    const share = others * percent / (100 - percent);
    this.#isAlone = isAlone;
    this.#bytesPerMs = isAlone
      ? Infinity
      : Math.max(REGION_LOG_BYTES_PER_SECOND_MIN / 1_000, share);
    if (isAlone) this.#usedMs = 0;
    this.#windowMs = nowMs;
    this.#windowWritten = written;
    this.#windowTaken = 0;
  }
}
