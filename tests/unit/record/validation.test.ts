/**
 * The rules of fields and records: each failure names the field, the expected and the found value.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { RECORD_BYTES_MAX } from "../../../src/base/limits.ts";
import { type Agent, agentCodec, type Gateway, gatewayCodec } from "../../../schemas/gen/record.ts";
import { formatAddress, parseAddress } from "../../../src/record/address.ts";
import {
  addressFromText,
  canonicalLabels,
  checkPort,
  checkRegion,
  checkTtlMs,
} from "../../../src/record/validation.ts";
import { AGENT } from "../../../src/record/agent.ts";
import { GATEWAY } from "../../../src/record/gateway.ts";
import { toStored, validated } from "../../../src/record/stored_form.ts";

function refused(run: () => unknown, field: string, found: string): void {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof RegistryError);
    assert.is(error.code, "invalid_argument");
    assert.is(error.fields.field, field);
    assert.ok(error.message.includes("must"), error.message);
    assert.ok(error.message.includes(found), `${error.message} shows ${found}`);
    return;
  }
  assert.unreachable(`${field} ${found} must be refused`);
}

const agent: Agent = {
  ...agentCodec.empty(),
  id: new Uint8Array(16).fill(1),
  process: 1,
  sequence: 1,
  region: "eu-1",
};
const gateway: Gateway = {
  ...gatewayCodec.empty(),
  id: new Uint8Array(16).fill(1),
  process: 1,
  sequence: 1,
  region: "eu-1",
  domain: "g.example",
  port: 4000,
};

const UNREACHABLE = [
  "0.0.0.0",
  "0.1.2.3",
  "::ffff:0.0.0.0",
  "255.255.255.255",
  "224.0.0.1",
  "239.255.255.255",
  "::ffff:224.0.0.251",
  "ff02::1",
  "fe80::1",
  "febf::1",
  "169.254.169.254",
];

test("addressFromText takes what others can reach, and loopback, and refuses the rest", () => {
  for (const text of ["", "127.0.0.1", "::1", "192.0.2.1", "2001:db8::1", "fec0::1", "240.0.0.1"]) {
    assert.is(formatAddress(addressFromText(text)), text);
  }
  for (const text of ["::", "0:0::0", ...UNREACHABLE]) {
    refused(() => addressFromText(text), "address", text);
    refused(
      () => toStored(GATEWAY, { region: "eu", address: text, port: 1 }, agent),
      "address",
      text,
    );
    refused(() => toStored(AGENT, { region: "eu", address: text }, agent), "address", text);
  }
});

test("validated refuses stored addresses that name no host", () => {
  for (const text of UNREACHABLE) {
    const address = parseAddress(text);
    refused(() => validated(AGENT, { ...agent, address }), "address", "others reach");
    refused(() => validated(GATEWAY, { ...gateway, address }), "address", "others reach");
  }
  const loopback = parseAddress("127.0.0.1");
  assert.equal(validated(GATEWAY, { ...gateway, address: loopback }).address, loopback);
});

test("checkRegion takes 1 to 63 of a-z, 0-9 and hyphen", () => {
  assert.is(checkRegion("eu-west-1"), "eu-west-1");
  for (const region of ["", "EU", "a b", "ä", "a".repeat(64)]) {
    refused(() => checkRegion(region), "region", region.slice(0, 20));
  }
});

test("checkPort and checkTtlMs keep their bounds", () => {
  assert.is(checkPort(65_535), 65_535);
  assert.is(checkPort(0, "wssPort", true), 0);
  for (const port of [0, -1, 65_536, 1.5, Number.NaN]) refused(() => checkPort(port), "port", "");
  assert.is(checkTtlMs(0), 30_000);
  assert.is(checkTtlMs(5_000), 5_000);
  assert.is(checkTtlMs(86_400_000), 86_400_000);
  for (const ttlMs of [4_999, 86_400_001, -1, 5_000.5, Infinity]) {
    refused(() => checkTtlMs(ttlMs), "ttlMs", "");
  }
});

test("canonicalLabels sorts by key and refuses duplicates, bad keys, long values, too many", () => {
  const labels = canonicalLabels([{ key: "b", value: "1" }, { key: "a", value: "2" }]);
  assert.equal(labels.map(({ key }) => key), ["a", "b"]);
  const label = (key: string, value = "") => () => canonicalLabels([{ key, value }]);
  refused(
    () => canonicalLabels([{ key: "a", value: "1" }, { key: "a", value: "2" }]),
    "labels",
    "a",
  );
  for (const key of ["", "-a", "a b", "é", "a".repeat(64)]) refused(label(key), "labels", "");
  label("k", "x".repeat(255))();
  label("k", "ä".repeat(127))();
  refused(label("k", "x".repeat(256)), "labels.k", "x");
  refused(label("k", "ä".repeat(128)), "labels.k", "ä");
  refused(label("k", "\ud800"), "labels.k", "");
  const many = Array.from({ length: 17 }, (_, index) => ({ key: `k${index}`, value: "" }));
  refused(() => canonicalLabels(many), "labels", "17");
});

test("validated returns the canonical record with the registry's fields empty", () => {
  const position = { generation: 3, index: 4 };
  const valid = validated(AGENT, {
    ...agent,
    domain: "A.Example.",
    claim: position,
    incarnation: position,
    revision: position,
    leaseExpiryMs: 9,
    lastSeenUnixS: 9,
    writer: 9,
    extra: {
      credentialHash: new Uint8Array(0),
      labels: [],
      superseded: [{ process: 1, untilMs: 2 }],
    },
  });
  assert.equal(valid, { ...agent, domain: "a.example", ttlMs: 30_000 });
});

test("validated refuses a nil id, no process, an unknown state, a long credential hash", () => {
  refused(() => validated(AGENT, { ...agent, id: new Uint8Array(16) }), "id", "0000");
  refused(() => validated(AGENT, { ...agent, process: 0 }), "process", "0");
  refused(() => validated(AGENT, { ...agent, state: 2 }), "state", "2");
  const extra = { credentialHash: new Uint8Array(65), labels: [], superseded: [] };
  refused(() => validated(AGENT, { ...agent, extra }), "credentialHash", "65");
});

test("validated wants of a gateway a port, a domain or an address, and sane capacity", () => {
  assert.equal(validated(GATEWAY, gateway), { ...gateway, ttlMs: 30_000 });
  refused(() => validated(GATEWAY, { ...gateway, port: 0 }), "port", "0");
  refused(() => validated(GATEWAY, { ...gateway, domain: "" }), "address", "");
  const capacity = gateway.capacity;
  for (const cpu of [-1, Number.NaN, Infinity, 1e39]) {
    refused(
      () => validated(GATEWAY, { ...gateway, capacity: { ...capacity, cpu } }),
      "capacity.cpu",
      "",
    );
  }
  for (const memoryMiB of [-1, 1.5, 2 ** 32]) {
    const used = { ...capacity, memoryMiB };
    refused(() => validated(GATEWAY, { ...gateway, used }), "used.memoryMiB", `${memoryMiB}`);
  }
});

test("the largest record that validation lets through fits a record's limit with room to spare", () => {
  const labels = Array.from({ length: 16 }, (_, index) => ({
    key: `k${index}`.padEnd(63, "x"),
    value: "v".repeat(255),
  }));
  const domain = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;
  const extra = { credentialHash: new Uint8Array(64), labels, superseded: [] };
  const largest = validated(GATEWAY, { ...gateway, domain, region: "r".repeat(63), extra });
  const superseded = Array.from({ length: 4 }, () => ({ process: 1, untilMs: 1 }));
  const stored = gatewayCodec.encode({ ...largest, extra: { ...extra, superseded } });
  assert.ok(stored.length <= RECORD_BYTES_MAX, `${stored.length}`);
});

test("canonicalLabels gives sealed values room of their own, and all labels a bound together", () => {
  const sealed = (key: string, length: number) => ({ key, value: "sealed:".padEnd(length, "x") });
  assert.is(canonicalLabels([sealed("a", 2_048)]).length, 1);
  refused(() => canonicalLabels([sealed("a", 2_049)]), "labels.a", "sealed:");
  refused(() => canonicalLabels([{ key: "a", value: "x".repeat(256) }]), "labels.a", "xxx");
  const three = [sealed("a", 2_048), sealed("b", 2_048), sealed("c", 989)];
  assert.is(canonicalLabels(three).length, 3);
  refused(() => canonicalLabels([...three, { key: "d", value: "" }]), "labels", "5088");
});

test("the largest record with sealed labels fits a record's limit, too", () => {
  // Fifteen short labels need the most space for their bytes: each text occupies whole words.
  const short = Array.from({ length: 13 }, (_, index) => ({ key: `k${index}xxxxx`, value: "v" }));
  const left = 5_088 - 2 * 2_049 - short.reduce((sum, { key }) => sum + key.length + 1, 0);
  const labels = [
    ...short,
    { key: "s", value: "sealed:".padEnd(2_048, "x") },
    { key: "t", value: "sealed:".padEnd(2_048, "x") },
    { key: "u", value: "sealed:".padEnd(left - 1, "x") },
  ];
  const domain = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;
  const extra = { credentialHash: new Uint8Array(64), labels, superseded: [] };
  const largest = validated(GATEWAY, { ...gateway, domain, region: "r".repeat(63), extra });
  assert.is(largest.extra?.labels.length, 16);
  const superseded = Array.from({ length: 4 }, () => ({ process: 1, untilMs: 1 }));
  const stored = gatewayCodec.encode({ ...largest, extra: { ...extra, superseded } });
  assert.ok(stored.length <= RECORD_BYTES_MAX, `${stored.length}`);
});

test.run();
