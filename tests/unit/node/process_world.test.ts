/** The machine's clocks, timers and randomness fulfil the contract of `World`. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { processWorld } from "../../../src/node/process_world.ts";

const { monotonic, wall, scheduler, entropy } = processWorld();

test("processWorld clocks: monotonic never goes back, wall is Unix time", () => {
  let last = monotonic.nowMs();
  for (let count = 0; count < 1_000; count++) {
    const now = monotonic.nowMs();
    assert.ok(now >= last);
    last = now;
  }
  assert.ok(wall.unixMs() > Date.parse("2025-01-01"));
});

test("Scheduler after never runs early by the monotonic clock", async () => {
  for (const delayMs of [0, 0.4, 1, 3.7]) {
    const startMs = monotonic.nowMs();
    await new Promise<void>((resolve) => scheduler.after(delayMs, resolve));
    assert.ok(monotonic.nowMs() - startMs >= delayMs, String(delayMs));
  }
});

test("Scheduler after waits on where the runtime's own timer fires early", async () => {
  const real = globalThis.setTimeout;
  globalThis.setTimeout = ((run: () => void, delayMs: number) => real(run, delayMs / 2)) as never;
  try {
    const startMs = monotonic.nowMs();
    await new Promise<void>((resolve) => scheduler.after(20, resolve));
    assert.ok(monotonic.nowMs() - startMs >= 20);
  } finally {
    globalThis.setTimeout = real;
  }
});

test("Scheduler after does not fire at once for a delay beyond what setTimeout takes", async () => {
  let fired = false;
  const timer = scheduler.after(2 ** 31 + 5, () => fired = true);
  await new Promise<void>((resolve) => scheduler.after(5, resolve));
  assert.not.ok(fired);
  timer.cancel();
  for (const bad of [-1, NaN, Infinity]) {
    assert.throws(
      () => scheduler.after(bad, () => {}),
      (error: unknown) => error instanceof RangeError,
    );
  }
});

test("Scheduler cancel ends a timer, also twice and after it ran", async () => {
  let runs = 0;
  const cancelled = scheduler.after(0, () => runs++);
  cancelled.cancel();
  cancelled.cancel();
  await new Promise<void>((resolve) => {
    const timer = scheduler.after(1, () => {
      runs++;
      timer.cancel();
      resolve();
    });
  });
  assert.is(runs, 1);
});

test("Scheduler nextTurn runs later, in order, before a timer that is due after now", async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    scheduler.after(1, () => {
      order.push("timer");
      resolve();
    });
    scheduler.nextTurn(() => order.push("turn 1"));
    scheduler.nextTurn(() => order.push("turn 2"));
    queueMicrotask(() => order.push("microtask"));
    order.push("now");
  });
  assert.equal(order, ["now", "microtask", "turn 1", "turn 2", "timer"]);
});

test("Scheduler nextTurn chains leave timers their turn", async () => {
  let stop = false;
  scheduler.after(2, () => stop = true);
  await new Promise<void>((resolve) => {
    const turn = () => stop ? resolve() : scheduler.nextTurn(turn);
    turn();
  });
  assert.ok(stop);
});

test("Entropy unit is in [0, 1), spread, and refills its pool", () => {
  const counts = new Array<number>(10).fill(0);
  for (let count = 0; count < 20_000; count++) {
    const unit = entropy.unit();
    assert.ok(unit >= 0 && unit < 1);
    counts[Math.floor(unit * 10)]!++;
  }
  for (const count of counts) assert.ok(count > 1_700 && count < 2_300, String(count));
});

test("Entropy fill fills every size, also beyond what one draw gives", () => {
  entropy.fill(new Uint8Array(0));
  const large = new Uint8Array(200_000);
  entropy.fill(large);
  for (const start of [0, 65_536, 131_072, 199_900]) {
    assert.ok(large.subarray(start, start + 100).some((byte) => byte !== 0), String(start));
  }
});

test.run();
