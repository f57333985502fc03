/**
 * A token bucket: how much a caller may ask for. Each operation costs its weight; a caller over its
 * rate is told when to come back, and nobody else notices.
 */
import { RETRY_SPREAD_MS_MAX } from "./limits.ts";

/** `ratePerSecond` tokens flow in, up to `burst`. Time is passed in, monotonic ms. */
export class TokenBucket {
  readonly #ratePerMs: number;
  readonly #burst: number;
  #tokens: number;
  #updatedMs: number;
  /** Monotonic time up to which the inflow is promised to refused requests, ms. */
  #promisedMs = 0;

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

  /**
   * Returns the time until a refused request is admitted, ms, at least 1. Each is given a time of its own,
   * after those that were refused before it, so that they do not all come back at once.
   *
   * @param cost the cost with which it will be asked for again.
   */
  retryAfterMs(cost = 1): number {
    const soonestMs = this.#updatedMs + (1 - this.#tokens) / this.#ratePerMs;
    const isSpread = this.#promisedMs > soonestMs &&
      this.#promisedMs <= soonestMs + RETRY_SPREAD_MS_MAX;
    const startMs = isSpread ? this.#promisedMs : soonestMs;
    this.#promisedMs = startMs + cost / this.#ratePerMs;
    return Math.max(1, Math.ceil(startMs - this.#updatedMs));
  }
}
