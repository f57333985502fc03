/**
 * Three real nodes on this machine, started by one command. The tests follow each other on one
 * cluster, because starting it takes as long as most of them.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crsInProcess } from "../support/crs_in_process.ts";
import { killed } from "../support/cluster_faults.ts";
import { BoundedLoad } from "../../bench/cluster/bounded_load.ts";
import { ClusterLoad } from "../support/cluster_load.ts";
import { type RunningCluster, ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";
import { WatchFleet } from "../support/watch_fleet.ts";
import { servesAndSurvives } from "./three_nodes/serving.ts";

const WATCHERS = 200;
const WRITES = 150;

interface PartitionShown {
  readonly leader: number;
  readonly replicas: readonly {
    readonly nodeId: number;
    readonly role: string;
    readonly provenAgeMs: number | null;
  }[];
}

/** Returns the document of a command that must succeed. */
async function answer<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await crsInProcess([...args, "--json"]);
  assert.is(code, 0, `crs ${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

const cluster = await ThreeNodes.open();
/** The cluster since its last start. */
let running: RunningCluster;
test.after(() => cluster.end());

test("crs cluster start runs one cluster", async () => {
  const first = running = await cluster.start();
  assert.equal(first.nodes.map(({ nodeId }) => nodeId), [1, 2, 3]);
  assert.is(new Set(first.nodes.map(({ zone }) => zone)).size, 3);
  await cluster.whole();
  const show = ["partition", "show", "a1.example", "--data", cluster.folder];
  const { leader, replicas } = await answer<PartitionShown>(...show);
  assert.equal(replicas.map(({ nodeId }) => nodeId), [1, 2, 3]);
  const leading = replicas.filter(({ role }) => role === "leader");
  assert.equal(leading.map(({ nodeId }) => nodeId), [leader]);

  const { ops } = first.nodes[0]!;
  await until("the metrics of a node count its links", async () => {
    const scraped = await fetch(`http://${ops.host}:${ops.port}/metrics`);
    const text = await scraped.text();
    return ["beats", "frames", "bytes"].every((what) =>
      ["out", "in"].every((direction) =>
        [2, 3].every((peer) =>
          new RegExp(`^crs_peer_${what}_total{peer="${peer}",direction="${direction}"} [1-9]`, "m")
            .test(text)
        )
      )
    );
  });
});

test("three nodes serve writes that span them, and no domain is lost or held twice when one dies", async () => {
  await cluster.spread();
  await servesAndSurvives(running);
});

test("crs cluster start reports the node that died, and returns as it was", async () => {
  const first = running;
  const [, , third] = first.nodes;
  const told = `node-3 (process ${third!.processId}) ended by SIGKILL; the others go on`;
  await until("the death is reported", () => first.process.stderr.includes(told));
  first.process.kill("SIGTERM");
  assert.is((await first.process.ended()).code, 0);

  running = await cluster.start();
  assert.is(running.clusterId, first.clusterId);
  const ids = (nodes: typeof first.nodes) => nodes.map(({ nodeId }) => nodeId);
  assert.equal(ids(running.nodes), ids(first.nodes));
});

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
  const { replicas } = await answer<PartitionShown>(
    ...["partition", "show", "a1.example", "--data", cluster.folder],
  );
  for (const { role, provenAgeMs } of replicas) {
    assert.ok(provenAgeMs !== null && (provenAgeMs === 0) === (role === "leader"), role);
  }
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

test("crs cluster start fails with the error of a node, and ends with code 4 once all have ended", async () => {
  const second = await cluster.process([
    ...["cluster", "start", "--nodes", "1", "--data", cluster.folder],
    ...["--port", String(cluster.port), "--partitions", "16", "--json"],
  ]).ended();
  assert.is(second.code, 2);
  const { error } = JSON.parse(second.stdout);
  assert.is(error.code, "locked");
  assert.match(error.message, "node-1: ");

  for (const number of [1, 2, 3]) cluster.signal(number, "SIGKILL");
  const { code, stderr } = await running.process.ended();
  assert.is(code, 4);
  assert.match(stderr, "No node is left");
});

test.run();
