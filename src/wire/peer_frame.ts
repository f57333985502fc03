/**
 * Frames between nodes (`schemas/peer.capnp`): the messages of all groups of one node to another
 * node, collected in one turn. They use Cap'n Proto stream framing, so a stream can carry them
 * unchanged.
 *
 * Decoded frames have valid types and bounds; liveness and the groups check whether their contents
 * are consistent. A frame that is malformed anywhere is refused as a whole.
 */
import {
  type PeerBeat as WireBeat,
  peerFrameCodec,
  type PeerFrameView,
  type PeerGroupTerm,
  type PeerMessageView,
  type PeerProof,
} from "../../schemas/gen/peer.ts";
import { FRAME_INCOMPLETE, FrameWriter, type Input, inspectFrame } from "../../schemas/runtime.ts";
import { RegistryError } from "../base/errors.ts";
import { type GroupId, groupId } from "../base/ids.ts";
import {
  PEER_FRAME_BYTES_MAX,
  PEER_MESSAGES_MAX,
  PROOF_CHANGES_MAX,
  WAL_ENTRY_BYTES_MAX,
} from "../base/limits.ts";
import type { Assertion, Beat, GroupTerm, Probe, Proofs } from "../liveness/mod.ts";
import { entryBytes, type Message, messageFromWire, messageToWire } from "../raft/mod.ts";

/** A message of one group. */
export interface GroupMessage {
  readonly groupId: GroupId;
  /**
   * On a reply: whether its sender promises to vote for nobody else while its node supports the
   * recipient's.
   */
  readonly fortifies: boolean;
  readonly message: Message;
}

/** One frame from one node to another. */
export interface PeerFrame {
  /** The sender's run. */
  readonly run: number;
  /** The recipient's epoch that the sender supports; 0 for none. */
  readonly supports: number;
  /** A beat of the sender's run. */
  readonly beat: Beat | undefined;
  readonly messages: readonly GroupMessage[];
  /** A probe of the sender's run, and the answer to the recipient's last one. */
  readonly probe?: Probe | undefined;
  readonly proofs?: Proofs | undefined;
}

const MESSAGE_BYTES = 160;

/**
 * Returns an upper bound on the size of a message in a frame, in bytes, close to its actual size.
 */
export function groupMessageBytes({ entries, snapshot }: Message): number {
  let bytes = MESSAGE_BYTES;
  for (const entry of entries) bytes += entryBytes(entry) + 16;
  if (snapshot !== undefined) {
    const { voters, votersOutgoing, learners, learnersNext } = snapshot.configuration;
    const members = voters.length + votersOutgoing.length + learners.length + learnersNext.length;
    bytes += 96 + 8 * members + snapshot.data.length;
  }
  return bytes;
}

const FRAME_BYTES = 64;
const PROBE_BYTES = 16;
const PROOFS_BYTES = 64;
const ASSERTION_BYTES = 24;

/** Returns the bytes that probe and answer take in a frame; with the frame's, if nothing else is in it. */
export function freshnessBytes(
  { beat, messages, probe, proofs }: Omit<PeerFrame, "run" | "supports">,
): number {
  let bytes = beat === undefined && messages.length === 0 ? FRAME_BYTES : 0;
  if (probe !== undefined) bytes += PROBE_BYTES;
  if (proofs !== undefined) bytes += PROOFS_BYTES + ASSERTION_BYTES * proofs.changes.length;
  return bytes;
}

/** Most frames are small, so the buffer of a large one is released. */
const WRITER_BYTES_KEPT = 64 * 1024;

function newWriter(): FrameWriter {
  return new FrameWriter({ bytesMax: PEER_FRAME_BYTES_MAX });
}

let writer = newWriter();

/**
 * Encodes a frame, table included. The caller owns the result.
 *
 * @throws RegistryError `too_large`.
 */
export function encodePeerFrame(
  { run, supports, beat, messages, probe, proofs }: PeerFrame,
): Uint8Array {
  if (writer.bytes.length > WRITER_BYTES_KEPT) writer = newWriter();
  writer.reset();
  peerFrameCodec.write(writer, {
    run,
    supports,
    beat: beat === undefined ? undefined : beatToWire(beat),
    messages: messages.map(({ groupId, fortifies, message }) => {
      return { groupId, fortifies, message: messageToWire(message) };
    }),
    probe,
    proofs,
  });
  return writer.written.slice();
}

/** Frames of up to this size are decoded by one view: most of them, many times a second. */
const SMALL_FRAME_BYTES = 4 * 1024;
const smallFrame = peerFrameCodec.newView();

/**
 * Decodes the frame in `bytes`; the result shares nothing with them.
 *
 * @throws RegistryError `malformed` or `too_large` when they hold no frame.
 */
export function decodePeerFrame(bytes: Uint8Array): PeerFrame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = inspectFrame(view, 0, bytes.length, {
    frameBytesMax: PEER_FRAME_BYTES_MAX,
    segmentsMax: 1,
  });
  if (size === FRAME_INCOMPLETE || size !== bytes.length) {
    throw malformed(
      `Frame must have the size that its header claims: it has ${bytes.length} bytes`,
    );
  }
  const frame = (bytes.length <= SMALL_FRAME_BYTES ? smallFrame : peerFrameCodec.newView())
    .wrap(view, bytes, 8, bytes.length);
  const { run } = frame;
  return {
    run,
    supports: frame.supports,
    beat: frame.hasBeat ? beatOf(run, frame.beat.toPlain()) : undefined,
    messages: messagesOf(frame),
    probe: frame.hasProbe ? frame.probe.toPlain() : undefined,
    proofs: proofsOf(frame),
  };
}

function messagesOf({ messages }: PeerFrameView): readonly GroupMessage[] {
  const { count } = messages;
  if (count > PEER_MESSAGES_MAX) {
    throw malformed(`Frame must have at most ${PEER_MESSAGES_MAX} messages: it has ${count}`);
  }
  const decoded = new Array<GroupMessage>(count);
  for (let index = 0; index < count; index++) decoded[index] = messageOf(messages.at(index));
  return decoded;
}

function proofsOf(frame: PeerFrameView): Proofs | undefined {
  if (!frame.hasProofs) return undefined;
  const { count } = frame.proofs.changes;
  if (count > PROOF_CHANGES_MAX) {
    throw malformed(`An answer must name at most ${PROOF_CHANGES_MAX} groups: it names ${count}`);
  }
  const proofs = frame.proofs.toPlain();
  return { ...proofs, changes: proofs.changes.map(assertionOf) };
}

function beatToWire(beat: Beat): Input<WireBeat> {
  return {
    ...beat,
    released: beat.released.map(groupTermToWire),
    asked: beat.asked.map(groupTermToWire),
  };
}

function groupTermToWire({ group, term }: GroupTerm): PeerGroupTerm {
  return { groupId: group, term };
}

function beatOf(run: number, wire: WireBeat): Beat {
  return {
    ...wire,
    run,
    released: wire.released.map(groupTermOf),
    asked: wire.asked.map(groupTermOf),
  };
}

function groupTermOf({ groupId: id, term }: PeerGroupTerm): GroupTerm {
  return { group: knownGroupId(id), term };
}

function assertionOf(wire: PeerProof): Assertion {
  return { ...wire, groupId: knownGroupId(wire.groupId) };
}

function messageOf(wire: PeerMessageView): GroupMessage {
  wire.$payPlain();
  if (!wire.hasMessage) throw malformed("A group's message is missing");
  const message = messageFromWire(wire.message);
  for (const { data } of message.entries) {
    if (data.length <= WAL_ENTRY_BYTES_MAX) continue;
    throw malformed(
      `An entry must have at most ${WAL_ENTRY_BYTES_MAX} bytes: it has ${data.length}`,
    );
  }
  return { groupId: knownGroupId(wire.groupId), fortifies: wire.fortifies, message };
}

function knownGroupId(id: number): GroupId {
  try {
    return groupId(id);
  } catch (error) {
    throw malformed(error instanceof Error ? error.message : "The group id is invalid");
  }
}

function malformed(message: string): RegistryError {
  return new RegistryError("malformed", message);
}
