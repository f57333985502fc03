/** RegionAges: how old mirrors are, by the clocks of the node that asks. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { readClocks } from "../../../src/base/clock_reading.ts";
import { RegionAges } from "../../../src/region/region_ages.ts";
import type { NodeCalls } from "../../../src/serving/node_calls.ts";
import type { PeerRegion } from "../../../src/system/regions/region_state.ts";
import type { PullerState } from "../../../schemas/gen/wire.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

const PULLER = 2;

function stateOf(fields: Partial<PullerState>): PullerState {
  return {
    ...{ region: "us", shard: 0, feed: 5, fence: 9, ageMs: 0, contactAgeMs: 0 },
    ...{ lagEntries: 0, lagBytes: 0, resyncs: 0, refused: 0, state: "following", error: "" },
    ...{ seenGeneration: 0, seenClusterId: new Uint8Array(16) },
    ...fields,
  };
}

/** A node that asks node 2, which takes `delayMs` to answer. */
function asking(answer: () => readonly PullerState[] | RegistryError, delayMs = 0) {
  const world = new SteppedWorld();
  const region = {
    settings: { name: "us" },
    feed: 5,
    pullers: [0, 1].map((shard) => ({ shard, nodeId: PULLER, fence: 9 })),
  } as unknown as PeerRegion;
  const peers = { all: [region], of: () => region };
  const calls = {
    call: async () => {
      const pullers = answer();
      await new Promise<void>((resolve) => void world.after(delayMs, resolve));
      if (pullers instanceof RegistryError) throw pullers;
      return { pullers };
    },
  } as unknown as NodeCalls;
  const ages = new RegionAges({ self: 1, shardCount: 2, world, calls, regions: () => peers });
  return { world, ages, region };
}

/** Reports whether an age is that many ms, or little more for the drift of clocks. */
function isAbout(ageMs: number | undefined, ms: number): boolean {
  return ageMs !== undefined && ageMs >= ms && ageMs <= ms * 1.01 + 1;
}

test("an age counts from when it was asked for, not from when the answer came", async () => {
  const { world, ages } = asking(
    () => [stateOf({ ageMs: 100 }), stateOf({ shard: 1, ageMs: 300 })],
    4_000,
  );
  ages.ask();
  await world.pass(1_000);
  assert.is(ages.ageMs("us"), undefined);
  await world.pass(3_000);
  assert.ok(isAbout(ages.ageMs("us"), 4_300), `${ages.ageMs("us")}`);
  await world.pass(10_000);
  assert.ok(isAbout(ages.ageMs("us"), 14_300), "it grows");
});

test("a region is known only by all of its shards, and by the accepted feed", () => {
  const { world, ages, region } = asking(() => []);
  ages.fresh("us", 0, 5, readClocks(world));
  assert.is(ages.ageMs("us"), undefined);
  ages.fresh("us", 1, 4, readClocks(world));
  assert.is(ages.ageMs("us"), undefined, "of the feed before");
  ages.fresh("us", 1, 5, readClocks(world));
  assert.is(ages.ageMs("us"), 0);
  (region as { feed: number }).feed = 6;
  assert.is(ages.ageMs("us"), undefined, "another feed was accepted");
});

test("an older answer makes nothing older, and a node that is silent leaves its region ageing", async () => {
  let states: readonly PullerState[] | RegistryError = [0, 1].map((shard) => stateOf({ shard }));
  const { world, ages } = asking(() => states);
  ages.ask();
  await world.pass(1_000);
  assert.ok(isAbout(ages.ageMs("us"), 1_000));
  states = [0, 1].map((shard) => stateOf({ shard, ageMs: 60_000 }));
  ages.ask();
  await world.pass(1_000);
  assert.ok(isAbout(ages.ageMs("us"), 2_000));
  states = new RegistryError("connection_lost", "silent");
  ages.ask();
  await world.pass(1_000);
  assert.ok(isAbout(ages.ageMs("us"), 3_000));
  assert.ok(isAbout(ages.silentMs(PULLER), 2_000));
});

test("a sleep of the machine counts, though the monotonic clock stands still", () => {
  const { world, ages } = asking(() => []);
  for (const shard of [0, 1]) ages.fresh("us", shard, 5, readClocks(world));
  world.wallOffsetMs += 90_000;
  assert.ok(isAbout(ages.ageMs("us"), 90_000));
});

test("for a read of older state, what was mirrored since does not count", async () => {
  const { world, ages } = asking(() => []);
  for (let second = 0; second < 10; second++) {
    for (const shard of [0, 1]) ages.fresh("us", shard, 5, readClocks(world));
    await world.pass(1_000);
  }
  assert.ok(isAbout(ages.ageMs("us"), 1_000));
  assert.ok(isAbout(ages.ageMs("us", 3_500), 4_000));
  assert.is(ages.ageMs("us", 60_000), undefined, "that long ago nothing was known");
});

test.run();
