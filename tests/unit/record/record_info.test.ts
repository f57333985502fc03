/** Records as users receive them, decoded directly from their stored form. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentCodec, gatewayCodec } from "../../../schemas/gen/record.ts";
import { formatUuid, parseUuid } from "../../../src/base/uuid.ts";
import { AGENT } from "../../../src/record/agent.ts";
import { GATEWAY } from "../../../src/record/gateway.ts";
import { infoOf, toStored } from "../../../src/record/stored_form.ts";

const ID = "93fec554-3756-5eb2-b890-56a0bac8eab3";
const OTHER_ID = "6f1c2f6e-8a58-5d0c-9f6e-0d8d6c1b7a11";
const STAMP = { process: 77, sequence: 3 };
const LABELS = JSON.parse('{"__proto__":"kept","tier":"gold","zone":"a/b"}');
const ADDRESSES = ["", "192.0.2.7", "255.255.255.254", "2001:db8::1", "::1", "fe00::ffff:100:1"];

const REGISTRYS_OWN = {
  incarnation: { generation: 2, index: 9 },
  revision: { generation: 3, index: 10 },
  lastSeenUnixS: 1_700_000_000,
  writer: 4,
};

test("AGENT.decode gives what was registered, with every address and with extras or without", () => {
  for (const address of ADDRESSES) {
    for (const more of [{}, { labels: LABELS, credentialHash: "00ff10", gatewayId: OTHER_ID }]) {
      const input = { id: ID, region: "r1", domain: "a.example", address, ttlMs: 5_000, ...more };
      const stored = toStored(AGENT, { ...input, state: "draining", scope: "region" }, STAMP);
      const info = infoOf(AGENT, agentCodec.encode({ ...stored, ...REGISTRYS_OWN }));
      assert.equal(info, {
        id: ID,
        domain: "a.example",
        address,
        port: 0,
        region: "r1",
        labels: "labels" in more ? LABELS : {},
        credentialHash: "credentialHash" in more ? "00ff10" : "",
        ttlMs: 5_000,
        state: "draining",
        isStale: false,
        scope: "region",
        incarnation: REGISTRYS_OWN.incarnation,
        revision: REGISTRYS_OWN.revision,
        lastSeenUnixMs: 1_700_000_000_000,
        writer: 4,
        gatewayId: "gatewayId" in more ? OTHER_ID : "",
      });
      assert.is(Object.keys(info).at(-1), "gatewayId", "the shared fields come first");
    }
  }
});

test("GATEWAY.decode gives what was registered, fractions included", () => {
  const capacity = { cpu: 0.1, memoryMiB: 4096, storageMiB: 7, bandwidthMbps: 20.25 };
  const used = { cpu: 1 / 3, connections: 12 };
  const input = { id: ID, region: "r1", address: "2001:db8::1", port: 4000, wssPort: 4001 };
  const stored = toStored(GATEWAY, { ...input, capacity, used, labels: LABELS }, STAMP);
  const info = infoOf(GATEWAY, gatewayCodec.encode(stored));
  const { wssPort, port, address } = info;
  assert.equal({ wssPort, port, address }, { wssPort: 4001, port: 4000, address: "2001:db8::1" });
  assert.equal(info.capacity, { ...capacity, connections: 0 });
  const { cpu, ...rest } = info.used;
  assert.is(Math.fround(cpu), Math.fround(1 / 3));
  assert.equal(rest, { memoryMiB: 0, storageMiB: 0, bandwidthMbps: 0, connections: 12 });
});

test("formatUuid writes every byte value at every place", () => {
  for (let first = 0; first < 256; first++) {
    const bytes = Uint8Array.from({ length: 17 }, (_, index) => (first + 37 * index) & 0xff);
    const text = formatUuid(bytes, 1);
    assert.match(text, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(parseUuid(text), bytes.subarray(1));
  }
});

test.run();
