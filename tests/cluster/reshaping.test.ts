/**
 * A cluster that changes shape while it serves: a node is drained and removed, on real processes, while a
 * client with a deadline of three seconds calls without pause. No call fails, and nothing written is lost.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { nodeFolderOf } from "../../src/cli/local_nodes.ts";
import { readClusterFile } from "../../src/node/cluster_file.ts";
import { Callers, withClient } from "../support/callers.ts";
import { crsInProcess } from "../support/crs_in_process.ts";
import { hasEnded, ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";

const PARTITIONS = 32;
interface Shown {
  readonly partitions: { readonly areMovesPaused: boolean };
  readonly group0: { readonly voters: readonly number[] };
  readonly nodes: readonly {
    readonly nodeId: number;
    readonly replicas: number | null;
    readonly leading: number | null;
    readonly departure: string | null;
  }[];
}

async function shown(folder: string): Promise<Shown> {
  const { stdout } = await crsInProcess(["cluster", "status", "--data", folder, "--json"]);
  return JSON.parse(stdout) as Shown;
}

interface PartitionShown {
  readonly leader: number | null;
  readonly replicas: readonly { readonly nodeId: number }[];
}

async function partitionShown(folder: string, partition: number): Promise<PartitionShown> {
  const show = ["partition", "show", String(partition), "--data", folder, "--json"];
  return JSON.parse((await crsInProcess(show)).stdout) as PartitionShown;
}

/** Returns a partition with its leader, and another node that holds it. */
async function someTransfer(folder: string) {
  const partition = 3;
  const { leader: from, replicas } = await partitionShown(folder, partition);
  const to = replicas.map(({ nodeId }) => nodeId).find((node) => node !== from)!;
  return { partition, from, to };
}

test("leaderships move, and a node is drained and removed, while a client sees no failed call", async () => {
  await ThreeNodes.run(async (cluster) => {
    const { nodes, process } = await cluster.start("--nodes", "4");
    await cluster.spread(4);
    await withClient(nodes, async (client) => {
      const callers = await Callers.start(client);
      const crs = async (...args: string[]) =>
        await crsInProcess([...args, "--data", cluster.folder, "--json"]);

      const { partition, from, to } = await someTransfer(cluster.folder);
      const moved = await crs("partition", "transfer", String(partition), `node-${to}`);
      assert.is(moved.code, 0, moved.stderr + moved.stdout);
      assert.is((await partitionShown(cluster.folder, partition)).leader, to);
      const dry = JSON.parse((await crs("cluster", "rebalance", "--dry-run")).stdout);
      assert.equal([dry.isDryRun, dry.chosenLeaders, dry.moves], [true, 1, []]);
      const even = JSON.parse((await crs("cluster", "rebalance")).stdout);
      assert.equal([even.isDryRun, even.chosenLeaders], [false, 1]);
      assert.is(JSON.parse((await crs("cluster", "rebalance")).stdout).chosenLeaders, 0);
      assert.ok(from !== to);

      // A removal is taken back while it is under way.
      const removing = crs("cluster", "remove", "node-3");
      const departureOf3 = async () =>
        (await shown(cluster.folder)).nodes.find(({ nodeId }) => nodeId === 3)!.departure;
      await until("its removal is under way", async () => await departureOf3() !== null);
      const undone = await crs("cluster", "remove", "node-3", "--undo");
      assert.equal(JSON.parse(undone.stdout), { nodeId: 3, state: "stays" });
      const { code: ended, stdout: told } = await removing;
      assert.is.not(ended, 0, told);
      assert.is(await departureOf3(), null);

      const drained = await crs("cluster", "drain", "node-2");
      assert.is(drained.code, 0, drained.stderr + drained.stdout);
      const after = await shown(cluster.folder);
      const node = after.nodes.find(({ nodeId }) => nodeId === 2)!;
      assert.equal([node.replicas, node.leading, node.departure], [0, 0, "drained"]);
      assert.not(after.group0.voters.includes(2));

      // While moves are paused, a node that stays after all gets nothing back.
      const rebalanced = async (...flags: string[]) =>
        JSON.parse((await crs("cluster", "rebalance", ...flags)).stdout);
      const paused = await rebalanced("--pause");
      assert.equal([paused.arePaused, paused.moves], [true, []]);
      assert.ok((await shown(cluster.folder)).partitions.areMovesPaused);
      assert.is((await crs("cluster", "drain", "node-2", "--undo")).code, 0);
      const dryPaused = await rebalanced("--dry-run");
      assert.equal([dryPaused.arePaused, dryPaused.moves], [true, []]);
      const replicasOf2 = async () =>
        (await shown(cluster.folder)).nodes.find(({ nodeId }) => nodeId === 2)!.replicas!;
      assert.is(await replicasOf2(), 0);
      const resumed = await rebalanced("--resume");
      assert.not(resumed.arePaused);
      assert.ok(resumed.moves.length > 0);
      assert.ok(await replicasOf2() > 0, "the command waits until replicas have moved");

      const removed = await crs("cluster", "remove", "node-2");
      assert.is(removed.code, 0, removed.stderr + removed.stdout);
      assert.equal((await shown(cluster.folder)).nodes.map(({ nodeId }) => nodeId), [1, 3, 4]);
      const isOver = () => hasEnded(nodes[1]!.processId);
      await until("the end of the removed node's process", isOver, 15_000);
      await until("its end is told", () => process.stderr.includes("It is no member any more"));
      assert.not.match(process.stderr, "To start it again");
      await callers.endWithoutFailure();
    });
    // The folder of a removed node takes part no more.
    assert.is(readClusterFile(nodeFolderOf(cluster.folder, 2))?.membership?.isRemoved, true);
    const again = cluster.process(["start", "--data", nodeFolderOf(cluster.folder, 2), "--json"]);
    const { code, stdout } = await again.ended();
    assert.is(code, 2, stdout);
    assert.match(stdout, /node 2 was removed from its cluster/);
  }, PARTITIONS);
});

test("a standby takes the place of a node while a client sees no failed call", async () => {
  await ThreeNodes.run(async (cluster) => {
    const { nodes } = await cluster.start();
    await cluster.spread();
    await withClient(nodes, async (client) => {
      const callers = await Callers.start(client);
      const { nodeId } = await cluster.join("zone-2", "--standby");
      assert.is(nodeId, 4);
      const [, , , standby] = (await shown(cluster.folder)).nodes;
      assert.equal([standby!.replicas, standby!.departure], [0, "drained"]);

      const replace = ["cluster", "replace", "node-2", "--by", "node-4", "--data", cluster.folder];
      const { code, stderr } = await crsInProcess(replace);
      assert.is(code, 0, stderr);
      const after = (await shown(cluster.folder)).nodes;
      assert.equal(after.map((one) => [one.nodeId, one.replicas]), [
        [1, PARTITIONS],
        [3, PARTITIONS],
        [4, PARTITIONS],
      ]);
      await callers.endWithoutFailure();
    });
  }, PARTITIONS);
});

test.run();
