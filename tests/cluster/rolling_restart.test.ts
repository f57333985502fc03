/**
 * All nodes of a cluster are restarted one after another, as at an upgrade, on real processes, while a client
 * with a deadline of three seconds calls without pause. No call fails, and nothing written is lost.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Callers, withClient } from "../support/callers.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

const READY_MS_MAX = 30_000;

test("all nodes are restarted in turn, each once the last one is ready, and a client sees no failed call", async () => {
  await ThreeNodes.run(async (cluster) => {
    const { nodes } = await cluster.start();
    await cluster.spread();
    await withClient(nodes, async (client) => {
      const callers = await Callers.start(client);
      for (const number of [1, 2, 3]) {
        const before = cluster.processIdOf(number);
        await cluster.stop(number);
        await cluster.restart(number);
        assert.is.not(cluster.processIdOf(number), before);
        await until(`node ${number} is ready`, () => cluster.isReady(number), READY_MS_MAX);
      }
      await callers.endWithoutFailure();
    });
  }, 32);
});

test.run();
