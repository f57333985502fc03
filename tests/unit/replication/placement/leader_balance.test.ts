/** Leaderships spread evenly, and rest: at once, where nodes hold different partitions, after a restart. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { partitionId } from "../../../../src/base/ids.ts";
import { LEADER_BALANCE_CALM_MS } from "../../../../src/base/limits.ts";
import type { CommandHeader } from "../../../../src/record/command.ts";
import {
  encodeForgetLeaders,
  encodePreferLeader,
  LEADERS_APPLY_VERSION,
} from "../../../../src/system/leaders/leader_codec.ts";
import { PlacedNodes } from "../../../support/placed_nodes.ts";

/** Returns the terms of all partitions by their leaders: a change of leader is a later term. */
function termsOf(cluster: PlacedNodes): string {
  const terms = [...cluster.nodes.values()].flatMap(({ groups }) =>
    [...groups.partitions].filter(({ group }) => group.isLeading)
      .map(({ id, group }) => `${id}: ${group.status().term}`)
  );
  return terms.sort().join(", ");
}

test("LeaderBalance rests where nodes hold different partitions", async () => {
  const cluster = new PlacedNodes();
  await cluster.found();
  for (const id of [2, 3, 4, 5]) await cluster.join(id);
  const isPlaced = () =>
    [...cluster.nodes.values()].every(({ groups }) =>
      groups.system.store.state.placement.changing.size === 0
    ) && [...cluster.node(5).groups.partitions].length > 0;
  await cluster.until("the placement", isPlaced);
  await cluster.until("even leaders", () => Math.max(...cluster.leads()) <= 2);
  await cluster.world.pass(3 * LEADER_BALANCE_CALM_MS);
  const terms = termsOf(cluster);
  await cluster.world.pass(10_000);
  assert.is(termsOf(cluster), terms, "no leader changes");
});

test("LeaderBalance: a node that resigns leads nothing any more, and others take their shares", async () => {
  const cluster = new PlacedNodes();
  await cluster.found();
  for (const id of [2, 3]) await cluster.join(id);
  await cluster.until("even leaders", () => cluster.leads().every((count) => count > 0));
  const { work } = cluster.node(1);
  await cluster.until("the end of its leaderships", () => work.balance.resign() === 0);
  const [own, ...others] = cluster.leads();
  assert.is(own, 0);
  assert.not(cluster.node(1).groups.system.group.isLeading, "nor group 0");
  assert.ok(others.every((count) => count > 0), others.join());
});

test("LeaderBalance: a node that resigns while nobody is fit has nothing to wait for", async () => {
  const cluster = new PlacedNodes();
  await cluster.found();
  for (const id of [2, 3]) await cluster.join(id);
  await cluster.until("even leaders", () => cluster.leads().every((count) => count > 0));
  for (const id of [2, 3]) cluster.crash(id);
  await cluster.world.pass(10_000);
  assert.is(cluster.node(1).work.balance.resign(), 0);
});

test("LeaderBalance gives a partition the leader that was chosen for it, and the others stay even", async () => {
  for (const nodes of [3, 5]) {
    const cluster = new PlacedNodes();
    const version = { applyVersionMax: LEADERS_APPLY_VERSION };
    await cluster.found("", version);
    for (let id = 2; id <= nodes; id++) await cluster.join(id, version);
    const { store, group } = cluster.node(1).groups.system;
    await cluster.until(
      "a settled cluster",
      () =>
        store.state.versions.applyVersion >= LEADERS_APPLY_VERSION &&
        store.state.placement.changing.size === 0 && Math.max(...cluster.leads()) <= 3 &&
        [0, 1, 2].every((partition) => cluster.votersOf(partition).length === 3),
    );
    const propose = async (encode: (from: CommandHeader) => Uint8Array) => {
      const header = { timeMs: Math.floor(group.timeMs()), unixS: 1, writer: 0 };
      const proposed = await cluster.world.wait(group.propose(encode(header), 5_000));
      assert.ok(proposed.ok && proposed.outcome.code === "ok");
    };
    const leads = (node: number, partition: number) =>
      cluster.node(node).groups.partition(partitionId(partition))?.group.isLeading === true;
    const chosen = [0, 1, 2].map((partition) => {
      const others = cluster.votersOf(partition).filter((node) => !leads(node, partition));
      return { partition, nodeId: others.at(-1)!, detail: "an operator" };
    });
    for (const body of chosen) await propose((from) => encodePreferLeader(from, body));
    const areLed = () => chosen.every(({ partition, nodeId }) => leads(nodeId, partition));
    await cluster.until("the chosen leaders", areLed);
    await cluster.world.pass(3 * LEADER_BALANCE_CALM_MS);
    const terms = termsOf(cluster);
    await cluster.world.pass(10_000);
    assert.ok(areLed());
    assert.is(termsOf(cluster), terms, "no leader changes");
    await propose((from) => encodeForgetLeaders(from, { detail: "an operator" }));
    await cluster.until(
      "even leaders",
      () => Math.max(...cluster.leads()) <= Math.ceil(8 / nodes) + 1,
    );
  }
});

test("LeaderBalance moves nothing shortly after a node has come", async () => {
  const cluster = new PlacedNodes();
  await cluster.found();
  await cluster.join(2);
  const { work } = cluster.node(1);
  const calm = () => [...cluster.nodes.values()].forEach((node) => node.work.balance.disturbed());
  const isHeld = () => cluster.votersOf(7).length === 2;
  await cluster.until("two replicas", () => (calm(), isHeld()));
  for (let passed = 0; passed < 5_000; passed += 500) {
    calm();
    await cluster.world.pass(500);
  }
  assert.equal(cluster.leads(), [8, 0]);
  assert.ok(work);
  await cluster.until("even leaders", () => Math.max(...cluster.leads()) <= 5);
});

test("LeaderBalance hands over what a node with a full disk leads, group 0 too, and gives it nothing", async () => {
  const cluster = new PlacedNodes();
  await cluster.found();
  for (const id of [2, 3]) await cluster.join(id);
  const areEven = () => cluster.leads().every((count) => count >= 2);
  await cluster.until("even leaders", areEven);
  const { groups } = cluster.node(1);
  await cluster.until(
    "three voters of group 0",
    () => groups.system.group.configuration.voters.length === 3,
  );
  assert.ok(groups.system.group.isLeading);
  cluster.fillDisk(1);
  // Any write shows that the disk is full; the others commit it.
  const write = new Uint8Array(8).fill(1);
  const led = [...groups.partitions].filter(({ group }) => group.isLeading);
  for (const { group } of led) void group.propose(write, 10_000);
  await cluster.world.pass(100);
  // This replica cannot apply the write, so it cannot serve a read of it.
  let refused = 0;
  for (const { group } of led) {
    assert.is(group.readPoint(0), undefined);
    void group.readBarrier(0, 60_000).then((answer) => {
      if (answer instanceof RegistryError && answer.code === "not_leader") refused++;
    });
  }
  await cluster.until("leaders elsewhere", () => {
    const [first, ...others] = cluster.leads();
    return first === 0 && others.reduce((sum, count) => sum + count, 0) === 8 &&
      !groups.system.group.isLeading;
  }, 10_000);
  assert.is(
    refused,
    led.length,
    "reads that wait are refused, so that the next leader serves them",
  );
  await cluster.world.pass(3 * LEADER_BALANCE_CALM_MS);
  assert.is(cluster.leads()[0], 0, "it gets none back");
  cluster.fillDisk(1, false);
  await cluster.until("even leaders again", areEven);
});

test.run();
