/** Frames for other nodes at the end of a turn: by recipient, in order, within limits. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type GroupId, type NodeId, nodeId } from "../../../src/base/ids.ts";
import {
  PEER_FRAME_BYTES,
  PEER_MESSAGES_MAX,
  PEER_TURN_BYTES_MAX,
} from "../../../src/base/limits.ts";
import { PeerOutbox } from "../../../src/replication/peer_outbox.ts";
import { newMessage } from "../../../src/raft/mod.ts";
import { encodePeerFrame, type GroupMessage } from "../../../src/wire/peer_frame.ts";
import { newBeat } from "../../support/beat.ts";

const [A, B] = [nodeId(2), nodeId(3)] as const;

function message(group: number, bytes = 0): GroupMessage {
  const data = new Uint8Array(bytes);
  const entries = bytes === 0 ? [] : [{ index: 1, term: 1, kind: "normal" as const, data }];
  const append = { ...newMessage("append", 2), from: 1, term: 1, entries };
  return { groupId: group as GroupId, fortifies: false, message: append };
}

/** Returns the outgoing frames, as `node: beat, groups`. */
function drained(outbox: PeerOutbox): { to: NodeId; beat: number | undefined; groups: number[] }[] {
  const frames: { to: NodeId; beat: number | undefined; groups: number[] }[] = [];
  outbox.drain((to, content) => {
    const groups = content.messages.map(({ groupId }) => groupId as number);
    frames.push({ to, beat: content.beat?.sequence, groups });
  });
  return frames;
}

test("PeerOutbox: one frame for each node, with its beat and its messages in order", () => {
  const outbox = new PeerOutbox();
  outbox.add(A, message(1));
  outbox.add(B, message(1));
  outbox.add(A, message(2));
  outbox.addBeat(A, newBeat(7));
  outbox.add(A, message(1));
  assert.equal(drained(outbox), [
    { to: A, beat: 7, groups: [1, 2, 1] },
    { to: B, beat: undefined, groups: [1] },
  ]);
  assert.equal(drained(outbox), [], "it left");
});

test("PeerOutbox: several beats are sent in order, each in a frame of its own", () => {
  const outbox = new PeerOutbox();
  outbox.addBeat(A, newBeat(7));
  outbox.addBeat(A, newBeat(8));
  outbox.add(A, message(1));
  assert.equal(drained(outbox), [
    { to: A, beat: 7, groups: [1] },
    { to: A, beat: 8, groups: [] },
  ]);
});

test("a frame is closed by its bytes, and by how many messages it may have", () => {
  const outbox = new PeerOutbox();
  const third = Math.floor(PEER_FRAME_BYTES / 3);
  for (const group of [1, 2, 3, 4]) outbox.add(A, message(group, third));
  assert.equal(drained(outbox).map(({ groups }) => groups), [[1, 2], [3, 4]]);
  for (let count = 0; count < PEER_MESSAGES_MAX + 1; count++) outbox.add(A, message(1));
  const counts = drained(outbox).map(({ groups }) => groups.length);
  assert.is(counts.reduce((sum, count) => sum + count), PEER_MESSAGES_MAX + 1);
  assert.ok(counts.every((count) => count <= PEER_MESSAGES_MAX));
});

test("the estimated size of a frame is never below its real size", () => {
  const outbox = new PeerOutbox();
  for (let group = 1; group <= 8_000; group++) outbox.add(A, message(group % 8_192, group % 300));
  let count = 0;
  outbox.drain((_to, content) => {
    const frame = encodePeerFrame({ run: 1, supports: 1, ...content });
    assert.ok(frame.length <= PEER_FRAME_BYTES, `${frame.length}`);
    count += content.messages.length;
  });
  assert.is(count, 8_000);
});

test("messages beyond a turn's limit for a node are dropped, for that node only", () => {
  const outbox = new PeerOutbox();
  const large = message(1, 4 * 1024 * 1024);
  let taken = 0;
  while (outbox.add(A, large)) taken++;
  assert.is(taken, Math.floor(PEER_TURN_BYTES_MAX / (4 * 1024 * 1024)) - 1);
  assert.ok(outbox.add(B, large));
  assert.is(drained(outbox).filter(({ to }) => to === A).length, taken);
  assert.ok(outbox.add(A, large), "another turn");
});

test.run();
