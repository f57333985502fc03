/** Retries: which requests may be repeated, and after which delay. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ERROR_TABLE, type ErrorCode, RegistryError } from "../../../src/base/errors.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { backOffMs, electionRetry, mayRepeat } from "../../../src/client/retry.ts";
import { type Operation, OPERATIONS } from "../../../src/wire/operations/mod.ts";

const CODES = Object.keys(ERROR_TABLE) as ErrorCode[];
const once: Operation = { ...OPERATIONS.report, repeatable: false };

test("mayRepeat repeats a repeatable operation on trouble, and on nothing else", () => {
  const repeated = CODES.filter((code) =>
    mayRepeat(OPERATIONS.getAgent, new RegistryError(code, ""))
  );
  assert.equal(repeated, [
    "overloaded",
    "storage_unavailable",
    "not_leader",
    "not_replica",
    "too_stale",
    "shutting_down",
    "connection_lost",
    "not_caught_up",
    "unknown_delegation",
  ]);
});

test("mayRepeat repeats an unsafe operation only where nothing was done", () => {
  const repeated = CODES.filter((code) => mayRepeat(once, new RegistryError(code, "")));
  assert.equal(repeated, [
    "overloaded",
    "not_leader",
    "not_replica",
    "too_stale",
    "shutting_down",
    "not_caught_up",
    "unknown_delegation",
  ]);
});

test("backOffMs draws from the whole range up to base times a power of two, and no further", () => {
  const entropy = new SeededEntropy(9);
  const bounds = { baseMs: 25, capMs: 1_000 };
  for (
    const [attempt, ceiling] of [[1, 25], [2, 50], [3, 100], [6, 800], [7, 1_000], [99, 1_000]]
  ) {
    let low = Infinity;
    let high = 0;
    for (let draw = 0; draw < 2_000; draw++) {
      const delay = backOffMs(attempt!, bounds, entropy);
      low = Math.min(low, delay);
      high = Math.max(high, delay);
    }
    assert.ok(low >= 0 && low < ceiling! * 0.01, `${attempt}: low ${low}`);
    assert.ok(high < ceiling! && high > ceiling! * 0.99, `${attempt}: high ${high}`);
  }
});

test("backOffMs never comes before what the server asked for", () => {
  const entropy = new SeededEntropy(9);
  for (let draw = 0; draw < 100; draw++) {
    const delay = backOffMs(1, { baseMs: 25, capMs: 1_000 }, entropy, 400);
    assert.ok(delay >= 400 && delay < 425);
  }
});

test("electionRetry pauses for at most 100 ms, longer as many calls wait, and no longer than others", () => {
  const caps = [0, 1, 100, 400, 8_000].map((waiting) => electionRetry(waiting).capMs);
  assert.equal(caps, [100, 100, 100, 400, 1_000]);
});

test.run();
