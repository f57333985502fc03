/**
 * Leases under random schedules and clocks at the limits of the assumptions about them: the holder
 * of a lease relies on no replica that ended its promise, voted in a later term or may vote after a
 * restart, and no replica leads a later term. Each seed turns some faults off.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import { LIVENESS_TIMING, type LivenessTiming } from "../../src/liveness/mod.ts";
import { cases } from "../support/cases.ts";
import { DRIFTING, type Faults, LivenessWorld } from "../support/liveness_world.ts";

const TRUE_MS = 40_000;
/**
 * Time after healing in which delayed frames and stops end, followed by support, an election,
 * promises.
 */
const HEALED_MS = 20_000;

/** Returns a probability that is 0 in a third of the seeds. */
const chance = (most: number) => {
  return fc.oneof(fc.constant(0), fc.constant(most / 4), fc.constant(most));
};

const faultsAt = (drift: number): fc.Arbitrary<Faults> =>
  fc.record({
    nodes: fc.constantFrom(2, 3, 3, 3, 4, 5),
    drift: fc.constantFrom(0, drift),
    loss: chance(0.3),
    repeat: chance(0.3),
    late: chance(0.3),
    restart: chance(0.003),
    pause: chance(0.003),
    suspend: chance(0.003),
    cut: chance(0.01),
    transfer: chance(0.01),
    change: chance(0.01),
    campaign: chance(0.05),
    preVote: fc.boolean(),
    checkQuorum: fc.boolean(),
    sleeps: fc.boolean(),
  });

function check(timing: LivenessTiming, numRuns: number): void {
  let [leases, leaders] = [0, 0];
  const property = fc.property(
    fc.integer({ min: 0 }),
    faultsAt(timing.driftPpm / 1e6),
    (seed, faults) => {
      const world = new LivenessWorld(seed, faults, timing);
      const witnessed = world.run(TRUE_MS);
      leases += witnessed.leases;
      leaders += witnessed.leaders.size;
      world.heal();
      world.run(HEALED_MS);
      assert.ok(world.isServed(), "Healed, some leader has its quorum's support");
    },
  );
  fc.assert(property, { numRuns, seed: 1, endOnFailure: true });
  assert.ok(leases > numRuns * 1_000, `Only ${leases} leases were seen: schedules are too harsh`);
  assert.ok(leaders > numRuns * 3, `Only ${leaders} terms were led: schedules are too calm`);
}

test("a lease holder relies on no promise that ended, with clocks five percent off", () => {
  check(DRIFTING, cases(120));
});

test("a lease holder relies on no promise that ended, with the timing of production", () => {
  check(LIVENESS_TIMING, cases(40));
});

test.run();
