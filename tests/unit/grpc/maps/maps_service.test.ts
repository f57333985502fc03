/** The Maps service, over a real registry in the same process. */
import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ERROR_TABLE, type ErrorCode, RegistryError } from "../../../../src/base/errors.ts";
import { MAPS_CREDENTIAL_BYTES_MAX } from "../../../../src/base/limits.ts";
import { mapsError } from "../../../../src/grpc/maps/maps_error.ts";
import { callMaps, MapsFace, type MapsRequest } from "../../../support/maps.ts";

const HASH = "5d41402abc4b2a76b9719d911017c592ae2f6b1c9a4c7b3f1d2e3a4b5c6d7e8f";
const OTHER = "00000000000000000000000000000000000000000000000000000000000000ff";

const GATEWAY = {
  region: "eu",
  gatewayIp: "192.0.2.10",
  gatewayPort: 8443,
  wssPort: 8444,
  capacity: { cpu: 8, memory: 1_024, storage: 100, bandwidth: 10 },
  verifiableCredHash: HASH,
};

function sha256Hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

const GATEWAY_ID = sha256Hex(`${HASH}|192.0.2.10`);
const AGENT = {
  agentDomain: "a1.example",
  verifiableCredHash: HASH,
  gatewayId: GATEWAY_ID,
  region: "eu",
};

/** Returns the plain fields of a message. */
function plain(message: object): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(message, (key, value) => key.startsWith("$") ? undefined : value),
  );
}

test("RegisterGateway answers the gateway, with the id that its clients compute", async () => {
  const face = await MapsFace.open();
  const answer = await face.call("registerGateway", GATEWAY);
  assert.equal(plain(answer), {
    gatewayId: GATEWAY_ID,
    gatewayIp: "192.0.2.10",
    gatewayAddress: "192.0.2.10:8443",
    gatewayPort: 8443,
    wssPort: 8444,
    capacity: { cpu: 8, memory: 1_024, storage: 100, bandwidth: 10 },
    Identity: HASH,
  });
  // Again, with another port and capacity: the same gateway, changed.
  const capacity = { cpu: 1, memory: 1, storage: 1, bandwidth: 1 };
  const again = await face.call("registerGateway", { ...GATEWAY, gatewayPort: 9_000, capacity });
  assert.is(again.error, undefined);
  const found = await face.call("resolveGatewayForAgent", { region: "eu" });
  assert.equal(found.gateways.map(({ gatewayId, gatewayPort }) => [gatewayId, gatewayPort]), [
    [GATEWAY_ID, 9_000],
  ]);
});

test("RegisterAgent answers the agent with its gateway, and so does ResolveGatewayForProxy", async () => {
  const face = await MapsFace.open();
  await face.call("registerGateway", GATEWAY);
  const expected = {
    agentId: sha256Hex(`${HASH}|a1.example`),
    agentDomain: "a1.example",
    gatewayId: GATEWAY_ID,
    gatewayAddress: "192.0.2.10:8443",
    gatewayPort: 8443,
    wssPort: 8444,
    capacity: { cpu: 8, memory: 1_024, storage: 100, bandwidth: 10 },
    gatewayIp: "192.0.2.10",
    Identity: HASH,
  };
  assert.equal(plain(await face.call("registerAgent", AGENT)), expected);
  const request = { agentDomain: "A1.Example", region: "us", proxyId: "p1" };
  assert.equal(plain(await face.call("resolveGatewayForProxy", request)), expected);
});

test("an agent moves to another gateway by registering there", async () => {
  const face = await MapsFace.open();
  await face.call("registerGateway", GATEWAY);
  const second = await face.call("registerGateway", { ...GATEWAY, gatewayIp: "2001:db8::7" });
  assert.is(second.gatewayAddress, "[2001:db8::7]:8443");
  await face.call("registerAgent", AGENT);
  const moved = await face.call("registerAgent", { ...AGENT, gatewayId: second.gatewayId });
  assert.is(moved.error, undefined);
  const found = await face.call("resolveGatewayForProxy", { agentDomain: "a1.example" });
  assert.equal([found.gatewayIp, found.gatewayAddress], ["2001:db8::7", "[2001:db8::7]:8443"]);
});

test("ResolveGatewayForAgent honours the region, and offers the most free capacity first, ten at most", async () => {
  const face = await MapsFace.open();
  for (let number = 1; number <= 12; number++) {
    const capacity = { cpu: number, memory: 100 * number, storage: 10, bandwidth: 10 };
    const gatewayIp = `192.0.2.${number}`;
    await face.call("registerGateway", { ...GATEWAY, gatewayIp, capacity });
  }
  // Without a region it is registered, and found, in the region `global`.
  await face.call("registerGateway", { ...GATEWAY, region: "", gatewayIp: "192.0.2.99" });
  const eu = await face.call("resolveGatewayForAgent", { region: "eu" });
  assert.equal(
    eu.gateways.map(({ gatewayIp }) => gatewayIp),
    [12, 11, 10, 9, 8, 7, 6, 5, 4, 3].map((number) => `192.0.2.${number}`),
  );
  for (const region of ["", "global"]) {
    const found = await face.call("resolveGatewayForAgent", { region });
    assert.equal(found.gateways.map(({ gatewayIp }) => gatewayIp), ["192.0.2.99"]);
  }
  const none = await face.call("resolveGatewayForAgent", { region: "us" });
  assert.equal([none.gateways.length, none.error?.code], [0, 2]);
});

test("another credential for the same endpoint or the same domain is unauthorized", async () => {
  const face = await MapsFace.open();
  await face.call("registerGateway", GATEWAY);
  await face.call("registerAgent", AGENT);
  const gateway = await face.call("registerGateway", { ...GATEWAY, verifiableCredHash: OTHER });
  assert.equal([gateway.error?.code, gateway.gatewayId], [6, ""]);
  const agent = await face.call("registerAgent", { ...AGENT, verifiableCredHash: OTHER });
  assert.equal([agent.error?.code, agent.agentId], [6, ""]);
  // Another region or port is another endpoint.
  for (const change of [{ region: "us" }, { gatewayPort: 8_500 }]) {
    const other = { ...GATEWAY, verifiableCredHash: OTHER, ...change };
    assert.is((await face.call("registerGateway", other)).error, undefined);
  }
  // Nothing has changed.
  const found = await face.call("resolveGatewayForProxy", { agentDomain: "a1.example" });
  assert.equal([found.Identity, found.gatewayId], [HASH, GATEWAY_ID]);
});

test("a record lasts for the lease after each registration, then its name is free", async () => {
  const leaseMs = 60_000;
  const face = await MapsFace.open();
  const { world } = face.harness;
  const call = <Name extends "registerGateway" | "registerAgent" | "resolveGatewayForProxy">(
    name: Name,
    request: MapsRequest<Name>,
  ) => face.call(name, request, { leaseMs });
  await call("registerGateway", GATEWAY);
  await call("registerAgent", AGENT);
  for (let turn = 0; turn < 5; turn++) {
    await world.pass(50_000);
    await call("registerGateway", GATEWAY);
    await call("registerAgent", AGENT);
  }
  const proxy = { agentDomain: "a1.example" };
  assert.is((await call("resolveGatewayForProxy", proxy)).error, undefined);
  // The cover that is logged is twice the lease.
  await world.pass(130_000);
  assert.is((await call("resolveGatewayForProxy", proxy)).error?.code, 2);
  const next = await call("registerGateway", { ...GATEWAY, verifiableCredHash: OTHER });
  assert.is(next.error, undefined);
  const gatewayId = next.gatewayId;
  const agent = await call("registerAgent", { ...AGENT, verifiableCredHash: OTHER, gatewayId });
  assert.is(agent.error, undefined);
});

test("an agent whose gateway is gone, and one that never was, are not found", async () => {
  const face = await MapsFace.open();
  const absent = await face.call("registerAgent", AGENT);
  assert.equal([absent.error?.code, absent.agentId], [2, ""]);
  assert.match(absent.error!.message, GATEWAY_ID);
  const unknown = await face.call("resolveGatewayForProxy", { agentDomain: "a1.example" });
  assert.is(unknown.error?.code, 2);
});

test("a missing field is named, and so is one that is not valid", async () => {
  const face = await MapsFace.open();
  const cases: [Parameters<typeof face.call>[0], object, string][] = [
    ["registerGateway", { ...GATEWAY, gatewayIp: "" }, "gateway_ip is required"],
    ["registerGateway", { ...GATEWAY, gatewayPort: 0 }, "gateway_port is required"],
    ["registerGateway", { ...GATEWAY, verifiableCredHash: "" }, "verifiable_cred_hash is required"],
    ["registerAgent", { ...AGENT, agentDomain: "" }, "agent_domain is required"],
    ["registerAgent", { ...AGENT, verifiableCredHash: "" }, "verifiable_cred_hash is required"],
    ["registerAgent", { ...AGENT, gatewayId: "" }, "gateway_id is required"],
    ["resolveGatewayForProxy", { agentDomain: "" }, "agent_domain is required"],
    ["registerGateway", { ...GATEWAY, gatewayIp: "gateway.example" }, "gateway_ip must be"],
    ["registerGateway", { ...GATEWAY, gatewayIp: "0.0.0.0" }, "gateway_ip must be"],
    ["registerGateway", { ...GATEWAY, gatewayPort: 65_536 }, "gateway_port must be"],
    ["registerGateway", { ...GATEWAY, gatewayPort: -1 }, "gateway_port must be"],
    ["registerGateway", { ...GATEWAY, wssPort: -1 }, "wss_port must be"],
    ["registerGateway", { ...GATEWAY, capacity: { cpu: -1 } }, "capacity.cpu must"],
    ["registerGateway", { ...GATEWAY, region: "EU" }, "region must be"],
    ["registerAgent", { ...AGENT, agentDomain: "-" }, "agent_domain must"],
    ["registerAgent", { ...AGENT, gatewayId: "g1" }, "gateway_id must have 64"],
    ["resolveGatewayForAgent", { region: "r".repeat(64) }, "region must"],
    ["resolveGatewayForProxy", { agentDomain: "a b" }, "agent_domain must"],
  ];
  for (const [name, request, message] of cases) {
    const { error } = await face.call(name, request);
    assert.is(error?.code, 1, `${message}: ${JSON.stringify(error)}`);
    assert.ok(error!.message.startsWith(message), `${message}: ${error!.message}`);
  }
  const long = { ...GATEWAY, verifiableCredHash: "é".repeat(MAPS_CREDENTIAL_BYTES_MAX / 2) };
  assert.is((await face.call("registerGateway", long)).error, undefined);
  const longer = { ...GATEWAY, verifiableCredHash: `${long.verifiableCredHash}a` };
  assert.is((await face.call("registerGateway", longer)).error?.code, 1);
});

test("every code of the registry has one of the protocol; what failed inside stays inside", async () => {
  for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
    const refusal = new RegistryError(code, "the reason");
    const { error } = await callMaps(undefined, "registerGateway", GATEWAY, { refusal });
    assert.equal([error?.code, error?.message], Object.values(mapsError(refusal)));
    assert.ok(error!.code >= 1 && error!.code <= 6, code);
    assert.is(error!.message === "the reason", error!.code !== 5, code);
  }
  const expected = { unauthenticated: 6, permission_denied: 6, overloaded: 4, not_found: 2 };
  for (const [code, number] of Object.entries(expected)) {
    assert.is(mapsError(new RegistryError(code as ErrorCode, "")).code, number);
  }
  assert.equal(mapsError(new TypeError("secret")), { code: 5, message: "internal error" });
});

test.run();
