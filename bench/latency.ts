/**
 * Records latencies in constant memory, in a few nanoseconds each: a log-linear histogram like
 * HdrHistogram. A percentile is at most 0.8 % too high, never too low, and never above the maximum.
 */

/** Buckets per power of two: the relative error is one part in this. */
const SUB_BUCKETS = 128;
const SUB_BITS = 7;
/** The unit of the buckets, µs: 10 ns. */
const UNIT_US = 0.01;
/** 2^31 units are 21 s; longer latencies count as 21 s, and appear in the maximum. */
const UNITS_MAX = 0x7fff_ffff;

/** A recorder of latencies. */
export class LatencyHistogram {
  readonly #counts = new Float64Array((32 - SUB_BITS) * SUB_BUCKETS + SUB_BUCKETS);
  #count = 0;
  #sumUs = 0;
  #maxUs = 0;

  /** The count of recorded latencies. */
  get count(): number {
    return this.#count;
  }

  /** The longest latency, µs, exact. */
  get maxUs(): number {
    return this.#maxUs;
  }

  /** The mean, µs; 0 if nothing was recorded. */
  get meanUs(): number {
    return this.#count === 0 ? 0 : this.#sumUs / this.#count;
  }

  /** Records one latency, µs; negative values count as 0. */
  record(us: number): void {
    const units = Math.min(UNITS_MAX, Math.max(0, us / UNIT_US)) | 0;
    // Below 2 * SUB_BUCKETS each unit has its own bucket; above, each power of two has SUB_BUCKETS.
    const shift = Math.max(0, 31 - Math.clz32(units | 1) - SUB_BITS);
    this.#counts[shift * SUB_BUCKETS + (units >>> shift)]!++;
    this.#count++;
    this.#sumUs += us;
    if (us > this.#maxUs) this.#maxUs = us;
  }

  /**
   * Returns the latency that `percent` in `[0, 100]` of all do not exceed, µs; 0 if there is none.
   */
  percentileUs(percent: number): number {
    const rank = Math.max(1, Math.ceil((percent / 100) * this.#count));
    let seen = 0;
    for (let index = 0; index < this.#counts.length; index++) {
      seen += this.#counts[index]!;
      if (seen >= rank && this.#count > 0) {
        const shift = Math.max(0, Math.floor(index / SUB_BUCKETS) - 1);
        const upperUnits = (index - shift * SUB_BUCKETS + 1) * 2 ** shift;
        return Math.min(this.#maxUs, upperUnits * UNIT_US);
      }
    }
    return 0;
  }

  /** Returns the figures of a result line, µs, to two decimals. */
  summary(): { p50Us: number; p90Us: number; p99Us: number; p999Us: number; maxUs: number } {
    const round = (us: number) => Math.round(us * 100) / 100;
    return {
      p50Us: round(this.percentileUs(50)),
      p90Us: round(this.percentileUs(90)),
      p99Us: round(this.percentileUs(99)),
      p999Us: round(this.percentileUs(99.9)),
      maxUs: round(this.#maxUs),
    };
  }
}
