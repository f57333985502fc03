/**
 * LeaseDriver: the partitions that it checks, and when. lease_times.test.ts and the simulator test
 * that leases end on time and never early.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  GROUP_TICK_MS,
  LEASE_TICK_MS,
  TIME_LOG_MS_MAX,
  WALL_LOOK_MS,
} from "../../../src/base/limits.ts";
import { KIND_AGENT } from "../../../src/record/key.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";

const MINUTE_MS = 60_000;
const PARTITIONS = 64;

/** Counts checks of partitions, and syncs of the log, during `ms`. */
async function during(harness: RegistryHarness, ms: number) {
  const { leases, log } = harness.registry;
  const [looks, syncs] = [leases.looks, log.stats().syncs];
  await harness.world.pass(ms);
  return { looks: leases.looks - looks, syncs: log.stats().syncs - syncs };
}

async function filled(ttlMs: number): Promise<RegistryHarness> {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  const peer = await harness.peer();
  for (let at = 0; at < 4; at++) {
    const items = Array.from({ length: 256 }, (_, index) => ({
      ...agentRequest({ number: at * 256 + index + 1, ttlMs }),
      kind: KIND_AGENT,
    }));
    await peer.must("registerMany", { items });
    await harness.world.pass(3_000);
  }
  return harness;
}

test("LeaseDriver looks at no partition and sets no timer while no record is here", async () => {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  await harness.world.pass(MINUTE_MS);
  const timersRun = harness.world.timersRun;
  assert.equal(await during(harness, MINUTE_MS), { looks: 0, syncs: 0 });
  // The wake-ups of a whole registry in a minute: checks of the wall clock, and others.
  const timersMax = MINUTE_MS / WALL_LOOK_MS + 250;
  const timers = harness.world.timersRun - timersRun;
  assert.ok(timers <= timersMax, `${timers}`);
});

test("LeaseDriver looks at partitions of long leases only to log their time, many with one sync", async () => {
  const harness = await filled(60 * MINUTE_MS);
  await harness.world.pass(3 * TIME_LOG_MS_MAX);
  const { looks, syncs } = await during(harness, 10 * MINUTE_MS);
  assert.ok(looks >= 9 * PARTITIONS && looks <= 12 * PARTITIONS, `${looks} looks`);
  // Each followed by a watermark.
  assert.ok(syncs <= 10 * 2 * 3, `${syncs} syncs`);
});

test("LeaseDriver ends a lease on time after hours without a look", async () => {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  await harness.world.pass(5 * 60 * MINUTE_MS);
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, ttlMs: 30_000 }));
  await peer.must("registerAgent", agentRequest({ number: 2, ttlMs: 5_000 }));
  await harness.world.pass(4_990);
  assert.ok(harness.agent(idOf(2)) !== undefined);
  await harness.world.pass(10 + LEASE_TICK_MS + GROUP_TICK_MS + 10);
  assert.is(harness.agent(idOf(2)), undefined);
  assert.ok(harness.agent(idOf(1)) !== undefined);
});

test("LeaseDriver ends a short lease on time in a partition that it planned for a long one", async () => {
  const harness = await RegistryHarness.open({ partitions: 1 });
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, ttlMs: 60 * MINUTE_MS }));
  await harness.world.pass(2 * MINUTE_MS + 1_234);
  await peer.must("registerAgent", agentRequest({ number: 2, ttlMs: 5_000 }));
  await harness.world.pass(5_000 + LEASE_TICK_MS + GROUP_TICK_MS + 10);
  assert.is(harness.agent(idOf(2)), undefined);
});

test("LeaseDriver does nothing more once it is stopped", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, ttlMs: 5_000 }));
  harness.registry.leases.stop();
  assert.is((await during(harness, MINUTE_MS)).looks, 0);
  assert.ok(harness.agent(idOf(1)) !== undefined);
});

test.run();
