/** Watches over the wire against a whole registry: what they deliver, in which order, and how often. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentCodec, aliasCodec } from "../../../../schemas/gen/record.ts";
import { ALIAS_SWEEP_MS } from "../../../../src/base/limits.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS, KIND_GATEWAY } from "../../../../src/record/key.ts";
import { WATCH_EVENT_TYPES, WATCH_STARTS } from "../../../../schemas/gen/wire.ts";
import {
  agentRequest,
  gatewayRequest,
  RegistryHarness,
} from "../../../support/registry_harness.ts";
import type { RawPeer } from "../../../support/raw_peer.ts";
import { extraOf, idOf } from "../../../support/store.ts";
import { idOfEvent, type ProbeOrder, startAll, WatchProbe } from "../../../support/watch_probe.ts";

const PARTITIONS = 8;
const { put, superseded, deregistered, expired, domainLost } = WATCH_EVENT_TYPES;
const NEXT = startAll(PARTITIONS, WATCH_STARTS.next);
const STATE = startAll(PARTITIONS, WATCH_STARTS.state);

async function opened() {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  const owner = await harness.peer();
  const watch = async (order: ProbeOrder = {}, peer?: RawPeer) => {
    const watcher = peer ?? await harness.peer();
    const probe = new WatchProbe(watcher, "watch", { positions: NEXT, ...order });
    await harness.world.settle();
    return probe;
  };
  const list = async (order: ProbeOrder = {}) => {
    const probe = new WatchProbe(await harness.peer(), "listAndWatch", {
      positions: STATE,
      ...order,
    });
    await harness.world.settle();
    return probe;
  };
  const settle = () => harness.world.pass(2);
  return { harness, owner, watch, list, settle };
}

const types = (probe: WatchProbe) => probe.events.map(({ type }) => type);

test("watch: each change of a record is delivered once, as it is stored", async () => {
  const { harness, owner, watch, settle } = await opened();
  const probe = await watch({ withBefore: true });
  await owner.must("registerAgent", agentRequest({ number: 1, port: 1 }));
  await owner.must("registerAgent", agentRequest({ number: 1, port: 2, sequence: 8 }));
  await owner.must("registerGateway", gatewayRequest({ number: 2 }));
  const { incarnation } = harness.agent(idOf(1))!;
  await owner.must("registerAgent", agentRequest({ number: 1, port: 3, process: 12 }, incarnation));
  const now = harness.agent(idOf(1))!;
  await owner.must("deregisterAgent", {
    ...{ id: idOf(1), incarnation: now.incarnation, process: 12, sequence: 9, withAgents: false },
  });
  await settle();
  const [gateway] = probe.events.filter(({ kind }) => kind === KIND_GATEWAY);
  const agents = probe.events.filter(({ kind }) => kind === KIND_AGENT);
  assert.equal(agents.map(({ type }) => type), [put, put, superseded, deregistered]);
  const [first, second, taken, gone] = agents;
  assert.is(agentCodec.decode(first!.record).port, 1);
  assert.is(first!.before.length, 0);
  assert.is(agentCodec.decode(second!.record).port, 2);
  assert.is(agentCodec.decode(second!.before).port, 1);
  assert.is(gateway!.type, put);
  assert.equal(agentCodec.decode(taken!.record), now);
  assert.is(agentCodec.decode(taken!.before).port, 2);
  assert.equal(agentCodec.decode(gone!.record), now);
  assert.is(gone!.before.length, 0);
  assert.ok(taken!.remainingMs > 0 && gone!.remainingMs === 0);
});

test("watch: records that expire, and none before", async () => {
  const { harness, owner, watch } = await opened();
  await owner.must("registerAgent", agentRequest({ number: 1, ttlMs: 5_000 }));
  const probe = await watch();
  await harness.world.pass(4_000);
  assert.equal(types(probe), []);
  await harness.world.pass(20_000);
  assert.equal(types(probe), [expired]);
});

test("watch: renewals are no changes", async () => {
  const { harness, owner, watch } = await opened();
  const { incarnation } = await owner.must(
    "registerAgent",
    agentRequest({ number: 1, ttlMs: 5_000 }),
  );
  const probe = await watch();
  for (let round = 0; round < 10; round++) {
    await harness.world.pass(2_000);
    const items = [{ id: idOf(1), incarnation, kind: KIND_AGENT }];
    await owner.must("renew", { items });
  }
  assert.ok(harness.registry.extensionsProposed > 0);
  assert.equal(types(probe), []);
});

test("watch: only what the filter names, and what no longer matches is said to have left", async () => {
  const { harness, owner, watch, settle } = await opened();
  const tier = (value: string) => ({ extra: extraOf({ tier: value }) });
  const gold = await watch({ labels: [{ key: "tier", value: "gold" }] });
  const region = await watch({ region: "eu" });
  const gateways = await watch({ kind: KIND_GATEWAY });
  const one = await watch({
    kind: KIND_AGENT,
    ids: [idOf(3)],
    positions: [at(harness, KIND_AGENT, idOf(3))],
  });
  await owner.must("registerAgent", agentRequest({ number: 1, ...tier("gold") }));
  await owner.must("registerAgent", agentRequest({ number: 2, ...tier("iron") }));
  await owner.must("registerAgent", agentRequest({ number: 3, region: "eu" }));
  await owner.must("registerGateway", gatewayRequest({ number: 4 }));
  await owner.must("registerAgent", agentRequest({ number: 1, sequence: 8, ...tier("iron") }));
  await owner.must("registerAgent", agentRequest({ number: 1, sequence: 9, ...tier("iron") }));
  await owner.must("registerAgent", agentRequest({ number: 2, sequence: 8, ...tier("gold") }));
  await settle();
  const seen = (probe: WatchProbe) =>
    probe.events.map((event) => [idOfEvent(event).slice(-2), event.left]);
  assert.equal(seen(gold), [["01", false], ["01", true], ["02", false]]);
  assert.equal(seen(region), [["03", false]]);
  assert.equal(seen(gateways), [["04", false]]);
  assert.equal(seen(one), [["03", false]]);
});

test("watch: the aliases of domains, and what an agent gives up", async () => {
  const { harness, owner, watch } = await opened();
  const key = domainBytes("a1.example");
  const alias = await watch({
    kind: KIND_ALIAS,
    domains: ["A1.example"],
    positions: [at(harness, KIND_ALIAS, key)],
  });
  const agents = await watch({ kind: KIND_AGENT });
  await owner.must("registerAgent", agentRequest({ number: 1, domain: "a1.example" }));
  await owner.must("registerAgent", agentRequest({ number: 1, domain: "a2.example", sequence: 8 }));
  await harness.world.pass(3 * ALIAS_SWEEP_MS);
  assert.equal(types(agents).slice(0, 3), [put, domainLost, put]);
  assert.is(agentCodec.decode(agents.events[1]!.record).domain, "a1.example");
  assert.equal(types(alias), [put, put, domainLost]);
  assert.equal(aliasCodec.decode(alias.events[2]!.record).agentId, idOf(1));
});

function at(harness: RegistryHarness, kind: number, key: Uint8Array) {
  return NEXT[harness.registry.table.partitioner.partitionOf(kind, key, 0, key.length)]!;
}

test.run();
