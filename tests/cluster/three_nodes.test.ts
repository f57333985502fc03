/** Three real nodes on this machine, started by one command. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crsInProcess } from "../support/crs_in_process.ts";
import { allKilled, cut, killed } from "../support/cluster_faults.ts";
import { BoundedLoad } from "../support/bounded_load.ts";
import { ClusterLoad } from "../support/cluster_load.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

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
test.after(() => cluster.end());

test("crs cluster start runs one cluster, reports a node that dies, and returns as it was", async () => {
  const first = await cluster.start();
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

  const [, , third] = first.nodes;
  Deno.kill(third!.processId, "SIGKILL");
  const told = `node-3 (process ${third!.processId}) ended by SIGKILL; the others go on`;
  await until("the death is reported", () => first.process.stderr.includes(told));
  first.process.kill("SIGTERM");
  assert.is((await first.process.ended()).code, 0);

  const second = await cluster.start();
  assert.is(second.clusterId, first.clusterId);
  const ids = (nodes: typeof first.nodes) => nodes.map(({ nodeId }) => nodeId);
  assert.equal(ids(second.nodes), ids(first.nodes));
});

test("reads with a bound are served by followers, never older than their receipt, and while a node is lost", async () => {
  await cluster.whole();
  const { replicas } = await answer<PartitionShown>(
    ...["partition", "show", "a1.example", "--data", cluster.folder],
  );
  for (const { role, provenAgeMs } of replicas) {
    assert.ok(provenAgeMs !== null && (provenAgeMs === 0) === (role === "leader"), role);
  }
  const load = await BoundedLoad.start(cluster.folder, { boundsMs: [100, 4_000] });
  const followed = async (what: string) => {
    const sofar = new Map([...load.figures].map(([boundMs, of]) => [boundMs, of.followed]));
    const isMore = (boundMs: number, count: number) => count > sofar.get(boundMs)! + 50;
    await until(
      what,
      () => [...load.figures].every(([boundMs, of]) => isMore(boundMs, of.followed)),
    );
  };
  try {
    await followed("reads at followers");
    await cluster.kill(2);
    await followed("reads at followers after the kill");
    await cluster.restart(2);
  } finally {
    await load.end();
  }
  assert.equal(load.findings, []);
  assert.is(load.figures.get(4_000)!.failed, 0);
});

test("reads and writes go on, and are linearizable, while nodes are killed and cut off", async () => {
  const load = await ClusterLoad.start(cluster.folder, { records: 8, pauseMs: 80 });
  try {
    // `deno task soak cluster_faults` makes all faults, each at every node.
    await killed(cluster, load, await cluster.whole());
    await allKilled(cluster, load);
    await cut(cluster, load, 3, "to");
  } finally {
    await load.end();
  }
  assert.equal(load.failures, []);
  load.check();
});

test("crs cluster start fails with the error of a node, and ends with code 4 once all have ended", async () => {
  await ThreeNodes.run(async (cluster) => {
    const { process, nodes } = await cluster.start("--nodes", "1");
    const second = await cluster.process([
      ...["cluster", "start", "--nodes", "1", "--data", cluster.folder],
      ...["--port", String(cluster.port), "--partitions", "16", "--json"],
    ]).ended();
    assert.is(second.code, 2);
    const { error } = JSON.parse(second.stdout);
    assert.is(error.code, "locked");
    assert.match(error.message, "node-1: ");

    Deno.kill(nodes[0]!.processId, "SIGKILL");
    const { code, stderr } = await process.ended();
    assert.is(code, 4);
    assert.match(stderr, "No node of the cluster is left");
  });
});

test.run();
