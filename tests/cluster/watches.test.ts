/** Watchers of three real nodes, one of which is killed while they watch. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ThreeNodes } from "../support/three_nodes.ts";
import { WatchFleet } from "../support/watch_fleet.ts";

const WATCHERS = 200;
const WRITES = 150;

test("watchers of three nodes miss nothing and see nothing twice while nodes are killed", async () => {
  await ThreeNodes.run(async (cluster) => {
    await cluster.start();
    await cluster.spread();
    const fleet = await WatchFleet.start(cluster.folder, { watchers: WATCHERS });
    try {
      fleet.write();
      await fleet.acknowledges(WRITES);
      await cluster.kill(1);
      await fleet.acknowledges(WRITES);
      await cluster.restart(1);
      await cluster.whole();
      await cluster.kill(2);
      await fleet.acknowledges(WRITES);
      await fleet.endWrites();
      await fleet.check();
      assert.ok(fleet.nodes.size > 1, "watches have moved");
    } finally {
      await fleet.end();
    }
  });
});

test.run();
