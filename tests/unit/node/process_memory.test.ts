/** MemorySampler: readings used for admission are fresh enough, and an idle node reads nothing. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MEMORY_SAMPLE_MS } from "../../../src/base/limits.ts";
import { MemorySampler } from "../../../src/node/process_memory.ts";

test("MemorySampler reads only when it is asked, and at most once in its period", () => {
  let nowMs = 0;
  let reads = 0;
  const sampler = new MemorySampler({ nowMs: () => nowMs }, () => ++reads);
  nowMs = 60_000;
  assert.is(reads, 0, "nobody asked");
  assert.is(sampler.bytes, 1);
  nowMs += MEMORY_SAMPLE_MS - 1;
  assert.is(sampler.bytes, 1);
  nowMs += 1;
  assert.is(sampler.bytes, 2);
  assert.is(reads, 2);
});

test("MemorySampler reads the memory of this process", () => {
  assert.ok(new MemorySampler({ nowMs: () => 0 }).bytes > 10_000_000);
});

test.run();
