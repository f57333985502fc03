/** Images between nodes: bounded in rate, continued after a cut where they are the same, checked by chunks. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { nodeId } from "../../../../src/base/ids.ts";
import {
  PEER_IMAGE_BYTES_MAX,
  PEER_IMAGE_CHUNK_BYTES,
  PEER_IMAGE_RESUME_MS,
  PEER_SILENCE_MS,
  PEER_STALL_MS,
} from "../../../../src/base/limits.ts";
import { ImagePlaces } from "../../../../src/replication/peers/image_places.ts";
import {
  type ImageIdentity,
  PartialImage,
  PartialImages,
} from "../../../../src/replication/peers/partial_images.ts";
import { filled } from "../../../support/auth_realm.ts";
import { ManualTime } from "../../../support/manual_time.ts";
import { type PeerNode, PeerNodes, statusOf } from "../../../support/peer_nodes.ts";

const RATE = 1_000_000;
const IMAGE = filled(7, 3_000_000);
const HEADER = new TextEncoder().encode("header");

/** Sends the image from node 1 to node 2 and returns where it is noted whether it arrived. */
function send(one: PeerNode, image = IMAGE): boolean[] {
  const delivered: boolean[] = [];
  one.peers.sendImage(nodeId(2), HEADER, image, (whole) => void delivered.push(whole));
  return delivered;
}

/** Cuts the nodes off from each other for long enough that both notice. */
async function cut(nodes: PeerNodes, ms = PEER_SILENCE_MS + 1_500): Promise<void> {
  nodes.network.cut("host1", "host2");
  await nodes.world.pass(ms);
  nodes.network.heal("host1", "host2");
}

test("an image is sent at the configured rate, which all images share", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll({ imageBytesPerSecond: RATE });
  const both = [send(one!), send(one!, IMAGE.slice(0, 1_000_000))];
  await nodes.world.pass(1_500);
  assert.equal(both, [[], []]);
  await nodes.world.pass(1_000);
  assert.equal(both, [[], [true]], "the smaller one had its share");
  await nodes.world.pass(1_200);
  assert.equal(both, [[], [true]]);
  await nodes.world.pass(600);
  assert.equal(both, [[true], [true]]);
  assert.equal(two!.input.images.map(({ bytes }) => bytes), [1_000_000, IMAGE.length]);
});

test("an image that was cut goes on from the chunk that had arrived", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll({ imageBytesPerSecond: RATE });
  const delivered = send(one!);
  await nodes.world.pass(2_000);
  await cut(nodes);
  await nodes.world.pass(4_000);
  assert.equal(delivered, [true]);
  assert.equal(two!.input.images, [{ from: 1, header: "header", bytes: IMAGE.length }]);
  const { bytesOut, sessions } = statusOf(one!, 2).counts;
  assert.is(sessions, 2);
  assert.ok(bytesOut < IMAGE.length + 8 * PEER_IMAGE_CHUNK_BYTES, `${bytesOut} bytes were sent`);
});

test("an image that takes long to be read is sent once, and its answer awaited", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll({ imageBytesPerSecond: RATE });
  const { promise, resolve } = Promise.withResolvers<void>();
  two!.input.reading = promise;
  const delivered = send(one!);
  await nodes.world.pass(4_000 + 2 * PEER_STALL_MS);
  assert.equal([delivered, two!.input.images.length], [[], 1]);
  resolve();
  await nodes.world.pass(1_000);
  assert.equal([delivered, two!.input.images.length], [[true], 1]);
});

test("an image is reported as lost when its node stays away, or when it started anew", async () => {
  const nodes = new PeerNodes();
  const [one, two] = await nodes.startAll({ imageBytesPerSecond: RATE });
  const away = send(one!);
  await nodes.world.pass(1_000);
  await cut(nodes, PEER_SILENCE_MS + PEER_IMAGE_RESUME_MS + 3_000);
  assert.equal(away, [false]);
  await nodes.world.pass(2_000);

  const restarted = send(one!);
  await nodes.world.pass(1_000);
  nodes.crash(two!);
  const again = nodes.start(2);
  await nodes.world.pass(PEER_SILENCE_MS + 8_000);
  assert.equal(restarted, [true], "all of it was sent again");
  assert.equal(again.input.images.map(({ bytes }) => bytes), [IMAGE.length]);
});

test("nodes of version 1 of the protocol get images as they know them, and none after a cut", async () => {
  const nodes = new PeerNodes();
  const older = { versions: { min: 1, max: 1 } };
  const one = nodes.start(1, { imageBytesPerSecond: RATE });
  const two = nodes.start(2, { facts: older });
  await nodes.world.pass(1_000);
  assert.is(statusOf(one, 2).version, 1);
  const delivered = send(one);
  await nodes.world.pass(3_500);
  assert.equal(delivered, [true]);
  assert.equal(two.input.images.map(({ bytes }) => bytes), [IMAGE.length]);
  const lost = send(one);
  await nodes.world.pass(1_000);
  await cut(nodes);
  await nodes.world.pass(2_000);
  assert.equal(lost, [false]);
});

test("PartialImages continues the same image of the same process only, and for a short time", () => {
  const time = new ManualTime(0);
  const places = new ImagePlaces();
  const partials = new PartialImages(places, time);
  const identity: ImageIdentity = {
    ...{ processId: filled(1, 16), number: 5 },
    ...{ header: filled(2, 40), bytes: 1_000 },
  };
  const keep = () => {
    const partial = new PartialImage(identity);
    partial.append(filled(9, 600));
    partials.keep(partial);
  };
  const others: Partial<ImageIdentity>[] = [
    { processId: filled(3, 16) },
    { number: 6 },
    // Another replica, group, index or term.
    { header: filled(4, 40) },
    { bytes: 1_001 },
  ];
  keep();
  for (const other of others) {
    assert.is(partials.take({ ...identity, ...other }).filled, 0, Object.keys(other)[0]);
  }
  assert.is(partials.take(identity).filled, 600);
  assert.is(partials.take(identity).filled, 0, "it is taken once");
  keep();
  assert.not(places.take(PEER_IMAGE_BYTES_MAX - 599), "what is kept has a place");
  time.advance(PEER_IMAGE_RESUME_MS + 1);
  assert.is(partials.take(identity).filled, 0, "it was kept for a while");
  assert.ok(places.take(PEER_IMAGE_BYTES_MAX), "and its place is free");
  partials.keep(new PartialImage(identity));
  assert.throws(() => new PartialImage(identity).append(filled(1, 1_001)), RangeError);
});

test("PartialImages keeps nothing of an image without a number, which its sender begins anew", () => {
  const places = new ImagePlaces();
  const partials = new PartialImages(places, new ManualTime(0));
  const identity: ImageIdentity = {
    ...{ processId: filled(1, 16), number: 0 },
    ...{ header: filled(2, 40), bytes: 1_000 },
  };
  const partial = new PartialImage(identity);
  partial.append(filled(9, 600));
  partials.keep(partial);
  assert.is(partials.take(identity).filled, 0);
  assert.ok(places.take(PEER_IMAGE_BYTES_MAX), "it has no place");
});

test.run();
