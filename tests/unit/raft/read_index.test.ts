/** Reads without a log entry: Raft paper §8; thesis §6.4 (ReadIndex), §6.4.1 (leases). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { newMessage, type ReadToken } from "../../../src/raft/mod.ts";
import { RaftCluster } from "../../support/raft_cluster.ts";

function read(cluster: RaftCluster, id: number): ReadToken {
  const result = cluster.node(id).readIndex();
  if (result.result !== "accepted") throw new Error(`The read was refused: ${result.result}`);
  return result.token;
}

test("thesis §6.4: a read is confirmed by a round of heartbeats, at the commit index of before", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.propose(1, "a");
  const token = read(cluster, 1);
  assert.equal(cluster.get(1).readStates, []);
  cluster.settle();
  assert.equal(cluster.get(1).readStates, [{ token, index: 3 }]);
});

test("thesis §6.4: a leader that is cut off confirms no read", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isolate(1);
  read(cluster, 1);
  cluster.settle();
  cluster.tick(1, 3);
  cluster.settle();
  assert.equal(cluster.get(1).readStates, []);
});

test("thesis §6.4 step 1: a new leader serves no read before an entry of its term is committed", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.propose(1, "a");
  // Replica 2 wins, and cannot commit its first entry.
  cluster.isLost = ({ type }) => type === "append";
  cluster.elect(2);
  assert.is(cluster.role(2), "leader");
  const token = read(cluster, 2);
  cluster.tick(2, 2);
  cluster.settle();
  assert.equal(cluster.get(2).readStates, []);
  cluster.heal();
  cluster.tick(2, 1);
  cluster.settle();
  assert.equal(cluster.get(2).readStates, [{ token, index: 4 }]);
});

test("§8: a group of one answers at once, and not before its first commit", () => {
  const cluster = new RaftCluster({ voters: [1] });
  // The entry before the first is of term 1; the replica must be in it too, or it takes the entry
  // for its own.
  cluster.get(1).storage.setHardState({ term: 1, vote: 0, commit: 1 });
  cluster.restart(1);
  cluster.node(1).campaign();
  cluster.work(1);
  assert.is(cluster.role(1), "leader");
  const early = read(cluster, 1);
  assert.is(cluster.work(1)!.readStates.length, 0);
  cluster.settle();
  assert.equal(cluster.get(1).readStates, [{ token: early, index: 2 }]);
  const token = read(cluster, 1);
  assert.equal(cluster.work(1)!.readStates, [{ token, index: 2 }]);
});

test("thesis §6.4: a follower asks its leader and is answered", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  const token = read(cluster, 3);
  cluster.settle();
  assert.equal(cluster.get(3).readStates, [{ token, index: 2 }]);
  assert.equal(cluster.get(1).readStates, []);
});

test("readIndex: without a leader it is refused", () => {
  const cluster = new RaftCluster();
  assert.equal(cluster.node(1).readIndex(), { result: "no_leader" });
});

test("readIndex: reads before the heartbeats leave share a round, later ones do not", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  const tokens = [read(cluster, 1), read(cluster, 1), read(cluster, 1)];
  const first = cluster.work(1)!;
  assert.is(first.messages.filter(({ type }) => type === "heartbeat").length, 2);
  const late = read(cluster, 1);
  const second = cluster.work(1)!;
  const rounds = second.messages.map(({ read: round }) => round?.sequence);
  assert.equal(rounds, [2, 2]);
  cluster.settle();
  const seen = cluster.get(1).readStates.map(({ token }) => token);
  assert.equal(seen, [...tokens, late]);
});

test("read tokens: the leader issues them, so that equal wishes of several replicas stay apart", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  const tokens = [read(cluster, 2), read(cluster, 3), read(cluster, 1)];
  cluster.settle();
  for (const [at, id] of [2, 3, 1].entries()) {
    assert.equal(cluster.get(id).readStates.map(({ token }) => token), [tokens[at]]);
  }
});

test("read tokens: the acknowledgement of an earlier term or round confirms nothing", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isLost = ({ type }) => type === "heartbeat";
  read(cluster, 1);
  cluster.settle();
  const reply = newMessage("heartbeat_reply", 1);
  reply.from = 2;
  reply.term = 1;
  for (
    const token of [{ origin: 9, sequence: 1 }, { origin: 1, sequence: 0 }, {
      origin: 1,
      sequence: 2,
    }]
  ) {
    cluster.node(1).step({ ...reply, read: token });
  }
  assert.is(cluster.node(1).hasReady(), false);
  cluster.node(1).step({ ...reply, read: { origin: 1, sequence: 1 } });
  assert.is(cluster.node(1).ready().readStates.length, 1);
});

test("read tokens: an answer to an earlier run of the same replica answers nothing", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  read(cluster, 3);
  cluster.work(3);
  const asked = cluster.queue;
  cluster.queue = [];
  cluster.restart(3);
  cluster.tick(1, 1);
  cluster.settle();
  const token = read(cluster, 3);
  cluster.work(3);
  cluster.queue = asked;
  cluster.settle();
  assert.equal(cluster.get(3).readStates, []);
  assert.ok(token.sequence === 1, "The numbers begin anew; the random origin tells them apart");
});

test("readIndex: a leader that is deposed says which reads it dropped", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isolate(1);
  const token = read(cluster, 1);
  cluster.settle();
  cluster.elect(2);
  cluster.heal();
  cluster.tick(2, 1);
  cluster.settle();
  assert.equal(cluster.get(1).readsDropped, [token]);
  assert.equal(cluster.get(1).readStates, []);
});

test("readsPendingMax: reads above it are refused", () => {
  const cluster = new RaftCluster({ options: { readsPendingMax: 2 } });
  cluster.elect(1);
  read(cluster, 1);
  read(cluster, 1);
  assert.equal(cluster.node(1).readIndex(), { result: "overloaded" });
  cluster.settle();
  assert.is(cluster.get(1).readStates.length, 2);
  read(cluster, 1);
});

test("thesis §4.3, §6.4: while joint, both majorities must confirm a read", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  for (const id of [4, 5]) cluster.add(id);
  const changes = [
    { kind: "remove", replica: 2 },
    { kind: "remove", replica: 3 },
    { kind: "add_voter", replica: 4 },
    { kind: "add_voter", replica: 5 },
  ] as const;
  cluster.change(1, { transition: "joint_explicit", changes });
  for (const cutOff of [[2, 3], [4, 5]]) {
    cluster.get(1).readStates.length = 0;
    cluster.isLost = ({ to }) => cutOff.includes(to);
    read(cluster, 1);
    cluster.settle();
    assert.equal(cluster.get(1).readStates, [], cutOff.join());
    cluster.heal();
    cluster.tick(1, 1);
    cluster.settle();
    assert.is(cluster.get(1).readStates.length, 1);
  }
});

test("readMode clock: reads are answered at once, once the term has a commit", () => {
  const cluster = new RaftCluster({ options: { readMode: "clock", checkQuorum: true } });
  cluster.elect(1);
  const token = read(cluster, 1);
  assert.equal(cluster.work(1)!.readStates, [{ token, index: 2 }]);
  assert.is(
    cluster.node(2).forgetLeader(),
    false,
    "The lease rests on the leader being remembered",
  );
});

test.run();
