/** Apply versions rise when all members support them, and an older program stops instead of diverging. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { partitionId } from "../../../../src/base/ids.ts";
import { encodeRaisePartitionVersion, encodeTick } from "../../../../src/record/command.ts";
import { PlacedNodes } from "../../../support/placed_nodes.ts";

const PARTITIONS = [0, 1, 2, 3];

/** Starts three nodes whose programs know these apply versions of partitions. */
async function threeNodes(...versions: readonly number[]): Promise<PlacedNodes> {
  const cluster = new PlacedNodes({ partitionCount: PARTITIONS.length });
  versions.forEach((version, at) => cluster.partitionVersions.set(at + 1, version));
  await cluster.found();
  for (const id of [2, 3]) await cluster.join(id);
  return cluster;
}

/** Returns the apply versions of a node's replicas. */
function versionsOf(cluster: PlacedNodes, node: number): number[] {
  return [...cluster.node(node).groups.partitions].map(({ store }) => store.applyVersion);
}

/** Returns the replicas by which these nodes lead partitions. */
function ledBy(cluster: PlacedNodes, ...nodes: readonly number[]) {
  return PARTITIONS.flatMap((id) =>
    nodes.flatMap((node) => cluster.node(node).groups.partition(partitionId(id)) ?? [])
      .filter(({ group }) => group.isLeading)
  );
}

/** Reports whether every partition is on all three nodes, and is led by one. */
function isPlaced(cluster: PlacedNodes): boolean {
  return PARTITIONS.every((partition) => cluster.votersOf(partition).join() === "1,2,3") &&
    ledBy(cluster, 1, 2, 3).length === PARTITIONS.length;
}

async function raise(cluster: PlacedNodes, replicas: ReturnType<typeof ledBy>, version: number) {
  for (const { group } of replicas) {
    const header = { timeMs: group.timeMs(), unixS: 1, writer: 0 };
    const command = encodeRaisePartitionVersion(header, version);
    const proposed = await cluster.world.wait(group.propose(command, 5_000));
    assert.ok(proposed.ok);
  }
}

test("VersionRaiser: group 0 follows what all members support, and partitions stay", async () => {
  const cluster = await threeNodes(2, 2, 2);
  const isRaised = () => cluster.node(1).groups.system.store.state.versions.applyVersion === 2;
  await cluster.until("group 0's version", isRaised);
  await cluster.world.pass(5_000);
  for (const node of [1, 2, 3]) assert.equal(versionsOf(cluster, node), PARTITIONS.map(() => 1));
  const refused = await cluster.join(4, { applyVersionMax: 1 }).catch((error) => error);
  assert.ok(refused instanceof RegistryError && refused.code === "unsupported_version");
});

test("a partition's version is raised on all of its replicas, and outlives a restart", async () => {
  const cluster = await threeNodes(2, 2, 2);
  await cluster.until("replicas and leaders", () => isPlaced(cluster));
  await raise(cluster, ledBy(cluster, 1, 2, 3), 2);
  const isEverywhere = () =>
    [1, 2, 3].every((node) => {
      const versions = versionsOf(cluster, node);
      return versions.length === PARTITIONS.length && versions.every((version) => version === 2);
    });
  await cluster.until("the version everywhere", isEverywhere);
  cluster.crash(3);
  await cluster.restart(3);
  await cluster.until("the version after a restart", isEverywhere);
});

test("a replica of a program older than its node said stops, and the others go on", async () => {
  const cluster = await threeNodes(2, 2, 1);
  await cluster.until("replicas and leaders", () => isPlaced(cluster));
  const raised = ledBy(cluster, 1, 2);
  assert.ok(raised.length > 0);
  await raise(cluster, raised, 2);
  const stopped = () =>
    PARTITIONS.filter((id) =>
      cluster.node(3).groups.partition(partitionId(id))?.group.status().role === "failed"
    );
  await cluster.until(
    "every raised replica of the old program stops",
    () => stopped().length === raised.length,
  );
  assert.equal(stopped(), raised.map(({ id }) => id as number));
  for (const { group } of raised) {
    const header = { timeMs: group.timeMs(), unixS: 1, writer: 0 };
    const proposed = await cluster.world.wait(group.propose(encodeTick(header), 5_000));
    assert.ok(proposed.ok, "the others go on");
  }
});

test.run();
