/**
 * Leases under random schedules and clocks at the ends of what is assumed of them: whoever holds one
 * counts on nobody that ended its promise, voted in a later term or may vote after a restart, and
 * nobody leads a later term. Each seed turns some faults off.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import { type Faults, LivenessWorld } from "../support/liveness_world.ts";

const RUNS = 120;
const TRUE_MS = 40_000;

/** A chance that is off in a third of the seeds. */
const chance = (most: number) => {
  return fc.oneof(fc.constant(0), fc.constant(most / 4), fc.constant(most));
};

const faults: fc.Arbitrary<Faults> = fc.record({
  nodes: fc.constantFrom(2, 3, 3, 3, 4, 5),
  drift: fc.constantFrom(0, 0.05),
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

test("whoever holds a lease counts on no promise that ended, and nobody leads a later term", () => {
  let [leases, leaders] = [0, 0];
  fc.assert(
    fc.property(fc.integer({ min: 0 }), faults, (seed, chances) => {
      const witnessed = new LivenessWorld(seed, chances).run(TRUE_MS);
      leases += witnessed.leases;
      leaders += witnessed.leaders.size;
    }),
    { numRuns: RUNS, seed: 1, endOnFailure: true },
  );
  assert.ok(leases > RUNS * 1_000, `Only ${leases} leases were seen: the schedules are too harsh`);
  assert.ok(leaders > RUNS * 3, `Only ${leaders} terms were led: the schedules are too calm`);
});

test.run();
