/**
 * A token bucket: how much a caller may ask for. Each operation costs its weight; a caller over its
 * rate is told when to come back, and nobody else notices.
 */

/** `ratePerSecond` tokens flow in, up to `burst`. Time is passed in, monotonic ms. */
export class TokenBucket {
  readonly #ratePerMs: number;
  readonly #burst: number;
  #tokens: number;
  #updatedMs: number;

  /** Starts full. */
  constructor(options: { ratePerSecond: number; burst: number; nowMs: number }) {
    this.#ratePerMs = options.ratePerSecond / 1_000;
    this.#burst = options.burst;
    this.#tokens = options.burst;
    this.#updatedMs = options.nowMs;
  }

  /** Adds what flowed in since the last call. Called once a chunk, not once a request. */
  refill(nowMs: number): void {
    this.#tokens = Math.min(
      this.#burst,
      this.#tokens + (nowMs - this.#updatedMs) * this.#ratePerMs,
    );
    this.#updatedMs = nowMs;
  }

  /** Takes `cost` tokens if any are left; a request may overdraw, and the next ones wait for it. */
  take(cost: number): boolean {
    if (this.#tokens <= 0) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Milliseconds until a request is admitted again, at least 1. */
  retryAfterMs(): number {
    return Math.max(1, Math.ceil((1 - this.#tokens) / this.#ratePerMs));
  }
}
