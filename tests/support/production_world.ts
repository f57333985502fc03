/** The product's own clocks and timers, for tests that need real sockets. */
import { SeededEntropy } from "../../src/base/prng.ts";
import type { World } from "../../src/base/world.ts";
import { processWorld } from "../../src/node/process_world.ts";

/** Real time; seeded randomness, so that a failing test fails again. */
export function testWorld(seed = 1): World {
  return { ...processWorld(), entropy: new SeededEntropy(seed) };
}
