/**
 * The ways in which a node gets replicas: opened from its log, joined under a new id, or founding
 * their group.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../../src/base/errors.ts";
import { groupId, replicaId } from "../../../../src/base/ids.ts";
import { EMPTY_CONFIGURATION, EMPTY_DATA } from "../../../../src/raft/mod.ts";
import type {
  HostedReplica,
  ReplicaPlace,
} from "../../../../src/replication/assembly/node_groups.ts";
import { type ClusterNode, GroupCluster, type Journal } from "../../../support/group_cluster.ts";

const GROUP = groupId(1);

function place(replica: number, group = GROUP): ReplicaPlace {
  return { group, replica: replicaId(replica) };
}

function isCorrupt(error: unknown): boolean {
  return error instanceof RegistryError && error.code === "corrupt";
}

/** Returns a node that founded a group alone, under its own number, with one entry. */
async function founded(): Promise<{ cluster: GroupCluster; node: ClusterNode }> {
  const cluster = await GroupCluster.led({ nodes: 1 });
  await cluster.world.wait(cluster.node(1).propose("kept"));
  return { cluster, node: cluster.node(1) };
}

type Joined = HostedReplica<Journal> | RegistryError;

function join(cluster: GroupCluster, node: ClusterNode, replica: number): Promise<Joined> {
  return cluster.world.wait(new Promise<Joined>((done) => node.host.join(place(replica), done)));
}

/** Starts the node again and opens nothing. */
async function reopened(node: ClusterNode): Promise<void> {
  node.crash();
  await node.open();
}

test("NodeGroups.open takes a replica from the log; what should be there and is not is corrupt", async () => {
  const { node } = await founded();
  await reopened(node);
  assert.ok(node.host.isInLog(GROUP));
  assert.not(node.host.isInLog(groupId(2)));
  assert.throws(() => node.host.open(place(1, groupId(2)), "corrupt"), isCorrupt);
  // Its content belongs to replica 1: another one does not open on it.
  assert.throws(() => node.host.open(place(9), "corrupt"), isCorrupt);
  const { machine } = node.host.open(place(1), "corrupt");
  assert.equal(machine.applied, ["kept"]);
});

test("NodeGroups.join removes what a former replica left, and is found again after a restart", async () => {
  const { cluster, node } = await founded();
  await reopened(node);
  assert.equal([...node.host.unclaimed], [GROUP]);
  const joined = await join(cluster, node, 9);
  assert.not.instance(joined, RegistryError);
  assert.equal((joined as HostedReplica<Journal>).machine.applied, []);
  assert.equal((joined as HostedReplica<Journal>).raft.configuration.voters, []);
  for (let restart = 0; restart < 2; restart++) {
    await reopened(node);
    assert.is(node.host.ownerOf(GROUP), 9);
    assert.not(node.host.isInLog(GROUP), "nothing of the former replica");
  }
  assert.is(node.host.open(place(9), "empty").replica, 9);
});

test("NodeGroups.join at run time: a learner is added, follows, and keeps its id over a restart", async () => {
  const cluster = new GroupCluster({ nodes: 2 });
  const [first, second] = [cluster.node(1), cluster.node(2)];
  for (const node of cluster.nodes) await node.open();
  first.add(1, true);
  for (const node of cluster.nodes) node.host.start();
  await cluster.leader();
  cluster.moved.set(9, second.id);
  for (const node of cluster.nodes) {
    for (const peer of cluster.nodes) if (peer !== node) node.host.input.peerConnected(peer.id);
  }
  await join(cluster, second, 9);
  const change = {
    transition: "auto",
    changes: [{ kind: "add_learner", replica: 9 }],
    context: EMPTY_DATA,
  } as const;
  const proposed = await cluster.world.wait(first.group().proposeConfChange(change, 5_000));
  assert.ok(proposed.ok);
  assert.ok((await cluster.world.wait(first.propose("a"))).ok);
  await cluster.world.pass(2_000);
  assert.equal(second.journal().applied, ["a"]);
  await reopened(second);
  const { machine } = second.host.open(place(9), "corrupt");
  second.host.start();
  await cluster.world.pass(2_000);
  assert.equal(machine.applied, ["a"]);
});

test("NodeGroups.join waits for a log that takes writes", async () => {
  const { cluster, node } = await founded();
  await reopened(node);
  node.disk.intercept = ({ kind }) => kind === "write" ? "io" : undefined;
  const answers: Joined[] = [];
  node.host.join(place(9), (joined) => void answers.push(joined));
  await cluster.world.pass(5_000);
  assert.equal(answers, []);
  node.disk.intercept = () => undefined;
  await cluster.world.pass(20_000);
  assert.is(answers.length, 1);
  assert.is((answers[0] as HostedReplica<Journal>).replica, 9);
  await reopened(node);
  assert.is(node.host.ownerOf(GROUP), 9);
});

test("NodeGroups.join answers with an error when the log is poisoned; the former replica stays", async () => {
  const { cluster, node } = await founded();
  await reopened(node);
  node.disk.intercept = ({ kind }) => kind === "sync" ? "io" : undefined;
  const joined = await join(cluster, node, 9);
  assert.instance(joined, RegistryError);
  assert.is((joined as RegistryError).code, "storage_unavailable");
  await reopened(node);
  assert.is(node.host.ownerOf(GROUP), 1);
  assert.equal(node.host.open(place(1), "corrupt").machine.applied, ["kept"]);
});

test("NodeGroups.join leaves no owner without its log, wherever a crash interrupts it", async () => {
  for (let syncs = 0;; syncs++) {
    const { cluster, node } = await founded();
    await reopened(node);
    let left = syncs;
    node.disk.intercept = ({ kind }) => kind === "sync" && --left < 0 ? "io" : undefined;
    const joined = await join(cluster, node, 9);
    await reopened(node);
    const { host } = node;
    if (!(joined instanceof RegistryError)) {
      assert.is(host.ownerOf(GROUP), 9);
      assert.ok(syncs > 1, "some joins were interrupted");
      return;
    }
    // A copy of group 0 that is as old as the log may still place the former replica here.
    if (!host.isPast(place(1))) {
      assert.equal(host.open(place(1), "corrupt").machine.applied, ["kept"]);
    }
  }
});

test("NodeGroups.retire removes a replica for good: no restart takes its id for a fresh one", async () => {
  const { cluster, node } = await founded();
  await reopened(node);
  assert.not(node.host.isPast(place(1)));
  const error = await cluster.world.wait(
    new Promise<RegistryError | undefined>((done) => node.host.retire(GROUP, done)),
  );
  assert.is(error, undefined);
  assert.ok(node.host.isPast(place(1)));
  await reopened(node);
  assert.ok(node.host.isPast(place(1)), "the log knows");
  assert.not(node.host.isInLog(GROUP));
  await join(cluster, node, 9);
  await reopened(node);
  assert.ok(node.host.isPast(place(8)), "an earlier one than the node had");
  assert.not(node.host.isPast(place(9)));
});

test("NodeGroups.found begins a group with any voters and learners", async () => {
  const cluster = new GroupCluster({ nodes: 1 });
  const node = cluster.node(1);
  await node.open();
  const configuration = { ...EMPTY_CONFIGURATION, voters: [5], learners: [6, 7] };
  cluster.moved.set(5, node.id);
  const hosted = await cluster.world.wait(
    new Promise<Joined>((done) => node.host.found(place(5), configuration, done)),
  );
  assert.equal((hosted as HostedReplica<Journal>).raft.configuration, configuration);
  await reopened(node);
  assert.is(node.host.ownerOf(GROUP), 5);
  const { raft } = node.host.open(place(5), "corrupt");
  assert.equal(raft.configuration, configuration);
  node.host.start();
  await cluster.world.pass(100);
  assert.ok(raft.isLeading);
});

test("NodeGroups.found waits for a log that takes writes, whichever write it refuses", async () => {
  const configuration = { ...EMPTY_CONFIGURATION, voters: [5] };
  for (let writes = 0;; writes++) {
    const cluster = new GroupCluster({ nodes: 1 });
    const node = cluster.node(1);
    await node.open();
    cluster.moved.set(5, node.id);
    let left = writes;
    node.disk.intercept = ({ kind }) => kind === "write" && --left < 0 ? "io" : undefined;
    const answers: Joined[] = [];
    node.host.found(place(5), configuration, (joined) => void answers.push(joined));
    await cluster.world.pass(5_000);
    if (answers.length > 0) {
      assert.not.instance(answers[0], RegistryError, `${writes} writes were taken`);
      assert.ok(writes > 1, "the owner and the founding are written");
      return;
    }
    node.disk.intercept = () => undefined;
    await cluster.world.pass(20_000);
    assert.is(answers.length, 1);
    assert.equal((answers[0] as HostedReplica<Journal>).raft.configuration, configuration);
    await reopened(node);
    assert.equal(node.host.open(place(5), "corrupt").raft.configuration, configuration);
  }
});

test.run();
