/** Records straight from their bytes: the same as by way of the plain stored form. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentCodec, gatewayCodec } from "../../../schemas/gen/record.ts";
import { agentOf, gatewayOf } from "../../../src/client/record_decoder.ts";
import { formatUuid, parseUuid } from "../../../src/base/uuid.ts";
import {
  agentFromStored,
  agentToStored,
  gatewayFromStored,
  gatewayToStored,
} from "../../../src/record/plain.ts";
import { AGENT_ID, GATEWAY_ID } from "./fake_registry.ts";

const STAMP = { process: 77, sequence: 3 };
const LABELS = JSON.parse('{"__proto__":"kept","tier":"gold","zone":"a/b"}');
const ADDRESSES = ["", "192.0.2.7", "255.255.255.254", "2001:db8::1", "::1", "::ffff:100:1"];

test("agentOf gives what agentFromStored gives, with every address and with extras or without", () => {
  for (const address of ADDRESSES) {
    for (const more of [{}, { labels: LABELS, credentialHash: "00ff10", gatewayId: GATEWAY_ID }]) {
      const stored = {
        ...agentToStored(
          { id: AGENT_ID, region: "r1", domain: "a.example", address, ...more },
          STAMP,
        ),
        incarnation: { generation: 2, index: 9 },
        revision: { generation: 3, index: 10 },
        ttlMs: 5_000,
        lastSeenUnixS: 1_700_000_000,
        writer: 4,
        state: 1,
      };
      const bytes = agentCodec.encode(stored);
      const view = agentCodec.newView().wrap(new DataView(bytes.buffer), bytes, 0, bytes.length);
      assert.equal(agentOf(view), agentFromStored(stored));
      assert.equal(Object.keys(agentOf(view)), Object.keys(agentFromStored(stored)));
    }
  }
});

test("gatewayOf gives what gatewayFromStored gives, fractions included", () => {
  for (const address of ADDRESSES) {
    const input = { id: GATEWAY_ID, region: "r1", address, port: 4000, wssPort: 4001 };
    const capacity = { cpu: 0.1, memoryMiB: 4096, storageMiB: 7, bandwidthMbps: 20.25 };
    const used = { cpu: 1 / 3, connections: 12 };
    const stored = gatewayCodec.decode(
      gatewayCodec.encode(gatewayToStored({ ...input, capacity, used, labels: LABELS }, STAMP)),
    );
    const bytes = gatewayCodec.encode(stored);
    const view = gatewayCodec.newView().wrap(new DataView(bytes.buffer), bytes, 0, bytes.length);
    assert.equal(gatewayOf(view), gatewayFromStored(stored));
    assert.is(gatewayOf(view).capacity.cpu, 0.1);
  }
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
