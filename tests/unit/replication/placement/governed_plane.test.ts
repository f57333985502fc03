/** The governed plane's group: founded once all members know it, moved as partitions are, never founded anew. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { GOVERNED_GROUP, GOVERNED_PLACE } from "../../../../src/base/ids.ts";
import { encodeGovernInit } from "../../../../src/governance/governance_codec.ts";
import { APPLY_VERSION_MAX } from "../../../../src/system/versions/features.ts";
import { A, B, testGenesis } from "../../../support/governance.ts";
import { PlacedNodes } from "../../../support/placed_nodes.ts";

const NEWEST = { applyVersionMax: APPLY_VERSION_MAX };

/** Returns the nodes on which the plane is hosted and votes. */
function hostsOf(cluster: PlacedNodes): number[] {
  return [...cluster.nodes.values()].filter(({ groups: { plane } }) =>
    plane?.group.configuration.voters.includes(plane.group.replica)
  ).map(({ id }) => id).sort();
}

/** Reports whether exactly these nodes hold the plane, and one of them leads it. */
function isOn(cluster: PlacedNodes, nodes: readonly number[]): boolean {
  const leaders = [...cluster.nodes.values()].filter(({ groups }) => groups.plane?.group.isLeading);
  const isSettled = [...cluster.nodes.values()].every(({ groups }) =>
    groups.system.store.state.placement.changing.size === 0
  );
  return isSettled && leaders.length === 1 && hostsOf(cluster).join() === nodes.join();
}

/** Proposes a genesis at the leader of the plane, and returns its outcome. */
async function govern(cluster: PlacedNodes): Promise<string> {
  const { plane } = [...cluster.nodes.values()].map(({ groups }) => groups)
    .find(({ plane }) => plane?.group.isLeading)!;
  const header = { timeMs: Math.floor(plane!.group.timeMs()), unixS: 1, writer: 0 };
  const command = encodeGovernInit(header, { genesis: testGenesis([A, B], 2).bytes, caller: "c" });
  const proposed = await cluster.world.wait(plane!.group.propose(command, 5_000));
  return proposed.ok ? proposed.outcome.code : proposed.error.code;
}

test("the governed plane: a lone node founds it, keeps it over restarts, and other nodes get it", async () => {
  const cluster = new PlacedNodes();
  await cluster.found("", NEWEST);
  await cluster.until("the plane on node 1", () => isOn(cluster, [1]));
  assert.is(await govern(cluster), "ok");
  const { hash } = cluster.node(1).groups.plane!.store.plane!.genesis;
  cluster.crash(1);
  await cluster.restart(1);
  await cluster.until("the plane on node 1 again", () => isOn(cluster, [1]));
  assert.is(cluster.node(1).groups.plane!.store.plane?.genesis.hash, hash);
  await cluster.join(2, NEWEST);
  await cluster.join(3, NEWEST);
  await cluster.until("the plane on three nodes", () => isOn(cluster, [1, 2, 3]));
  for (const { groups } of cluster.nodes.values()) {
    assert.is(groups.plane!.store.plane?.genesis.hash, hash);
  }
  for (const lost of [1, 2, 3]) {
    cluster.crash(lost);
    await cluster.until(`a leader without node ${lost}`, () =>
      [...cluster.nodes.values()]
        .some(({ groups }) => groups.plane?.group.isLeading));
    await cluster.restart(lost);
    await cluster.until("three nodes again", () => isOn(cluster, [1, 2, 3]));
  }
});

test("the governed plane: a cluster with a node that does not know it has none, and gets it once all do", async () => {
  const cluster = new PlacedNodes();
  await cluster.found("", NEWEST);
  await cluster.until("the plane on node 1", () => isOn(cluster, [1]));
  const older = new PlacedNodes({ seed: 2 });
  await older.found();
  await older.join(2);
  await older.until(
    "two members",
    () => older.node(2).groups.system.store.state.members.count === 2,
  );
  await older.world.pass(20_000);
  for (const { groups } of older.nodes.values()) {
    assert.is(groups.plane, undefined);
    assert.is(groups.system.store.state.placement.of(GOVERNED_PLACE), undefined);
    assert.is(groups.nodes.hosted(GOVERNED_GROUP), undefined);
  }
  // The nodes describe themselves as newer programs do.
  for (const id of [1, 2]) {
    const request = { ...older.request(id), nodeId: id, ...NEWEST };
    const leader = [...older.nodes.values()].find(({ groups }) => groups.system.group.isLeading)!;
    await older.world.wait(leader.joining.join(request, "self"));
  }
  await older.until("the plane on both", () => isOn(older, [1, 2]));
});

test("the governed plane: its nodes follow the members, and the founder lets go", async () => {
  const cluster = new PlacedNodes();
  await cluster.found("a", NEWEST);
  for (const [id, zone] of [[2, "a"], [3, "b"], [4, "c"]] as const) {
    await cluster.join(id, { ...NEWEST, zone });
  }
  await cluster.until("three voters in three zones", () => {
    const nodes = hostsOf(cluster);
    return nodes.length === 3 && nodes.includes(3) && nodes.includes(4) && isOn(cluster, nodes);
  });
  assert.is(await govern(cluster), "ok");
});

test.run();
