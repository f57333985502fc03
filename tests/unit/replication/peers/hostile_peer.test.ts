/** An authenticated member that misbehaves can only end its own session, and is counted. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { nodeId } from "../../../../src/base/ids.ts";
import {
  PEER_BACKLOG_BYTES_MAX,
  PEER_IMAGES_IN_PER_NODE_MAX,
  PEER_STALL_MS,
} from "../../../../src/base/limits.ts";
import { encodePeerControl } from "../../../../src/wire/peer_control.ts";
import { FrameWriter } from "../../../../schemas/runtime.ts";
import { peerImageCodec } from "../../../../schemas/gen/peer.ts";
import type { Stream } from "../../../../transport/transport.ts";
import { filled } from "../../../support/auth_realm.ts";
import { imageChunk } from "../../../support/image_chunk.ts";
import { type PeerNode, PeerNodes, statusOf } from "../../../support/peer_nodes.ts";
import { RawNode } from "../../../support/raw_node.ts";

interface Attack {
  readonly nodes: PeerNodes;
  readonly two: PeerNode;
  readonly raw: RawNode;
  readonly frames: Stream;
}

/** Returns node 2, and a session with it that has the identity of node 1. */
async function attack(): Promise<Attack> {
  const nodes = new PeerNodes();
  const two = nodes.start(2);
  const raw = await RawNode.dial(nodes, 2, nodes.realm.enrol("node", 1));
  const frames = await raw.join(nodes, 1);
  await nodes.world.pass(10);
  assert.equal(two.input.take(), ["1 connected"]);
  return { nodes, two, raw, frames };
}

/** Returns a frame that claims that many words, and has none. */
function claim(words: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(4, words, true);
  return bytes;
}

test("a frame that claims more than the limit ends the session: too_large", async () => {
  const { nodes, two, raw, frames } = await attack();
  await frames.write(claim(2 ** 27));
  const end = await nodes.world.wait(raw.session.closed);
  assert.is(end.code, "too_large");
  assert.equal(two.input.take(), ["1 lost"]);
  assert.is(statusOf(two, 1).counts.rejected.get("too_large"), 1);
});

test("bytes that are no frames end the session: malformed", async () => {
  const { nodes, two, raw, frames } = await attack();
  await frames.write(filled(0xff, 4_096));
  assert.is((await nodes.world.wait(raw.session.closed)).by, "peer");
  assert.equal(two.input.take(), ["1 lost"]);
});

test("a node that answers pings and reads no frame costs a bounded queue, and is given up", async () => {
  const { nodes, two, raw } = await attack();
  raw.answerPings();
  const frame = new Uint8Array(1024 * 1024);
  for (let sent = 0; sent < 40; sent++) two.peers.send(nodeId(1), frame.slice());
  await nodes.world.pass(100);
  const { counts, backlogBytes } = statusOf(two, 1);
  assert.ok(backlogBytes <= PEER_BACKLOG_BYTES_MAX, `${backlogBytes} bytes are queued`);
  assert.ok(counts.framesDropped >= 20, `${counts.framesDropped} frames were dropped`);
  await nodes.world.pass(PEER_STALL_MS + 3_000);
  assert.equal(two.input.take(), ["1 lost"]);
  assert.is(statusOf(two, 1).backlogBytes, 0);
});

test("a node that stays silent is given up after 3 s, although its transport is alive", async () => {
  const { nodes, two } = await attack();
  await nodes.world.pass(2_900);
  assert.equal(two.input.take(), []);
  await nodes.world.pass(700);
  assert.equal(two.input.take(), ["1 lost"]);
});

test("a second hello, and a second stream for frames, are refused", async () => {
  const { nodes, two, raw } = await attack();
  const second = await nodes.world.wait(raw.session.open("peer"));
  assert.is(await nodes.world.wait(second.read(new Uint8Array(8))), undefined);
  assert.is(statusOf(two, 1).counts.rejected.get("unexpected_stream"), 1);
  const hello = { kind: "goodbye", goodbye: { code: 0, message: "" } } as const;
  await raw.control.write(encodePeerControl(hello));
  assert.is((await nodes.world.wait(raw.session.closed)).by, "peer");
});

/** Returns the beginning of an image of that claimed length. */
function imageStart(bytes: number): Uint8Array {
  const out = new FrameWriter({ bytesMax: 4_096 });
  peerImageCodec.write(out, { bytes, header: new Uint8Array(8), number: 1 });
  return out.written.slice();
}

test("a chunk of an image that is not what its CRC-32 says, or is too long, ends the image", async () => {
  const { nodes, two, raw } = await attack();
  raw.answerPings();
  const faulty = [imageChunk(filled(1, 1_000), 7), imageChunk(filled(1, 2_001)), new Uint8Array(8)];
  for (const bytes of faulty) {
    const stream = await nodes.world.wait(raw.session.open("bulk"));
    await stream.write(imageStart(2_000));
    await stream.write(bytes);
    await nodes.world.pass(5);
  }
  assert.equal(two.input.images, []);
  const { rejected } = statusOf(two, 1).counts;
  assert.equal([rejected.get("image_corrupt"), rejected.get("image_malformed")], [1, 2]);
  assert.is(statusOf(two, 1).isConnected, true);
});

test("an image that ends before its length is dropped, and its place is given back", async () => {
  const { nodes, two, raw } = await attack();
  raw.answerPings();
  for (let sent = 0; sent < 6; sent++) {
    const stream = await nodes.world.wait(raw.session.open("bulk"));
    await stream.write(imageStart(900 * 1024 * 1024));
    await stream.write(imageChunk(filled(1, 1_000)));
    await nodes.world.pass(5);
    stream.abort();
    await nodes.world.pass(5);
  }
  assert.equal(two.input.images, []);
  assert.is(statusOf(two, 1).counts.rejected.get("image_connection_lost"), 6);
  assert.is(statusOf(two, 1).isConnected, true);
});

test("an image that stalls is given up, and a larger one than the limit is refused", async () => {
  const { nodes, two, raw } = await attack();
  raw.answerPings();
  const stalled = await nodes.world.wait(raw.session.open("bulk"));
  await stalled.write(imageStart(1_000_000));
  const large = await nodes.world.wait(raw.session.open("bulk"));
  await large.write(imageStart(2 ** 40));
  await nodes.world.pass(PEER_STALL_MS + 1_000);
  const { rejected } = statusOf(two, 1).counts;
  assert.is(rejected.get("image_connection_lost"), 1);
  assert.is(rejected.get("image_too_large"), 1);
  assert.equal(two.input.images, []);
});

test("images beyond the number of one node, or beyond the bytes of all, are refused", async () => {
  const { nodes, two, raw } = await attack();
  raw.answerPings();
  const first = await nodes.world.wait(raw.session.open("bulk"));
  await first.write(imageStart(900 * 1024 * 1024));
  const second = await nodes.world.wait(raw.session.open("bulk"));
  await second.write(imageStart(900 * 1024 * 1024));
  await nodes.world.pass(10);
  assert.is(statusOf(two, 1).counts.rejected.get("overloaded"), 1);
  // The first one is in progress, and so is the refusal of the second one.
  for (let count = 2; count <= PEER_IMAGES_IN_PER_NODE_MAX; count++) {
    const small = await nodes.world.wait(raw.session.open("bulk"));
    await small.write(imageStart(8));
  }
  await nodes.world.pass(10);
  assert.is(statusOf(two, 1).counts.rejected.get("unexpected_stream"), 1);
});

test("a peer that says nothing before its hello holds nothing after 5 s", async () => {
  const nodes = new PeerNodes();
  const two = nodes.start(2);
  const member = nodes.memberOf(2);
  const dialing = nodes.network.dialer("attacker").dial(member.addresses[0]!, {
    trust: member.trusts[0]!,
  });
  const session = await nodes.world.wait(dialing);
  assert.is((await nodes.world.wait(session.closed, 6_000)).by, "peer");
  const raw = await RawNode.dial(nodes, 2, nodes.realm.enrol("node", 1));
  assert.is((await nodes.world.wait(raw.session.closed, 6_000)).by, "peer");
  assert.equal(two.input.take(), []);
  assert.is(two.listener.stats.sessions, 0);
});

test.run();
