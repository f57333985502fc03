/**
 * Counts durations in fixed buckets, for many series at once, in typed arrays: a recording costs a
 * few nanoseconds and allocates nothing, where a metrics library looks labels up each time. What was
 * counted is read when somebody scrapes (`metrics.ts`).
 */
import { assert } from "../base/assert.ts";

/** Upper bounds of the buckets, ms, 50 µs to 5 s in steps of 1, 2, 5; one more takes the rest. */
export const LATENCY_BOUNDS_MS: readonly number[] = [
  0.05,
  0.1,
  0.2,
  0.5,
  1,
  2,
  5,
  10,
  20,
  50,
  100,
  200,
  500,
  1_000,
  2_000,
  5_000,
];

const BUCKETS = LATENCY_BOUNDS_MS.length + 1;

/** Histograms of one shape, numbered `[0, seriesCount)`. */
export class LatencyHistogram {
  readonly seriesCount: number;
  readonly #bounds = Float64Array.from(LATENCY_BOUNDS_MS);
  readonly #counts: Float64Array;
  readonly #sumsMs: Float64Array;

  constructor(seriesCount: number) {
    assert(Number.isInteger(seriesCount) && seriesCount > 0, "A histogram has a series");
    this.seriesCount = seriesCount;
    this.#counts = new Float64Array(seriesCount * BUCKETS);
    this.#sumsMs = new Float64Array(seriesCount);
  }

  /** Counts one duration; a negative one, as a clock step may make it, counts as none. */
  record(series: number, durationMs: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    // Nearly all durations end in the first few buckets, so a search by halves would be slower.
    while (bucket < bounds.length && durationMs > bounds[bucket]!) bucket++;
    this.#counts[series * BUCKETS + bucket]!++;
    if (durationMs > 0) this.#sumsMs[series]! += durationMs;
  }

  /** How many durations a series has. */
  count(series: number): number {
    let count = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      count += this.#counts[series * BUCKETS + bucket]!;
    }
    return count;
  }

  /** The sum of a series' durations, ms. */
  sumMs(series: number): number {
    return this.#sumsMs[series]!;
  }

  /** Durations at or below each bound, in the order of the bounds, and all of them last. */
  cumulative(series: number): readonly number[] {
    const counts: number[] = [];
    let count = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      count += this.#counts[series * BUCKETS + bucket]!;
      counts.push(count);
    }
    return counts;
  }
}
