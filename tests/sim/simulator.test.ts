/**
 * Tests of the simulator itself: seeds without findings, repeatable runs, and runs that match their
 * plan.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CHECKERS } from "./checkers/mod.ts";
import { type Checker, Finding, type Operation } from "./history.ts";
import { FAULT_KINDS, planOf } from "./plan.ts";
import { runPlan, type RunResult, runSeed } from "./runner.ts";

/** `deno task sim` runs a hundred. */
const SEEDS = 6;

/** The seeds' runs with all checkers, for the comparison with other runs of the same seed. */
const runs = new Map<number, RunResult>();

for (let seed = 1; seed <= SEEDS; seed++) {
  test(`seed ${seed} finds nothing, and is long and busy enough`, async () => {
    const run = await runSeed(seed, { checkers: CHECKERS });
    runs.set(seed, run);
    const { finding, lines, operations, simulatedMs } = run;
    const words = `Seed ${seed}: ${finding?.checker}: ${finding?.message}\n${lines.join("\n")}`;
    assert.is(finding, undefined, words);
    assert.ok(simulatedMs >= 10_000, `Seed ${seed} lasts only ${simulatedMs} ms`);
    assert.ok(operations >= 400, `Seed ${seed} has only ${operations} operations`);
  });
}

test("the same seed twice takes the same way, and another seed takes another", async () => {
  const hashes = new Set<string>();
  for (const seed of [2, 5]) {
    const { hash, steps } = runs.get(seed)!;
    const again = await runSeed(seed, { checkers: [] });
    assert.is(again.hash, hash, "Whether anybody looks changes nothing");
    assert.is(again.steps, steps);
    const thorough = await runSeed(seed, { checkers: [], isThorough: true });
    assert.is(thorough.hash, hash, "All promises had come to rest");
    hashes.add(hash);
  }
  assert.is(hashes.size, 2);
});

test("a finding ends the run with its message and the events before it", async () => {
  let count = 0;
  const picky: Checker = {
    name: "picky",
    onOperation: (operation: Operation) => {
      if (++count === 10) throw new Finding("picky", `No more than ${operation.key}`);
    },
  };
  const { finding, lines, operations } = await runSeed(3, { checkers: [() => picky] });
  assert.is(finding?.checker, "picky");
  assert.is(operations, 10);
  assert.match(lines.at(-1)!, /client/);
});

test("plans: every kind of fault and every size of cluster occurs in some seed", () => {
  const kinds = new Set<string>();
  const sizes = new Set<number>();
  const groupSizes = new Set<number>();
  for (let seed = 1; seed <= 100; seed++) {
    const { faults, groups, nodeCount } = planOf(seed);
    for (const kind of faults.keys()) kinds.add(kind);
    sizes.add(nodeCount);
    for (const { nodes } of groups) groupSizes.add(nodes.length);
  }
  assert.equal([...kinds].sort(), [...FAULT_KINDS].sort());
  assert.equal([...sizes].sort(), [1, 2, 3, 4, 5, 6, 7]);
  assert.equal([...groupSizes].sort(), [1, 3, 5]);
});

test("a cluster without faults answers nearly all, and all its replicas agree", async () => {
  const plan = { ...planOf(3), faults: new Map() };
  const { answered, finding, operations } = await runPlan(plan, { checkers: CHECKERS });
  assert.is(finding, undefined);
  assert.ok(answered > operations / 4, `${answered} of ${operations} were answered`);
});

test.run();
