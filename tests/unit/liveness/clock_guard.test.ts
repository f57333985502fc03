/**
 * The guard of the two clocks: the observations that it treats as a stop of this node, and the
 * others.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CLOCK_JUMP_MS, TURN_LATE_MS } from "../../../src/base/limits.ts";
import { ClockGuard } from "../../../src/liveness/clock_guard.ts";
import { LIVENESS_TIMING } from "../../../src/liveness/mod.ts";
import { TwoClocks } from "../../support/liveness_nodes.ts";

function guarded() {
  const clocks = new TwoClocks();
  return { clocks, guard: new ClockGuard(clocks.monotonic, clocks.wall, LIVENESS_TIMING) };
}

test("ClockGuard: clocks that go alike are steady, up to the longest turn", () => {
  const { clocks, guard } = guarded();
  for (const ms of [0, 0.25, 1, 300, TURN_LATE_MS]) {
    clocks.advance(ms);
    assert.ok(guard.look());
    assert.is(guard.nowMs, clocks.monotonicMs);
  }
  clocks.advance(TURN_LATE_MS + 1);
  assert.not.ok(guard.look());
  assert.ok(guard.look(), "From here on it counts anew");
});

test("ClockGuard: a wall clock that leaves the monotonic one behind, or falls behind it, is noticed", () => {
  for (const ms of [CLOCK_JUMP_MS + 1, -CLOCK_JUMP_MS - 1, 1e12, -1e12]) {
    const { clocks, guard } = guarded();
    clocks.suspend(ms);
    assert.not.ok(guard.look());
    assert.ok(guard.look());
    clocks.advance(10);
    assert.ok(guard.look());
  }
});

test("ClockGuard: a monotonic clock that goes back, or is no number, is noticed", () => {
  const { clocks, guard } = guarded();
  clocks.advance(-1);
  assert.not.ok(guard.look());
  clocks.monotonicMs = NaN;
  assert.not.ok(guard.look());
});

test("ClockGuard: what is hidden in small steps never exceeds the jump by more than drift allows", () => {
  for (const stepMs of [0.5, 1, 7, 30, 99]) {
    const { clocks, guard } = guarded();
    let [hiddenMs, passedMs] = [0, 0];
    do {
      clocks.suspend(stepMs);
      hiddenMs += stepMs;
      clocks.advance(stepMs);
      passedMs += stepMs;
    } while (guard.look());
    const followedMs = passedMs * LIVENESS_TIMING.slewPpm / 1e6;
    assert.ok(hiddenMs - stepMs <= CLOCK_JUMP_MS + followedMs, `${hiddenMs} in steps of ${stepMs}`);
  }
});

test("ClockGuard: a wall clock that was set back a little hides no longer suspend", () => {
  const { clocks, guard } = guarded();
  clocks.suspend(1 - CLOCK_JUMP_MS);
  clocks.advance(100);
  assert.ok(guard.look());
  clocks.suspend(CLOCK_JUMP_MS + 1);
  assert.not.ok(guard.look());
});

test("ClockGuard: a wall clock that is slewed by what clocks drift, in whole ms, is steady for a day", () => {
  const { clocks, guard } = guarded();
  const start = clocks.wallMs;
  for (let passedMs = 300; passedMs < 86_400_000; passedMs += 300) {
    clocks.monotonicMs += 300;
    clocks.wallMs = start + Math.floor(passedMs * 1.0005);
    assert.ok(guard.look());
  }
});

test.run();
