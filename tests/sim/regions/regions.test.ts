/** Regions that mirror each other: seeds that find nothing, and runs that repeat. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { REGION_FAULTS, regionsPlanOf, REMAKING_FAULTS } from "./plan.ts";
import { runRegionsSeed } from "./runner.ts";

/** Without faults; and with cuts, kills and broken sessions. */
const BUSY_SEED = 105;
const FAULTY_SEED = 34;
/** A region is founded anew, and one is recovered alone. */
const REMADE_SEED = 45;

test("a busy seed finds nothing, mirrors and states ages", async () => {
  const { finding, lines, mirrored, removed, agesChecked } = await runRegionsSeed(BUSY_SEED);
  assert.is(finding, undefined, `${finding?.checker}: ${finding?.message}\n${lines.join("\n")}`);
  assert.ok(mirrored > 100 && removed > 10, `${mirrored} mirrored, ${removed} removed`);
  assert.ok(agesChecked > 100, `${agesChecked} ages were checked`);
});

test("a seed with faults finds nothing, and takes the same course twice", async () => {
  const { finding, hash, lines } = await runRegionsSeed(FAULTY_SEED);
  assert.is(finding, undefined, `${finding?.checker}: ${finding?.message}\n${lines.join("\n")}`);
  const { hash: again } = await runRegionsSeed(FAULTY_SEED);
  assert.is(again, hash);
});

test("regions that are founded anew and recovered are accepted, and what they lost is swept", async () => {
  const { finding, lines, accepted, swept } = await runRegionsSeed(REMADE_SEED);
  assert.is(finding, undefined, `${finding?.checker}: ${finding?.message}\n${lines.join("\n")}`);
  assert.ok(accepted > 0 && swept > 0, `${accepted} accepted, ${swept} swept`);
});

test("plans of regions: every kind of fault occurs in some seed, and there are two or three of 1 to 3", () => {
  const kinds = new Set<string>();
  const sizes = new Set<number>();
  const machines = new Set<number>();
  for (let seed = 1; seed <= 60; seed++) {
    const { faults, regions } = regionsPlanOf(seed);
    for (const kind of faults.keys()) kinds.add(kind);
    sizes.add(regions.length);
    for (const region of regions) machines.add(region.machines.length);
  }
  assert.equal([...kinds].sort(), [...REGION_FAULTS, ...REMAKING_FAULTS].sort());
  assert.equal([[...sizes].sort(), [...machines].sort()], [[2, 3], [1, 2, 3]]);
});

test.run();
