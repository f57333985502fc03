/** The vocabulary of other callers, and its conversion to and from the stored form. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentCodec, gatewayCodec } from "../../../schemas/gen/record.ts";
import { agentFromJson, gatewayFromJson } from "../../../src/record/vocabulary.ts";
import { AGENT } from "../../../src/record/agent.ts";
import { GATEWAY } from "../../../src/record/gateway.ts";
import { infoOf, toStored, validated } from "../../../src/record/stored_form.ts";
import { refusalOf } from "../../support/refusal.ts";

/** As gateways currently send it. */
const TODAY =
  '{"region":"global","gateway_ip":"12.34.56.78","gateway_domain":"global.gateway.agnistack.online","gateway_port":4000,"capacity":{"cpu":1,"bandwidth":20,"memory":4096,"storage":40960}}';
const ID = "6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11";
const OWNERSHIP = { process: 77, sequence: 3 };

test("gatewayFromJson takes what gateways send today, unchanged", () => {
  assert.equal(gatewayFromJson(JSON.parse(TODAY)), {
    region: "global",
    address: "12.34.56.78",
    domain: "global.gateway.agnistack.online",
    port: 4000,
    capacity: { cpu: 1, bandwidthMbps: 20, memoryMiB: 4096, storageMiB: 40960 },
  });
});

test("gatewayFromJson takes our own words too, and the rest of theirs", () => {
  const input = gatewayFromJson({
    gateway_id: ID,
    region: "eu",
    wss_port: 443,
    verifiable_cred_hash: "0xAB12",
    ttl: 12.5,
    labels: { a: "b" },
    state: "draining",
    scope: "region",
    used: { connections: 5 },
    domain: null,
  });
  assert.equal(input, {
    id: ID,
    region: "eu",
    wssPort: 443,
    credentialHash: "AB12",
    ttlMs: 12_500,
    labels: { a: "b" },
    state: "draining",
    scope: "region",
    used: { connections: 5 },
  });
});

test("agentFromJson maps an agent's words; gateway_id is the gateway that it names", () => {
  const input = agentFromJson({
    agent_id: ID,
    agent_domain: "a1.example",
    gateway_id: ID,
    region: "eu",
    agent_port: 9,
  });
  assert.equal(input, { id: ID, domain: "a1.example", gatewayId: ID, region: "eu", port: 9 });
});

test("gatewayFromJson refuses by name what it does not know, of a wrong type, or said twice", () => {
  assert.is(refusalOf(() => gatewayFromJson({ region: "eu", prot: 1 })).fields.field, "prot");
  assert.is(refusalOf(() => gatewayFromJson({ region: "eu", port: "1" })).fields.field, "port");
  assert.is(
    refusalOf(() => gatewayFromJson({ region: "eu", capacity: { ram: 1 } })).fields.field,
    "capacity.ram",
  );
  assert.is(
    refusalOf(() => gatewayFromJson({ region: "eu", port: 1, gateway_port: 2 })).fields.field,
    "gateway_port",
  );
  assert.is(refusalOf(() => gatewayFromJson({})).fields.field, "region");
  for (const json of [null, [], 3, "x"]) {
    assert.is(refusalOf(() => gatewayFromJson(json)).fields.field, "gateway");
  }
  assert.is(
    refusalOf(() => agentFromJson({ region: "eu", labels: { a: 1 } })).fields.field,
    "labels.a",
  );
});

test("a gateway survives the way through the stored form", () => {
  const input = {
    ...gatewayFromJson(JSON.parse(TODAY)),
    id: ID,
    labels: { zone: "b", arch: "arm" },
    credentialHash: "ab12",
  };
  const bytes = gatewayCodec.encode(validated(GATEWAY, toStored(GATEWAY, input, OWNERSHIP)));
  assert.ok(bytes.length <= 320);
  const stored = gatewayCodec.decode(bytes);
  assert.is(stored.process, 77);
  assert.is(stored.sequence, 3);
  assert.equal(
    infoOf(GATEWAY, gatewayCodec.encode({ ...stored, capacity: { ...stored.capacity, cpu: 1.1 } })),
    {
      id: ID,
      domain: "global.gateway.agnistack.online",
      address: "12.34.56.78",
      port: 4000,
      wssPort: 0,
      region: "global",
      labels: { arch: "arm", zone: "b" },
      credentialHash: "ab12",
      ttlMs: 30_000,
      state: "active",
      isStale: false,
      scope: "global",
      capacity: { cpu: 1.1, memoryMiB: 4096, storageMiB: 40960, bandwidthMbps: 20, connections: 0 },
      used: { cpu: 0, memoryMiB: 0, storageMiB: 0, bandwidthMbps: 0, connections: 0 },
      incarnation: { generation: 0, index: 0 },
      revision: { generation: 0, index: 0 },
      lastSeenUnixMs: 0,
      writer: 0,
    },
  );
});

test("GATEWAY.decode shows 32-bit floats as the decimals they were made of", () => {
  const gateway = gatewayCodec.empty();
  const capacity = { ...gateway.capacity, cpu: Math.fround(0.1), bandwidthMbps: Math.fround(2.7) };
  const info = infoOf(GATEWAY, gatewayCodec.encode({ ...gateway, capacity }));
  assert.is(info.capacity.cpu, 0.1);
  assert.is(info.capacity.bandwidthMbps, 2.7);
});

test("an agent survives the way through the stored form", () => {
  const input = {
    id: ID,
    gatewayId: ID,
    domain: "a1.example",
    region: "eu",
    port: 9,
    ttlMs: 7_000,
  };
  const bytes = agentCodec.encode(validated(AGENT, toStored(AGENT, input, OWNERSHIP)));
  const { id, gatewayId, domain, address, ttlMs } = infoOf(AGENT, bytes);
  assert.equal(
    { id, gatewayId, domain, address, ttlMs },
    { id: ID, gatewayId: ID, domain: "a1.example", address: "", ttlMs: 7_000 },
  );
});

test("toStored refuses text that does not parse, by field", () => {
  const to = (fields: Record<string, unknown>) => () =>
    toStored(AGENT, { region: "eu", ...fields }, OWNERSHIP);
  assert.is(refusalOf(to({ id: "x" })).fields.field, "id");
  assert.is(refusalOf(to({ gatewayId: "x" })).fields.field, "gatewayId");
  assert.is(refusalOf(to({ address: "x" })).fields.field, "address");
  assert.is(refusalOf(to({ credentialHash: "abc" })).fields.field, "credentialHash");
  assert.is(refusalOf(to({ state: "gone" })).fields.field, "state");
});

test.run();
