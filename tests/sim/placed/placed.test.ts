/** Clusters that grow: seeds that find nothing, and runs that repeat. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PLACED_FAULTS, placedPlanOf } from "./plan.ts";
import { runPlacedSeed } from "./runner.ts";

/** Without faults. */
const CALM_SEED = 2;
/** With watches. */
const FAULTY_SEED = 120;

test("a calm seed finds nothing", async () => {
  const { finding, lines, answered } = await runPlacedSeed(CALM_SEED);
  assert.is(finding, undefined, `${finding?.checker}: ${finding?.message}\n${lines.join("\n")}`);
  assert.ok(answered > 50, `${answered} calls were answered`);
});

test("a seed with faults finds nothing, and takes the same course twice", async () => {
  const { finding, hash, lines } = await runPlacedSeed(FAULTY_SEED);
  assert.is(finding, undefined, `${finding?.checker}: ${finding?.message}\n${lines.join("\n")}`);
  const { hash: again } = await runPlacedSeed(FAULTY_SEED);
  assert.is(again, hash);
});

test("placed plans: every kind of fault occurs in some seed, and clusters grow to six nodes", () => {
  const kinds = new Set<string>();
  const sizes = new Set<number>();
  for (let seed = 1; seed <= 60; seed++) {
    const { faults, machines } = placedPlanOf(seed);
    for (const kind of faults.keys()) kinds.add(kind);
    sizes.add(machines.length);
  }
  assert.equal([...kinds].sort(), [...PLACED_FAULTS].sort());
  assert.equal([...sizes].sort(), [3, 4, 5, 6]);
});

test.run();
