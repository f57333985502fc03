/** Three real nodes on this machine, started by one command. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crsInProcess } from "../support/crs_in_process.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

interface ClusterShown {
  readonly partitions: {
    readonly withoutLeader: number;
    readonly underReplicated: number;
    readonly moving: number;
  };
  readonly group0: { readonly leader: number; readonly voters: readonly number[] };
  readonly nodes: readonly { readonly nodeId: number; readonly replicas: number | null }[];
}

interface PartitionShown {
  readonly leader: number;
  readonly replicas: readonly { readonly nodeId: number; readonly role: string }[];
}

/** The document of a command that must succeed. */
async function answer<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await crsInProcess([...args, "--json"]);
  assert.is(code, 0, `crs ${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** Reports whether each partition is led and has three replicas, by what all three nodes say. */
async function isWhole(folder: string): Promise<boolean> {
  const { code, stdout } = await crsInProcess(["cluster", "status", "--data", folder, "--json"]);
  if (code !== 0) return false;
  const { partitions, group0, nodes } = JSON.parse(stdout) as ClusterShown;
  return partitions.withoutLeader + partitions.underReplicated + partitions.moving === 0 &&
    group0.leader !== 0 && group0.voters.length === 3 &&
    nodes.length === 3 && nodes.every(({ replicas }) => replicas === 16);
}

test("crs cluster start runs one cluster, reports a node that dies, and returns as it was", async () => {
  await ThreeNodes.run(async (cluster) => {
    const first = await cluster.start();
    assert.equal(first.nodes.map(({ nodeId }) => nodeId), [1, 2, 3]);
    assert.is(new Set(first.nodes.map(({ zone }) => zone)).size, 3);
    await until("three replicas of each partition", () => isWhole(cluster.folder), 20_000);
    const shown = await answer<PartitionShown>(
      "partition",
      "show",
      "a1.example",
      "--data",
      cluster.folder,
    );
    assert.equal(shown.replicas.map(({ nodeId }) => nodeId), [1, 2, 3]);
    assert.equal(
      shown.replicas.filter(({ role }) => role === "leader").map(({ nodeId }) => nodeId),
      [
        shown.leader,
      ],
    );

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
});

test("crs cluster start ends with code 4 once all its nodes have ended", async () => {
  await ThreeNodes.run(async (cluster) => {
    const { process, nodes } = await cluster.start("--nodes", "1");
    Deno.kill(nodes[0]!.processId, "SIGKILL");
    const { code, stderr } = await process.ended();
    assert.is(code, 4);
    assert.match(stderr, "No node of the cluster is left");
  });
});

test("crs cluster start fails with the error of a node that does not start", async () => {
  await ThreeNodes.run(async (cluster) => {
    await cluster.start("--nodes", "1");
    const second = await cluster.process(
      ...["cluster", "start", "--nodes", "1", "--data", cluster.folder],
      ...["--port", String(cluster.port), "--partitions", "16", "--json"],
    ).ended();
    assert.is(second.code, 2);
    const { error } = JSON.parse(second.stdout);
    assert.is(error.code, "locked");
    assert.match(error.message, "node-1: ");
  });
});

test.run();
