/** Access over the wire: sessions of each role against a whole registry. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentCodec, gatewayCodec } from "../../../schemas/gen/record.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { type AuthenticatedPeer, NO_GRANTS, type Role } from "../../../src/base/peer.ts";
import { NO_POSITION, type Position } from "../../../src/base/position.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../../src/record/key.ts";
import { OPERATION_LIST } from "../../../src/wire/operations/mod.ts";
import { agentRequest, gatewayRequest, RegistryHarness } from "../../support/registry_harness.ts";
import type { RawPeer } from "../../support/raw_peer.ts";
import { idOf } from "../../support/store.ts";

const AGENT = 1, OTHER_AGENT = 2, GATEWAY = 3, OTHER_GATEWAY = 4;
const HASH = Uint8Array.from({ length: 32 }, (_, index) => 200 - index);
const LABELS = [{ key: "a", value: "b" }];
const EXTRA = { credentialHash: HASH, labels: LABELS, superseded: [] };

/**
 * Returns a registry with two gateways and an agent attached to each, and sessions of any identity.
 */
async function populated() {
  let identity: Partial<AuthenticatedPeer> = {};
  const harness = await RegistryHarness.open({
    peer: (revoked) => ({ ...developmentPeer({ region: "global", revoked }), ...identity }),
  });
  const as = (
    role: Role,
    number: number,
    more: Partial<AuthenticatedPeer> = {},
  ): Promise<RawPeer> => {
    identity = { role, subjectId: idOf(number), lineage: 7, grants: NO_GRANTS, ...more };
    return harness.peer();
  };
  const owner = await harness.peer();
  for (const number of [GATEWAY, OTHER_GATEWAY]) {
    await owner.must("registerGateway", gatewayRequest({ number, extra: EXTRA }));
  }
  const agents = [[AGENT, GATEWAY], [OTHER_AGENT, OTHER_GATEWAY]] as const;
  for (const [number, gateway] of agents) {
    const domain = `a${number}.example`;
    const fields = { number, domain, gatewayId: idOf(gateway), extra: EXTRA };
    await owner.must("registerAgent", agentRequest(fields));
  }
  return { harness, as, owner };
}

const GRANTS = { domains: ["bank.example"], gateways: [formatUuid(idOf(GATEWAY))] };

test("a refusal names what is in the way, and how it is granted", async () => {
  const { as } = await populated();
  const told = async (peer: RawPeer, name: "registerAgent" | "registerGateway", body: unknown) => {
    const { code, response } = await peer.ask(name, body as never);
    assert.is(code, "permission_denied");
    return response.message;
  };
  const agent = await as("agent", 9, { grants: GRANTS });
  const own = { number: 9, domain: "bank.example", gatewayId: idOf(GATEWAY) };
  const cash = await told(agent, "registerAgent", agentRequest({ ...own, domain: "cash.example" }));
  assert.match(cash, "with domain cash.example: it is granted the domains bank.example");
  assert.match(cash, "--domain cash.example");
  const other = formatUuid(idOf(OTHER_GATEWAY));
  const elsewhere = { ...own, gatewayId: idOf(OTHER_GATEWAY) };
  const named = await told(agent, "registerAgent", agentRequest(elsewhere));
  assert.match(named, `with gateway ${other}: it is granted the gateways`);
  const foreign = await told(agent, "registerAgent", agentRequest({ ...own, number: 1 }));
  assert.match(foreign, `its own record is the agent ${formatUuid(idOf(9))}`);
  const gateway = await as("gateway", GATEWAY);
  const domain = await told(
    gateway,
    "registerGateway",
    gatewayRequest({ number: GATEWAY, domain: "bank.example" }),
  );
  assert.match(domain, "with domain bank.example: it is granted no domains");
  const region = await told(
    gateway,
    "registerGateway",
    gatewayRequest({ number: GATEWAY, domain: "", region: "us" }),
  );
  assert.match(region, "in region us: its certificate is of region global");
});

test("an agent registers itself, with the domain and the gateway that it was granted", async () => {
  const { as } = await populated();
  const agent = await as("agent", 9, { grants: GRANTS });
  const own = { number: 9, domain: "bank.example", gatewayId: idOf(GATEWAY) };
  const code = async (fields: Parameters<typeof agentRequest>[0]) =>
    (await agent.ask("registerAgent", agentRequest(fields))).code;
  assert.is(await code({ ...own, domain: "cash.example" }), "permission_denied");
  assert.is(await code({ ...own, gatewayId: idOf(OTHER_GATEWAY) }), "permission_denied");
  assert.is(await code({ ...own, number: OTHER_AGENT }), "permission_denied");
  assert.is(
    (await agent.ask("registerGateway", gatewayRequest({ number: 9 }))).code,
    "permission_denied",
  );
  assert.is(await code(own), "ok");
});

test("registerMany refuses what is another's, item by item", async () => {
  const { as } = await populated();
  const agent = await as("agent", 9, { grants: GRANTS });
  const item = (
    kind: number,
    { record, expected }: { record: Uint8Array; expected: Position },
  ) => ({
    kind,
    record,
    expected,
  });
  const { items } = await agent.must("registerMany", {
    items: [
      item(KIND_AGENT, agentRequest({ number: 9, domain: "bank.example" })),
      item(KIND_AGENT, agentRequest({ number: 10, domain: "bank.example" })),
      item(KIND_GATEWAY, gatewayRequest({ number: 9 })),
    ],
  });
  const codes = items.map(({ code }: { code: number }) => code);
  assert.equal(codes, [0, 7, 7]);
});

test("a record that says nothing of its id is the identity's own", async () => {
  const { as, owner } = await populated();
  const agent = await as("agent", 9, { grants: GRANTS });
  const record = agentCodec.encode({
    ...agentCodec.decode(agentRequest({ number: 9 }).record),
    id: new Uint8Array(16),
  });
  await agent.must("registerAgent", { record, expected: NO_POSITION });
  await owner.must("getAgent", { id: idOf(9) });
});

test("a gateway renews its own record and the agents attached to it, and no others", async () => {
  const { as, owner } = await populated();
  const incarnationOf = async (operation: "getAgent" | "getGateway", number: number) => {
    const { record } = await owner.must(operation, { id: idOf(number) });
    return (operation === "getAgent" ? agentCodec : gatewayCodec).decode(record).incarnation;
  };
  const items = [
    {
      kind: KIND_GATEWAY,
      id: idOf(GATEWAY),
      incarnation: await incarnationOf("getGateway", GATEWAY),
    },
    { kind: KIND_AGENT, id: idOf(AGENT), incarnation: await incarnationOf("getAgent", AGENT) },
    {
      kind: KIND_AGENT,
      id: idOf(OTHER_AGENT),
      incarnation: await incarnationOf("getAgent", OTHER_AGENT),
    },
    {
      kind: KIND_GATEWAY,
      id: idOf(OTHER_GATEWAY),
      incarnation: await incarnationOf("getGateway", OTHER_GATEWAY),
    },
  ];
  const gateway = await as("gateway", GATEWAY);
  const { renewed, failures } = await gateway.must("renew", { items });
  assert.is(renewed, 2);
  assert.equal(
    failures.map(({ position, code }: { position: number; code: number }) => [position, code]),
    [[2, 7], [3, 7]],
  );
});

test("record: only its owner reports, deregisters or takes it over", async () => {
  const { as, owner } = await populated();
  const outsiders: [Role, number][] = [
    ["agent", OTHER_AGENT],
    ["gateway", OTHER_GATEWAY],
    ["gateway", AGENT],
    ["proxy", AGENT],
    ["controller", AGENT],
    ["node", AGENT],
  ];
  for (const [role, number] of outsiders) {
    const peer = await as(role, number);
    const removal = {
      id: idOf(AGENT),
      incarnation: NO_POSITION,
      process: 11,
      sequence: 9,
      withAgents: false,
    };
    assert.is((await peer.ask("deregisterAgent", removal)).code, "permission_denied", role);
    const report = {
      kind: KIND_AGENT,
      id: idOf(AGENT),
      incarnation: NO_POSITION,
      process: 11,
      sequence: 9,
      used: gatewayCodec.empty().used,
      setUsed: false,
      state: 1,
      setState: true,
    };
    assert.is((await peer.ask("report", report)).code, "permission_denied", role);
    const takeover = agentRequest({ number: AGENT, process: 12 });
    assert.is((await peer.ask("registerAgent", takeover)).code, "permission_denied", role);
  }
  await owner.must("getAgent", { id: idOf(AGENT) });
});

test("an agent reads its own record and its gateway, and no others, nor lists of them", async () => {
  const { as } = await populated();
  const agent = await as("agent", AGENT, { grants: GRANTS });
  await agent.must("getAgent", { id: idOf(AGENT) });
  await agent.must("getGateway", { id: idOf(GATEWAY) });
  await agent.must("status", {});
  await agent.must("getRingMap", {});
  const refused = [
    await agent.ask("getAgent", { id: idOf(OTHER_AGENT) }),
    await agent.ask("getGateway", { id: idOf(OTHER_GATEWAY) }),
    await agent.ask("getGateway", { id: idOf(77) }),
    await agent.ask("resolveAgent", { domain: "a1.example" }),
    await agent.ask("resolveAgents", { domains: ["a1.example"] }),
    await agent.ask("resolveGateways", { region: "global", limit: 0, cursor: new Uint8Array(0) }),
    await agent.ask("listAgentsByRegion", {
      region: "global",
      limit: 0,
      cursor: new Uint8Array(0),
    }),
  ];
  for (const { code } of refused) assert.is(code, "permission_denied");
});

test("a proxy's register is refused before it is looked into", async () => {
  const { as } = await populated();
  const proxy = await as("proxy", 20);
  // The record is junk, which an owner would be told.
  const junk = { record: new Uint8Array(9), expected: NO_POSITION };
  assert.is((await proxy.ask("registerAgent", junk)).code, "permission_denied");
  assert.is((await proxy.ask("renew", { items: [] })).code, "permission_denied");
});

test("a node's session reads no records", async () => {
  const { as } = await populated();
  const node = await as("node", 20);
  await node.must("getRingMap", {});
  assert.is((await node.ask("getAgent", { id: idOf(AGENT) })).code, "permission_denied");
});

test("a session that was not pinned reads, and writes nothing", async () => {
  const { as } = await populated();
  const gateway = await as("gateway", GATEWAY, { pinned: false });
  await gateway.must("getAgent", { id: idOf(OTHER_AGENT) });
  const own = gatewayRequest({ number: GATEWAY, sequence: 2 });
  assert.is((await gateway.ask("registerGateway", own)).code, "permission_denied");
});

test("an identity that was revoked is refused everything, on the session that is open", async () => {
  const { as } = await populated();
  const revocation = new AbortController();
  const proxy = await as("proxy", 20, { revoked: revocation.signal });
  await proxy.must("getAgent", { id: idOf(AGENT) });
  revocation.abort();
  assert.is((await proxy.ask("getAgent", { id: idOf(AGENT) })).code, "unauthenticated");
  assert.is((await proxy.ask("getRingMap", {})).code, "unauthenticated");
});

/** Returns the credential hashes in all replies that contain a record. */
async function hashesSeen(peer: RawPeer): Promise<Record<string, string[]>> {
  const list = { region: "global", limit: 0, cursor: new Uint8Array(0) };
  const agentHash = (bytes: Uint8Array) => check(agentCodec.decode(bytes));
  const gatewayHash = (bytes: Uint8Array) => check(gatewayCodec.decode(bytes));
  const check = (
    { id, domain, extra }: ReturnType<typeof agentCodec.decode | typeof gatewayCodec.decode>,
  ) => {
    // Everything except the hash is as registered.
    assert.equal(extra?.labels, LABELS);
    assert.type(domain, "string");
    const length = extra?.credentialHash.length ?? 0;
    if (length > 0) assert.equal(extra?.credentialHash, HASH);
    return length > 0 ? [`${id.at(-1)}`] : [];
  };
  const { items: many } = await peer.must("resolveAgents", {
    domains: ["a1.example", "a2.example"],
  });
  const one = await peer.must("resolveAgent", { domain: "a1.example" });
  const { items: gateways } = await peer.must("resolveGateways", {
    region: "global",
    limit: 0,
    cursor: new Uint8Array(0),
  });
  const { items: agentsListed } = await peer.must("listAgentsByRegion", list);
  const { items: gatewaysListed } = await peer.must("listGatewaysByRegion", list);
  type Item = { record: Uint8Array };
  return {
    getAgent: agentHash((await peer.must("getAgent", { id: idOf(AGENT) })).record),
    getGateway: gatewayHash((await peer.must("getGateway", { id: idOf(GATEWAY) })).record),
    resolveAgent: [...agentHash(one.agent), ...gatewayHash(one.gateway)],
    resolveAgents: many.flatMap(({ reply }) => {
      assert.ok(reply);
      return [...agentHash(reply.agent), ...gatewayHash(reply.gateway)];
    }),
    resolveGateways: gateways.flatMap(({ record }: Item) => gatewayHash(record)).sort(),
    listAgentsByRegion: agentsListed.flatMap(({ record }: Item) => agentHash(record)).sort(),
    listGatewaysByRegion: gatewaysListed.flatMap(({ record }: Item) => gatewayHash(record)).sort(),
  };
}

const lastByte = (...numbers: number[]) => numbers.map((number) => `${idOf(number).at(-1)}`);
/** The reads of one reply; watches have tests of their own (watch/watch_rights.test.ts). */
const READS = OPERATION_LIST.filter(({ access, records }) =>
  access === "read" && records !== undefined && records.several !== true
).map(({ name }) => name);

test("credential hashes: no read shows one to a proxy, and every read shows them with the grant", async () => {
  const { as } = await populated();
  const without = await hashesSeen(await as("proxy", 20));
  assert.equal(Object.keys(without).sort(), [...READS].sort());
  for (const [read, hashes] of Object.entries(without)) assert.equal(hashes, [], read);
  const grants = { ...NO_GRANTS, credentialHashes: true };
  assert.equal(await hashesSeen(await as("proxy", 20, { grants })), {
    getAgent: lastByte(AGENT),
    getGateway: lastByte(GATEWAY),
    resolveAgent: lastByte(AGENT, GATEWAY),
    resolveAgents: lastByte(AGENT, GATEWAY, OTHER_AGENT, OTHER_GATEWAY),
    resolveGateways: lastByte(GATEWAY, OTHER_GATEWAY),
    listAgentsByRegion: lastByte(AGENT, OTHER_AGENT),
    listGatewaysByRegion: lastByte(GATEWAY, OTHER_GATEWAY),
  });
});

test("a gateway sees the credential hashes of its own record and of its agents", async () => {
  const { as } = await populated();
  assert.equal(await hashesSeen(await as("gateway", GATEWAY)), {
    getAgent: lastByte(AGENT),
    getGateway: lastByte(GATEWAY),
    resolveAgent: lastByte(AGENT, GATEWAY),
    resolveAgents: lastByte(AGENT, GATEWAY),
    resolveGateways: lastByte(GATEWAY),
    listAgentsByRegion: lastByte(AGENT),
    listGatewaysByRegion: lastByte(GATEWAY),
  });
});

test("credential hash: hidden ones are not sent, and stay stored", async () => {
  const { as, harness } = await populated();
  const proxy = await as("proxy", 20);
  const { record } = await proxy.must("getAgent", { id: idOf(AGENT) });
  for (let at = 0; at + 4 <= record.length; at++) {
    const window = record.subarray(at, at + 4).join();
    for (let from = 0; from + 4 <= HASH.length; from++) {
      assert.is.not(window, HASH.subarray(from, from + 4).join());
    }
  }
  assert.equal(harness.agent(idOf(AGENT))?.extra?.credentialHash, HASH);
});

test.run();
