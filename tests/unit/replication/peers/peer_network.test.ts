/** The links between nodes over a network in memory: sessions, frames, back-pressure, silence. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { nodeId } from "../../../../src/base/ids.ts";
import { PEER_SILENCE_MS } from "../../../../src/base/limits.ts";
import { filled, NOT_AFTER_MS } from "../../../support/auth_realm.ts";
import { PeerNodes, statusOf } from "../../../support/peer_nodes.ts";

/** Returns a frame of that many words, as far as the framing is concerned. */
function frame(words = 1): Uint8Array {
  const bytes = new Uint8Array(8 + 8 * words);
  new DataView(bytes.buffer).setUint32(4, words, true);
  return bytes;
}

test("PeerNetwork connects every pair once, and frames pass both ways in order", async () => {
  const nodes = new PeerNodes(3);
  const [one, two, three] = await nodes.startAll();
  for (const node of [one!, two!, three!]) {
    assert.equal(node.peers.status().map(({ isConnected }) => isConnected), [true, true]);
    assert.equal(node.peers.status().map(({ counts }) => counts.sessions), [1, 1]);
  }
  one!.peers.send(nodeId(3), frame(1));
  one!.peers.send(nodeId(3), frame(2));
  three!.peers.send(nodeId(1), frame(3));
  await nodes.world.pass(10);
  assert.equal(three!.input.take(), ["1: 16", "1: 24"]);
  assert.equal(one!.input.take(), ["3: 32"]);
  assert.is(statusOf(three!, 1).counts.framesIn, 2);
  assert.is(statusOf(one!, 3).counts.bytesOut, 40);
});

test("PeerNetwork gives the same result whichever node starts first", async () => {
  for (const order of [[1, 2], [2, 1]]) {
    const nodes = new PeerNodes();
    const first = nodes.start(order[0]!);
    await nodes.world.pass(5_000);
    const second = nodes.start(order[1]!);
    await nodes.world.pass(2_000);
    assert.equal(first.input.take(), [`${second.id} connected`]);
    assert.equal(second.input.take(), [`${first.id} connected`]);
  }
});

test("PeerNetwork gives a crashed node up within 4 s, and reconnects within 1.5 s of its return", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll();
  nodes.crash(two!);
  await nodes.world.pass(PEER_SILENCE_MS + 1_000);
  assert.equal(one!.input.take(), ["2 lost"]);
  assert.is(statusOf(one!, 2).isConnected, false);
  await nodes.world.pass(20_000);
  const again = nodes.start(2);
  await nodes.world.pass(1_500);
  assert.equal(one!.input.take(), ["2 connected"]);
  assert.equal(again.input.take(), ["1 connected"]);
});

test("PeerNetwork logs that a node cannot be reached if that lasts, and once", async () => {
  const nodes = new PeerNodes();
  const one = nodes.start(1);
  await nodes.world.pass(PEER_SILENCE_MS - 500);
  assert.equal(one.warnings, [], "a node that is about to start");
  await nodes.world.pass(60_000);
  assert.is(one.warnings.length, 1);
  assert.match(one.warnings[0]!, "A node cannot be reached");
});

test("PeerNetwork notices a cut in one direction at both ends", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll();
  nodes.network.cut("host2", "host1");
  await nodes.world.pass(2 * PEER_SILENCE_MS + 1_000);
  assert.equal(one!.input.take(), ["2 lost"]);
  assert.equal(two!.input.take(), ["1 lost"]);
  nodes.network.heal("host2", "host1");
  await nodes.world.pass(7_000);
  assert.is(statusOf(one!, 2).isConnected, true);
  assert.is(statusOf(two!, 1).isConnected, true);
});

test("PeerNetwork measures the round trip by its pings, and idle sessions last", async () => {
  const nodes = new PeerNodes();
  const [one] = await nodes.startAll();
  await nodes.world.pass(60_000);
  assert.is(statusOf(one!, 2).roundTripMs, 2);
  assert.is(statusOf(one!, 2).counts.sessions, 1);
});

test("PeerNetwork counts a frame to a node without a session as dropped", async () => {
  const nodes = new PeerNodes();
  const one = nodes.start(1);
  await nodes.world.pass(100);
  one.peers.send(nodeId(2), frame());
  assert.is(statusOf(one, 2).counts.framesDropped, 1);
  one.peers.send(nodeId(9), frame());
});

test("PeerNetwork sends an image whole, and reports one that has no session", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll();
  const delivered: boolean[] = [];
  const header = new TextEncoder().encode("header");
  const done = (whole: boolean) => void delivered.push(whole);
  two!.peers.sendImage(nodeId(1), header, filled(7, 3_000_000), done);
  assert.equal(delivered, [], "It is reported in a later turn");
  await nodes.world.pass(100);
  assert.equal(delivered, [true]);
  assert.equal(one!.input.images, [{ from: 2, header: "header", bytes: 3_000_000 }]);
  nodes.crash(one!);
  await nodes.world.pass(5_000);
  two!.peers.sendImage(nodeId(1), header, filled(7, 8), done);
  await nodes.world.pass(10);
  assert.equal(delivered, [true, false]);
  assert.is(statusOf(two!, 1).counts.imagesLost, 1);
});

test("PeerNetwork hands streams of operations to their server, and refuses them without one", async () => {
  const nodes = new PeerNodes();
  const served: string[] = [];
  const two = nodes.start(2, {
    serveRequests: async (from, peer, stream) => {
      served.push(`${from} ${peer.role} ${(await stream.read(new Uint8Array(8)))?.length}`);
      await stream.write(new Uint8Array(3));
    },
  });
  const one = nodes.start(1);
  await nodes.world.pass(1_000);
  const stream = await nodes.world.wait(one.peers.openRequests(two.id));
  await stream.write(new Uint8Array(5));
  const reply = await nodes.world.wait(stream.read(new Uint8Array(8)));
  assert.equal(served, ["1 node 5"]);
  assert.is(reply?.length, 3);
  const refused = await nodes.world.wait(two.peers.openRequests(one.id));
  assert.is(await nodes.world.wait(refused.read(new Uint8Array(8))), undefined);
  assert.is(statusOf(one, 2).counts.rejected.get("unexpected_stream"), 1);
});

test("PeerNetwork replaces a session before its identity expires, and keeps the link", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll({ sessionMsMax: 60_000 });
  await nodes.world.pass(300_000);
  const { sessions } = statusOf(one!, 2).counts;
  assert.ok(sessions >= 6 && sessions <= 12, `${sessions} sessions in 5 minutes`);
  const events = one!.input.take();
  for (let at = 0; at < events.length; at += 2) {
    assert.equal(
      events.slice(at, at + 2),
      ["2 connected", "2 lost"],
      "The new session comes first",
    );
  }
  assert.is(two!.peers.status()[0]!.isConnected, true);
});

test("PeerNetwork ends a session at once when the wall clock is set beyond its certificates", async () => {
  const nodes = new PeerNodes();
  const [one] = await nodes.startAll();
  assert.is(nodes.onClockStep.size, 2);
  nodes.world.wallOffsetMs = NOT_AFTER_MS;
  for (const listener of [...nodes.onClockStep]) listener();
  await nodes.world.settle();
  assert.equal(one!.input.take(), ["2 lost"]);
  await nodes.world.pass(5_000);
  assert.is(nodes.onClockStep.size, 0, "A session that ended listens no more");
});

test("PeerNetwork lets an image pass whole while its session is replaced", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll({ sessionMsMax: 10_000 });
  // A window of 1.25 MB per round trip of 0.5 s.
  nodes.network.link("host1", "host2").quality = { delayMsMin: 500, delayMsMax: 500, lossRate: 0 };
  const delivered: boolean[] = [];
  const image = filled(7, 20_000_000);
  const before = statusOf(one!, 2).counts.sessions;
  one!.peers.sendImage(nodeId(2), new Uint8Array(1), image, (whole) => void delivered.push(whole));
  while (statusOf(one!, 2).counts.sessions === before) await nodes.world.pass(100);
  assert.equal(delivered, [], "It is on its way when its session is replaced");
  await nodes.world.pass(10_000);
  assert.equal(delivered, [true]);
  assert.is(two!.input.images[0]?.bytes, image.length);
});

test("PeerNetwork ends its sessions in an orderly way when it closes", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll();
  await nodes.world.wait(one!.peers.close());
  await nodes.world.pass(10);
  assert.equal(two!.input.take(), ["1 lost"]);
  assert.is(two!.peers.status()[0]!.isConnected, false);
});

test("PeerNetwork dials within 50 ms after a session that lasted, whatever failed before it", async () => {
  const nodes = new PeerNodes();
  const one = nodes.start(1);
  await nodes.world.pass(30_000);
  const two = nodes.start(2);
  await nodes.world.pass(2_000);
  for (let round = 0; round < 5; round++) {
    await nodes.world.pass(10_000);
    one.input.take();
    two.peers.update(nodes.members.slice(1));
    await nodes.world.pass(5);
    two.peers.update(nodes.members);
    await nodes.world.pass(100);
    assert.equal(one.input.take(), ["2 lost", "2 connected"]);
  }
});

test("PeerNetwork does not take a session of a node that was removed while it was dialed", async () => {
  const nodes = new PeerNodes();
  const two = nodes.start(2);
  nodes.network.link("host1", "host2").quality = { delayMsMin: 50, delayMsMax: 50, lossRate: 0 };
  const one = nodes.start(1);
  await nodes.world.pass(120);
  one.peers.update(nodes.members.slice(0, 1));
  await nodes.world.pass(2_000);
  assert.equal(one.input.take(), []);
  assert.is(two.peers.status()[0]!.isConnected, false);
  assert.is(two.listener.stats.sessions, 0);
});

test("PeerNetwork follows its members: it dials a new one, and ends the session of a removed one", async () => {
  const nodes = new PeerNodes(3);
  const [one, , three] = await nodes.startAll();
  one!.peers.update(nodes.members.slice(0, 2));
  await nodes.world.pass(10);
  assert.equal(one!.input.take(), ["3 lost"]);
  assert.equal(one!.peers.status().map(({ node }) => node), [2]);
  assert.equal(three!.input.take(), ["1 lost"]);
  one!.peers.update(nodes.members);
  await nodes.world.pass(2_000);
  assert.equal(three!.input.take(), ["1 connected"]);
  assert.throws(() => one!.peers.update([nodes.members[0]!, nodes.members[0]!]), /distinct/);
});

test("PeerNetwork tells the other node within a second whether this node's log takes writes", async () => {
  const nodes = new PeerNodes();
  let isWritable = true;
  nodes.start(1, { isWritable: () => isWritable });
  const two = nodes.start(2);
  await nodes.world.pass(1_000);
  for (const now of [false, true, false]) {
    isWritable = now;
    await nodes.world.pass(1_000);
    assert.is(statusOf(two, 1).isWritable, now);
  }
  // A session that is new knows it as well.
  nodes.network.cut("host1", "host2");
  await nodes.world.pass(5_000);
  nodes.network.heal("host1", "host2");
  await nodes.world.pass(3_000);
  assert.equal([statusOf(two, 1).isConnected, statusOf(two, 1).isWritable], [true, false]);
});

test.run();
