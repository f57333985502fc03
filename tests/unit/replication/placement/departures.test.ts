/** Nodes depart from a cluster that serves: drained, removed, interrupted, and after a long silence. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DEPARTURE_GOALS, type DepartureGoal } from "../../../../schemas/gen/wire.ts";
import { partitionId, placeId } from "../../../../src/base/ids.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import { NODE_SILENT_MS_MAX } from "../../../../src/base/limits.ts";
import {
  DEPARTURES_APPLY_VERSION,
  encodeEndDeparture,
  encodePutDeparture,
} from "../../../../src/system/departures/departure_codec.ts";
import { INHERITED_PLACES_APPLY_VERSION } from "../../../../src/system/versions/features.ts";
import type { Departure } from "../../../../src/system/departures/departure_state.ts";
import { nodeOfReplica } from "../../../../src/replication/assembly/placed_here.ts";
import { PlacedNodes } from "../../../support/placed_nodes.ts";

const VERSION = { applyVersionMax: DEPARTURES_APPLY_VERSION };
const STANDBYS = { applyVersionMax: INHERITED_PLACES_APPLY_VERSION };
const PARTITIONS = [0, 1, 2, 3, 4, 5, 6, 7];

/** Returns a settled cluster of nodes that know departures. */
async function clusterOf(count: number, version = VERSION): Promise<PlacedNodes> {
  const cluster = new PlacedNodes();
  await cluster.found("", version);
  for (let id = 2; id <= count; id++) await cluster.join(id, version);
  await cluster.until(
    "three replicas of each partition",
    () =>
      PARTITIONS.every((partition) => cluster.votersOf(partition).length === 3) &&
      stateOf(cluster).versions.applyVersion >= version.applyVersionMax &&
      stateOf(cluster).placement.changing.size === 0,
  );
  await cluster.until("a leader on each node", () => Math.min(...cluster.leads()) > 0);
  return cluster;
}

function leaderOf(cluster: PlacedNodes) {
  const leader = [...cluster.nodes.values()]
    .find(({ groups }) => groups.system.group.isLeading);
  return leader ?? [...cluster.nodes.values()][0]!;
}

function stateOf(cluster: PlacedNodes) {
  return leaderOf(cluster).groups.system.store.state;
}

function departureOf(cluster: PlacedNodes, nodeId: number): Departure | undefined {
  return stateOf(cluster).departures.of(nodeId);
}

async function propose(cluster: PlacedNodes, command: Uint8Array): Promise<void> {
  const { group } = leaderOf(cluster).groups.system;
  const proposed = await cluster.world.wait(group.propose(command, 5_000));
  assert.ok(proposed.ok && proposed.outcome.code === "ok", JSON.stringify(proposed));
}

function header(cluster: PlacedNodes) {
  const timeMs = Math.floor(leaderOf(cluster).groups.system.group.timeMs());
  return { timeMs, unixS: 1, writer: 0 };
}

async function depart(
  cluster: PlacedNodes,
  nodeId: number,
  goal: DepartureGoal,
  successor = 0,
): Promise<void> {
  const command = encodePutDeparture(header(cluster), {
    ...{ nodeId, goal: DEPARTURE_GOALS[goal], successor, isFewerAllowed: false },
    ...{ replacedRevision: departureOf(cluster, nodeId)?.revision ?? 0, isAutomatic: false },
    detail: "an operator",
  });
  await propose(cluster, command);
}

/** Hands the leadership of group 0 to a node. */
async function lead(cluster: PlacedNodes, nodeId: number): Promise<void> {
  const { group } = leaderOf(cluster).groups.system;
  const { members } = group.raftStatus();
  const heir = members.find(({ id }) => nodeOfReplica(stateOf(cluster), id) === nodeId);
  assert.is(group.transferLeader(heir!.id), "accepted");
  await cluster.until(`node ${nodeId} leads group 0`, () => {
    const leaders = [...cluster.nodes.values()]
      .filter(({ groups }) => groups.system.group.isLeading);
    return leaders.length === 1 && leaders[0]!.id === nodeId;
  });
}

/** Counts the partitions whose leaders know a voter on the node. */
function partitionsOn(cluster: PlacedNodes, nodeId: number): number {
  return PARTITIONS.filter((partition) => cluster.votersOf(partition).includes(nodeId)).length;
}

function isEmpty(cluster: PlacedNodes, nodeId: number): boolean {
  return stateOf(cluster).departures.heldBy(nodeId) === 0 &&
    PARTITIONS.every((partition) => {
      const voters = cluster.votersOf(partition);
      return voters.length === 3 && !voters.includes(nodeId);
    });
}

test("the founder, which leads group 0, hands over all it leads, then its replicas, and is removed", async () => {
  const cluster = await clusterOf(4);
  const { groups } = cluster.node(1);
  assert.ok(groups.system.group.isLeading);
  const leads = () => cluster.leads()[0]!;
  assert.ok(leads() > 0);
  await depart(cluster, 1, "removed");
  let hadMoved = false;
  await cluster.until("it leads nothing", () => {
    hadMoved ||= stateOf(cluster).placement.changing.size > 0;
    return leads() === 0 && !groups.system.group.isLeading &&
      groups.plane?.group.isLeading !== true;
  });
  assert.not(hadMoved, "no replica moves before");
  await cluster.until("nothing is on it", () => isEmpty(cluster, 1));
  await cluster.until("it is no member", () => !stateOf(cluster).members.has(1));
  assert.not(groups.system.store.state.members.has(1), "and it knows");
  await cluster.until("its departure is over", () => departureOf(cluster, 1) === undefined);
  const { voters, learners } = leaderOf(cluster).groups.system.group.configuration;
  assert.not([...voters, ...learners].includes(1 as never), "group 0 has no replica of it");
  assert.is(voters.length, 3);
  assert.equal([...groups.partitions], [], "its replicas are gone");
  // Never its old self: it leads nothing again, with what it has on disk.
  cluster.crash(1);
  await cluster.restart(1).catch(() => {});
  await cluster.world.pass(20_000);
  assert.ok(isEmpty(cluster, 1));
});

test("a drain goes on when the leader of group 0 dies, and its end lets the node hold again", async () => {
  const cluster = await clusterOf(5);
  const victim = leaderOf(cluster).id;
  const drained = victim === 2 ? 3 : 2;
  await depart(cluster, drained, "drained");
  await cluster.until("partitions move", () => stateOf(cluster).placement.changing.size > 0);
  cluster.crash(victim);
  await cluster.until(
    "another leader of group 0",
    () => leaderOf(cluster).groups.system.group.isLeading,
  );
  await cluster.world.pass(2_000);
  await cluster.restart(victim);
  await cluster.until("nothing is on it", () => isEmpty(cluster, drained), 120_000);
  const { heldAtFirst, revision, hasHandedOver } = departureOf(cluster, drained)!;
  assert.ok(heldAtFirst > 0);
  assert.ok(hasHandedOver);
  const end = { nodeId: drained, revision, detail: "an operator" };
  await propose(cluster, encodeEndDeparture(header(cluster), end));
  await cluster.until(
    "it holds its share again",
    () =>
      stateOf(cluster).departures.heldBy(drained) > 0 &&
      stateOf(cluster).placement.changing.size === 0,
  );
});

test("a change that waits for a node which departs is planned anew", async () => {
  const cluster = await clusterOf(3);
  await cluster.join(4, VERSION);
  await cluster.until(
    "partitions move to node 4",
    () => stateOf(cluster).placement.changing.size > 0,
  );
  cluster.crash(4);
  await cluster.world.pass(3_000);
  assert.ok(stateOf(cluster).placement.changing.size > 0, "they wait for it");
  await depart(cluster, 4, "removed");
  await cluster.until(
    "they are where they were",
    () =>
      PARTITIONS.every((partition) => cluster.votersOf(partition).join() === "1,2,3") &&
      stateOf(cluster).placement.changing.size === 0,
  );
  await cluster.until("node 4 is out", () => departureOf(cluster, 4) === undefined);
  assert.not(stateOf(cluster).members.has(4));
  for (const partition of PARTITIONS) {
    const { learners } = leaderOf(cluster).groups.partition(partitionId(partition))!.group
      .configuration;
    assert.equal(learners, []);
  }
});

test("a node that is silent for long is replaced, and holds again when it is back", async () => {
  const cluster = await clusterOf(4);
  const held = partitionsOn(cluster, 3);
  cluster.crash(3);
  await cluster.world.pass(NODE_SILENT_MS_MAX - 60_000);
  assert.is(departureOf(cluster, 3), undefined, "a restart takes less");
  assert.is(partitionsOn(cluster, 3), held);
  await cluster.world.pass(90_000);
  assert.is(departureOf(cluster, 3)?.isAutomatic, true);
  await cluster.until("its replicas are elsewhere", () => isEmpty(cluster, 3), 120_000);
  assert.ok(stateOf(cluster).members.has(3));
  assert.ok(stateOf(cluster).placement.of(placeId(0)) !== undefined);
  await cluster.restart(3);
  await cluster.until(
    "it holds its share again",
    () =>
      departureOf(cluster, 3) === undefined && partitionsOn(cluster, 3) === held &&
      stateOf(cluster).placement.changing.size === 0,
    120_000,
  );
});

test("a leader of group 0 forgets the silences that it saw in an earlier term", async () => {
  const cluster = await clusterOf(5);
  const first = leaderOf(cluster).id;
  const [second, victim] = [2, 3, 4, 5].filter((id) => id !== first);
  cluster.crash(victim!);
  await cluster.world.pass(20_000);
  await lead(cluster, second!);
  await cluster.restart(victim!);
  await cluster.world.pass(NODE_SILENT_MS_MAX);
  cluster.crash(victim!);
  await lead(cluster, first);
  await cluster.world.pass(20_000);
  assert.is(departureOf(cluster, victim!), undefined);
});

test("a departure goes on while a step of another one fails", async () => {
  const cluster = await clusterOf(5);
  let refusals = 0;
  cluster.ban = (nodeId) => {
    if (nodeId !== 4) return Promise.resolve();
    refusals++;
    return Promise.reject(new RegistryError("too_large", "There are too many bans"));
  };
  await depart(cluster, 4, "removed");
  await cluster.until("node 4 is to be banned", () => refusals > 0);
  await depart(cluster, 5, "removed");
  await cluster.until("node 5 is out", () => departureOf(cluster, 5) === undefined);
  assert.not(stateOf(cluster).members.has(5));
  assert.ok(departureOf(cluster, 4) !== undefined, "it is tried again");
});

test("a standby holds nothing until it replaces a node, and then exactly what that one held", async () => {
  const cluster = await clusterOf(4, STANDBYS);
  await cluster.join(5, { ...STANDBYS, isStandby: true });
  await cluster.world.pass(10_000);
  const held = () => PARTITIONS.map((partition) => cluster.votersOf(partition));
  const before = held();
  assert.ok(before.flat().includes(2) && !before.flat().includes(5), JSON.stringify(before));
  await depart(cluster, 2, "removed", 5);
  await cluster.until("the end of node 2", () => !stateOf(cluster).members.has(2));
  await cluster.until("the end of moves", () => stateOf(cluster).placement.changing.size === 0);
  const wanted = before.map((nodes) => nodes.map((node) => node === 2 ? 5 : node).sort());
  assert.equal(held(), wanted);
});

test.run();
