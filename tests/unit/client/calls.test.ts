/** The typed calls: their requests, replies, and errors for refusals. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseUuid } from "../../../src/base/uuid.ts";
import {
  AGENT_ID,
  FakeRegistry,
  GATEWAY_ID,
  RECEIPT,
  registeredRecord,
  rejection,
  storedAgentBytes,
  storedGatewayBytes,
} from "./fake_registry.ts";

const NIL = new Uint8Array(16);

test("getAgent returns the agent with its receipt, by text and by bytes", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  for (const id of [AGENT_ID, parseUuid(AGENT_ID)]) {
    const answer = client.getAgent(id, { maxStalenessMs: 70, timeoutMs: 900 });
    const request = await registry.next("getAgent");
    assert.equal(request.body.id, parseUuid(AGENT_ID));
    assert.is(request.maxStalenessMs, 70);
    assert.is(request.timeoutMs, 900);
    request.replyAgent({ domain: "a1.example", port: 7, labels: { tier: "gold" } });
    const { agent, remainingMs, receipts } = await registry.wait(answer);
    assert.is(agent.id, AGENT_ID);
    assert.is(agent.domain, "a1.example");
    assert.is(agent.port, 7);
    assert.equal(agent.labels, { tier: "gold" });
    assert.equal(agent.incarnation, { generation: 1, index: 40 });
    assert.is(remainingMs, 20_000);
    assert.equal(receipts, [RECEIPT]);
  }
  await registry.wait(client.close());
});

test("getGatewayStored hands the stored bytes out and decodes them on demand", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const answer = client.getGatewayStored(GATEWAY_ID);
  const record = storedGatewayBytes({ domain: "g.example" });
  (await registry.next("getGateway")).reply("getGateway", { record, remainingMs: 5 });
  const stored = await registry.wait(answer);
  assert.equal(stored.bytes, record);
  assert.is(stored.decode().domain, "g.example");
  assert.equal(stored.receipts, [RECEIPT]);
  await registry.wait(client.close());
});

test("getAgent refuses an id that is none before anything is sent", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  assert.is((await rejection(registry, client.getAgent("no-uuid"))).code, "invalid_argument");
  assert.is(
    (await rejection(registry, client.getAgent(new Uint8Array(3)))).code,
    "invalid_argument",
  );
  assert.is(registry.requests.length, 0);
  await registry.wait(client.close());
});

test("a refusal becomes an error with code, message and fields", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const absent = client.getAgent(AGENT_ID);
  (await registry.next()).refuse("not_found", { cacheMs: 250 }, "No such agent");
  const error = await rejection(registry, absent);
  assert.is(error.code, "not_found");
  assert.is(error.message, "No such agent");
  assert.equal(error.fields, { cacheMs: 250 });
  const held = client.registerGateway({ region: "global", address: "192.0.2.1", port: 1 });
  (await registry.next()).refuse("incarnation_mismatch", {
    incarnation: { generation: 2, index: 77 },
    field: "expected",
  });
  assert.equal((await rejection(registry, held)).fields, {
    field: "expected",
    incarnation: { generation: 2, index: 77 },
  });
  await registry.wait(client.close());
});

test("resolveAgent returns the agent and its gateway in one answer", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const answer = client.resolveAgent("a1.example");
  const request = await registry.next("resolveAgent");
  assert.is(request.body.domain, "a1.example");
  request.reply("resolveAgent", {
    agent: storedAgentBytes({ domain: "a1.example", gatewayId: GATEWAY_ID }),
    gateway: storedGatewayBytes(),
    agentId: parseUuid(AGENT_ID),
    gatewayId: parseUuid(GATEWAY_ID),
    agentRemainingMs: 11,
    gatewayRemainingMs: 12,
    agentPart: 1,
    gatewayPart: 1,
    claim: { generation: 1, index: 3 },
  });
  const found = await registry.wait(answer);
  assert.is(found.agent.id, AGENT_ID);
  assert.is(found.gateway?.address, "192.0.2.7");
  assert.is(found.gatewayId, GATEWAY_ID);
  assert.is(found.agentRemainingMs, 11);
  assert.is(found.gatewayRemainingMs, 12);
  assert.is(found.stale, false);
  await registry.wait(client.close());
});

test("resolveAgent fetches parts that are held elsewhere and checks the claim", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const elsewhere = {
    agent: NIL.subarray(0, 0),
    gateway: NIL.subarray(0, 0),
    agentId: parseUuid(AGENT_ID),
    gatewayId: NIL,
    agentRemainingMs: 0,
    gatewayRemainingMs: 0,
    agentPart: 3,
    gatewayPart: 0,
    claim: { generation: 0, index: 0 },
  };
  const answer = client.resolveAgent("a1.example");
  (await registry.next()).reply("resolveAgent", elsewhere);
  (await registry.next("getAgent")).replyAgent({ gatewayId: GATEWAY_ID });
  (await registry.next("getGateway")).reply("getGateway", {
    record: storedGatewayBytes(),
    remainingMs: 9,
  });
  const found = await registry.wait(answer);
  assert.is(found.gateway?.id, GATEWAY_ID);
  assert.is(found.receipts.length, 3);

  // Another claim: the agent gave the domain up, and the alias still names the old claim.
  const claimed = { ...elsewhere, claim: { generation: 0, index: 3 } };
  const gone = client.resolveAgent("a1.example");
  (await registry.next()).reply("resolveAgent", claimed);
  (await registry.next("getAgent")).replyAgent();
  (await registry.next()).reply("resolveAgent", claimed);
  assert.is((await rejection(registry, gone)).code, "not_found");

  // The domain changed hands between the two reads: its new holder is returned.
  const moved = client.resolveAgent("a1.example");
  (await registry.next()).reply("resolveAgent", claimed);
  (await registry.next("getAgent")).refuse("not_found");
  (await registry.next()).reply("resolveAgent", elsewhere);
  (await registry.next("getAgent")).replyAgent({ port: 77 });
  assert.is((await registry.wait(moved)).agent.port, 77);

  // The domain changes hands at every read: its holder is unknown.
  const busy = client.resolveAgent("a1.example", { timeoutMs: 60_000 });
  for (let index = 3; index < 6; index++) {
    const claim = { generation: 0, index };
    (await registry.next("resolveAgent")).reply("resolveAgent", { ...elsewhere, claim });
    (await registry.next("getAgent")).refuse("not_found");
  }
  (await registry.next("resolveAgent")).reply("resolveAgent", elsewhere);
  assert.is((await rejection(registry, busy)).code, "overloaded");
  await registry.wait(client.close());
});

test("resolveAgent asks for the agents of other regions that another node holds, in their order", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const US = { agentId: parseUuid(AGENT_ID), claim: { generation: 1, index: 7 }, home: "us" };
  const AP = { ...US, claim: { generation: 1, index: 8 }, home: "ap" };
  const foreign = {
    agent: NIL.subarray(0, 0),
    gateway: NIL.subarray(0, 0),
    agentId: NIL,
    gatewayId: NIL,
    ...{ agentRemainingMs: 0, gatewayRemainingMs: 0, agentPart: 3, gatewayPart: 0 },
    claim: { generation: 0, index: 0 },
    candidates: { agents: [US, AP] },
  };
  const mirror = (home: string, claimIndex: number, domain = "a1.example") => ({
    record: storedAgentBytes({ domain }, 5, { generation: 1, index: claimIndex }),
    remainingMs: 0,
    source: { home, revision: { generation: 1, index: 9 }, ageMs: 0xffff_ffff, isSuspended: true },
  });
  const answer = client.resolveAgent("A1.example");
  (await registry.next("resolveAgent")).reply("resolveAgent", foreign);
  const first = await registry.next("getAgent");
  first.reply("getAgent", mirror("us", 6));
  (await registry.next("getAgent")).reply("getAgent", mirror("ap", 8));
  const found = await registry.wait(answer);
  assert.equal(found.agentSource, {
    ...{ home: "ap", revision: { generation: 1, index: 9 }, ageMs: undefined, suspended: true },
  });
  assert.is(found.agent.domain, "a1.example");

  // An own alias comes first: its agent must be an own one, and the alias is read again.
  const own = { ...foreign, agentId: parseUuid(AGENT_ID), claim: { generation: 1, index: 3 } };
  const second = client.resolveAgent("a1.example");
  (await registry.next("resolveAgent")).reply("resolveAgent", own);
  const claimed = mirror("us", 3);
  (await registry.next("getAgent")).reply("getAgent", claimed);
  (await registry.next("resolveAgent")).reply("resolveAgent", own);
  (await registry.next("getAgent")).reply("getAgent", mirror("us", 7));
  assert.is((await registry.wait(second)).agentSource?.home, "us");

  // Nobody holds it: another domain, an answer of another region, no record.
  const none = client.resolveAgent("a1.example");
  (await registry.next("resolveAgent")).reply("resolveAgent", foreign);
  (await registry.next("getAgent")).reply("getAgent", mirror("us", 7, "b.example"));
  (await registry.next("getAgent")).reply("getAgent", mirror("us", 8));
  assert.is((await rejection(registry, none)).code, "not_found");
  await registry.wait(client.close());
});

test("resolveAgent answers without a gateway that is not registered", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const answer = client.resolveAgent("a1.example");
  (await registry.next()).reply("resolveAgent", {
    agent: storedAgentBytes({ gatewayId: GATEWAY_ID }),
    gateway: NIL.subarray(0, 0),
    agentId: parseUuid(AGENT_ID),
    gatewayId: parseUuid(GATEWAY_ID),
    agentRemainingMs: 1,
    gatewayRemainingMs: 0,
    agentPart: 1,
    gatewayPart: 2,
    claim: { generation: 1, index: 3 },
  });
  const found = await registry.wait(answer);
  assert.is(found.gateway, undefined);
  assert.is(found.gatewayId, GATEWAY_ID);
  await registry.wait(client.close());
});

test("resolveAgents asks again for what did not fit into the reply", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const domains = ["a0.example", "a1.example", "a2.example"];
  const answer = client.resolveAgents(domains);
  const asked: string[][] = [];
  for (let round = 0; round < domains.length; round++) {
    const request = await registry.next("resolveAgents");
    asked.push(request.body.domains);
    // Each reply has space for one: an absence (code 9); the others get too_large (code 2).
    request.reply("resolveAgents", {
      items: request.body.domains.map((_: string, index: number) => ({
        reply: undefined,
        code: index === 0 ? 9 : 2,
        cacheMs: 0,
        receipts: [],
      })),
    });
  }
  const outcomes = await registry.wait(answer);
  assert.equal(asked, [domains, domains.slice(1), domains.slice(2)]);
  assert.equal(outcomes.map(({ domain }) => domain), domains);
  assert.equal(outcomes.map(({ error }) => error?.code), Array(3).fill("not_found"));
  await registry.wait(client.close());
});

test("resolveAgents keeps the order, tells absence from trouble, and splits what is too long", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const domains = Array.from({ length: 300 }, (_, index) => `a${index}.example`);
  const answer = client.resolveAgents(domains);
  for (const count of [256, 44]) {
    const request = await registry.next("resolveAgents");
    assert.is(request.body.domains.length, count);
    request.reply("resolveAgents", {
      items: request.body.domains.map((domain: string) => ({
        reply: domain === "a1.example" ? undefined : {
          agent: storedAgentBytes({ domain }),
          gateway: NIL.subarray(0, 0),
          agentId: parseUuid(AGENT_ID),
          gatewayId: NIL,
          agentRemainingMs: 1,
          gatewayRemainingMs: 0,
          agentPart: 1,
          gatewayPart: 0,
          claim: { generation: 1, index: 3 },
        },
        code: domain === "a1.example" ? 9 : 0,
        cacheMs: domain === "a1.example" ? 80 : 0,
        receipts: [],
      })),
    });
  }
  const outcomes = await registry.wait(answer);
  assert.is(outcomes.length, 300);
  assert.is(outcomes[1]?.error?.code, "not_found");
  assert.is(outcomes[1]?.error?.fields.cacheMs, 80);
  assert.is(outcomes[299]?.found?.agent.domain, "a299.example");
  await registry.wait(client.close());
});

test("allAgents goes through the pages and stops at the last", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const cursor = Uint8Array.of(1, 2);
  registry.answer = (request) => {
    const first = request.body.cursor.length === 0;
    if (!first) assert.equal(request.body.cursor, cursor);
    request.reply("listAgentsByRegion", {
      items: [{ record: storedAgentBytes({ port: first ? 1 : 2 }), remainingMs: 3 }],
      nextCursor: first ? cursor : new Uint8Array(0),
    });
    return true;
  };
  const ports: number[] = [];
  await registry.wait((async () => {
    for await (const { agent } of client.allAgents("global")) ports.push(agent.port);
  })());
  assert.equal(ports, [1, 2]);
  await registry.wait(client.close());
});

test("registerGateway sends process and growing sequence with a record that says nothing more", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  for (const sequence of [1, 2]) {
    const answer = client.registerGateway({ region: "global", address: "192.0.2.1", port: 4000 });
    const request = await registry.next("registerGateway");
    const record = registeredRecord(request);
    assert.is(record.process, client.process);
    assert.is(record.sequence, sequence);
    assert.equal(record.id, NIL);
    assert.equal(record.incarnation, { generation: 0, index: 0 });
    request.reply("registerGateway", {
      id: parseUuid(GATEWAY_ID),
      incarnation: { generation: 1, index: 6 },
      revision: { generation: 1, index: 7 },
      remainingMs: 30_000,
      renewAfterMs: 9_000,
      created: true,
    });
    assert.equal(await registry.wait(answer), {
      id: GATEWAY_ID,
      incarnation: { generation: 1, index: 6 },
      revision: { generation: 1, index: 7 },
      remainingMs: 30_000,
      renewAfterMs: 9_000,
      created: true,
      receipts: [RECEIPT],
    });
  }
  await registry.wait(client.close());
});

test("registerAgent with takeOver names the incarnation that it was told, once more sequenced", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const answer = client.registerAgent({ id: AGENT_ID, region: "global" }, { takeOver: true });
  const first = await registry.next("registerAgent");
  first.refuse("incarnation_mismatch", { incarnation: { generation: 1, index: 12 } });
  const second = await registry.next("registerAgent");
  assert.equal(second.body.expected, { generation: 1, index: 12 });
  assert.is(registeredRecord(second).sequence, registeredRecord(first).sequence + 1);
  second.replyRegistered({ index: 13 });
  assert.equal((await registry.wait(answer)).incarnation, { generation: 1, index: 13 });

  const plain = client.registerAgent({ id: AGENT_ID, region: "global" });
  (await registry.next()).refuse("incarnation_mismatch", {
    incarnation: { generation: 1, index: 12 },
  });
  assert.is((await rejection(registry, plain)).code, "incarnation_mismatch");
  assert.is(registry.requests.length, 0);
  await registry.wait(client.close());
});

test("registerAgent asNewProcess registers as another process each time, and repeats as that one", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const processes = new Set([client.process]);
  for (let times = 1; times <= 2; times++) {
    const options = { takeOver: true, asNewProcess: true };
    const answer = client.registerAgent({ id: AGENT_ID, region: "global" }, options);
    const first = await registry.next("registerAgent");
    first.refuse("incarnation_mismatch", { incarnation: { generation: 1, index: 12 } });
    const second = await registry.next("registerAgent");
    const [before, after] = [first, second].map(registeredRecord);
    assert.equal([before!.process, after!.sequence], [after!.process, before!.sequence + 1]);
    processes.add(before!.process);
    second.replyRegistered({ index: 13 });
    await registry.wait(answer);
  }
  assert.is(processes.size, 3);
  await registry.wait(client.close());
});

test("registerMany keeps places, refuses bad items by themselves, and takes over those held", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const answer = client.registerMany([
    { kind: "agent", agent: { id: AGENT_ID, region: "global" } },
    { kind: "gateway", gateway: { id: "bad", region: "global" } },
    { kind: "gateway", gateway: { id: GATEWAY_ID, region: "global", port: 1 } },
  ], { takeOver: true });
  const outcome = (index: number, code: number) => ({
    id: NIL,
    incarnation: { generation: 1, index },
    revision: { generation: 0, index: 0 },
    remainingMs: 1,
    renewAfterMs: 1,
    code,
    created: true,
    message: "",
  });
  const first = await registry.next("registerMany");
  assert.equal(first.body.items.map(({ kind }: { kind: number }) => kind), [1, 2]);
  first.reply("registerMany", { items: [outcome(5, 0), outcome(8, 12)] });
  const second = await registry.next("registerMany");
  assert.is(second.body.items.length, 1);
  assert.equal(second.body.items[0].expected, { generation: 1, index: 8 });
  second.reply("registerMany", { items: [outcome(9, 0)] });
  const outcomes = await registry.wait(answer);
  assert.is(outcomes[0]?.registered?.incarnation.index, 5);
  assert.is(outcomes[1]?.error?.code, "invalid_argument");
  assert.is(outcomes[2]?.registered?.incarnation.index, 9);
  await registry.wait(client.close());
});

test("registerMany refuses an item without a kind by its code", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const [outcome] = await registry.wait(client.registerMany([{ region: "global" } as never]));
  assert.is(outcome?.error?.code, "invalid_argument");
  assert.is(outcome?.error?.fields.field, "kind");
  await registry.wait(client.close());
});

test("registerGateway refuses what no field can hold with its code, before it is sent", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  for (const wrong of [{ port: 70_000 }, { port: -1 }, { ttlMs: 2 ** 32 }, { port: 1.5 }]) {
    const error = await rejection(
      registry,
      client.registerGateway({ region: "global", domain: "g.example", port: 1, ...wrong }),
    );
    assert.is(error.code, "invalid_argument");
  }
  await registry.wait(client.close());
});

test("registerMany splits what does not fit one request", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const item = { kind: "gateway", gateway: { region: "global", port: 1 } } as const;
  const answer = client.registerMany(new Array(600).fill(item));
  const counts: number[] = [];
  for (let left = 600; left > 0;) {
    const request = await registry.next("registerMany");
    counts.push(request.body.items.length);
    left -= request.body.items.length;
    request.refuse("permission_denied");
  }
  assert.equal(counts, [512, 88]);
  const outcomes = await registry.wait(answer);
  assert.is(outcomes.length, 600);
  assert.ok(outcomes.every(({ error }) => error?.code === "permission_denied"));
  await registry.wait(client.close());
});

test("renew names records and incarnations, and tells failures by place", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const item = { kind: "agent", id: AGENT_ID, incarnation: { generation: 1, index: 4 } } as const;
  const answer = client.renew(new Array(4_100).fill(item));
  const first = await registry.next("renew");
  assert.is(first.body.items.length, 4_096);
  assert.equal(first.body.items[0], {
    id: parseUuid(AGENT_ID),
    incarnation: { generation: 1, index: 4 },
    kind: 1,
  });
  first.replyRenewed([{ position: 7, code: "not_found" }], 9_000);
  (await registry.next("renew")).replyRenewed(
    [{ position: 3, code: "superseded", index: 9 }],
    8_000,
  );
  const { renewed, renewAfterMs, failures } = await registry.wait(answer);
  assert.is(renewed, 4_098);
  assert.is(renewAfterMs, 8_000);
  assert.equal(failures.map(({ position, error }) => [position, error.code]), [
    [7, "not_found"],
    [4_099, "superseded"],
  ]);
  assert.equal(failures[1]?.error.fields.incarnation, { generation: 1, index: 9 });
  await registry.wait(client.close());
});

test("deregisterGateway reads the incarnation and names its process only where it is the owner", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  for (const process of [5, client.process]) {
    const answer = client.deregisterGateway(GATEWAY_ID, { withAgents: true });
    (await registry.next("getGateway")).reply("getGateway", {
      record: storedGatewayBytes({}, process),
      remainingMs: 1,
    });
    const request = await registry.next("deregisterGateway");
    assert.equal(request.body.incarnation, { generation: 1, index: 41 });
    assert.is(request.body.withAgents, true);
    assert.is(request.body.process, process === 5 ? 0 : client.process);
    assert.is(request.body.sequence > 0, process !== 5);
    request.reply("deregisterGateway", { removed: 3 });
    assert.is((await registry.wait(answer)).removed, 3);
  }
  await registry.wait(client.close());
});

test("reportGateway sends only what it was told", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const incarnation = { generation: 1, index: 2 };
  const answer = client.reportGateway(GATEWAY_ID, { incarnation, draining: true });
  const request = await registry.next("report");
  assert.is(request.body.setState, true);
  assert.is(request.body.state, 1);
  assert.is(request.body.setUsed, false);
  request.reply("report", { revision: { generation: 1, index: 50 } });
  assert.equal((await registry.wait(answer)).revision, { generation: 1, index: 50 });
  await registry.wait(client.close());
});

test("ringMap and nodeStatus are plain", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  assert.is(client.lastRingMap?.epoch.number, 1);
  const status = client.nodeStatus();
  (await registry.next("status")).reply("status", {
    nodeId: 1,
    partitionCount: 8,
    clusterId: parseUuid(AGENT_ID),
    agents: 2,
    gateways: 3,
    aliases: 4,
    sessions: 5,
    uptimeMs: 6,
    logBytes: 7,
    memoryBytes: 8,
    version: "0.1.0",
    region: "global",
    ready: true,
    reason: "",
    recordBytes: 9,
    members: 3,
    connected: 2,
    held: 1_024,
    leading: 341,
    leaderless: 0,
    followerReads: 0,
    followerReadsRedirected: 0,
    followerReadsRefused: 0,
    followerReadAgeMsP50: 0,
    followerReadAgeMsP99: 0,
    stale: 0,
  });
  assert.is((await registry.wait(status)).clusterId, AGENT_ID);
  await registry.wait(client.close());
});

test.run();
