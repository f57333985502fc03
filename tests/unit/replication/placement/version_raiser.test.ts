/** Apply versions rise when all members support them, and an older program stops instead of diverging. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { partitionId } from "../../../../src/base/ids.ts";
import { encodeTick } from "../../../../src/record/command.ts";
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

const isAll = (found: readonly number[], version: number) =>
  found.length === PARTITIONS.length && found.every((one) => one === version);

test("VersionRaiser: group 0 and then every partition follow what all members support", async () => {
  const cluster = await threeNodes(2, 2, 2);
  await cluster.until(
    "the version everywhere",
    () => [1, 2, 3].every((node) => isAll(versionsOf(cluster, node), 2)),
  );
  for (const { groups } of cluster.nodes.values()) {
    assert.is(groups.system.store.state.versions.applyVersion, 2);
  }
  cluster.crash(3);
  await cluster.restart(3);
  await cluster.until("the version after a restart", () => isAll(versionsOf(cluster, 3), 2));
});

test("VersionRaiser leaves partitions at the version that this program knows", async () => {
  const cluster = await threeNodes(1, 1, 1);
  const isRaised = () => cluster.node(1).groups.system.store.state.versions.applyVersion === 2;
  await cluster.until("group 0's version", isRaised);
  await cluster.world.pass(5_000);
  for (const node of [1, 2, 3]) assert.equal(versionsOf(cluster, node), PARTITIONS.map(() => 1));
  const refused = await cluster.join(4, { applyVersionMax: 1 }).catch((error) => error);
  assert.ok(refused instanceof RegistryError && refused.code === "unsupported_version");
});

test("a replica of a program older than its node said stops, and the others go on", async () => {
  const cluster = await threeNodes(1, 1, 1);
  await cluster.until(
    "replicas on three nodes",
    () => PARTITIONS.every((partition) => cluster.votersOf(partition).join() === "1,2,3"),
  );
  for (const updated of [1, 2]) {
    cluster.partitionVersions.set(updated, 2);
    cluster.crash(updated);
    await cluster.restart(updated);
  }
  // Node 3 raises nothing itself, in what it leads.
  const stopped = () =>
    PARTITIONS.filter((id) =>
      cluster.node(3).groups.partition(partitionId(id))?.group.status().role === "failed"
    );
  const ledByOthers = () =>
    PARTITIONS.flatMap((id) =>
      [1, 2].map((node) => cluster.node(node).groups.partition(partitionId(id))!)
        .filter(({ group, store }) => group.isLeading && store.applyVersion === 2)
    );
  await cluster.until(
    "every raised replica of the old program stops",
    () => ledByOthers().length > 0 && stopped().length === ledByOthers().length,
  );
  assert.equal(stopped(), ledByOthers().map(({ id }) => id as number));
  for (const { group } of ledByOthers()) {
    const header = { timeMs: group.timeMs(), unixS: 1, writer: 0 };
    const proposed = await cluster.world.wait(group.propose(encodeTick(header), 5_000));
    assert.ok(proposed.ok, "the others go on");
  }
});

test.run();
