/** Which reads count as late, and how many further requests they may cause. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  CLIENT_HEDGE_BURST,
  CLIENT_HEDGE_MS_MAX,
  CLIENT_HEDGE_MS_MIN,
  CLIENT_HEDGE_SAMPLES_MIN,
  CLIENT_HEDGE_WATCHED_MAX,
} from "../../../src/base/limits.ts";
import { BoundedRead, Call } from "../../../src/client/call.ts";
import { HedgeWatch } from "../../../src/client/hedge_watch.ts";
import { OPERATIONS } from "../../../src/wire/operations/mod.ts";
import { ManualTime } from "../../support/manual_time.ts";

class Watched {
  readonly time = new ManualTime(0);
  readonly late: number[] = [];
  /** Whether late reads are reported again. */
  isAgain = false;
  readonly watch = new HedgeWatch(
    { monotonic: this.time, scheduler: this.time },
    (call, nowMs) => {
      assert.is(nowMs, this.time.nowMs());
      this.late.push(call.serial);
      return this.isAgain;
    },
  );

  call(serial: number): Call {
    const call = new Call({
      operation: OPERATIONS.getAgent,
      body: {},
      decode: () => undefined,
      maxStalenessMs: 1,
      deadlineMs: Infinity,
      resolve: () => {},
      reject: () => {},
      bounded: new BoundedRead(),
    }, serial);
    this.watch.watch(call, this.time.nowMs());
    return call;
  }

  samples(ms: number, count = CLIENT_HEDGE_SAMPLES_MIN): void {
    for (let sample = 0; sample < count; sample++) this.watch.answered(ms);
  }
}

test("HedgeWatch takes the maximum as the delay before it has enough samples", () => {
  const watched = new Watched();
  watched.samples(3, CLIENT_HEDGE_SAMPLES_MIN - 1);
  watched.call(1);
  watched.time.advance(CLIENT_HEDGE_MS_MAX - 1);
  assert.equal(watched.late, []);
  watched.time.advance(1);
  assert.equal(watched.late, [1]);
  watched.samples(3, 1);
  assert.ok(watched.watch.delayMs >= 3 && watched.watch.delayMs < 3.1);
  watched.call(2);
  watched.time.advance(5);
  assert.equal(watched.late, [1, 2]);
});

test("HedgeWatch reports a late read again after each delay, if that is wanted and it is not done", () => {
  const watched = new Watched();
  watched.samples(10);
  watched.isAgain = true;
  const { delayMs } = watched.watch;
  const first = watched.call(1);
  watched.time.advance(1.5 * delayMs);
  watched.call(2);
  watched.time.advance(0.75 * delayMs);
  assert.equal(watched.late, [1, 1]);
  watched.time.advance(0.5 * delayMs);
  assert.equal(watched.late, [1, 1, 2]);
  first.done = true;
  watched.isAgain = false;
  watched.time.advance(10 * delayMs);
  assert.equal(watched.late, [1, 1, 2, 2]);
  assert.is(watched.time.timerCount, 0);
});

test("HedgeWatch takes the 99th percentile as the delay, within bounds, and follows it", () => {
  const watched = new Watched();
  watched.samples(10, 98);
  watched.samples(20, 2);
  assert.ok(Math.abs(watched.watch.delayMs - 20) < 0.4, `${watched.watch.delayMs}`);
  watched.samples(0.1, 1_024);
  assert.is(watched.watch.delayMs, CLIENT_HEDGE_MS_MIN);
  watched.samples(1, 1_000);
  watched.samples(900, 24);
  assert.is(watched.watch.delayMs, CLIENT_HEDGE_MS_MAX);
  // Where all reads take long, few of them are late.
  watched.samples(100, 1_000);
  watched.samples(900, 24);
  assert.ok(Math.abs(watched.watch.delayMs - 200) < 4, `${watched.watch.delayMs}`);
});

test("HedgeWatch reports each late read once, in time, and none that is done", () => {
  const watched = new Watched();
  watched.samples(5);
  const delayMs = watched.watch.delayMs;
  const calls = [1, 2, 3].map((serial) => {
    const call = watched.call(serial);
    watched.time.advance(1);
    return call;
  });
  calls[1]!.done = true;
  watched.time.advance(delayMs - 3);
  assert.equal(watched.late, [1]);
  watched.time.advance(1);
  assert.equal(watched.late, [1]);
  watched.time.advance(1);
  assert.equal(watched.late, [1, 3]);
  watched.time.advance(1_000);
  assert.equal(watched.late, [1, 3]);
  assert.is(watched.time.timerCount, 0);
});

test("HedgeWatch allows a burst of further requests, and then one per twenty reads", () => {
  const watched = new Watched();
  watched.samples(5);
  for (let taken = 0; taken < CLIENT_HEDGE_BURST; taken++) assert.ok(watched.watch.takeOne());
  for (let serial = 0; serial < 19; serial++) watched.call(serial).done = true;
  assert.not(watched.watch.takeOne());
  // A twentieth is not exact in binary: the sum of 21 of them is surely above 1.
  for (let serial = 0; serial < 2; serial++) watched.call(serial).done = true;
  assert.ok(watched.watch.takeOne());
  assert.not(watched.watch.takeOne());
  watched.watch.won();
  assert.ok(watched.watch.takeOne(), "one that answered first costs nothing");
  assert.not(watched.watch.takeOne());
  for (let serial = 0; serial < 21 * CLIENT_HEDGE_BURST; serial++) {
    watched.call(serial).done = true;
    watched.time.advance(1);
  }
  for (let taken = 0; taken < CLIENT_HEDGE_BURST; taken++) assert.ok(watched.watch.takeOne());
  assert.not(watched.watch.takeOne());
});

test("HedgeWatch watches a bounded number of reads, and none once it is closed", () => {
  const watched = new Watched();
  watched.samples(5);
  for (let serial = 0; serial < CLIENT_HEDGE_WATCHED_MAX + 100; serial++) watched.call(serial);
  watched.time.advance(100);
  assert.is(watched.late.length, CLIENT_HEDGE_WATCHED_MAX);
  watched.call(1);
  watched.watch.close();
  assert.is(watched.time.timerCount, 0);
  watched.time.advance(100);
  assert.is(watched.late.length, CLIENT_HEDGE_WATCHED_MAX);
  assert.not(watched.watch.takeOne());
});

test.run();
