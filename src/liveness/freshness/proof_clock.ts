/**
 * The age of a proof by the two clocks of one node. The monotonic clock stands still while the
 * machine is suspended, and the wall clock may be set, so the larger of both elapsed times counts,
 * and neither is believed once they disagree.
 *
 * Clock assumptions. The monotonic clock drifts by at most `driftPpm` from true time while the
 * machine runs. A suspend is hidden only if the wall clock is set back by as much during it, within
 * `CLOCKS_PART_MS`; where a machine may be paused with both clocks, leases are switched off.
 */
import { CLOCKS_PART_MS, PROOF_MARGIN_MS } from "../../base/limits.ts";
import type { MonotonicClock, WallClock } from "../../base/world.ts";

/** One moment, by both clocks. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** No moment: infinitely long ago. */
export const NEVER: Moment = {
  monotonicMs: Number.NEGATIVE_INFINITY,
  wallMs: Number.NEGATIVE_INFINITY,
};

/** The clocks of one node. */
export class ProofClock {
  readonly #monotonic: MonotonicClock;
  readonly #wall: WallClock;
  /** Factor from measured to true time, at most. */
  readonly #drift: number;

  /** @param driftPpm assumed drift of the monotonic clock against true time, parts per million. */
  constructor(monotonic: MonotonicClock, wall: WallClock, driftPpm: number) {
    this.#monotonic = monotonic;
    this.#wall = wall;
    this.#drift = 1 / (1 - driftPpm / 1_000_000);
  }

  /** Returns the present moment. */
  now(): Moment {
    return { monotonicMs: this.#monotonic.nowMs(), wallMs: this.#wall.unixMs() };
  }

  /** Returns the monotonic time, ms. */
  nowMs(): number {
    return this.#monotonic.nowMs();
  }

  /**
   * Returns an upper bound on the true time since `moment`, ms; Infinity for {@link NEVER}, and NaN
   * if the clocks disagree about it.
   */
  ageMs({ monotonicMs, wallMs }: Moment): number {
    if (monotonicMs === Number.NEGATIVE_INFINITY) return Number.POSITIVE_INFINITY;
    const elapsedMs = this.#monotonic.nowMs() - monotonicMs;
    const wallElapsedMs = this.#wall.unixMs() - wallMs;
    const partedMs = wallElapsedMs - elapsedMs;
    if (!(elapsedMs >= 0 && partedMs <= CLOCKS_PART_MS && partedMs >= -CLOCKS_PART_MS)) return NaN;
    return Math.max(elapsedMs, wallElapsedMs) * this.#drift + PROOF_MARGIN_MS;
  }
}
