/**
 * The share of the log that the mirrors of one region may take: the rest is for this cluster's own
 * writes. The share counts against what others write at the time; what is left to mirrors in any case
 * lets a region be mirrored while nobody writes.
 */
import { REGION_LOG_BYTES_PER_SECOND_MIN } from "../base/limits.ts";
import { TokenBucket } from "../base/token_bucket.ts";

/** The time over which the writes of others are counted, ms. */
const WINDOW_MS = 500;

/** The share of one region. */
export class LogShare {
  readonly #writtenBytes: () => number;
  readonly #percentMax: () => number;
  #bucket: TokenBucket;
  #windowMs: number;
  #windowWritten: number;
  #windowTaken = 0;

  /**
   * @param writtenBytes returns what was ever written to the node's log.
   * @param percentMax returns the share, percent.
   */
  constructor(writtenBytes: () => number, percentMax: () => number, nowMs: number) {
    this.#writtenBytes = writtenBytes;
    this.#percentMax = percentMax;
    this.#windowMs = nowMs;
    this.#windowWritten = writtenBytes();
    this.#bucket = bucketOf(0, nowMs);
  }

  /** Takes bytes of a batch; returns the time after which to try again, ms, or 0 if it may be sent. */
  take(bytes: number, nowMs: number): number {
    this.#measure(nowMs);
    this.#bucket.refill(nowMs);
    if (!this.#bucket.take(bytes)) return this.#bucket.retryAfterMs();
    this.#windowTaken += bytes;
    return 0;
  }

  #measure(nowMs: number): void {
    const elapsedMs = nowMs - this.#windowMs;
    if (elapsedMs < WINDOW_MS) return;
    const written = this.#writtenBytes();
    const others = Math.max(0, written - this.#windowWritten - this.#windowTaken);
    const percent = this.#percentMax();
    const share = percent >= 100
      ? Infinity
      : others / elapsedMs * 1_000 * percent / (100 - percent);
    this.#bucket = bucketOf(Math.min(share, Number.MAX_SAFE_INTEGER), nowMs);
    this.#windowMs = nowMs;
    this.#windowWritten = written;
    this.#windowTaken = 0;
  }
}

function bucketOf(share: number, nowMs: number): TokenBucket {
  const ratePerSecond = Math.max(REGION_LOG_BYTES_PER_SECOND_MIN, share);
  return new TokenBucket({ ratePerSecond, burst: ratePerSecond * WINDOW_MS / 1_000, nowMs });
}
