/** The governed plane's log is replaced by an image before it takes long to replay. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { GOVERNED_GROUP } from "../../../../src/base/ids.ts";
import {
  PLANE_IMAGE_ENTRIES,
  PLANE_IMAGE_ENTRIES_AT_STOP,
  PLANE_IMAGE_LOOK_MS,
} from "../../../../src/base/limits.ts";
import { encodeTick } from "../../../../src/record/command.ts";
import { PlaneImages } from "../../../../src/replication/assembly/plane_images.ts";
import { APPLY_VERSION_MAX } from "../../../../src/system/versions/features.ts";
import { PlacedNodes } from "../../../support/placed_nodes.ts";

test("PlaneImages: a start replays only what came after the last image", async () => {
  const cluster = new PlacedNodes();
  await cluster.found("", { applyVersionMax: APPLY_VERSION_MAX });
  await cluster.until("the plane", () => cluster.node(1).groups.plane?.group.isLeading === true);
  const { nodes, plane } = cluster.node(1).groups;
  const images = new PlaneImages(nodes, cluster.world.scheduler);
  images.grown();
  const log = async (count: number) => {
    const proposals = Array.from({ length: count }, () => {
      const header = { timeMs: Math.floor(plane!.group.timeMs()), unixS: 1, writer: 0 };
      return plane!.group.propose(encodeTick(header), 5_000);
    });
    await cluster.world.wait(Promise.all(proposals));
  };
  await log(PLANE_IMAGE_ENTRIES / 2);
  images.grown();
  await cluster.world.pass(2 * PLANE_IMAGE_LOOK_MS);
  assert.ok(nodes.replayedOf(GOVERNED_GROUP) >= PLANE_IMAGE_ENTRIES / 2, "too few for an image");
  await log(PLANE_IMAGE_ENTRIES / 2);
  images.grown();
  await cluster.world.pass(2 * PLANE_IMAGE_LOOK_MS);
  assert.ok(nodes.replayedOf(GOVERNED_GROUP) < 10, `${nodes.replayedOf(GOVERNED_GROUP)} entries`);
  await log(3);
  await cluster.world.wait(images.stop());
  assert.ok(nodes.replayedOf(GOVERNED_GROUP) >= 3, "too few for a last image");
  const { appliedIndex } = plane!.group.status();
  cluster.crash(1);
  await cluster.restart(1);
  await cluster.until("it again", () => cluster.node(1).groups.plane?.group.isLeading === true);
  const { groups } = cluster.node(1);
  assert.ok(groups.plane!.store.appliedIndex >= appliedIndex);
  assert.ok(groups.nodes.replayedOf(GOVERNED_GROUP) < 20, "the image was found");
});

test("PlaneImages: a stop leaves an image of what a start would replay", async () => {
  const cluster = new PlacedNodes();
  await cluster.found("", { applyVersionMax: APPLY_VERSION_MAX });
  await cluster.until("the plane", () => cluster.node(1).groups.plane?.group.isLeading === true);
  const { nodes, plane } = cluster.node(1).groups;
  const images = new PlaneImages(nodes, cluster.world.scheduler);
  const proposals = Array.from({ length: PLANE_IMAGE_ENTRIES_AT_STOP }, () => {
    const header = { timeMs: Math.floor(plane!.group.timeMs()), unixS: 1, writer: 0 };
    return plane!.group.propose(encodeTick(header), 5_000);
  });
  await cluster.world.wait(Promise.all(proposals));
  await cluster.world.wait(images.stop());
  assert.ok(nodes.replayedOf(GOVERNED_GROUP) < 10);
  cluster.crash(1);
  await cluster.restart(1);
  assert.ok(cluster.node(1).groups.nodes.replayedOf(GOVERNED_GROUP) < 20, "the image was found");
});

test.run();
