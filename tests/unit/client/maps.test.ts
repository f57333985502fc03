/** The SDK's calls on records of the Maps protocol, over a real registry in the same process. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { mapsGatewayCodec } from "../../../schemas/gen/record.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { FREE_REGIONS_MAX } from "../../../src/base/limits.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { ListCalls } from "../../../src/client/calls/list.ts";
import { MapsCalls } from "../../../src/client/calls/maps.ts";
import type { CallOptions } from "../../../src/client/call_options.ts";
import type { Invoker } from "../../../src/client/invoker.ts";
import { OwnershipSequence } from "../../../src/client/ownership.ts";
import { KIND_GATEWAY } from "../../../src/record/key.ts";
import type { Client, MapsAgentInput, MapsGatewayInput } from "../../../src/client/mod.ts";
import { RegistryHarness } from "../../support/registry_harness.ts";

const GATEWAY: MapsGatewayInput = {
  gatewayId: "ab".repeat(32),
  region: "eu",
  address: "192.0.2.10",
  port: 8443,
  wssPort: 8444,
  ...{ cpu: 8, memory: 1_024, storage: 100, bandwidth: 10 },
  credential: "c1",
  scope: "region",
};
const AGENT: MapsAgentInput = {
  domain: "A1.example",
  agentId: "cd".repeat(32),
  gatewayId: GATEWAY.gatewayId,
  region: "eu",
  credential: "c1",
  scope: "region",
};

/** A registry, a client, and the calls whose time the test lets pass. */
async function open() {
  const harness = await RegistryHarness.open();
  await harness.raiseVersion();
  const client = await harness.client();
  const ask = <T>(call: (maps: Client["maps"]) => Promise<T>) =>
    harness.world.wait(call(client.maps));
  const refusalOf = async (call: (maps: Client["maps"]) => Promise<unknown>) => {
    const refused = await ask(call).then(() => undefined, (error: unknown) => error);
    assert.instance(refused, RegistryError);
    return (refused as RegistryError).code;
  };
  return { harness, client, ask, refusalOf };
}

test("a gateway is found by its id, in lists and among the best; an agent by its domain", async () => {
  const { harness: { world }, client, ask } = await open();
  await ask((maps) => maps.registerGateway(GATEWAY));
  await ask((maps) => maps.registerAgent(AGENT));
  const gateway = await ask((maps) => maps.getGateway(GATEWAY.gatewayId.toUpperCase()));
  for (const [name, value] of Object.entries(GATEWAY)) {
    assert.equal(gateway[name as keyof typeof gateway], value, name);
  }
  const agent = await ask((maps) => maps.getAgent("a1.EXAMPLE"));
  assert.equal([agent.domain, agent.agentId, agent.gatewayId, agent.credential], [
    "a1.example",
    AGENT.agentId,
    GATEWAY.gatewayId,
    "c1",
  ]);
  assert.equal((await ask((maps) => maps.bestGateways("eu"))).map(({ id }) => id), [gateway.id]);
  assert.equal(await ask((maps) => maps.bestGateways("us")), []);
  const gateways = await ask((maps) => maps.listGateways("eu"));
  assert.equal(gateways.items.map((item) => item.gateway.id), [gateway.id]);
  const agents = await ask((maps) => maps.listAgents("eu"));
  assert.equal(agents.items.map((item) => item.agent.id), [agent.id]);
  // They are no records of identities.
  assert.equal((await world.wait(client.listGateways("eu"))).items, []);
  const native = world.wait(client.resolveAgent("a1.example"));
  assert.is(await native.catch(({ code }) => code), "not_found");
});

test("two clients that name one credential register the same record in turns", async () => {
  const { harness, ask } = await open();
  const other = await harness.client();
  for (let turn = 0; turn < 8; turn++) {
    await ask((maps) => maps.registerGateway({ ...GATEWAY, cpu: turn }));
    await harness.world.wait(other.maps.registerGateway({ ...GATEWAY, cpu: 100 + turn }));
  }
  assert.is((await ask((maps) => maps.getGateway(GATEWAY.gatewayId))).cpu, 107);
});

test("another credential is refused at the endpoint, and for the domain", async () => {
  const { ask, refusalOf } = await open();
  await ask((maps) => maps.registerGateway(GATEWAY));
  await ask((maps) => maps.registerAgent(AGENT));
  const gateway = { ...GATEWAY, gatewayId: "ef".repeat(32), credential: "c2" };
  assert.is(await refusalOf((maps) => maps.registerGateway(gateway)), "permission_denied");
  assert.is(await refusalOf((maps) => maps.getGateway(gateway.gatewayId)), "not_found");
  const agent = { ...AGENT, credential: "c2" };
  assert.is(await refusalOf((maps) => maps.registerAgent(agent)), "permission_denied");
});

test("what an administrator removes is free for another credential", async () => {
  const { ask, refusalOf } = await open();
  await ask((maps) => maps.registerGateway(GATEWAY));
  await ask((maps) => maps.registerAgent(AGENT));
  await ask((maps) => maps.removeAgent("a1.example"));
  await ask((maps) => maps.removeGateway(GATEWAY.gatewayId));
  assert.is(await refusalOf((maps) => maps.removeAgent("a1.example")), "not_found");
  assert.is(await refusalOf((maps) => maps.removeGateway(GATEWAY.gatewayId)), "not_found");
  const gatewayId = "ef".repeat(32);
  await ask((maps) => maps.registerGateway({ ...GATEWAY, gatewayId, credential: "c2" }));
  await ask((maps) => maps.registerAgent({ ...AGENT, gatewayId, credential: "c2" }));
  assert.is((await ask((maps) => maps.getAgent("a1.example"))).credential, "c2");
});

test("records whose region is any take a part of the regions that a node has room for", async () => {
  const { harness: { registry }, ask, refusalOf } = await open();
  const { regions } = registry.shared;
  await ask((maps) => maps.registerGateway(GATEWAY));
  for (let number = 0; number < FREE_REGIONS_MAX; number++) {
    const name = new TextEncoder().encode(`r${number}`);
    regions.add(KIND_GATEWAY, regions.intern(name, 0, name.length), 1);
  }
  assert.ok(regions.hasRoom, "there is room for others");
  const late = (maps: Client["maps"]) =>
    maps.registerGateway({ ...GATEWAY, region: "late" }, { timeoutMs: 1_000 });
  assert.is(await refusalOf(late), "overloaded");
  await ask((maps) => maps.registerGateway({ ...GATEWAY, region: "r7", port: 9_000 }));
});

test("what is no id, domain, address or credential is refused before it is sent or stored", async () => {
  const { refusalOf } = await open();
  const calls: ((maps: Client["maps"]) => Promise<unknown>)[] = [
    (maps) => maps.getGateway("ab"),
    (maps) => maps.getGateway("x".repeat(64)),
    (maps) => maps.getAgent("a b"),
    (maps) => maps.registerGateway({ ...GATEWAY, gatewayId: "ab" }),
    (maps) => maps.registerGateway({ ...GATEWAY, address: "" }),
    (maps) => maps.registerGateway({ ...GATEWAY, port: 0 }),
    (maps) => maps.registerGateway({ ...GATEWAY, cpu: -1 }),
    (maps) => maps.registerGateway({ ...GATEWAY, cpu: 2 ** 31 }),
    (maps) => maps.registerGateway({ ...GATEWAY, credential: "" }),
    (maps) => maps.registerGateway({ ...GATEWAY, credential: "c".repeat(257) }),
    (maps) => maps.registerGateway({ ...GATEWAY, region: "" }),
    (maps) => maps.registerAgent({ ...AGENT, domain: "" }),
    (maps) => maps.registerAgent({ ...AGENT, agentId: "" }),
  ];
  for (const call of calls) assert.is(await refusalOf(call), "invalid_argument", String(call));
});

test("registerGateway and removeGateway keep one deadline for all of their requests", async () => {
  let nowMs = 0;
  const timeouts: (number | undefined)[] = [];
  const invoker = {
    invoke: (_name: string, _body: unknown, _decode: unknown, options?: CallOptions) => {
      timeouts.push(options?.timeoutMs);
      nowMs += 300;
      return Promise.resolve({ record: stored });
    },
  } as unknown as Invoker;
  const gatewayId = new Uint8Array(32).fill(0xab);
  const stored = mapsGatewayCodec.encode({ ...mapsGatewayCodec.empty(), gatewayId });
  const calls = new MapsCalls({
    invoker,
    ownership: new OwnershipSequence(new SeededEntropy(1)),
    list: new ListCalls(invoker),
    clock: { nowMs: () => nowMs },
    timeoutMs: 1_000,
  });
  await calls.registerGateway(GATEWAY);
  assert.equal(timeouts.splice(0), [1_000, 700]);
  await calls.removeGateway(GATEWAY.gatewayId, { timeoutMs: 800 });
  assert.equal(timeouts, [800, 500, 200]);
});

test.run();
