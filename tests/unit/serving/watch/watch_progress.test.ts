/** Progress of watches: when it is told, what it names, and the age that it proves. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WATCH_STARTS } from "../../../../schemas/gen/wire.ts";
import { WATCH_QUIET_PARTS } from "../../../../src/base/limits.ts";
import { developmentPeer } from "../../../../identity/enrolment/development_peer.ts";
import { FakeWatchStream } from "../../../support/fake_watch_stream.ts";
import { agentRequest, RegistryHarness } from "../../../support/registry_harness.ts";
import { type ProbeOrder, startAll, WatchProbe } from "../../../support/watch_probe.ts";

const PARTITIONS = 4;
const NEXT = startAll(PARTITIONS, WATCH_STARTS.next);

async function opened() {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  const watch = async (order: ProbeOrder = {}) => {
    const probe = new WatchProbe(await harness.peer(), "watch", { positions: NEXT, ...order });
    await harness.world.pass(2);
    return probe;
  };
  return { harness, watch };
}

test("progress is told from the first interval on, with the age", async () => {
  const { harness, watch } = await opened();
  const fast = await watch({ progressMs: 100 });
  const usual = await watch();
  const slow = await watch({ progressMs: 60_000 });
  await harness.world.pass(10_000);
  assert.is(fast.progress.length, 100);
  assert.is(usual.progress.length, 10);
  assert.is(slow.progress.length, 0);
  await harness.world.pass(50_000);
  assert.is(slow.progress.length, 1);
  for (const { response, body } of [...fast.progress, ...usual.progress, ...slow.progress]) {
    assert.is(response.receipts.length, 1);
    assert.is(response.receipts[0]!.ageBoundMs, 0);
    assert.is(response.receipts[0]!.node, 1);
    assert.is(body.nonce, 0);
  }
});

test("progress names the partitions whose position moved", async () => {
  const { harness, watch } = await opened();
  const probe = await watch({ progressMs: 500, region: "elsewhere" });
  const named = () => probe.progress.map(({ body }) => body.parts.length);
  await harness.world.pass(2_000);
  assert.equal(named().slice(1), [0, 0, 0]);
  const owner = await harness.peer();
  await owner.must("registerAgent", agentRequest({ number: 1 }));
  const before = new Map(probe.positions);
  await harness.world.pass(500);
  assert.is(named().at(-1), 1);
  const moved = [...probe.positions].filter(([partition, { index }]) =>
    index > before.get(partition)!.index
  );
  assert.is(moved.length, 1);
  assert.equal(probe.events, []);
});

test("progress names few partitions whose position moved without a change, and all in the end", async () => {
  const partitions = 32;
  const harness = await RegistryHarness.open({ partitions });
  const owner = await harness.peer();
  for (let number = 1; number <= 400; number++) {
    await owner.must("registerAgent", agentRequest({ number, ttlMs: 600_000 }));
  }
  const positions = startAll(partitions, WATCH_STARTS.next);
  const probe = new WatchProbe(await harness.peer(), "watch", { positions });
  await harness.world.pass(5_000);
  const first = new Map(probe.positions);
  const begun = probe.progress.length;
  // Every partition has something to expire, and logs the time within a minute.
  await harness.world.pass(70_000);
  const named = probe.progress.slice(begun).map(({ body }) => body.parts.length);
  assert.is(Math.max(...named), WATCH_QUIET_PARTS);
  const moved = [...probe.positions].filter(([partition, { index }]) =>
    index > first.get(partition)!.index
  );
  assert.is(moved.length, partitions);
  assert.equal(probe.events, []);
});

test("askProgress is answered behind everything that was there, under its nonce", async () => {
  const { harness, watch } = await opened();
  const probe = await watch({ progressMs: 60_000 });
  const owner = await harness.peer();
  await owner.must("registerAgent", agentRequest({ number: 1 }));
  const { code } = await probe.peer.ask("askProgress", { id: probe.id, nonce: 77 });
  assert.is(code, "ok");
  await harness.world.pass(2);
  assert.equal(probe.progress.map(({ body }) => body.nonce), [77]);
  assert.is(probe.progress[0]!.response.receipts[0]!.ageBoundMs, 0);
  assert.is(probe.events.length, 1);
  assert.ok(
    probe.replies.findIndex(({ body }) => body.parts[0]?.events.length > 0) <
      probe.replies.indexOf(probe.progress[0]!),
  );
  const unknown = await probe.peer.ask("askProgress", { id: 999, nonce: 1 });
  assert.is(unknown.code, "not_found");
});

test("progress of a watch that is behind proves nothing, and is answered once it is not", async () => {
  const { harness } = await opened();
  const revoked = new AbortController().signal;
  const stream = new FakeWatchStream(developmentPeer({ region: "global", revoked }));
  const hub = harness.registry.watches;
  const log = stream.watch(hub, { positions: NEXT, progressMs: 100 }, PARTITIONS);
  await harness.world.pass(150);
  assert.is(log.progress.length, 1);
  stream.reads = false;
  const owner = await harness.peer();
  for (let number = 1; number < 20; number++) {
    await owner.must("registerAgent", agentRequest({ number }));
    await harness.world.pass(2);
  }
  assert.ok(hub.askProgress(stream, 1, 5));
  assert.is(hub.status.blocked, 1);
  await harness.world.pass(1_000);
  assert.is(log.progress.length, 1, "Nothing is added to what the peer does not read");
  stream.reads = true;
  await harness.world.pass(2);
  assert.is(hub.status.blocked, 0);
  assert.is(log.events.length, 19);
  assert.equal(log.progress.slice(1).map(({ body }) => body.nonce), [5]);
});

test("a node without watches has nothing to do for them", async () => {
  const { harness, watch } = await opened();
  const probe = await watch({ progressMs: 100 });
  await probe.peer.ask("cancelWatch", { id: probe.id });
  await harness.world.pass(1_000);
  const before = harness.world.timersRun;
  await harness.world.pass(200);
  assert.ok(harness.world.timersRun - before <= 2, `${harness.world.timersRun - before} timers`);
});

test.run();
