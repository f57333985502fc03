/**
 * The age of what is known, by both clocks of this machine: the monotonic clock stands still while
 * the machine sleeps, and the wall clock may be set, so the larger elapsed time counts. A sleep during
 * which the wall clock is set back by as much would go unnoticed.
 */
import { CLOCK_DRIFT_PPM } from "./limits.ts";
import type { World } from "./world.ts";

/** The clocks that are read. */
export type Clocks = Pick<World, "monotonic" | "wall">;

/** One reading of both clocks. */
export interface ClockReading {
  readonly monotonicMs: number;
  readonly unixMs: number;
}

/** Reads both clocks. */
export function readClocks({ monotonic, wall }: Clocks): ClockReading {
  return { monotonicMs: monotonic.nowMs(), unixMs: wall.unixMs() };
}

/** Returns a reading that is earlier by `ms`. */
export function earlier({ monotonicMs, unixMs }: ClockReading, ms: number): ClockReading {
  return { monotonicMs: monotonicMs - ms, unixMs: unixMs - ms };
}

/** Returns an upper bound on the time since a reading, ms. */
export function sinceMs(clocks: Clocks, { monotonicMs, unixMs }: ClockReading): number {
  const now = readClocks(clocks);
  const elapsedMs = Math.max(now.monotonicMs - monotonicMs, now.unixMs - unixMs);
  return elapsedMs * (1 + CLOCK_DRIFT_PPM / 1_000_000);
}

/** Returns the earliest of some readings; undefined if one is not known. */
export function oldestOf(
  readings: readonly (ClockReading | undefined)[],
): ClockReading | undefined {
  return readings.reduce((oldest, reading) =>
    oldest === undefined || reading === undefined || oldest.monotonicMs < reading.monotonicMs
      ? oldest && reading && oldest
      : reading
  );
}
