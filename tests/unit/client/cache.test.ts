/** Last known replies: returned only while no node can be asked, and marked as stale. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { parseUuid } from "../../../src/base/uuid.ts";
import { AnswerCache } from "../../../src/client/answer_cache.ts";
import type { ResolvedAgent } from "../../../src/client/types.ts";
import { ManualTime } from "../../support/manual_time.ts";
import { FakeCluster } from "./fake_cluster.ts";
import {
  AGENT_ID,
  FakeRegistry,
  type FakeRequest,
  GATEWAY_ID,
  rejection,
  storedAgentBytes,
  storedGatewayBytes,
} from "./fake_registry.ts";

const NOTHING = new Uint8Array(0);

function replyResolved(request: FakeRequest): void {
  request.reply("resolveAgent", {
    agent: storedAgentBytes({ domain: request.body.domain }),
    gateway: NOTHING,
    agentId: parseUuid(AGENT_ID),
    gatewayId: new Uint8Array(16),
    agentRemainingMs: 20_000,
    gatewayRemainingMs: 0,
    agentPart: 1,
    gatewayPart: 0,
    claim: { generation: 1, index: 3 },
  });
}

test("resolveAgent with cache asks while it can, and else gives the last answer as stale", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect({ cache: true });
  for (let round = 0; round < 2; round++) {
    const answer = client.resolveAgent("a1.example");
    replyResolved(await registry.next("resolveAgent"));
    assert.is((await registry.wait(answer)).stale, false);
  }
  await registry.pass(5_000);
  // The registry replies, but cannot give the answer.
  const troubled = client.resolveAgent("a1.example", { timeoutMs: 100 });
  (await registry.next()).refuse("storage_unavailable", { retryAfterMs: 1_000 });
  const stale = await registry.wait(troubled);
  assert.is(stale.stale, true);
  assert.ok(stale.ageMs >= 5_000 && stale.ageMs < 5_300);
  assert.is(stale.agentRemainingMs, 20_000 - stale.ageMs);
  // The registry is unreachable: at once.
  await registry.stop();
  const many = await registry.wait(client.resolveAgents(["a1.example"]));
  assert.is(many[0]?.found?.stale, true);
  const unknown = await rejection(registry, client.resolveAgent("b.example", { timeoutMs: 50 }));
  assert.is(unknown.code, "deadline_exceeded");
  await registry.wait(client.close());
});

test("the origin of a last known answer ages with it, until it is suspended", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect({ cache: true });
  const source = { home: "us-1", revision: { generation: 1, index: 9 }, ageMs: 200 };
  const first = client.getAgent(AGENT_ID);
  (await registry.next()).reply("getAgent", {
    ...{ record: storedAgentBytes(), remainingMs: 0, source: { ...source, isSuspended: false } },
  });
  assert.is((await registry.wait(first)).source?.ageMs, 200);
  const resolved = client.resolveAgent("a1.example");
  (await registry.next()).reply("resolveAgent", {
    ...{ agent: storedAgentBytes({ domain: "a1.example" }), agentId: parseUuid(AGENT_ID) },
    ...{ gateway: NOTHING, gatewayId: new Uint8Array(16), agentPart: 1, gatewayPart: 0 },
    ...{ agentRemainingMs: 0, gatewayRemainingMs: 0, claim: { generation: 1, index: 3 } },
    agentSource: { ...source, isSuspended: false },
  });
  await registry.wait(resolved);
  await registry.stop();
  await registry.pass(5_000);
  const known = (await registry.wait(client.getAgent(AGENT_ID))).source;
  assert.ok(known!.ageMs! >= 5_200 && !known!.suspended);
  await registry.pass(30_000);
  const { agentSource } = await registry.wait(client.resolveAgent("a1.example"));
  assert.ok(agentSource!.ageMs! >= 35_200 && agentSource!.suspended);
  assert.is((await registry.wait(client.getAgent(AGENT_ID))).source?.suspended, true);
  await registry.wait(client.close());
});

test("resolveAgent with cache believes a proven absence as long as the registry said", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect({ cache: true });
  const first = client.resolveAgent("gone.example");
  (await registry.next()).refuse("not_found", { cacheMs: 1_000 });
  await rejection(registry, first);
  await registry.pass(400);
  const second = await rejection(registry, client.resolveAgent("gone.example"));
  assert.is(second.code, "not_found");
  assert.ok(second.fields.cacheMs! > 300 && second.fields.cacheMs! <= 600);
  assert.is(registry.requests.length, 0);
  await registry.pass(700);
  const third = client.resolveAgent("gone.example");
  replyResolved(await registry.next());
  assert.is((await registry.wait(third)).stale, false);
  await registry.wait(client.close());
});

test("resolveAgents with cache asks only for what it does not know", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect({ cache: true });
  const first = client.resolveAgent("gone.example");
  (await registry.next()).refuse("not_found", { cacheMs: 60_000 });
  await rejection(registry, first);
  const answer = client.resolveAgents(["a.example", "gone.example", "b.example"]);
  const request = await registry.next("resolveAgents");
  assert.equal(request.body.domains, ["a.example", "b.example"]);
  request.refuse("permission_denied");
  const outcomes = await registry.wait(answer);
  assert.equal(outcomes.map(({ domain, error }) => [domain, error?.code]), [
    ["a.example", "permission_denied"],
    ["gone.example", "not_found"],
    ["b.example", "permission_denied"],
  ]);
  await registry.wait(client.close());
});

test("an answer that is proven gone is not given out as last known any more", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect({ cache: true });
  const found = client.resolveAgent("a1.example");
  replyResolved(await registry.next());
  await registry.wait(found);
  const gone = client.resolveAgent("a1.example");
  (await registry.next()).refuse("not_found");
  await rejection(registry, gone);
  await registry.stop();
  const error = await rejection(registry, client.resolveAgent("a1.example", { timeoutMs: 50 }));
  assert.is(error.code, "deadline_exceeded");
  await registry.wait(client.close());
});

test("spellings of one domain are one entry, and what is no domain is not asked", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect({ cache: true });
  const gone = client.resolveAgent("a1.example");
  (await registry.next()).refuse("not_found", { cacheMs: 1_000 });
  await rejection(registry, gone);
  for (const domain of ["a1.example.", "A1.EXAMPLE"]) {
    assert.is((await rejection(registry, client.resolveAgent(domain))).code, "not_found");
  }
  const found = client.resolveAgent("b1.example.");
  replyResolved(await registry.next());
  await registry.wait(found);
  const [mistake] = await registry.wait(client.resolveAgents(["\u212a.example"]));
  assert.is(mistake?.error?.code, "invalid_argument");
  assert.is(registry.requests.length, 0);
  await registry.stop();
  const stale = await registry.wait(client.resolveAgent("B1.example"));
  assert.is(stale.stale, true);
  assert.is(stale.domain, "B1.example");
  await registry.wait(client.close());
});

test("AnswerCache drops the least recently used beyond its limit", () => {
  const cache = new AnswerCache(new ManualTime(0), 3);
  const answer = (domain: string) => ({ domain, agentRemainingMs: 1 }) as ResolvedAgent;
  for (const domain of ["a", "b", "c"]) cache.found(answer(domain));
  assert.ok(cache.lastKnown("a"));
  cache.found(answer("d"));
  assert.is(cache.count, 3);
  assert.is(cache.lastKnown("b"), undefined);
  assert.ok(cache.lastKnown("a"));
  cache.absent("e", new RegistryError("not_found", "", { cacheMs: 5 }));
  assert.is(cache.count, 3);
  assert.is(cache.lastKnown("c"), undefined);
});

test("gets and the best gateways with cache are answered by the last known answer, marked", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect({ cache: true });
  const answered = async <T>(promise: Promise<T>, reply: (request: FakeRequest) => void) => {
    reply(await registry.next());
    return await registry.wait(promise);
  };
  const gateway = { record: storedGatewayBytes(), remainingMs: 9_000 };
  const agent = await answered(client.getAgent(AGENT_ID), (request) => request.replyAgent());
  assert.is(agent.stale, undefined);
  await answered(client.getGateway(GATEWAY_ID), (request) => request.reply("getGateway", gateway));
  await answered(
    client.resolveGateways("eu"),
    (request) => request.reply("resolveGateways", { items: [gateway], nextCursor: NOTHING }),
  );
  await registry.pass(4_000);
  await registry.stop();
  const known = await registry.wait(client.getAgent(AGENT_ID.toUpperCase()));
  assert.is(known.stale, true);
  assert.is(known.agent.id, AGENT_ID);
  assert.is(known.remainingMs, 20_000 - known.ageMs!);
  assert.ok(known.ageMs! >= 4_000);
  assert.is((await registry.wait(client.getGateway(parseUuid(GATEWAY_ID)))).stale, true);
  const best = await registry.wait(client.resolveGateways("eu"));
  assert.is(best.stale, true);
  assert.is(best.items[0]?.remainingMs, 9_000 - best.ageMs!);
  // Without an earlier reply nothing is known, and lists are never served from memory.
  const other = await rejection(registry, client.resolveGateways("us", { timeoutMs: 50 }));
  assert.is(other.code, "deadline_exceeded");
  const list = await rejection(registry, client.listAgents("eu", { timeoutMs: 50 }));
  assert.is(list.code, "deadline_exceeded");
  await registry.wait(client.close());
});

test("a get with cache forgets a record that is proven to be gone", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect({ cache: true });
  const first = client.getAgent(AGENT_ID);
  (await registry.next()).replyAgent();
  await registry.wait(first);
  const second = client.getAgent(AGENT_ID);
  (await registry.next()).refuse("not_found");
  assert.is((await rejection(registry, second)).code, "not_found");
  const third = client.getAgent(AGENT_ID, { timeoutMs: 100 });
  (await registry.next()).refuse("storage_unavailable", { retryAfterMs: 1_000 });
  assert.is((await rejection(registry, third)).code, "storage_unavailable");
  await registry.wait(client.close());
});

test("resolveAgent with cache is answered at once when every node of a cluster is gone", async () => {
  const cluster = new FakeCluster();
  const domain = cluster.domainIn(0);
  const client = await cluster.connect({ cache: true });
  const first = client.resolveAgent(domain);
  replyResolved(await cluster.seed.next("resolveAgent"));
  await cluster.seed.wait(first);
  for (const { nodeId } of cluster.nodes) cluster.kill(nodeId);
  // The nodes disappeared without a goodbye: the first call notices it.
  const noticed = await cluster.seed.wait(client.resolveAgent(domain, { timeoutMs: 3_000 }));
  assert.is(noticed.stale, true);
  assert.is(client.status.state, "connecting");
  const startMs = cluster.seed.time.nowMs();
  const known = await cluster.seed.wait(client.resolveAgent(domain));
  assert.is(known.stale, true);
  assert.is(cluster.seed.time.nowMs(), startMs);
  await cluster.seed.wait(client.close());
});

test.run();
