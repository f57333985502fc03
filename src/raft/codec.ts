/**
 * Messages between replicas as Cap'n Proto (`schemas/raft.capnp`). Local messages are never encoded.
 *
 * What is decoded has sound types and bounds; whether it makes sense is `inspect.ts`'s to say.
 */
import type { RaftEntry, RaftMessage, RaftSnapshot } from "../../schemas/gen/raft.ts";
import { raftMessageCodec } from "../../schemas/gen/raft.ts";
import type { FrameWriter, Input } from "../../schemas/runtime.ts";
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import type { Entry, EntryKind, Message, MessageType, Snapshot } from "./message.ts";
import { isStorageMessage, newMessage } from "./message.ts";

/** By number; 0 is no message. Numbers stay as they are for ever. */
const TYPES: readonly (MessageType | undefined)[] = [
  undefined,
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
const KINDS: readonly EntryKind[] = ["normal", "conf_change_v1", "conf_change"];

/** Appends the segment of `message` to `out`. @throws RegistryError `too_large` when it is full. */
export function writeMessage(out: FrameWriter, message: Message): void {
  raftMessageCodec.append(out, messageToWire(message));
}

/**
 * The message that a segment holds; entries and snapshot are copies.
 *
 * @throws RegistryError `malformed` or `too_large` where it holds none.
 */
export function decodeMessage(segment: Uint8Array): Message {
  return messageFromWire(raftMessageCodec.decode(segment));
}

/** The plain value of the schema, for writers of larger frames. */
export function messageToWire(message: Message): Input<RaftMessage> {
  const { snapshot, read } = message;
  assert(!isStorageMessage(message.type), `${message.type} never leaves its replica`);
  return {
    kind: TYPES.indexOf(message.type),
    reject: message.reject,
    transfer: message.transfer,
    from: message.from,
    to: message.to,
    term: message.term,
    logTerm: message.logTerm,
    index: message.index,
    commit: message.commit,
    rejectHint: message.rejectHint,
    transferee: message.transferee,
    readOrigin: read?.origin ?? 0,
    readSequence: read?.sequence ?? 0,
    entries: message.entries.map(({ term, index, kind, data }) => {
      return { term, index, kind: KINDS.indexOf(kind), data };
    }),
    snapshot: snapshot === undefined ? undefined : {
      index: snapshot.index,
      term: snapshot.term,
      configuration: snapshot.configuration,
      data: snapshot.data,
    },
  };
}

/** @throws RegistryError `malformed` where a number stands for nothing we know. */
export function messageFromWire(wire: RaftMessage): Message {
  const type = TYPES[wire.kind];
  if (type === undefined) {
    throw new RegistryError("malformed", `Unknown kind of message: ${wire.kind}`);
  }
  const message = newMessage(type, wire.to);
  message.from = wire.from;
  message.term = wire.term;
  message.logTerm = wire.logTerm;
  message.index = wire.index;
  message.commit = wire.commit;
  message.reject = wire.reject;
  message.rejectHint = wire.rejectHint;
  message.entries = wire.entries.map(entryFromWire);
  message.snapshot = snapshotFromWire(wire.snapshot);
  if (wire.readSequence > 0) {
    message.read = { origin: wire.readOrigin, sequence: wire.readSequence };
  }
  message.transfer = wire.transfer;
  message.transferee = wire.transferee;
  return message;
}

function entryFromWire({ term, index, kind, data }: RaftEntry): Entry {
  const known = KINDS[kind];
  if (known === undefined) throw new RegistryError("malformed", `Unknown kind of entry: ${kind}`);
  return { term, index, kind: known, data };
}

function snapshotFromWire(wire: RaftSnapshot | undefined): Snapshot | undefined {
  if (wire === undefined || wire.configuration === undefined) return undefined;
  return { index: wire.index, term: wire.term, configuration: wire.configuration, data: wire.data };
}
