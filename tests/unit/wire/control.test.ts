/** Control frames: each kind encoded and decoded, unknown ones, and ring maps that do not fit. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { controlFrameCodec, helloReplyCodec, type RingMap } from "../../../schemas/gen/wire.ts";
import { FrameWriter } from "../../../schemas/runtime/writer.ts";
import { toHex } from "../../../src/base/bytes.ts";
import { nodeId } from "../../../src/base/ids.ts";
import {
  type ControlMessage,
  isControlFrame,
  readControl,
  ringMapFromWire,
  writeControl,
} from "../../../src/wire/control.ts";
import { codeOfCall } from "../../support/refusal.ts";

const MAP: RingMap = {
  epoch: { generation: 1, number: 4 },
  partitionCount: 8,
  hashKey: new Uint8Array(16).fill(3),
  nodes: [{
    nodeId: nodeId(1),
    addresses: [{ transport: "quic", host: "127.0.0.1", port: 4100 }],
    currentPin: new Uint8Array(32).fill(1),
    nextPin: new Uint8Array(32).fill(2),
    zone: "a",
  }],
  placements: [{ leader: nodeId(1), replicas: [nodeId(1)] }],
};

const MESSAGES: ControlMessage[] = [
  {
    kind: "hello",
    hello: {
      versionMin: 1,
      versionMax: 3,
      features: 5,
      clusterId: new Uint8Array(16).fill(9),
      region: "eu",
      agent: "test/1",
    },
  },
  {
    kind: "hello_reply",
    reply: {
      version: 1,
      features: 0,
      clusterId: new Uint8Array(16).fill(9),
      nodeId: 1,
      region: "eu",
      frameBytesMax: 1_000,
      requestsInFlightMax: 10,
      ringMap: MAP,
    },
  },
  { kind: "goodbye", goodbye: { code: 21, message: "bye", retryAfterMs: 100 } },
  { kind: "ring_map", ringMap: MAP },
  { kind: "stream_opening" },
];

function written(message: ControlMessage): Uint8Array {
  const out = new FrameWriter({ bytesMax: 1 << 20 });
  writeControl(out, message);
  return out.written.slice();
}

function read(bytes: Uint8Array): ControlMessage | undefined {
  return readControl(new DataView(bytes.buffer), bytes, 0, bytes.length);
}

for (const message of MESSAGES) {
  test(`a ${message.kind} is read as it was written`, () => {
    assert.equal(read(written(message)), message);
  });
}

test("an announcement is a frame without a body, whose bytes never change", () => {
  const bytes = written({ kind: "stream_opening" });
  assert.is(
    toHex(bytes),
    "0000000003000000" + "0000000001000100" + "0500000000000000" + "0000000000000000",
  );
  assert.ok(isControlFrame(new DataView(bytes.buffer), 0));
});

test("readControl skips a kind of a later version", () => {
  const out = new FrameWriter({ bytesMax: 1_024 });
  controlFrameCodec.write(out, { kind: 9 });
  assert.is(read(out.written.slice()), undefined);
});

test("readControl refuses a HelloReply without a ring map", () => {
  const out = new FrameWriter({ bytesMax: 4_096 });
  const hello = MESSAGES[1]!;
  if (hello.kind !== "hello_reply") throw new Error("The second is a HelloReply");
  const reply = { ...hello.reply, ringMap: undefined };
  controlFrameCodec.write(out, { kind: 2 }, helloReplyCodec, reply);
  assert.is(codeOfCall(() => read(out.written.slice())), "malformed");
});

test("readControl gives a message or malformed for any cut or changed frame", () => {
  for (const message of MESSAGES) {
    const bytes = written(message);
    for (let at = 8; at < bytes.length; at++) {
      for (const value of [0x00, 0x01, 0x7f, 0xff]) {
        const changed = bytes.slice();
        changed[at] = value;
        assert.ok(["ok", "malformed", "too_large"].includes(codeOfCall(() => read(changed))));
      }
    }
  }
});

test("ringMapFromWire refuses counts that are no power of two up to 8192, or placements that miss", () => {
  for (const partitionCount of [0, 3, 1_000, 16_384]) {
    assert.is(codeOfCall(() => ringMapFromWire({ ...MAP, partitionCount })), "malformed");
  }
  const placement = MAP.placements[0]!;
  for (const count of [0, 2, 7, 9]) {
    const placements = new Array(count).fill(placement);
    assert.is(codeOfCall(() => ringMapFromWire({ ...MAP, placements })), "malformed");
  }
  for (const count of [1, 8]) {
    const placements = new Array(count).fill(placement);
    assert.is(codeOfCall(() => ringMapFromWire({ ...MAP, placements })), "ok");
  }
});

test.run();
