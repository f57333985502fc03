/** Memory that is given back: garbage of the young and of the old generation. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import process from "node:process";
import { releaseMemory } from "../../../src/node/memory_release.ts";

test("releaseMemory gives back what garbage took of the heap", () => {
  let kept: unknown[] = [];
  for (let count = 0; count < 500_000; count++) kept.push({ count, text: `number ${count}` });
  const full = process.memoryUsage();
  assert.is(kept.length, 500_000);
  kept = [];
  releaseMemory();
  const after = process.memoryUsage();
  assert.ok(
    after.heapTotal < full.heapTotal - 10 * 2 ** 20,
    `${after.heapTotal} of ${full.heapTotal}`,
  );
  assert.ok(after.heapTotal < 1.5 * after.heapUsed, `${after.heapTotal} for ${after.heapUsed}`);
  releaseMemory();
});

test.run();
