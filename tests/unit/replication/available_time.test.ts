/** Available time: detection of outages, the time excluded for them, and continuing time. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { SharedLogStats } from "../../../src/storage/shared_log.ts";
import { AvailableTime, OUTAGE_TIMING } from "../../../src/replication/available_time.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

const { graceCreditMs, graceMsMax, graceMsMin, pulseMs, stallMs, turnLateMs } = OUTAGE_TIMING;

/** A log whose state a test sets. */
class SaidLog {
  /** The time at which the oldest pending write was handed over; undefined: there is none. */
  handedOverMs: number | undefined;
  writable = true;
  poisoned = false;
  readonly #world: SteppedWorld;

  constructor(world: SteppedWorld) {
    this.#world = world;
  }

  stats(): SharedLogStats {
    const { handedOverMs, poisoned, writable } = this;
    const oldestPendingMs = handedOverMs === undefined ? 0 : this.#world.nowMs() - handedOverMs;
    return { oldestPendingMs, poisoned, writable } as SharedLogStats;
  }
}

function setUp(isRestart = false) {
  const world = new SteppedWorld();
  const log = new SaidLog(world);
  const time = new AvailableTime({ monotonic: world, wall: world, scheduler: world, log });
  time.start(isRestart);
  return { world, log, time };
}

/** Returns the grace after an outage of that length. */
function graceMs(outageMs: number): number {
  return Math.min(graceMsMax, graceMsMin + 2 * outageMs);
}

test("available time runs with the monotonic clock while nothing is wrong", async () => {
  const { time, world } = setUp();
  const startMs = time.nowMs();
  for (let step = 0; step < 100; step++) {
    await world.pass(137);
    assert.is(time.nowMs() - startMs, world.nowMs());
    assert.is(time.unsettledMs(), 0);
  }
});

test("a turn that comes a little late is no outage", async () => {
  const { time, world } = setUp();
  await world.pass(10_000);
  world.stop(turnLateMs);
  assert.is(time.nowMs(), 10_000 + turnLateMs);
  await world.pass(1);
  assert.is(time.nowMs(), 10_001 + turnLateMs);
});

test("a stop is left out before anything can read it, and a grace after it", async () => {
  for (const stopMs of [turnLateMs + pulseMs + 1, 4_000, 60_000]) {
    const { time, world } = setUp();
    await world.pass(10_000);
    world.stop(stopMs);
    // The stop may have begun when the next pulse was due, and counts from then.
    const lateMs = stopMs - pulseMs;
    assert.is(time.nowMs(), 10_000 + pulseMs, "the very first reading");
    await world.pass(graceMs(lateMs) - 1);
    assert.is(time.nowMs(), 10_000 + pulseMs, "the grace");
    assert.ok(time.unsettledMs() > 0);
    await world.pass(2 + pulseMs);
    assert.ok(time.nowMs() > 10_000 + pulseMs);
    assert.is(time.unsettledMs(), 0);
    await world.pass(5_000);
    assert.is(time.nowMs(), world.nowMs() - lateMs - graceMs(lateMs), "no more than that");
  }
});

test("a suspended machine stops its monotonic clock, and gets the grace of its length", async () => {
  const { time, world } = setUp();
  await world.pass(10_000);
  world.wallOffsetMs += 3_000;
  await world.pass(1_000);
  const seenMs = time.nowMs();
  assert.ok(seenMs <= 10_000 + pulseMs);
  await world.pass(graceMs(3_000) - 1_000);
  assert.is(time.nowMs(), seenMs);
  await world.pass(2_000);
  assert.ok(time.nowMs() > seenMs);
});

test("a wall clock that is set back changes nothing", async () => {
  const { time, world } = setUp();
  await world.pass(10_000);
  world.wallOffsetMs -= 3_600_000;
  await world.pass(10_000);
  assert.is(time.nowMs(), 20_000);
});

test("a log that refuses stops the clock at once, until it takes writes again, and for a grace", async () => {
  const { log, time, world } = setUp();
  await world.pass(10_000);
  log.writable = false;
  time.logRefuses();
  await world.pass(40_000);
  assert.is(time.nowMs(), 10_000);
  assert.is(time.unsettledMs(), Infinity);
  log.writable = true;
  await world.pass(pulseMs);
  assert.ok(time.unsettledMs() < Infinity);
  await world.pass(graceMsMax - 1);
  assert.is(time.nowMs(), 10_000);
  await world.pass(1_001);
  assert.is(time.nowMs(), 11_000);
});

test("a poisoned log stops the clock for good", async () => {
  const { log, time, world } = setUp();
  log.poisoned = true;
  time.logRefuses();
  await world.pass(3_600_000);
  assert.is(time.nowMs(), 0);
});

test("a write that stalls is left out from its handover on, however late it is noticed", async () => {
  const { log, time, world } = setUp();
  await world.pass(10_100);
  log.handedOverMs = world.nowMs();
  await world.pass(stallMs / 2);
  assert.is(time.nowMs(), world.nowMs(), "not yet known to stall");
  assert.is(time.nowMs() - time.unsettledMs(), 10_100, "and not relied on");
  await world.pass(12_000 - stallMs / 2);
  assert.ok(time.nowMs() <= 10_100 + stallMs + 2 * pulseMs);
  assert.is(time.unsettledMs(), Infinity);
  log.handedOverMs = undefined;
  await world.pass(pulseMs);
  const endMs = world.nowMs();
  await world.pass(graceMsMax + 5_000);
  // It ends at the pulse that observes the end.
  const lostMs = world.nowMs() - time.nowMs();
  assert.ok(lostMs >= 12_000 + graceMsMax && lostMs <= endMs - 10_100 + graceMsMax, `${lostMs}`);
});

test("a short wait for the disk counts as time", async () => {
  const { log, time, world } = setUp();
  for (let write = 0; write < 50; write++) {
    log.handedOverMs = world.nowMs();
    await world.pass(stallMs - pulseMs);
  }
  assert.is(time.nowMs(), world.nowMs());
  assert.is(time.unsettledMs(), stallMs - pulseMs);
});

test("a stop with a write pending is left out once", async () => {
  const { log, time, world } = setUp();
  await world.pass(10_000);
  log.handedOverMs = world.nowMs();
  world.stop(15_000);
  await world.pass(0);
  log.handedOverMs = undefined;
  await world.pass(graceMsMax + 10_000);
  assert.is(time.nowMs(), 20_000);
});

test("restart: owners get the longest grace, as the time of the outage is not known", async () => {
  const { time, world } = setUp(true);
  await world.pass(graceMsMax);
  assert.is(time.nowMs(), 0);
  await world.pass(1_000);
  assert.is(time.nowMs(), 1_000);
});

test("readings never go back and never run faster than the clock, whatever happens", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { log, time, world } = setUp();
    const chance = new SteppedWorld(seed).entropy;
    let [lastMs, lastShownMs] = [world.nowMs(), time.nowMs()];
    for (let step = 0; step < 400; step++) {
      const dice = chance.unit();
      if (dice < 0.1) world.stop(chance.unit() * 5_000);
      else if (dice < 0.2) log.writable = !log.writable;
      else if (dice < 0.3) log.handedOverMs = world.nowMs();
      else if (dice < 0.5) log.handedOverMs = undefined;
      else if (dice < 0.55) world.wallOffsetMs += (chance.unit() - 0.5) * 10_000;
      else await world.pass(chance.unit() * 1_000);
      if (!log.writable) time.logRefuses();
      const [nowMs, shownMs] = [world.nowMs(), time.nowMs()];
      assert.ok(shownMs >= lastShownMs, `seed ${seed}: went back`);
      assert.ok(shownMs - lastShownMs <= nowMs - lastMs + 1e-6, `seed ${seed}: ran fast`);
      [lastMs, lastShownMs] = [nowMs, shownMs];
    }
  }
});

test("time goes on though every turn is late, and though every write stalls and then completes", async () => {
  const late = setUp();
  for (let turn = 0; turn < 2_000; turn++) {
    late.world.stop(2_000);
    await late.world.pass(0);
  }
  assert.ok(late.time.nowMs() >= 2_000 * pulseMs / 2 - graceCreditMs, `${late.time.nowMs()}`);
  const slow = setUp();
  for (let write = 0; write < 2_000; write++) {
    slow.log.handedOverMs = slow.world.nowMs();
    await slow.world.pass(3_000);
  }
  assert.ok(slow.time.nowMs() >= 2_000 * pulseMs / 2 - graceCreditMs, `${slow.time.nowMs()}`);
});

test("outages that come again and again get no more graces than half of the time between them", async () => {
  const { time, world } = setUp();
  const upMs = 4_000;
  for (let outage = 0; outage < 100; outage++) {
    await world.pass(upMs);
    world.stop(10_000);
    await world.pass(0);
  }
  assert.ok(time.nowMs() >= 100 * upMs / 2 - graceCreditMs, `${time.nowMs()}`);
});

test.run();
