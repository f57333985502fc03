/** Snapshots: Raft paper §7 and Figure 13; thesis §5.1 and Figure 5.3 (InstallSnapshot). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  EMPTY_CONFIGURATION,
  EMPTY_DATA,
  type Message,
  newMessage,
  type Snapshot,
} from "../../../src/raft/mod.ts";
import { RaftCluster } from "../../support/raft_cluster.ts";

const configuration = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3] };

function snapshotOf(fields: Partial<Snapshot>, term = 2): Message {
  const snapshot = { index: 5, term: 2, configuration, data: EMPTY_DATA, ...fields };
  return Object.assign(newMessage("snapshot", 1), { from: 2, term, snapshot });
}

test("§7: a follower behind the leader's log receives a snapshot, then what follows", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isolate(3);
  for (const value of ["a", "b", "c"]) cluster.propose(1, value);
  cluster.compact(1);
  cluster.propose(1, "d");
  const kinds: string[] = [];
  cluster.isLost = ({ to, type }) => {
    if (to === 3) kinds.push(type);
    return false;
  };
  cluster.tick(1, 1);
  cluster.settle();
  assert.ok(kinds.includes("snapshot"), kinds.join());
  assert.equal(cluster.log(3), cluster.log(1).slice(-1));
  assert.equal(cluster.applied(3), ["d"]);
  assert.is(cluster.node(1).status().members[2]!.state, "replicate");
});

test("§7: a snapshot is not sent to one that is not heard of", () => {
  const cluster = new RaftCluster({ options: { checkQuorum: true } });
  cluster.elect(1);
  cluster.isolate(3);
  for (let tick = 0; tick < 30; tick++) {
    cluster.tick(1, 1);
    cluster.settle();
  }
  cluster.propose(1, "a");
  cluster.compact(1);
  cluster.node(1).reportUnreachable(3);
  cluster.propose(1, "b");
  const third = () => cluster.node(1).status().members[2]!;
  assert.equal([third().state, third().pendingSnapshot, third().recentActive], ["probe", 0, false]);
  cluster.heal();
  cluster.tick(1, 1);
  cluster.settle();
  assert.equal([third().state, third().match], ["replicate", 4]);
});

test("Figure 13: a snapshot replaces the log, is handed out to be written, then acknowledged", () => {
  const cluster = new RaftCluster();
  assert.is(cluster.node(1).step(snapshotOf({})), "accepted");
  const ready = cluster.node(1).ready();
  assert.is(ready.snapshot?.index, 5);
  assert.equal(ready.messages.map(({ type, index }) => [type, index]), [["append_reply", 5]]);
  assert.equal(ready.committedEntries, []);
  cluster.write(cluster.get(1), ready);
  cluster.node(1).advance();
  const { applied, committed, lastIndex } = cluster.node(1).status();
  assert.equal([applied, committed, lastIndex], [5, 5, 5]);
});

test("Figure 13: an older snapshot changes nothing", () => {
  const cluster = new RaftCluster();
  cluster.node(1).step(snapshotOf({}));
  cluster.work(1);
  cluster.node(1).step(snapshotOf({ index: 4 }));
  const ready = cluster.work(1)!;
  assert.is(ready.snapshot, undefined);
  assert.is(ready.messages[0]!.index, 5, "It says how far it is");
});

test("Figure 13: a snapshot of what the log holds moves the commit index and keeps the rest", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  const text = new TextEncoder();
  cluster.node(1).propose(text.encode("a"), text.encode("b"));
  cluster.work(1);
  for (const message of cluster.queue) cluster.deliver(message);
  cluster.work(2);
  assert.is(cluster.node(2).status().committed, 2);
  const message = { ...snapshotOf({ index: 3, term: 1 }, 1), to: 2, from: 1 };
  cluster.node(2).step(message);
  assert.is(cluster.node(2).status().committed, 3);
  assert.equal(cluster.log(2), ["1:", "1:a", "1:b"]);
});

test("a snapshot that does not know this replica is not taken", () => {
  const cluster = new RaftCluster();
  cluster.node(1).step(snapshotOf({ configuration: { ...configuration, voters: [2, 3] } }));
  assert.is(cluster.node(1).status().committed, 1);
});

test("a replica with a snapshot still to be written does not campaign", () => {
  const cluster = new RaftCluster();
  cluster.node(1).step(snapshotOf({}));
  assert.is(cluster.node(1).campaign(), "not_promotable");
});

test("reportSnapshot: after failure probing starts where the logs match, after success behind it", () => {
  for (const outcome of ["failed", "arrived"] as const) {
    const cluster = new RaftCluster();
    cluster.elect(1);
    cluster.isolate(3);
    cluster.propose(1, "a");
    cluster.propose(1, "b");
    cluster.compact(1);
    cluster.isLost = ({ type }) => type === "snapshot";
    cluster.tick(1, 1);
    cluster.settle();
    const third = () => cluster.node(1).status().members[2]!;
    assert.equal([third().state, third().pendingSnapshot], ["snapshot", 4]);
    cluster.node(1).reportSnapshot(3, outcome);
    assert.is(third().state, "probe");
    assert.is(third().next, outcome === "arrived" ? 5 : 3);
    assert.ok(third().isPaused);
    cluster.heal();
    for (let tick = 0; tick < 3; tick++) {
      cluster.tick(1, 1);
      cluster.settle();
    }
    assert.is(third().match, 4);
  }
});

test("snapshot that is not there yet: nothing is sent until it is", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a");
  cluster.compact(1);
  cluster.heal();
  const { storage } = cluster.get(1);
  const snapshot = storage.snapshot.bind(storage);
  storage.snapshot = () => undefined;
  cluster.tick(1, 1);
  cluster.settle();
  assert.is(cluster.node(3).status().committed, 2);
  storage.snapshot = snapshot;
  cluster.tick(1, 1);
  cluster.settle();
  assert.is(cluster.node(3).status().committed, 3);
});

test.run();
