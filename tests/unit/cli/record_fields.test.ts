/** Fields of a record from a file and flags. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FakeTerminal } from "../../support/fake_terminal.ts";
import { recordFields } from "../../../src/cli/record_fields.ts";

/** As gateways currently send it (ARCHITECTURE.md: the vocabulary). */
const GATEWAY_JSON = JSON.stringify({
  region: "global",
  gateway_ip: "12.34.56.78",
  gateway_domain: "global.gateway.agnistack.online",
  gateway_port: 4000,
  capacity: { cpu: 1, bandwidth: 20, memory: 4096, storage: 40960 },
});

function sources(files: Record<string, string> = {}) {
  return { terminal: new FakeTerminal({ files }), region: "eu-1" };
}

function refuses(run: () => unknown, field: string): void {
  assert.throws(run, (error: { code?: string; fields?: { field?: string } }) => {
    assert.is(error.code, "invalid_argument");
    assert.is(error.fields?.field, field);
    return true;
  });
}

test("recordFields takes the JSON that gateways send today unchanged", () => {
  assert.equal(recordFields("gateway", { file: "g.json" }, sources({ "g.json": GATEWAY_JSON })), {
    region: "global",
    address: "12.34.56.78",
    domain: "global.gateway.agnistack.online",
    port: 4000,
    capacity: { cpu: 1, bandwidthMbps: 20, memoryMiB: 4096, storageMiB: 40960 },
  });
});

test("recordFields takes the shipped example, which is that JSON", async () => {
  const example = await Deno.readTextFile(
    new URL("../../../examples/gateway.json", import.meta.url),
  );
  assert.equal(JSON.parse(example), JSON.parse(GATEWAY_JSON));
});

test("recordFields gives flags the last word", () => {
  const fields = recordFields("gateway", {
    file: "g.json",
    domain: "other.example",
    port: "1",
    wssPort: "443",
    cpu: "2.5",
    connections: "100",
    region: "asia",
    ttl: "5m",
    label: ["zone=a", "note=x=y"],
    draining: true,
    scope: "region",
  }, sources({ "g.json": GATEWAY_JSON }));
  assert.equal(fields, {
    region: "asia",
    address: "12.34.56.78",
    domain: "other.example",
    port: 1,
    wssPort: 443,
    capacity: { cpu: 2.5, bandwidthMbps: 20, memoryMiB: 4096, storageMiB: 40960, connections: 100 },
    ttlMs: 300_000,
    labels: { zone: "a", note: "x=y" },
    state: "draining",
    scope: "region",
  });
});

test("recordFields takes flags alone, and the node's region where none is named", () => {
  const gateway = "93fec554-3756-5eb2-b890-56a0bac8eab3";
  assert.equal(recordFields("agent", { domain: "a1.example", gateway, ttl: "30" }, sources()), {
    region: "eu-1",
    domain: "a1.example",
    gatewayId: gateway,
    ttlMs: 30_000,
  });
});

test("recordFields leaves the region of the file, and adds the node's where it has none", () => {
  const files = { "a.json": `{"region":"x"}`, "b.json": `{"agent_domain":"b.example"}` };
  assert.is(recordFields("agent", { file: "a.json" }, sources(files)).region, "x");
  assert.is(recordFields("agent", { file: "b.json" }, sources(files)).region, "eu-1");
});

test("recordFields adds labels of flags to those of the file", () => {
  const files = { "a.json": `{"labels":{"zone":"a","rack":"1"}}` };
  const { labels } = recordFields("agent", { file: "a.json", label: ["zone=b"] }, sources(files));
  assert.equal(labels, { zone: "b", rack: "1" });
});

test("recordFields refuses what is no JSON, no object, or an unknown word, by name", () => {
  const files = { "a": "{", "b": "[]", "c": `{"gatway_id":"x"}`, "d": "null" };
  refuses(() => recordFields("agent", { file: "a" }, sources(files)), "a");
  refuses(() => recordFields("agent", { file: "b" }, sources(files)), "agent");
  refuses(() => recordFields("agent", { file: "c" }, sources(files)), "gatway_id");
  refuses(() => recordFields("agent", { file: "d" }, sources(files)), "agent");
  refuses(() => recordFields("agent", { file: "none" }, sources(files)), "none");
});

test("recordFields refuses flags that are no numbers, labels or durations", () => {
  refuses(() => recordFields("gateway", { port: "http" }, sources()), "port");
  refuses(() => recordFields("gateway", { wssPort: "-1" }, sources()), "wss-port");
  refuses(() => recordFields("gateway", { cpu: "1e9" }, sources()), "cpu");
  refuses(() => recordFields("gateway", { label: ["zone"] }, sources()), "label");
  refuses(() => recordFields("gateway", { label: ["=a"] }, sources()), "label");
  refuses(() => recordFields("gateway", { ttl: "1" }, sources()), "ttl");
});

test("recordFields refuses by the registry's rules what could not even be encoded", () => {
  const files = { "g": `{"gateway_domain":"g.example","gateway_port":70000}` };
  refuses(() => recordFields("gateway", { file: "g" }, sources(files)), "port");
  refuses(() => recordFields("gateway", { domain: "g.example" }, sources()), "port");
  refuses(
    () => recordFields("gateway", { domain: "g.example", port: "1", memory: "5e9" }, sources()),
    "memory",
  );
  const tooMuch = { domain: "g.example", port: "1", memory: "5000000000" };
  refuses(() => recordFields("gateway", tooMuch, sources()), "capacity.memoryMiB");
  refuses(() => recordFields("agent", { domain: "a_b" }, sources()), "domain");
  refuses(() => recordFields("agent", { id: "x" }, sources()), "id");
  refuses(() => recordFields("agent", { gateway: "x" }, sources()), "gatewayId");
  refuses(() => recordFields("agent", { address: "1.2.3" }, sources()), "address");
});

test.run();
