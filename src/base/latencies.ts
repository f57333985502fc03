/**
 * A latency histogram in constant memory, a few nanoseconds per value, with buckets that grow with
 * the value like HdrHistogram's. A percentile is at most 1.6 % too high, never too low, and never
 * above the recorded maximum.
 */

/** Buckets per power of two: the relative error is 1/STEPS. */
const STEPS = 64;
const STEP_BITS = 6;
/** Unit of the buckets, ms: a tenth of a microsecond. */
const UNIT_MS = 0.0001;
/** 2^31 units are 3.5 minutes. Longer values count as that, and appear in the maximum. */
const UNITS_MAX = 0x7fff_ffff;

/** A latency recorder. */
export class Latencies {
  readonly #counts = new Float64Array((32 - STEP_BITS) * STEPS + STEPS);
  #count = 0;
  #maxMs = 0;

  /** Number of recorded values. */
  get count(): number {
    return this.#count;
  }

  /** Maximum recorded value, ms, exact; 0 when nothing was recorded. */
  get maxMs(): number {
    return this.#maxMs;
  }

  /** Records a value, ms. Negative values, which a clock may produce, count as 0. */
  record(ms: number): void {
    const units = Math.min(UNITS_MAX, Math.max(0, ms / UNIT_MS)) | 0;
    // Below 2 * STEPS each unit has its own bucket; above, each power of two has STEPS buckets.
    const shift = Math.max(0, 31 - Math.clz32(units | 1) - STEP_BITS);
    this.#counts[shift * STEPS + (units >>> shift)]!++;
    this.#count++;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /**
   * Returns the value, ms, that `percent` in `[0, 100]` of all recorded values do not exceed; 0
   * when nothing was recorded.
   */
  percentileMs(percent: number): number {
    if (this.#count === 0) return 0;
    const rank = Math.max(1, Math.ceil((percent / 100) * this.#count));
    let seen = 0;
    for (let index = 0; index < this.#counts.length; index++) {
      seen += this.#counts[index]!;
      if (seen < rank) continue;
      const shift = Math.max(0, Math.floor(index / STEPS) - 1);
      const upperUnits = (index - shift * STEPS + 1) * 2 ** shift;
      return Math.min(this.#maxMs, upperUnits * UNIT_MS);
    }
    return this.#maxMs;
  }
}
