/** A cluster grows from one node to three while it serves, loses a node, and recovers it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { partitionId } from "../../../../src/base/ids.ts";
import { encodeTick } from "../../../../src/record/command.ts";
import { PlacedNodes } from "../../../support/placed_nodes.ts";

const PARTITIONS = [0, 1, 2, 3, 4, 5, 6, 7];

/** Reports whether every partition is held by exactly these nodes, and no change is in progress. */
function areOn(cluster: PlacedNodes, nodes: readonly number[]): boolean {
  const isSettled = [...cluster.nodes.values()].every(({ groups }) =>
    groups.system.store.state.placement.changing.size === 0
  );
  return isSettled &&
    PARTITIONS.every((partition) => cluster.votersOf(partition).join() === nodes.join());
}

test("PlacementWork: replicas and leaders spread over a second and a third node", async () => {
  const cluster = new PlacedNodes();
  await cluster.found();
  await cluster.join(2);
  await cluster.until("two replicas", () => areOn(cluster, [1, 2]));
  await cluster.join(3);
  await cluster.until("three replicas", () => areOn(cluster, [1, 2, 3]));
  await cluster.until("even leaders", () => Math.max(...cluster.leads()) <= 3);
  const { group } = cluster.node(1).groups.system;
  assert.is(group.configuration.voters.length, 3, "all vote in group 0");
});

test("PlacementWork: nothing is lost with a node, and it returns as what it was", async () => {
  const cluster = new PlacedNodes();
  await cluster.found();
  await cluster.join(2);
  await cluster.join(3);
  await cluster.until("three replicas", () => areOn(cluster, [1, 2, 3]));
  for (const lost of [1, 2, 3]) {
    cluster.crash(lost);
    await cluster.until(
      `leaders without node ${lost}`,
      () => cluster.leads().reduce((sum, count) => sum + count, 0) === PARTITIONS.length,
    );
    for (const partition of PARTITIONS) {
      const leader = [...cluster.nodes.values()]
        .map(({ groups }) => groups.partition(partitionId(partition))!.group)
        .find(({ isLeading }) => isLeading)!;
      const header = { timeMs: leader.timeMs(), unixS: 1, writer: 0 };
      const proposed = await cluster.world.wait(leader.propose(encodeTick(header), 5_000));
      assert.ok(proposed.ok, `partition ${partition} takes writes without node ${lost}`);
    }
    await cluster.restart(lost);
    await cluster.until("even leaders again", () => Math.max(...cluster.leads()) <= 3);
  }
  assert.ok(areOn(cluster, [1, 2, 3]));
});

test("PlacementWork: four nodes hold three replicas of each partition, and the founder lets go", async () => {
  const cluster = new PlacedNodes();
  await cluster.found();
  for (const id of [2, 3, 4]) await cluster.join(id);
  await cluster.until(
    "three replicas each",
    () =>
      PARTITIONS.every((partition) => cluster.votersOf(partition).length === 3) &&
      cluster.node(1).groups.system.store.state.placement.changing.size === 0,
  );
  const held = PARTITIONS.flatMap((partition) => cluster.votersOf(partition));
  for (const id of [1, 2, 3, 4]) {
    const count = held.filter((node) => node === id).length;
    const here = [...cluster.node(id).groups.partitions].length;
    await cluster.until(
      "replicas are removed",
      () => [...cluster.node(id).groups.partitions].length === count,
    );
    assert.ok(here >= count, `node ${id} hosts what is placed on it`);
  }
  assert.ok(held.filter((node) => node === 1).length < PARTITIONS.length, "the founder lets go");
});

test("PlacementWork: group 0 keeps to five voters when a node of another zone comes", async () => {
  const cluster = new PlacedNodes({ partitionCount: 1 });
  await cluster.found("a");
  for (const id of [2, 3, 4, 5]) await cluster.join(id, { zone: "a" });
  const { group, store } = cluster.node(1).groups.system;
  await cluster.until("five voters", () => group.configuration.voters.length === 5);
  await cluster.join(6, { zone: "b" });
  const isVoting = () =>
    group.configuration.votersOutgoing.length === 0 &&
    group.configuration.voters.some((replica) =>
      store.state.replicas.replica(replica)?.nodeId === 6
    );
  await cluster.until("a voter in each zone", isVoting);
  assert.is(group.configuration.voters.length, 5);
  assert.is(group.configuration.learners.length, 1);
});

test("PlacementWork: however often it is started or hurried, it looks by one timer", async () => {
  const timersOf = async (disturb: (cluster: PlacedNodes) => void) => {
    const cluster = new PlacedNodes();
    await cluster.found();
    await cluster.world.pass(60_000);
    disturb(cluster);
    const before = cluster.world.timersRun;
    await cluster.world.pass(600_000);
    return cluster.world.timersRun - before;
  };
  const undisturbed = await timersOf(() => {});
  const disturbed = await timersOf((cluster) => {
    const { work } = cluster.node(1);
    for (let times = 0; times < 3; times++) {
      work.start();
      work.hurry();
    }
  });
  // A canceled timer counts as none; the looks themselves move by less than one period.
  assert.ok(disturbed <= undisturbed + 3, `${disturbed} timers instead of ${undisturbed}`);
});

test.run();
