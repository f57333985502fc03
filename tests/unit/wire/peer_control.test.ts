/** Control frames between nodes: encoded frames are decoded, and all others are refused. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FrameAssembler } from "../../../src/wire/frame_assembler.ts";
import {
  decodePeerControl,
  encodePeerControl,
  type PeerControlMessage,
} from "../../../src/wire/peer_control.ts";

const HELLO = {
  versionMin: 1,
  versionMax: 3,
  nodeId: 7,
  features: 2 ** 40,
  clusterId: new Uint8Array(16).fill(1),
  folderId: new Uint8Array(16).fill(2),
  processId: new Uint8Array(16).fill(3),
  generation: 4,
  partitionCount: 1_024,
  region: "eu-1",
  applyVersionMax: 15,
  program: "0.2.0",
};
/** The hello of program 0.1.0 with the same facts, but for those that it does not state. */
const HELLO_OF_0_1_0 =
  "AAAAAA4AAAAAAAAAAQABAAEAAAAAAAAAAAAAAAkAAQABAAMABwAAAAAAAAAAAQAAAQEBAQEBAQEBAQEBAQEBAQICAgICAgICAgIC" +
  "AgICAgIDAwMDAwMDAwMDAwMDAwMDBAAAAAAEAAABAAAAKgAAAGV1LTEAAAAA";
const MESSAGES: readonly PeerControlMessage[] = [
  { kind: "hello", hello: HELLO },
  { kind: "hello_reply", hello: HELLO },
  { kind: "ping", sequence: 2 ** 53 - 1 },
  { kind: "pong", sequence: 1 },
  { kind: "goodbye", goodbye: { code: 8, message: "not this cluster" } },
  { kind: "writable", isWritable: false },
  { kind: "writable", isWritable: true },
];

function decoded(bytes: Uint8Array): (PeerControlMessage | undefined)[] {
  const messages: (PeerControlMessage | undefined)[] = [];
  const assembler = new FrameAssembler({ frameBytesMax: 4_096, segmentsMax: 1 });
  assembler.push(bytes, (view, frame, start, end) => {
    messages.push(decodePeerControl(view, frame, start, end));
  });
  return messages;
}

test("decodePeerControl gives back each message that encodePeerControl wrote", () => {
  for (const message of MESSAGES) assert.equal(decoded(encodePeerControl(message)), [message]);
});

test("decodePeerControl reads a hello of a program that does not say which it is", () => {
  // The frame of program 0.1.0: its struct ends before the two fields.
  const bytes = Uint8Array.from(atob(HELLO_OF_0_1_0), (char) => char.charCodeAt(0));
  const hello = { ...HELLO, applyVersionMax: 0, program: "" };
  assert.equal(decoded(bytes), [{ kind: "hello", hello }]);
});

test("decodePeerControl skips a kind that it does not know", () => {
  const bytes = encodePeerControl(MESSAGES[2]!);
  bytes[16] = 99;
  assert.equal(decoded(bytes), [undefined]);
});

test("decodePeerControl refuses changed bytes as malformed, or reads a message", () => {
  for (const message of MESSAGES) {
    const bytes = encodePeerControl(message);
    for (let at = 8; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at]! ^= 0xff;
      try {
        decoded(changed);
      } catch (error) {
        assert.is((error as { code?: string }).code, "malformed", `byte ${at}: ${error}`);
      }
    }
  }
});

test.run();
