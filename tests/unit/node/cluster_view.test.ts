import { test } from "uvu";
import * as assert from "uvu/assert";
import { defined } from "../../../src/base/assert.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { nodeId } from "../../../src/base/ids.ts";
import { encodeTick } from "../../../src/record/command.ts";
import { ClusterView } from "../../../src/node/cluster_view.ts";
import { PeerCounts } from "../../../src/replication/peers/peer_counts.ts";
import { PlacedNodes } from "../../support/placed_nodes.ts";

const NODES = [1, 2, 3];

/** Returns the view of a node whose links reach every running node. */
function viewOf(cluster: PlacedNodes, self: number): ClusterView {
  const { groups } = cluster.node(self);
  return new ClusterView({
    self,
    groups,
    version: () => "0.1.0",
    ringMap: () => defined(groups.system.store.ringMap(self), "A cluster was created"),
    peers: () =>
      NODES.filter((node) => node !== self).map((node) => ({
        node: nodeId(node),
        isConnected: cluster.nodes.has(node),
        isWritable: true,
        version: undefined,
        program: undefined,
        remoteAddress: undefined,
        roundTripMs: 1.5,
        backlogBytes: 0,
        counts: new PeerCounts(),
      })),
  });
}

async function threeNodes(): Promise<PlacedNodes> {
  const cluster = new PlacedNodes();
  await cluster.found("a");
  await cluster.join(2, { zone: "b" });
  await cluster.join(3, { zone: "c" });
  const isWhole = () =>
    NODES.every((self) => {
      const { replicas, moving, underReplicatedCount } = viewOf(cluster, self).status();
      return replicas === cluster.partitionCount && moving === 0 && underReplicatedCount === 0;
    });
  await cluster.until("three replicas of each partition", isWhole);
  await cluster.until("three voters of group 0", () => {
    return viewOf(cluster, 1).status().systemVoters.length === 3;
  });
  return cluster;
}

test("ClusterView.status: every partition is led by one node, and all are members", async () => {
  const cluster = await threeNodes();
  const views = NODES.map((self) => viewOf(cluster, self).status());
  assert.is(views.reduce((sum, { leading }) => sum + leading, 0), cluster.partitionCount);
  for (const view of views) {
    assert.equal(view.members.map(({ nodeId, zone }) => `${nodeId}${zone}`), ["1a", "2b", "3c"]);
    assert.is(view.systemLeader, 1);
    assert.ok(view.members.every(({ isConnected }) => isConnected));
    assert.equal(view.leaderless, []);
  }
});

test("ClusterView.status: after the loss of a node its partitions are under-replicated", async () => {
  const cluster = await threeNodes();
  cluster.crash(3);
  const survivors = () => [1, 2].map((self) => viewOf(cluster, self).status());
  await cluster.until(
    "leaders for all partitions",
    () => survivors().reduce((sum, { leading }) => sum + leading, 0) === cluster.partitionCount,
  );
  const views = survivors();
  const count = views.reduce((sum, view) => sum + view.underReplicatedCount, 0);
  assert.is(count, cluster.partitionCount);
  assert.is(views[0]!.underReplicated.length, views[0]!.underReplicatedCount);
  assert.is(views[0]!.members.find((member) => member.nodeId === 3)?.isConnected, false);
  const led = [1, 2].flatMap((self) => [...cluster.node(self).groups.partitions])
    .find(({ group }) => group.isLeading)!;
  const header = { timeMs: led.group.timeMs(), unixS: 1, writer: 0 };
  assert.ok((await cluster.world.wait(led.group.propose(encodeTick(header), 5_000))).ok);
  const lag = survivors().reduce((sum, { members }) => sum + members[2]!.laggingCount, 0);
  assert.ok(lag > 0, "the lost node lacks the entry");
});

test("ClusterView.partition: the leader knows the members, and the placement names all", async () => {
  const cluster = await threeNodes();
  const answers = await cluster.world.wait(
    Promise.all(NODES.map((self) => viewOf(cluster, self).partition(5))),
  );
  for (const { placed, partition } of answers) {
    assert.is(partition, 5);
    assert.equal(placed.map(({ nodeId, role }) => `${nodeId} ${role}`).sort(), [
      "1 voter",
      "2 voter",
      "3 voter",
    ]);
  }
  assert.ok(answers.every(({ isAgeProven }) => isAgeProven), "each replica proves its age");
  assert.ok(answers.every(({ ageBoundMs, role }) => (ageBoundMs === 0) === (role === "leader")));
  const [leader, ...others] = answers.filter(({ role }) => role === "leader");
  assert.is(others.length, 0);
  assert.is(leader!.members.length, 3);
  assert.ok(answers.every((answer) => answer.leader === leader!.nodeId));
  assert.ok(
    answers.filter(({ role }) => role === "follower").every(({ members }) => members.length === 0),
  );
});

test("ClusterView.partition refuses a partition that there is not", async () => {
  const cluster = new PlacedNodes();
  await cluster.found();
  const refused = await viewOf(cluster, 1).partition(8).catch((error: unknown) => error);
  assert.instance(refused, RegistryError);
  assert.is((refused as RegistryError).code, "invalid_argument");
  assert.match((refused as RegistryError).message, "[0, 8)");
});

test.run();
