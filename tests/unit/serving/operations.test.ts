/** Every operation against a whole registry, through the client and as frames. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { PARTITION_APPLY_VERSION } from "../../../src/store/apply_version.ts";
import { gatewayCodec } from "../../../schemas/gen/record.ts";
import { NEGATIVE_CACHE_MS } from "../../../src/base/limits.ts";
import { formatUuid, parseUuid } from "../../../src/base/uuid.ts";
import { KIND_AGENT } from "../../../src/record/key.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import {
  agentRequest,
  gatewayRequest,
  RegistryHarness,
  v4,
} from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";
import { rejectionOf } from "../../support/refusal.ts";

test("every operation is served through the client", async () => {
  const harness = await RegistryHarness.open();
  const client = await harness.client();
  const wait = <T>(promise: Promise<T>) => harness.world.wait(promise);

  const gateway = await wait(client.registerGateway({
    region: "global",
    domain: "g1.example",
    address: "192.0.2.7",
    port: 4000,
    capacity: { cpu: 4, memoryMiB: 4096, storageMiB: 1000, bandwidthMbps: 100, connections: 10 },
  }));
  assert.is(gateway.created, true);
  assert.ok(gateway.remainingMs > 29_000 && gateway.remainingMs <= 30_000);
  assert.ok(gateway.renewAfterMs >= 8_000 && gateway.renewAfterMs <= 10_000);
  const agent = await wait(client.registerAgent({
    region: "global",
    domain: "A1.example",
    address: "198.51.100.4",
    port: 9,
    gatewayId: gateway.id,
  }));
  assert.is((await wait(client.getAgent(agent.id))).agent.domain, "a1.example");
  assert.is((await wait(client.getGateway(gateway.id))).gateway.address, "192.0.2.7");
  const found = await wait(client.resolveAgent("a1.EXAMPLE"));
  assert.is(found.agent.id, agent.id);
  assert.is(found.gateway?.id, gateway.id);
  assert.is(found.receipts.length, 3);
  const many = await wait(client.resolveAgents(["a1.example", "nobody.example"]));
  assert.is(many[0]!.found?.agent.id, agent.id);
  assert.is(many[1]!.error?.code, "not_found");
  assert.is(many[1]!.error?.fields.cacheMs, NEGATIVE_CACHE_MS);
  assert.is((await wait(client.resolveGateways("global"))).items.length, 1);
  assert.is((await wait(client.listAgents("global"))).items.length, 1);
  assert.is((await wait(client.listGateways("elsewhere"))).items.length, 0);
  const renewed = await wait(client.renew([
    { kind: "agent", id: agent.id, incarnation: agent.incarnation },
    { kind: "gateway", id: gateway.id, incarnation: gateway.incarnation },
  ]));
  assert.is(renewed.renewed, 2);
  const reported = await wait(client.reportGateway(gateway.id, {
    used: { cpu: 1, memoryMiB: 1, storageMiB: 1, bandwidthMbps: 1, connections: 1 },
    draining: true,
  }));
  assert.ok(reported.revision.index > gateway.revision.index);
  assert.is((await wait(client.resolveGateways("global"))).items.length, 0, "draining is skipped");
  assert.is((await wait(client.listGateways("global"))).items[0]!.gateway.state, "draining");
  const outcomes = await wait(client.registerMany([
    { kind: "agent", agent: { region: "global", domain: "b.example", address: "::1", port: 1 } },
    { kind: "agent", agent: { region: "global", domain: "b.example", address: "::1", port: 1 } },
    { kind: "gateway", gateway: { region: "eu", domain: "g2.example", port: 5 } },
  ]));
  assert.is(outcomes.filter(({ registered }) => registered !== undefined).length >= 2, true);
  const status = await wait(client.nodeStatus());
  assert.is(status.gateways, 2);
  assert.is(status.agents, 2);
  assert.is(status.aliases, 2);
  assert.is((await wait(client.ringMap())).partitionCount, 8);
  const { record } = await wait(client.call("getGateway", { id: parseUuid(gateway.id) }));
  assert.is(gatewayCodec.decode(record).domain, "g1.example");
  assert.is((await wait(client.deregisterAgent(agent.id))).removed, 1);
  assert.is((await rejectionOf(wait(client.getAgent(agent.id)))).code, "not_found");
  assert.is((await rejectionOf(wait(client.resolveAgent("a1.example")))).code, "not_found");
  assert.is((await wait(client.deregisterGateway(gateway.id))).removed, 1);
  await wait(client.close());
  await harness.stop();
});

test("deregisterGateway with its agents removes them and no others", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const { incarnation } = await peer.must("registerGateway", gatewayRequest({ number: 1 }));
  for (let number = 10; number < 20; number++) {
    const gatewayId = idOf(number % 2 === 0 ? 1 : 2);
    await peer.must("registerAgent", agentRequest({ number, gatewayId }));
  }
  const request = { id: idOf(1), incarnation, process: 11, sequence: 2, withAgents: true };
  assert.is((await peer.must("deregisterGateway", request)).removed, 6);
  for (let number = 10; number < 20; number++) {
    assert.is(harness.agent(idOf(number)) === undefined, number % 2 === 0);
  }
  // The reply was lost and the request is sent again: the record is already gone.
  assert.is((await peer.must("deregisterGateway", request)).removed, 0);
});

test("deregisterGateway looks for agents in one partition a turn, so that others are served", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const { incarnation } = await peer.must("registerGateway", gatewayRequest({ number: 1 }));
  for (let number = 10; number < 40; number++) {
    await peer.must("registerAgent", agentRequest({ number }));
  }
  const { world } = harness;
  const turn = world.turn.bind(world);
  let turns = 0;
  world.turn = () => {
    turns++;
    return turn();
  };
  const scannedIn: number[] = [];
  for (const { store } of harness.registry.table.here()) {
    const forEachSlot = store.forEachSlot.bind(store);
    store.forEachSlot = (kind, visit) => {
      if (kind === KIND_AGENT) scannedIn.push(turns);
      forEachSlot(kind, visit);
    };
  }
  const request = { id: idOf(1), incarnation, process: 11, sequence: 2, withAgents: true };
  assert.is((await peer.must("deregisterGateway", request)).removed, 1);
  assert.ok(scannedIn.length > 1);
  assert.is(new Set(scannedIn).size, scannedIn.length);
});

test("a negative answer carries cacheMs and the receipt of each group that was asked", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  for (
    const reply of [
      await peer.ask("getAgent", { id: idOf(1) }),
      await peer.ask("getGateway", { id: idOf(1) }),
      await peer.ask("resolveAgent", { domain: "nobody.example" }),
    ]
  ) {
    assert.is(reply.code, "not_found");
    assert.is(reply.response.cacheMs, NEGATIVE_CACHE_MS);
    assert.is(reply.response.receipts.length, 1);
    const receipt = reply.response.receipts[0]!;
    assert.is(receipt.node, 1);
    assert.is(receipt.term, 1);
    assert.is(receipt.ageBoundMs, 0);
    assert.is(receipt.appliedIndex, 1);
  }
});

test("a write is answered with the receipt of its entry, and a read after it is not older", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const written = await peer.ask("registerAgent", agentRequest({ number: 1 }));
  const read = await peer.ask("getAgent", { id: idOf(1) });
  assert.equal(read.response.receipts, written.response.receipts);
  assert.is(written.response.receipts[0]!.appliedIndex, written.body.revision.index);
});

test("a record's stored form is embedded as it is, with what the registry added", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const registered = await peer.must(
    "registerAgent",
    agentRequest({ number: 1, address: v4(192, 0, 2, 9), leaseExpiryMs: 77, writer: 99 }),
  );
  const agent = harness.agent(idOf(1))!;
  assert.equal(agent.incarnation, registered.incarnation);
  assert.is(agent.writer, 1, "the identity's lineage, not what the request says");
  assert.is(agent.leaseExpiryMs, 60_000);
  assert.is(agent.lastSeenUnixS, Math.floor(harness.world.unixMs() / 1_000));
});

test("an agent without an id is its domain's: a retry is the same record", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const request = (sequence: number) =>
    agentRequest({ number: 1, id: new Uint8Array(16), domain: "a.example", sequence });
  const first = await peer.must("registerAgent", request(1));
  const second = await peer.must("registerAgent", request(2));
  assert.is(formatUuid(first.id), formatUuid(second.id));
  assert.equal(first.incarnation, second.incarnation);
  assert.is(second.created, false);
  const neither = await peer.ask(
    "registerAgent",
    agentRequest({ number: 1, id: new Uint8Array(16) }),
  );
  assert.is(neither.code, "invalid_argument");
  assert.is(neither.response.field, "id");
});

test("a delayed duplicate of a register or deregister changes nothing", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const register = agentRequest({ number: 1, domain: "one.example", sequence: 1 });
  const { incarnation } = await peer.must("registerAgent", register);
  await peer.must(
    "registerAgent",
    agentRequest({ number: 1, domain: "two.example", sequence: 2, port: 22 }),
  );
  await peer.world.wait(harness.registry.janitor.sweepAll());
  assert.is(harness.alias("one.example"), undefined);
  const before = harness.agent(idOf(1));

  const delayed = await peer.ask("registerAgent", register);
  assert.is(delayed.code, "stale_sequence");
  assert.equal(delayed.response.current, incarnation);
  assert.equal(harness.agent(idOf(1)), before);
  assert.is(harness.alias("one.example"), undefined, "the old domain is not claimed again");

  const remove = { id: idOf(1), incarnation, process: 11, sequence: 3, withAgents: false };
  assert.is((await peer.must("deregisterAgent", remove)).removed, 1);
  const dead = await peer.ask(
    "registerAgent",
    agentRequest({ number: 1, domain: "two.example", sequence: 2, port: 22 }),
  );
  assert.is(dead.code, "stale_sequence");
  assert.is(harness.agent(idOf(1)), undefined);
  const again = await peer.must(
    "registerAgent",
    agentRequest({ number: 1, domain: "two.example", sequence: 4 }),
  );
  const late = await peer.ask("deregisterAgent", remove);
  assert.is(late.code, "superseded");
  assert.equal(late.response.current, again.incarnation);
  assert.equal(harness.agent(idOf(1))?.incarnation, again.incarnation);
});

test("take-over: another process must name the incarnation, and the first is superseded", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const first = await peer.must("registerAgent", agentRequest({ number: 1, domain: "a.example" }));
  const other = { number: 1, domain: "a.example", process: 12, sequence: 1 };
  const refusal = await peer.ask("registerAgent", agentRequest(other));
  assert.is(refusal.code, "incarnation_mismatch");
  assert.equal(refusal.response.current, first.incarnation);
  const taken = await peer.must("registerAgent", agentRequest(other, first.incarnation));
  assert.is(taken.created, true);
  assert.ok(taken.incarnation.index > first.incarnation.index);
  const lost = await peer.ask(
    "registerAgent",
    agentRequest({ number: 1, domain: "a.example", sequence: 2 }, taken.incarnation),
  );
  assert.is(lost.code, "superseded");
  const renewal = await peer.must("renew", {
    items: [{ id: idOf(1), incarnation: first.incarnation, kind: 1 }],
  });
  assert.is(renewal.renewed, 0);
  assert.equal(renewal.failures[0]!.current, taken.incarnation);
  assert.is((await peer.must("resolveAgent", { domain: "a.example" })).agentPart, 1);
});

test("resolveGateways orders by the highest smallest free fraction, then by id", async () => {
  const harness = await RegistryHarness.open({ partitions: 16 });
  const peer = await harness.peer();
  const capacity = { cpu: 10, memoryMiB: 100, storageMiB: 100, bandwidthMbps: 10, connections: 10 };
  const idle = { cpu: 0, memoryMiB: 0, storageMiB: 0, bandwidthMbps: 0, connections: 0 };
  const use: [number, Partial<typeof idle>][] = [
    [1, { cpu: 5 }],
    [2, {}],
    [3, { cpu: 1, memoryMiB: 90 }],
    [4, {}],
    [5, { connections: 2 }],
  ];
  for (const [number, used] of use) {
    await peer.must(
      "registerGateway",
      gatewayRequest({ number, capacity, used: { ...idle, ...used } }),
    );
  }
  await peer.must("registerGateway", gatewayRequest({ number: 6, region: "eu", capacity }));
  await peer.must("registerGateway", gatewayRequest({ number: 7, state: 1, capacity }));
  const order = async (limit: number) => {
    const { items } = await peer.must("resolveGateways", {
      region: "global",
      limit,
      cursor: new Uint8Array(0),
    });
    const slots: number[] = [];
    for (const { record } of items) {
      slots.push(new DataView(record.buffer, record.byteOffset + 20).getUint32(0));
    }
    return slots;
  };
  assert.equal(await order(16), [2, 4, 5, 1, 3]);
  assert.equal(await order(2), [2, 4]);
});

test("pages of a list over all partitions are complete and without duplicates while records change", async () => {
  const harness = await RegistryHarness.open({ partitions: 16 });
  const peer = await harness.peer();
  const incarnations = new Map<number, { generation: number; index: number }>();
  for (let number = 0; number < 150; number++) {
    const { incarnation } = await peer.must("registerAgent", agentRequest({ number: number + 1 }));
    incarnations.set(number + 1, incarnation);
  }
  const seen: number[] = [];
  let cursor: Uint8Array = new Uint8Array(0);
  for (let page = 0;; page++) {
    const { items, nextCursor } = await peer.must("listAgentsByRegion", {
      region: "global",
      cursor,
      limit: 7,
    });
    assert.ok(items.length <= 7);
    for (const { record } of items) {
      seen.push(new DataView(record.buffer, record.byteOffset + 20).getUint32(0));
    }
    if (nextCursor.length === 0) break;
    assert.is(items.length, 7, "a page that is followed by another is full");
    cursor = nextCursor;
    // One is removed, whether it was seen or not, and one is added.
    const gone = 140 - page;
    const id = idOf(gone);
    const request = {
      id,
      incarnation: incarnations.get(gone)!,
      process: 11,
      sequence: 5,
      withAgents: false,
    };
    await peer.must("deregisterAgent", request);
    await peer.must("registerAgent", agentRequest({ number: 1_000 + page }));
  }
  assert.is(new Set(seen).size, seen.length, "nobody comes twice");
  for (let number = 1; number <= 150; number++) {
    // Records that existed all the time were seen.
    if (number <= 100 || number > 140) assert.ok(seen.includes(number), `agent ${number}`);
  }
  const forged = await peer.ask("listAgentsByRegion", {
    region: "global",
    cursor: new Uint8Array(19),
    limit: 7,
  });
  assert.is(forged.code, "invalid_argument");
  assert.is(forged.response.field, "cursor");
});

test("resolveAgents answers each domain as if it had been asked alone", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerGateway", gatewayRequest({ number: 9 }));
  await peer.must(
    "registerAgent",
    agentRequest({ number: 1, domain: "a.example", gatewayId: idOf(9) }),
  );
  await peer.must("registerAgent", agentRequest({ number: 2, domain: "b.example" }));
  const { items } = await peer.must("resolveAgents", {
    domains: ["b.example", "nobody.example", "A.example", "no domain!", "a.example"],
  });
  assert.equal(items.map(({ code }: { code: number }) => code), [0, 9, 0, 3, 0]);
  assert.equal(items[0]!.reply?.agentId, idOf(2));
  assert.is(items[0]!.reply?.gatewayPart, 0);
  assert.is(items[2]!.reply?.gatewayPart, 1);
  assert.equal(items[2]!.reply, items[4]!.reply);
  assert.is(items[2]!.receipts.length, 3);
  assert.is(items[1]!.receipts.length, 1);
  assert.is(items[1]!.cacheMs, NEGATIVE_CACHE_MS);
});

test("resolveAgents stays within the response frame, whatever the records weigh", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const labels = Array.from({ length: 16 }, (_, index) => ({
    key: `k${String.fromCharCode(97 + index)}`,
    value: "v".repeat(255),
  }));
  const extra = { credentialHash: new Uint8Array(0), labels, superseded: [] };
  const domains: string[] = [];
  for (let number = 1; number <= 256; number++) {
    domains.push(`d${number}.example`);
    await peer.must("registerAgent", agentRequest({ number, domain: domains.at(-1)!, extra }));
  }
  const reply = await peer.ask("resolveAgents", { domains });
  assert.is(reply.code, "ok");
  assert.ok(reply.bytes < 1024 * 1024, `${reply.bytes} bytes`);
  const codes: number[] = reply.body.items.map(({ code }: { code: number }) => code);
  assert.is(codes.length, 256);
  const answered = codes.indexOf(2);
  assert.ok(answered > 100, "as many as fit are answered");
  assert.ok(codes.slice(0, answered).every((code) => code === 0));
  assert.ok(codes.slice(answered).every((code) => code === 2), "the rest is to be asked again");
});

test("an identity that no longer counts is refused what it reads and writes, though its session lasts", async () => {
  let isRevoked = false;
  // A signal whose event is still pending.
  const revoked = {
    get aborted() {
      return isRevoked;
    },
    addEventListener: () => {},
    removeEventListener: () => {},
  } as unknown as AbortSignal;
  const harness = await RegistryHarness.open({
    peer: () => developmentPeer({ region: "global", revoked }),
  });
  const peer = await harness.peer();
  const code = async (...[name, body]: Parameters<typeof peer.ask>) =>
    (await peer.ask(name, body)).code;
  const ask = async () => [
    await code("registerAgent", agentRequest({ number: 1 })),
    await code("getAgent", { id: idOf(1) }),
    await code("listAgentsByRegion", { region: "global", limit: 0, cursor: new Uint8Array() }),
    await code("status", {}),
  ];
  assert.equal(await ask(), ["ok", "ok", "ok", "ok"]);
  isRevoked = true;
  assert.equal(await ask(), Array(4).fill("unauthenticated"));
});

test("a record of region scope is taken once all nodes know scopes", async () => {
  const harness = await RegistryHarness.open();
  const { registry, world } = harness;
  const client = await harness.client();
  const local = { region: "global", domain: "a1.example", scope: "region" } as const;
  const register = () => world.wait(client.registerAgent(local, { timeoutMs: 1_500 }));
  const early = await register().catch((error: RegistryError) => error);
  assert.ok(early instanceof RegistryError && early.code === "overloaded");
  await harness.raiseVersion();
  const { id } = await register();
  const { agent } = await world.wait(client.getAgent(id));
  assert.is(agent.scope, "region");
  const raised = [...registry.table.here()].filter(({ store }) => store.applyVersion > 1);
  assert.equal(raised.map(({ store }) => store.applyVersion), [PARTITION_APPLY_VERSION]);
  const { created } = await world.wait(client.registerAgent({ ...local, scope: "global" }));
  assert.is(created, false, "an owner may change the scope");
  assert.is((await world.wait(client.getAgent(agent.id))).agent.scope, "global");
});

test("a record is answered with what is left of its lease", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, ttlMs: 10_000 }));
  await harness.world.pass(4_000);
  const { remainingMs } = await peer.must("getAgent", { id: idOf(1) });
  assert.ok(remainingMs >= 6_000 && remainingMs <= 6_250, String(remainingMs));
});

test.run();
