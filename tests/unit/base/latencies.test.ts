/** Percentiles compared with a sorted array. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Latencies } from "../../../src/base/latencies.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";

test("Latencies gives percentiles at most 1.6 % too high and never too low", () => {
  const entropy = new SeededEntropy(7);
  const latencies = new Latencies();
  const all: number[] = [];
  for (let count = 0; count < 20_000; count++) {
    const ms = 10 ** (entropy.unit() * 7 - 3.5);
    latencies.record(ms);
    all.push(ms);
  }
  all.sort((left, right) => left - right);
  for (const percent of [0, 1, 50, 90, 99, 99.9, 100]) {
    const exact = all[Math.max(1, Math.ceil(percent / 100 * all.length)) - 1]!;
    const found = latencies.percentileMs(percent);
    assert.ok(found >= exact && found <= exact * 1.016 + 0.0001, `p${percent}: ${found}, ${exact}`);
  }
  assert.is(latencies.maxMs, all.at(-1));
  assert.is(latencies.count, all.length);
});

test("Latencies survives nothing, negative and huge", () => {
  const latencies = new Latencies();
  assert.is(latencies.percentileMs(50), 0);
  latencies.record(-1);
  assert.is(latencies.percentileMs(50), 0);
  latencies.record(1e9);
  assert.is(latencies.maxMs, 1e9);
  assert.ok(latencies.percentileMs(100) > 200_000);
});

test.run();
