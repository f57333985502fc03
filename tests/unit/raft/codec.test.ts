/** Messages and configuration changes as bytes. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { raftConfChangeCodec, raftMessageCodec } from "../../../schemas/gen/raft.ts";
import { FrameWriter } from "../../../schemas/runtime.ts";
import { InvariantError } from "../../../src/base/assert.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import {
  type ConfChange,
  decodeConfChange,
  decodeMessage,
  EMPTY_DATA,
  encodeConfChange,
  LEAVE_JOINT,
  type Message,
  type MessageType,
  newMessage,
  writeMessage,
} from "../../../src/raft/mod.ts";

function roundTrip(message: Message): Message {
  const out = new FrameWriter({ bytesMax: 1024 * 1024 });
  writeMessage(out, message);
  return decodeMessage(out.bytes.slice(0, out.length));
}

const isRefusal = (error: unknown) => error instanceof RegistryError;
const isMalformed = (error: unknown) =>
  error instanceof RegistryError && error.code === "malformed";

test("writeMessage and decodeMessage are inverse for every type and field", () => {
  const types: MessageType[] = [
    "propose",
    "append",
    "append_reply",
    "vote",
    "vote_reply",
    "pre_vote",
    "pre_vote_reply",
    "heartbeat",
    "heartbeat_reply",
    "snapshot",
    "timeout_now",
    "transfer_leader",
    "read_index",
    "read_index_reply",
  ];
  const configuration = {
    voters: [1, 2],
    votersOutgoing: [2, Number.MAX_SAFE_INTEGER],
    learners: [4],
    learnersNext: [3],
    autoLeave: true,
  };
  for (const type of types) {
    assert.equal(roundTrip(newMessage(type, 7)), newMessage(type, 7), type);
    const full: Message = {
      ...newMessage(type, 7),
      from: 8,
      term: 9,
      logTerm: 10,
      index: 11,
      commit: 12,
      reject: true,
      rejectHint: 13,
      entries: [
        { term: 1, index: 2, kind: "normal", data: new Uint8Array([1, 2]) },
        { term: 1, index: 3, kind: "conf_change_v1", data: EMPTY_DATA },
        { term: 1, index: 4, kind: "conf_change", data: new Uint8Array([3]) },
      ],
      snapshot: { index: 5, term: 6, configuration, data: new Uint8Array([9]) },
      read: { origin: Number.MAX_SAFE_INTEGER, sequence: 1 },
      transfer: true,
      transferee: 14,
      boundTicks: 15,
    };
    assert.equal(roundTrip(full), full, type);
  }
});

test("writeMessage: local messages never leave their replica", () => {
  const out = new FrameWriter({ bytesMax: 1024 });
  assert.throws(
    () => writeMessage(out, newMessage("storage_append", -1)),
    (error: unknown) => error instanceof InvariantError,
  );
});

test("decodeMessage refuses unknown kinds of message and entry", () => {
  const encode = (fields: Partial<ReturnType<typeof raftMessageCodec.empty>>) => {
    const out = new FrameWriter({ bytesMax: 1024 });
    raftMessageCodec.append(out, { ...raftMessageCodec.empty(), ...fields });
    return out.bytes.slice(0, out.length);
  };
  for (const kind of [0, 15, 65_535]) {
    assert.throws(() => decodeMessage(encode({ kind })), isMalformed);
  }
  const entry = { term: 1, index: 1, kind: 3, data: EMPTY_DATA };
  assert.throws(() => decodeMessage(encode({ kind: 2, entries: [entry] })), isMalformed);
});

test("decodeConfChange undoes encodeConfChange, and no bytes leave the joint configuration", () => {
  const changes: ConfChange[] = [
    LEAVE_JOINT,
    { transition: "auto", changes: [{ kind: "add_voter", replica: 1 }], context: EMPTY_DATA },
    {
      transition: "joint_implicit",
      changes: [{ kind: "add_learner", replica: 2 }, { kind: "remove", replica: 3 }],
      context: new Uint8Array([1]),
    },
    {
      transition: "joint_explicit",
      changes: [{ kind: "update", replica: 4 }],
      context: EMPTY_DATA,
    },
    { transition: "auto", changes: [], context: new Uint8Array([7]) },
  ];
  for (const change of changes) assert.equal(decodeConfChange(encodeConfChange(change)), change);
  assert.is(encodeConfChange(LEAVE_JOINT).length, 0);
});

test("decodeConfChange refuses what is no change", () => {
  const encode = (transition: number, kind: number, count = 1) => {
    const out = new FrameWriter({ bytesMax: 64 * 1024 });
    const changes = Array.from({ length: count }, () => ({ kind, replicaId: 1 }));
    raftConfChangeCodec.append(out, { transition, changes, context: EMPTY_DATA });
    return out.bytes.slice(0, out.length);
  };
  decodeConfChange(encode(0, 0));
  assert.throws(() => decodeConfChange(encode(3, 0)), isMalformed);
  assert.throws(() => decodeConfChange(encode(0, 4)), isMalformed);
  assert.throws(() => decodeConfChange(encode(0, 0, 65)), isMalformed);
  assert.throws(() => decodeConfChange(new Uint8Array(5)), isRefusal);
});

test.run();
