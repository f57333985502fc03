/** Clocks, timers and randomness of this machine, for tests that need real sockets. */
import type { Scheduler, Timer, World } from "../../src/base/world.ts";
import { SeededEntropy } from "../../src/base/prng.ts";

const scheduler: Scheduler = {
  after(delayMs: number, run: () => void): Timer {
    const id = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(id) };
  },
  nextTurn(run: () => void): void {
    setTimeout(run, 0);
  },
};

/** Real time; seeded randomness, so that a failing test fails again. */
export function testWorld(seed = 1): World {
  return {
    monotonic: { nowMs: () => performance.now() },
    wall: { unixMs: () => Date.now() },
    scheduler,
    entropy: new SeededEntropy(seed),
  };
}
