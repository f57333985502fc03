/**
 * Three real nodes that are killed, one after the other, while clients watch, read and write. The tests follow
 * each other on one cluster, because starting it takes as long as most of them.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BoundedLoad } from "../../bench/cluster/bounded_load.ts";
import { killed } from "../support/cluster_faults.ts";
import { ClusterLoad } from "../support/cluster_load.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";
import { WatchFleet } from "../support/watch_fleet.ts";

const WATCHERS = 200;
const WRITES = 150;

interface PartitionShown {
  readonly replicas: readonly { readonly role: string; readonly provenAgeMs: number | null }[];
}

const cluster = await ThreeNodes.open();
test.before(async () => void await cluster.start());
test.after(() => cluster.end());

test("watchers of three nodes miss nothing and see nothing twice while nodes are killed", async () => {
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
  await cluster.restart(2);
});

test("followers serve reads with a bound, and all reads and writes go on, while a node is killed", async () => {
  const leader = await cluster.whole();
  const show = ["partition", "show", "a1.example", "--data", cluster.folder, "--json"];
  await until("each follower proves an age, and the leader needs none", async () => {
    const { replicas } = JSON.parse((await crsInProcess(show)).stdout) as PartitionShown;
    return replicas.length === 3 &&
      replicas.filter(({ role }) => role === "leader").length === 1 &&
      replicas.every(({ role, provenAgeMs }) =>
        provenAgeMs !== null && (provenAgeMs === 0) === (role === "leader")
      );
  });
  // `deno task soak cluster_faults` makes all faults, each at every node.
  const load = await ClusterLoad.start(cluster.folder, { records: 6, pauseMs: 200 });
  const bounded = await BoundedLoad.start(cluster.folder, { records: 4, pauseMs: 60 });
  try {
    await bounded.followed("reads at followers");
    await killed(cluster, load, leader, () => bounded.followed("reads at followers without it"));
  } finally {
    await Promise.all([load.end(), bounded.end()]);
  }
  assert.equal(load.failures, []);
  load.check();
  assert.equal(bounded.findings, []);
  assert.is(bounded.figures.get(4_000)!.failed, 0, bounded.failures.join("\n"));
});

test.run();
