/** The latency histogram compared with a sorted array. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LatencyHistogram } from "../../../bench/latency.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";

test("LatencyHistogram percentiles are at most 0.8 % above those of a sorted array", () => {
  const entropy = new SeededEntropy(7);
  const histogram = new LatencyHistogram();
  // Log-uniform between 0.05 µs and 1 s.
  const samples = Array.from({ length: 20_000 }, () => 0.05 * 10 ** (entropy.unit() * 7.3));
  for (const sample of samples) histogram.record(sample);
  samples.sort((left, right) => left - right);
  for (const percent of [0, 1, 10, 50, 90, 99, 99.9, 99.99, 100]) {
    const exact = samples[Math.max(1, Math.ceil((percent / 100) * samples.length)) - 1]!;
    const found = histogram.percentileUs(percent);
    assert.ok(found >= exact, `p${percent}: ${found} is below ${exact}`);
    assert.ok(found <= exact * 1.008 + 0.011, `p${percent}: ${found} is far above ${exact}`);
  }
  assert.is(histogram.count, samples.length);
  assert.is(histogram.maxUs, samples.at(-1));
});

test("LatencyHistogram takes zero, negative and very long latencies", () => {
  const histogram = new LatencyHistogram();
  assert.is(histogram.percentileUs(50), 0);
  assert.is(histogram.meanUs, 0);
  for (const us of [0, -1, 1e9]) histogram.record(us);
  assert.is(histogram.count, 3);
  assert.ok(histogram.percentileUs(50) <= 0.01);
  assert.is(histogram.maxUs, 1e9);
  assert.ok(histogram.percentileUs(100) > 20e6);
});

test("LatencyHistogram bucket edges hold at every power of two", () => {
  for (let bits = 0; bits < 31; bits++) {
    for (const units of [2 ** bits - 1, 2 ** bits, 2 ** bits + 1]) {
      const histogram = new LatencyHistogram();
      histogram.record(units / 100);
      histogram.record(1e9);
      const found = histogram.percentileUs(50) * 100;
      assert.ok(found >= units - 0.5 && found <= units * 1.008 + 1.5, `${units} reads ${found}`);
    }
  }
});

test.run();
