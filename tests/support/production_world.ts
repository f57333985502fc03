/** The product's real clocks and timers, for tests that need real sockets. */
import { SeededEntropy } from "../../src/base/prng.ts";
import type { World } from "../../src/base/world.ts";
import { processWorld } from "../../src/node/process_world.ts";

/** Returns a world with real time, and seeded randomness so that failures can be reproduced. */
export function testWorld(seed = 1): World {
  return { ...processWorld(), entropy: new SeededEntropy(seed) };
}
