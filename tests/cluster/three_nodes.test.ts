/**
 * Three real nodes on this machine, started by one command. The tests follow each other on one
 * cluster, because starting it takes as long as most of them.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crsInProcess } from "../support/crs_in_process.ts";
import { type RunningCluster, ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";
import { servesAndSurvives } from "./three_nodes/serving.ts";

interface PartitionShown {
  readonly leader: number;
  readonly replicas: readonly { readonly nodeId: number; readonly role: string }[];
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
  const show = ["partition", "show", "a1.example", "--data", cluster.folder, "--json"];
  await until("the partition is shown at three nodes, one of which leads it", async () => {
    const { leader, replicas } = JSON.parse((await crsInProcess(show)).stdout) as PartitionShown;
    assert.equal(replicas.map(({ nodeId }) => nodeId), [1, 2, 3]);
    const leading = replicas.filter(({ role }) => role === "leader");
    // Leaders still move, one after the other, to where they are wanted: meanwhile none may lead.
    return leading.length === 1 && leading[0]!.nodeId === leader;
  });

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
