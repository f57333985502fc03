/**
 * A whole registry whose disk is full, fails, or loses power: its replies, and the data that it
 * keeps.
 */
import { KIND_AGENT } from "../../../src/record/key.ts";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { OUTAGE_GRACE_MS_MAX, WAL_PROBE_MS } from "../../../src/base/limits.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";

test("full disk: writes are refused until there is room, reads and renewals go on", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const { incarnation } = await peer.must(
    "registerAgent",
    agentRequest({ number: 1, domain: "a.example" }),
  );
  harness.disk.intercept = ({ kind }) => kind === "write" ? "no_space" : undefined;
  for (let number = 2; number < 6; number++) {
    const refusal = await peer.ask("registerAgent", agentRequest({ number }));
    assert.is(refusal.code, "storage_unavailable");
    assert.is(harness.agent(idOf(number)), undefined);
  }
  assert.equal(harness.writable, [false]);
  assert.is((await peer.ask("getAgent", { id: idOf(1) })).code, "ok");
  assert.is((await peer.ask("resolveAgent", { domain: "a.example" })).code, "ok");
  const items = [{ id: idOf(1), incarnation, kind: 1 }];
  assert.is((await peer.must("renew", { items })).renewed, 1, "within the cover");
  for (let renewals = 0; renewals < 20; renewals++) {
    await harness.world.pass(20_000);
    assert.is((await peer.must("renew", { items })).renewed, 1, "the cover does not run out");
  }

  harness.disk.intercept = () => undefined;
  await harness.world.pass(WAL_PROBE_MS + 200);
  assert.equal(harness.writable, [false, true]);
  assert.is((await peer.must("renew", { items })).renewed, 1);
  assert.is((await peer.ask("registerAgent", agentRequest({ number: 2 }))).code, "ok");
  await harness.restart();
  assert.ok(harness.agent(idOf(1)) !== undefined && harness.agent(idOf(2)) !== undefined);
  assert.is(harness.agent(idOf(3)), undefined);
});

test("full disk: records that could not expire meanwhile expire once there is room", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, ttlMs: 5_000 }));
  harness.disk.intercept = ({ kind }) => kind === "write" ? "no_space" : undefined;
  await harness.world.pass(8_000);
  assert.ok(harness.agent(idOf(1)) !== undefined, "an expiry is logged or does not happen");
  harness.disk.intercept = () => undefined;
  await harness.world.pass(OUTAGE_GRACE_MS_MAX + WAL_PROBE_MS + 6_000);
  assert.is(harness.agent(idOf(1)), undefined);
});

test("failed sync: writes are refused and reads served until a restart, which loses nothing", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  for (let number = 1; number <= 20; number++) {
    await peer.must("registerAgent", agentRequest({ number, domain: `d${number}.example` }));
  }
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "io" : undefined;
  assert.is(
    (await peer.ask("registerAgent", agentRequest({ number: 21 }))).code,
    "storage_unavailable",
  );
  assert.is(harness.poisoned, 1);
  harness.disk.intercept = () => undefined;
  await harness.world.pass(10_000);
  assert.is(
    (await peer.ask("registerAgent", agentRequest({ number: 22 }))).code,
    "storage_unavailable",
    "no second try",
  );
  assert.is((await peer.ask("resolveAgent", { domain: "d7.example" })).code, "ok");
  assert.is(harness.poisoned, 1, "told once");
  await harness.restart();
  const later = await harness.peer();
  for (let number = 1; number <= 20; number++) {
    assert.is((await later.ask("resolveAgent", { domain: `d${number}.example` })).code, "ok");
  }
  assert.is(harness.agent(idOf(22)), undefined);
});

test("power cut: at any turn, with any pages left, no acknowledged write is lost", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const entropy = new SeededEntropy(seed);
    const harness = await RegistryHarness.open({ seed });
    const acknowledged = new Set<number>();
    let number = 0;
    for (let crashes = 0; crashes < 4; crashes++) {
      const peer = await harness.peer();
      for (let burst = 0; burst < 3; burst++) {
        for (let index = 0; index < 10; index++) {
          const mine = ++number;
          const domain = mine % 3 === 0 ? `d${mine}.example` : "";
          void peer.send("registerAgent", agentRequest({ number: mine, ttlMs: 600_000, domain }))
            .then(({ code }) => code === "ok" && acknowledged.add(mine));
        }
        const turns = Math.floor(entropy.unit() * 16);
        for (let turn = 0; turn < turns; turn++) await harness.world.turn();
      }
      await harness.restart(seed * 10 + crashes);
      for (const mine of acknowledged) {
        const agent = harness.agent(idOf(mine));
        assert.ok(agent !== undefined, `seed ${seed}: agent ${mine}`);
        assert.is(agent.domain === "", mine % 3 !== 0);
      }
    }
    assert.ok(acknowledged.size > 10, `${acknowledged.size}`);
    harness.crash();
  }
});

test("a write whose disk is stuck is answered deadline_exceeded and found applied later", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  const startMs = harness.world.nowMs();
  const reply = await peer.ask("registerAgent", agentRequest({ number: 1 }), { timeoutMs: 700 });
  assert.is(reply.code, "deadline_exceeded");
  const tookMs = harness.world.nowMs() - startMs;
  assert.ok(tookMs >= 700 && tookMs <= 800, String(tookMs));
  assert.is(harness.agent(idOf(1)), undefined);
  harness.disk.intercept = () => undefined;
  harness.disk.releaseHeld();
  await harness.world.settle();
  assert.ok(harness.agent(idOf(1)) !== undefined);
});

test("a restart finds the same cluster, and another number of partitions is refused", async () => {
  const harness = await RegistryHarness.open();
  const { clusterId } = harness.registry.cluster;
  assert.is(harness.registry.created, true);
  await harness.stop();
  await harness.start();
  assert.is(harness.registry.created, false);
  assert.equal(harness.registry.cluster.clusterId, clusterId);
  await harness.stop();
  const other = new RegistryHarness({ partitions: 16 });
  Object.assign(other, { disk: harness.disk });
  let refusal: unknown;
  await other.start().catch((error) => refusal = error);
  assert.instance(refusal, RegistryError);
  assert.is((refusal as RegistryError).code, "invalid_configuration");
  assert.is((refusal as RegistryError).fields.field, "partitions");
  // The folder is unlocked again.
  await harness.start();
  await harness.stop();
});

test("compaction goes by the limit that was set, and a restart from images finds everything", async () => {
  const limits = { segmentBytes: 2 ** 20, softBytes: 2 ** 20, hardBytes: 2 ** 28 };
  const harness = await RegistryHarness.open({ logLimits: limits });
  const peer = await harness.peer();
  const labels = Array.from({ length: 8 }, (_, index) => ({
    key: `k${index}`,
    value: "v".repeat(250),
  }));
  const extra = { credentialHash: new Uint8Array(0), labels, superseded: [] };
  for (let sequence = 1; sequence <= 40; sequence++) {
    const items = Array.from({ length: 50 }, (_, index) => ({
      ...agentRequest({ number: index + 1, sequence, extra, ttlMs: 600_000 }),
      kind: 1,
    }));
    await peer.must("registerMany", { items });
    await harness.world.pass(600);
  }
  await harness.world.pass(10_000);
  const stats = harness.registry.log.stats();
  assert.ok(stats.writtenBytes > 4 * limits.softBytes, String(stats.writtenBytes));
  assert.ok(stats.imagesWritten > 0);
  assert.ok(stats.segmentBytes <= 3 * limits.softBytes, String(stats.segmentBytes));
  const before = harness.agent(idOf(7));
  await harness.restart(5);
  assert.is(harness.registry.shared.counts.records[KIND_AGENT]!, 50);
  assert.equal(harness.agent(idOf(7)), before);
});

test("a restart on a full disk serves what was recovered, refuses writes, and goes on with room", async () => {
  const harness = await RegistryHarness.open();
  await (await harness.peer()).must("registerAgent", agentRequest({ number: 1, ttlMs: 20_000 }));
  harness.crash(3);
  fillDisk(harness);
  await harness.start();
  assert.equal(harness.writable, [false]);
  const peer = await harness.peer();
  assert.is((await peer.ask("getAgent", { id: idOf(1) })).code, "ok");
  const refused = await peer.ask("registerAgent", agentRequest({ number: 2 }));
  assert.is(refused.code, "storage_unavailable");
  // The group's time stands still: no record may appear expired unless its expiry is logged.
  await harness.world.pass(120_000);
  assert.is((await peer.ask("getAgent", { id: idOf(1) })).code, "ok");
  assert.is((await peer.ask("getAgent", { id: idOf(3) })).code, "not_found");

  harness.disk.intercept = () => undefined;
  await harness.world.pass(WAL_PROBE_MS + 200);
  assert.equal(harness.writable, [false, true]);
  assert.is((await peer.ask("registerAgent", agentRequest({ number: 2 }))).code, "ok");
  await harness.restart(4);
  assert.ok(harness.agent(idOf(1)) !== undefined && harness.agent(idOf(2)) !== undefined);
});

test("a start that waits for the log can be ended", async () => {
  const harness = await RegistryHarness.open();
  harness.crash(3);
  // A write that hangs: neither accepted nor refused.
  const file = harness.disk.list().find(({ name }) => name.endsWith(".wal"))!.name;
  const end = harness.disk.peek(file)!.findLastIndex((byte) => byte !== 0);
  harness.disk.intercept = (operation) =>
    operation.kind === "write" && operation.file === file && operation.position > end
      ? "hold"
      : undefined;
  const stop = new AbortController();
  harness.signal = stop.signal;
  const started = harness.start().then(() => "started", (error: RegistryError) => error.code);
  await harness.world.pass(1_000);
  stop.abort();
  await harness.world.settle();
  // Pending writes are waited for, because their bytes are in use.
  harness.disk.intercept = () => undefined;
  harness.disk.releaseHeld();
  assert.is(await harness.world.wait(started), "shutting_down");
});

/** Fails every write that needs space: all beyond the log's end. */
function fillDisk(harness: RegistryHarness): void {
  const file = harness.disk.list().find(({ name }) => name.endsWith(".wal"))!.name;
  const end = harness.disk.peek(file)!.findLastIndex((byte) => byte !== 0);
  harness.disk.intercept = (operation) =>
    operation.kind === "write" && operation.file === file && operation.position > end
      ? "no_space"
      : undefined;
}

test.run();
