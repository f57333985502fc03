/**
 * Encoding of messages between replicas as Cap'n Proto (`schemas/raft.capnp`). Local messages are
 * never encoded.
 *
 * Decoded messages have valid types and bounds; `inspect.ts` checks whether their contents are
 * consistent.
 */
import type {
  RaftEntryView,
  RaftMessage,
  RaftMessageView,
  RaftSnapshot,
} from "../../schemas/gen/raft.ts";
import { raftMessageCodec } from "../../schemas/gen/raft.ts";
import type { FrameWriter, Input } from "../../schemas/runtime.ts";
import { assert } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import type { Entry, EntryKind, Message, MessageType, Snapshot } from "./message.ts";
import { isStorageMessage, newMessage } from "./message.ts";

/** Message types by wire number; 0 is no message. The numbers never change. */
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

/**
 * Appends the segment of `message` to `out`.
 *
 * @throws RegistryError `too_large` when `out` is full.
 */
export function writeMessage(out: FrameWriter, message: Message): void {
  raftMessageCodec.append(out, messageToWire(message));
}

/**
 * Decodes the message that a segment holds. Entries and snapshot are copies.
 *
 * @throws RegistryError `malformed` or `too_large` when the segment holds no message.
 */
export function decodeMessage(segment: Uint8Array): Message {
  const view = new DataView(segment.buffer, segment.byteOffset, segment.byteLength);
  const wire = raftMessageCodec.newView().wrap(view, segment, 0, segment.length);
  return messageFromWire(wire);
}

/** Converts a message to the plain value of its schema, for writers of larger frames. */
export function messageToWire(message: Message): Input<RaftMessage> {
  const { snapshot, read } = message;
  assert(!isStorageMessage(message.type), `${message.type} is local and must not be encoded`);
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
    boundTicks: message.boundTicks,
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

/**
 * Copies a message from its view.
 *
 * @throws RegistryError `malformed` for an unknown kind of message or entry.
 */
export function messageFromWire(wire: RaftMessageView): Message {
  wire.$payPlain();
  const type = TYPES[wire.kind];
  if (type === undefined) {
    throw new RegistryError("malformed", `Unknown message type: ${wire.kind}`);
  }
  const message = newMessage(type, wire.to);
  message.from = wire.from;
  message.term = wire.term;
  message.logTerm = wire.logTerm;
  message.index = wire.index;
  message.commit = wire.commit;
  message.reject = wire.reject;
  message.rejectHint = wire.rejectHint;
  message.entries = entriesFromWire(wire);
  if (wire.hasSnapshot) message.snapshot = snapshotFromWire(wire.snapshot.toPlain());
  const sequence = wire.readSequence;
  if (sequence > 0) message.read = { origin: wire.readOrigin, sequence };
  message.transfer = wire.transfer;
  message.transferee = wire.transferee;
  message.boundTicks = wire.boundTicks;
  return message;
}

function entriesFromWire({ entries }: RaftMessageView): readonly Entry[] {
  const copies: Entry[] = [];
  for (let at = 0; at < entries.count; at++) copies.push(entryFromWire(entries.at(at)));
  return copies;
}

function entryFromWire(wire: RaftEntryView): Entry {
  const { term, index, kind, data } = wire.toPlain();
  const known = KINDS[kind];
  if (known === undefined) throw new RegistryError("malformed", `Unknown entry kind: ${kind}`);
  return { term, index, kind: known, data };
}

function snapshotFromWire(wire: RaftSnapshot): Snapshot | undefined {
  if (wire.configuration === undefined) return undefined;
  return { index: wire.index, term: wire.term, configuration: wire.configuration, data: wire.data };
}
