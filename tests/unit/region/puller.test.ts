/** One run of a puller against a region and a destination under test, in virtual time. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import {
  MIRROR_BATCH_ITEMS_MAX,
  MIRROR_SAVE_MS_MAX,
  PULLER_EVENTS_MAX,
} from "../../../src/base/limits.ts";
import { SourceRegion } from "../../support/fake_region_link.ts";
import { expectedAliases, expectedMirrors, PullerWorld } from "../../support/puller_world.ts";

const DOMAINS = ["a.example", "b.example"];

/** Returns a region with `count` records. */
function regionOf(count: number, partitions = 4): SourceRegion {
  const source = new SourceRegion(partitions);
  for (let number = 0; number < count; number++) source.register(number, true, undefined);
  return source;
}

test("a puller lists a region, then follows it, with aliases and residency", async () => {
  const source = regionOf(20);
  source.register(30, false, undefined);
  source.register(31, true, DOMAINS[0]);
  const world = new PullerWorld();
  const run = world.start(source);
  await world.caughtUp(run);
  assert.equal(world.mirrors(), expectedMirrors(source));
  assert.equal(world.aliases(DOMAINS), [[DOMAINS[0], 31]]);
  source.register(40, true, DOMAINS[1]);
  source.register(31, true, undefined);
  source.register(3, false, undefined);
  source.remove(4);
  await world.caughtUp(run);
  assert.equal(world.mirrors(), expectedMirrors(source));
  assert.equal(world.aliases(DOMAINS), expectedAliases(source, DOMAINS));
  assert.is(run.puller.counts.resyncs, 0);
  run.puller.stop();
  await world.world.pass(10);
  assert.is(run.ended, "stopped");
});

test("the next puller continues at the cursors that were saved, and lists nothing", async () => {
  const source = regionOf(20);
  const world = new PullerWorld();
  const first = world.start(source);
  await world.caughtUp(first);
  await world.world.pass(MIRROR_SAVE_MS_MAX + 2_000);
  first.puller.stop();
  source.register(50, true, undefined);
  source.remove(5);
  const second = world.start(source);
  await world.caughtUp(second);
  assert.is(second.link.feeds[0]!.request.cursors.size, 4);
  assert.equal(world.mirrors(), expectedMirrors(source));
});

test("no cursor is saved before what it covers is applied", async () => {
  const source = regionOf(0);
  const world = new PullerWorld();
  const first = world.start(source);
  await world.caughtUp(first);
  for (let number = 0; number < 200; number++) source.register(number, true, undefined);
  // One partition takes nothing; the others do, and time passes in which cursors are saved.
  world.target.stuck = world.target.partitionOf(1, new Uint8Array(16).fill(0x40, 0, 12));
  first.link.poke();
  await world.world.pass(MIRROR_SAVE_MS_MAX + 5_000);
  assert.ok(world.mirrors().length > 50 && world.mirrors().length < 200);
  first.puller.stop();
  world.target.stuck = undefined;
  const second = world.start(source);
  await world.caughtUp(second);
  assert.equal(world.mirrors(), expectedMirrors(source));
});

test("an empty or unfinished list deletes nothing; a complete one does what it shows", async () => {
  const source = regionOf(20);
  const world = new PullerWorld();
  const first = world.start(source);
  await world.caughtUp(first);
  await world.world.pass(MIRROR_SAVE_MS_MAX + 2_000);
  first.puller.stop();
  // The histories are gone, so the next one lists; the list breaks off before its end.
  for (const number of [2, 3]) source.remove(number);
  for (let partition = 0; partition < 4; partition++) {
    source.register(60 + partition, true, undefined);
    for (let times = 0; times < 3; times++) source.trimmed[partition] = source.indexOf(partition);
  }
  const before = world.mirrors().length;
  const second = world.start(source);
  second.link.endsEarly = second.link.provesEarly = true;
  await world.world.pass(30_000);
  assert.ok(world.mirrors().length >= before, "nothing was deleted");
  assert.is(second.fresh.length, 0);
  second.link.endsEarly = false;
  await world.caughtUp(second);
  assert.equal(world.mirrors(), expectedMirrors(source));
  assert.ok(second.puller.counts.resyncs > 0);
});

test("a puller that was overtaken ends, and its late batches change nothing", async () => {
  const source = regionOf(10);
  const world = new PullerWorld();
  const first = world.start(source);
  await world.caughtUp(first);
  const second = world.start(source);
  await world.caughtUp(second);
  for (let number = 0; number < 10; number++) source.register(number, true, undefined);
  await world.caughtUp(second);
  first.link.poke();
  await world.world.pass(10_000);
  assert.is(first.ended, "superseded");
  assert.is(second.ended, undefined);
  assert.equal(world.mirrors(), expectedMirrors(source));
});

test("batches are repeated until they are applied, whatever is lost or refused", async () => {
  const source = regionOf(30);
  const world = new PullerWorld();
  world.target.refusedShare = 0.3;
  world.target.lostShare = 0.3;
  const run = world.start(source);
  await world.caughtUp(run, 120_000);
  for (let round = 0; round < 30; round++) {
    source.register(round, round % 7 > 0, DOMAINS[round % 3]);
    if (round % 4 === 0) source.remove(round);
    run.link.poke();
    await world.world.pass(20);
  }
  await world.caughtUp(run, 120_000);
  assert.equal(world.mirrors(), expectedMirrors(source));
  assert.equal(world.aliases(DOMAINS), expectedAliases(source, DOMAINS));
});

test("many changes share an entry, few are sent at once, and what waits is bounded", async () => {
  const source = regionOf(0, 4);
  const world = new PullerWorld({ partitions: 16 });
  const run = world.start(source);
  run.link.pieceMax = 500;
  await world.caughtUp(run);
  const before = run.puller.counts.entries;
  for (let number = 0; number < 4_000; number++) source.register(number, true, undefined);
  await world.caughtUp(run);
  const entries = run.puller.counts.entries - before;
  assert.ok(entries <= 0.125 * 4_000, `${entries} entries for 4,000 changes`);
  assert.ok(world.target.inFlightMax <= 64);
  // A single change is mirrored without a wait for others.
  source.register(9_999, true, undefined);
  run.link.poke();
  await world.world.pass(3 * world.target.delayMs);
  assert.equal(world.mirrors(), expectedMirrors(source));
});

test("changes under way are as many as a turn applies, except those of silent partitions", async () => {
  const source = regionOf(0);
  const world = new PullerWorld({ partitions: 8 });
  const run = world.start(source, { othersPerMs: 100_000 });
  await world.caughtUp(run);
  source.register(0, true, undefined);
  await world.caughtUp(run);
  const { target } = world;
  run.link.pieceMax = 2_000;
  target.bytesInFlightMax = 0;
  for (let number = 0; number < 2_000; number++) source.register(number, true, undefined);
  await world.caughtUp(run);
  const twoBatches = 2 * MIRROR_BATCH_ITEMS_MAX * 150;
  assert.ok(target.bytesInFlightMax < twoBatches, `${target.bytesInFlightMax} bytes`);
  target.silent = [0, 1, 2, 3, 4, 5];
  for (let number = 2_000; number < 4_000; number++) source.register(number, true, undefined);
  run.link.poke();
  await world.world.pass(3_000);
  const missing = 4_000 - world.mirrors().length;
  assert.ok(missing > 1_300 && missing < 1_700, `${missing} of 2,000 are missing`);
});

test("changes that wait for more are sent once no more come", async () => {
  const source = regionOf(0);
  const world = new PullerWorld({ partitions: 64 });
  const run = world.start(source);
  await world.caughtUp(run);
  for (let number = 0; number < 1_000; number++) source.register(number, true, undefined);
  run.link.poke();
  await world.world.pass(500);
  assert.equal(world.mirrors(), expectedMirrors(source));
});

test("a puller whose partitions take nothing stops reading", async () => {
  const source = regionOf(0, 1);
  const world = new PullerWorld({ partitions: 1 });
  const run = world.start(source);
  run.link.pieceMax = 5_000;
  await world.caughtUp(run);
  world.target.stuck = 0;
  for (let number = 0; number < 40_000; number++) source.register(number, true, undefined);
  run.link.poke();
  await world.world.pass(5_000);
  const { entries } = run.puller.lag;
  assert.ok(entries > PULLER_EVENTS_MAX && entries < PULLER_EVENTS_MAX + 6_000, `${entries}`);
  run.puller.stop();
  await world.world.pass(10);
  assert.is(run.ended, "stopped");
});

test("freshness is the time at which the source was asked, and waits for what came before", async () => {
  const source = regionOf(5);
  const world = new PullerWorld();
  const run = world.start(source);
  await world.caughtUp(run);
  assert.ok(world.ageMs(run) < 1_500);
  world.target.stuck = world.target.partitionOf(1, new Uint8Array(16).fill(0x40, 0, 12));
  for (let number = 0; number < 50; number++) source.register(number, true, undefined);
  const changedMs = world.world.nowMs();
  run.link.poke();
  await world.world.pass(20_000);
  assert.ok(run.fresh.at(-1)!.monotonicMs <= changedMs, "what is not applied is not known");
  world.target.stuck = undefined;
  await world.caughtUp(run);
  assert.ok(world.ageMs(run) < 1_500);
  run.link.isUp = false;
  await world.world.pass(60_000);
  assert.ok(world.ageMs(run) >= 60_000, "a region out of reach grows older");
});

test("a feed that cannot be mended ends the run with its reason", async () => {
  const source = regionOf(5);
  const world = new PullerWorld();
  const run = world.start(source);
  await world.caughtUp(run);
  run.link.feeds[0]!.fail(new RegistryError("wrong_cluster", "another cluster"));
  await world.world.pass(10);
  assert.is(run.ended, "wrong_cluster");
});

test("another generation of the feed replaces everything of the one before", async () => {
  const source = regionOf(20);
  const world = new PullerWorld();
  const first = world.start(source);
  await world.caughtUp(first);
  source.recreate();
  for (const number of [1, 2, 30]) source.register(number, true, DOMAINS[0]);
  first.puller.stop();
  const second = world.start(source);
  await world.caughtUp(second);
  assert.equal(world.mirrors(), expectedMirrors(source));
  assert.equal(world.aliases(DOMAINS), expectedAliases(source, DOMAINS));
});

test.run();
