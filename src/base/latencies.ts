/**
 * Latencies in constant memory and a few nanoseconds each: buckets that grow with the value, in the
 * manner of HdrHistogram. A percentile is at most 1.6 % too high, never too low, and never above
 * the longest that was recorded.
 */

/** Buckets per power of two: the relative error is one part in this. */
const STEPS = 64;
const STEP_BITS = 6;
/** The unit of the buckets: a tenth of a microsecond, ms. */
const UNIT_MS = 0.0001;
/** 2^31 units are 3.5 minutes; what is longer counts as that, and shows in the maximum. */
const UNITS_MAX = 0x7fff_ffff;

/** A recorder of latencies. */
export class Latencies {
  readonly #counts = new Float64Array((32 - STEP_BITS) * STEPS + STEPS);
  #count = 0;
  #maxMs = 0;

  /** How many were recorded. */
  get count(): number {
    return this.#count;
  }

  /** The longest, ms, as it was; 0 where there is none. */
  get maxMs(): number {
    return this.#maxMs;
  }

  /** Adds one, ms; what is below 0, as a clock may make it, counts as 0. */
  record(ms: number): void {
    const units = Math.min(UNITS_MAX, Math.max(0, ms / UNIT_MS)) | 0;
    // Below 2 * STEPS each unit has its bucket; above, each power of two has STEPS of them.
    const shift = Math.max(0, 31 - Math.clz32(units | 1) - STEP_BITS);
    this.#counts[shift * STEPS + (units >>> shift)]!++;
    this.#count++;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** What `percent` in `[0, 100]` of all do not exceed, ms; 0 where there is none. */
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
