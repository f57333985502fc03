/** Views: what they hold, how old they say it is, and what they do without the registry. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentCodec } from "../../../../schemas/gen/record.ts";
import type { RegistryError } from "../../../../src/base/errors.ts";
import { formatUuid } from "../../../../src/base/uuid.ts";
import type { CachedView, Client } from "../../../../src/client/mod.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../../../src/record/key.ts";
import { WATCH_EVENT_TYPES } from "../../../../schemas/gen/wire.ts";
import { PARTITIONS } from "../fake_cluster.ts";
import { GATEWAY_ID, rejection, storedAgentBytes, storedGatewayBytes } from "../fake_registry.ts";
import { WatchModel } from "./watch_model.ts";

const { put, expired } = WATCH_EVENT_TYPES;

/** Appends an agent that holds a domain by a claim. */
function agentOf(
  model: WatchModel,
  partition: number,
  { id = model.newId(partition), domain = "", claim = 0, type = put as number },
): string {
  const plain = agentCodec.decode(
    storedAgentBytes({ id: formatUuid(id), domain, gatewayId: GATEWAY_ID }),
  );
  const record = agentCodec.encode({ ...plain, claim: { generation: 1, index: claim } });
  model.appendRecord(partition, { kind: KIND_AGENT, id, record, type });
  return formatUuid(id);
}

async function end(model: WatchModel, client: Client): Promise<void> {
  model.stop();
  await model.cluster.seed.wait(client.close());
}

function idsOf(view: CachedView): string[] {
  return Array.from(view.list(), ({ id }) => id).sort();
}

test("cachedView holds the state when it resolves, and follows every change", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const ids = Array.from({ length: 20 }, (_, at) => agentOf(model, at % PARTITIONS, {}));
  const view = await seed.wait(client.cachedView({ kind: "agent" }));
  assert.equal(idsOf(view), [...ids].sort());
  assert.is(view.size, 20);
  assert.is(view.get(ids[3]!.toUpperCase())?.record.id, ids[3]);
  assert.is(view.get(GATEWAY_ID), undefined);
  const added = agentOf(model, 2, {});
  const record = storedAgentBytes({ id: ids[0]! });
  const id = Uint8Array.from(ids[0]!.replaceAll("-", "").match(/../g)!, (hex) => parseInt(hex, 16));
  model.appendRecord(0, { kind: KIND_AGENT, id, record, type: expired });
  await seed.settle();
  assert.equal(idsOf(view), [...ids.slice(1), added].sort());
  await end(model, client);
});

test("cachedView resolves a domain to the agent with the latest claim, and to its gateway", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const domain = "a1.example";
  const id = model.newId(1);
  agentOf(model, 1, { id, domain, claim: 5 });
  const view = await seed.wait(client.cachedView());
  assert.is(view.resolve("A1.Example.")?.agent?.id, formatUuid(id));
  assert.is(view.resolve(domain)?.gateway, undefined);
  // The news of the next holder may come before that of the last one's end.
  const next = agentOf(model, 4, { domain, claim: 9 });
  const gatewayId = Uint8Array.from(
    GATEWAY_ID.replaceAll("-", "").match(/../g)!,
    (hex) => parseInt(hex, 16),
  );
  const partition = model.cluster.partitioner.partitionOf(KIND_GATEWAY, gatewayId, 0, 16);
  const gateway = { kind: KIND_GATEWAY, id: gatewayId, record: storedGatewayBytes(), type: put };
  model.appendRecord(partition, gateway);
  await seed.settle();
  const resolved = view.resolve(domain)!;
  assert.is(resolved.agent?.id, next);
  assert.is(resolved.gateway?.id, GATEWAY_ID);
  assert.not(resolved.isStale);
  agentOf(model, 1, { id, domain, claim: 5, type: expired });
  await seed.settle();
  assert.is(view.resolve(domain)?.agent?.id, next);
  assert.throws(() => view.resolve("-"), /domain/);
  await end(model, client);
});

test("cachedView knows its age from when it asked: a late answer does not look fresh", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const id = agentOf(model, 0, {});
  model.nodes[0]!.ageMs = 40;
  const view = await seed.wait(client.cachedView({ kind: "agent" }, { progressMs: 1_000 }));
  assert.ok(view.ageMs >= 40 && view.ageMs < 300, `${view.ageMs}`);
  await seed.pass(700);
  assert.ok(view.get(id)!.ageMs >= 700);
  await seed.pass(20_000);
  assert.ok(view.ageMs < 1_200, `${view.ageMs}`);
  // What node 1 says of its progress arrives two seconds late from now on, and the age says so.
  const [node] = model.nodes;
  node!.underWay = [];
  for (let round = 0; round < 6; round++) {
    await seed.pass(2_000);
    assert.ok(view.ageMs >= 2_000, `${view.ageMs}`);
    model.arrive(node!);
    await seed.settle();
    assert.ok(view.ageMs >= 2_000, `${view.ageMs} after an answer that was under way for 2 s`);
  }
  assert.ok(view.ageMs < 4_500, `${view.ageMs}`);
  await end(model, client);
});

test("cachedView keeps its records while the registry is out of reach, marked, and says their age", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const id = agentOf(model, 0, {});
  const view = await seed.wait(client.cachedView({ kind: "agent" }));
  assert.not(view.isStale);
  for (const node of model.nodes) model.silence(node, true);
  await seed.pass(10_000);
  const known = view.get(id)!;
  assert.ok(known.isStale && view.isStale);
  assert.ok(known.ageMs >= 9_900 && known.ageMs < 12_000, `${known.ageMs}`);
  const read = await seed.wait(view.read(id, { timeoutMs: 500 }));
  assert.is(read.record.id, id);
  assert.ok(read.isStale);
  const other = agentOf(model, 3, {});
  for (const node of model.nodes) model.silence(node, false);
  await seed.pass(5_000);
  assert.not(view.isStale);
  assert.is(view.get(other)?.record.id, other);
  await end(model, client);
});

test("cachedView that reads within a bound asks the registry when it is older", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const id = agentOf(model, 0, {});
  let gets = 0;
  for (const node of model.cluster.nodes) {
    const others = node.answer;
    node.answer = (request) => {
      if (request.name !== "getAgent") return others(request);
      gets++;
      if (String(request.body.id).includes("9,9,9")) request.refuse("not_found");
      else request.reply("getAgent", { record: storedAgentBytes({ id }), remainingMs: 1 });
      return true;
    };
  }
  const view = await seed.wait(client.cachedView({ kind: "agent" }));
  assert.is((await seed.wait(view.read(id, { maxStalenessMs: 2_000 }))).record.id, id);
  assert.is(gets, 0);
  const absent = formatUuid(model.newId(4));
  assert.is((await rejection(seed, view.read(absent))).code, "not_found");
  assert.is(gets, 0);
  await seed.pass(500);
  const young = await seed.wait(view.read(id, { maxStalenessMs: 100 }));
  assert.is(gets, 1);
  assert.is(young.record.id, id);
  assert.ok(young.ageMs <= 100);
  await end(model, client);
});

test("cachedView sweeps a partition after a reset, and that partition alone is marked meanwhile", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const [gone, kept] = [model.newId(2), model.newId(2)];
  agentOf(model, 2, { id: gone });
  agentOf(model, 2, { id: kept });
  const other = agentOf(model, 3, {});
  const view = await seed.wait(client.cachedView({ kind: "agent" }));
  assert.is(view.size, 3);
  // Nobody watches while the record goes, and the history of that is lost.
  for (const node of model.nodes) model.silence(node, true);
  await seed.pass(5_000);
  agentOf(model, 2, { id: gone, type: expired });
  model.forget(2);
  for (const node of model.nodes) model.silence(node, false);
  await seed.pass(5_000);
  assert.equal(idsOf(view), [formatUuid(kept), other].sort());
  assert.not(view.isStale);
  await end(model, client);
});

test("cachedView refuses what does not fit, at the start and later, and keeps what it has", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  const ids = Array.from({ length: 10 }, (_, at) => agentOf(model, at % PARTITIONS, {}));
  const refused = await rejection(seed, client.cachedView({}, { recordsMax: 9 }));
  assert.is(refused.code, "overloaded");
  assert.match(refused.message, /at most 9 records/);
  const view = await seed.wait(client.cachedView({}, { recordsMax: 10 }));
  agentOf(model, 0, {});
  await seed.settle();
  const error = await seed.wait(view.ended);
  assert.is((error as RegistryError).code, "overloaded");
  assert.ok(view.get(ids[0]!)!.isStale);
  assert.is(model.nodes.reduce((sum, { watchers }) => sum + watchers.size, 0), 0);
  await end(model, client);
});

test("cachedView resolves where no node proves ages, and then says that it does not know", async () => {
  const model = new WatchModel();
  const { seed } = model.cluster;
  const client = await model.cluster.connect();
  for (const node of model.nodes) node.ageMs = undefined;
  const id = agentOf(model, 0, {});
  const view = await seed.wait(client.cachedView());
  assert.is(view.ageMs, Infinity);
  assert.ok(view.get(id)!.isStale);
  view.close();
  assert.is(await seed.wait(view.ended), undefined);
  await end(model, client);
});

test("watchRing yields the current map, then newer ones, and only the newest to a slow reader", async () => {
  const model = new WatchModel();
  const { cluster } = model;
  const client = await cluster.connect();
  const ring = client.watchRing()[Symbol.asyncIterator]();
  assert.is((await cluster.seed.wait(ring.next())).value.epoch.number, 1);
  const next = ring.next();
  for (const number of [2, 3, 4]) {
    cluster.seed.sessions[0]!.say({ kind: "ring_map", ringMap: cluster.newMap(number) });
    await cluster.seed.settle();
  }
  assert.is((await cluster.seed.wait(next)).value.epoch.number, 2);
  assert.is((await cluster.seed.wait(ring.next())).value.epoch.number, 4);
  await end(model, client);
  assert.is((await rejection(cluster.seed, ring.next())).code, "shutting_down");
});

test.run();
