/** The interval of probes: it follows the smallest bound, and ends with the reads. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  PROBE_LINGER_MS,
  PROBE_MS_MAX,
  PROBE_MS_MIN,
  PROBES_PER_BOUND,
} from "../../../../src/base/limits.ts";
import { ProbeDemand } from "../../../../src/liveness/freshness/probe_demand.ts";

test("ProbeDemand asks for some probes in the time of the smallest bound, within limits", () => {
  for (
    const [boundMs, intervalMs] of [
      [1, PROBE_MS_MIN],
      [PROBES_PER_BOUND * PROBE_MS_MIN, PROBE_MS_MIN],
      [400, 100],
      [60_000, PROBE_MS_MAX],
    ] as const
  ) {
    const demand = new ProbeDemand();
    assert.is(demand.intervalMs(0), Infinity);
    assert.is(demand.asked(boundMs, 0), true);
    assert.is(demand.intervalMs(0), intervalMs);
  }
});

test("ProbeDemand tells when a read needs more probes than those before it", () => {
  const demand = new ProbeDemand();
  assert.is(demand.asked(60_000, 0), true);
  assert.is(demand.asked(4_000, 1), false, "the interval is as long");
  assert.is(demand.asked(400, 2), true);
  assert.is(demand.asked(400, 3), false);
  assert.is(demand.asked(800, 4), false);
  assert.is(demand.asked(100, PROBE_LINGER_MS / 2 + 5), true);
});

test("ProbeDemand forgets a bound after a while, and the smallest of the others counts", () => {
  const demand = new ProbeDemand();
  demand.asked(100, 0);
  let nowMs = 0;
  while (demand.intervalMs(nowMs) === PROBE_MS_MIN) demand.asked(800, nowMs += 10);
  assert.ok(nowMs >= PROBE_LINGER_MS / 2 && nowMs <= PROBE_LINGER_MS, `${nowMs}`);
  assert.is(demand.intervalMs(nowMs), 200);
  const lastMs = nowMs;
  while (demand.intervalMs(nowMs) < Infinity) nowMs += 10;
  const lingeredMs = nowMs - lastMs;
  assert.ok(lingeredMs >= PROBE_LINGER_MS / 2 && lingeredMs <= PROBE_LINGER_MS, `${lingeredMs}`);
});

test("ProbeDemand keeps nothing from before a long pause", () => {
  const demand = new ProbeDemand();
  demand.asked(100, 0);
  assert.is(demand.asked(4_000, 10 * PROBE_LINGER_MS), true);
  assert.is(demand.intervalMs(10 * PROBE_LINGER_MS), PROBE_MS_MAX);
});

test.run();
