/** Timers that share one of the runtime's. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CLIENT_TICK_MS } from "../../../src/base/limits.ts";
import { SharedTimers } from "../../../src/client/shared_timers.ts";
import { ManualTime } from "../../support/manual_time.ts";

function open() {
  const time = new ManualTime(0);
  return { time, timers: new SharedTimers({ monotonic: time, scheduler: time }) };
}

test("each runs once, not early, and at most a tick late", () => {
  const { time, timers } = open();
  const ran = new Map<number, number>();
  const delaysMs = [3_000, 60_000, 20, 20, 0, 3_001];
  for (const [number, delayMs] of delaysMs.entries()) {
    timers.after(delayMs, () => {
      assert.not(ran.has(number));
      ran.set(number, time.nowMs());
    });
    assert.ok(time.timerCount <= 1);
  }
  for (let at = 0; at < 61_000; at++) time.advance(1);
  assert.is(ran.size, delaysMs.length);
  for (const [number, delayMs] of delaysMs.entries()) {
    const lateMs = ran.get(number)! - delayMs;
    assert.ok(lateMs >= 0 && lateMs <= CLIENT_TICK_MS, `${delayMs} ms: ${lateMs} ms late`);
  }
  assert.is(time.timerCount, 0);
});

test("a cancelled one does not run, also if another one cancels it that is due with it", () => {
  const { time, timers } = open();
  const ran: string[] = [];
  timers.after(10, () => ran.push("cancelled")).cancel();
  timers.after(10, () => {
    later.cancel();
    timers.after(5, () => ran.push("begun by another"));
  });
  const later = timers.after(10, () => ran.push("later"));
  time.advance(100);
  later.cancel();
  assert.equal(ran, ["begun by another"]);
});

test("the runtime's timer ends with the last one after a close", () => {
  const { time, timers } = open();
  timers.after(60_000, () => {}).cancel();
  assert.is(time.timerCount, 1, "it is kept for the next one");
  timers.close();
  assert.is(time.timerCount, 0);
  let ran = 0;
  timers.after(10, () => ran++);
  timers.close();
  time.advance(100);
  assert.equal([ran, time.timerCount], [1, 0], "an open one still runs");
  const cancelled = timers.after(60_000, () => {});
  assert.is(time.timerCount, 1);
  cancelled.cancel();
  assert.is(time.timerCount, 0);
});

test.run();
