/** Groups that need neither ticks nor messages, and the preconditions that a leader checks. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RaftCluster } from "../../support/raft_cluster.ts";

const everybody = () => true;

test("maySleep: when every member holds the log and has said that it knows it committed", () => {
  const cluster = new RaftCluster({ learners: [4] });
  assert.is(cluster.node(1).maySleep(everybody), false, "Nobody leads");
  cluster.elect(1);
  cluster.propose(1, "a");
  assert.is(cluster.node(1).maySleep(everybody), true);
  assert.is(cluster.node(2).maySleep(everybody), false, "Only the leader knows");
});

test("maySleep: not while the commit index may not have arrived", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isLost = ({ entries, to, type }) => to === 3 && type === "append" && entries.length === 0;
  cluster.propose(1, "a");
  assert.is(cluster.node(1).status().members[2]!.match, 3);
  assert.is(cluster.node(1).maySleep(everybody), false);
  cluster.heal();
  cluster.tick(1, 1);
  cluster.settle();
  assert.is(cluster.node(3).committed, 3);
  assert.is(cluster.node(1).maySleep(everybody), true);
});

test("maySleep: a member that is not alive is not waited for", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a");
  assert.is(cluster.node(1).maySleep(everybody), false);
  assert.is(cluster.node(1).maySleep((id) => id !== 3), true);
});

test("maySleep: not with a proposal, a read, a transfer or a joint configuration under way", () => {
  const make = () => {
    const cluster = new RaftCluster();
    cluster.elect(1);
    assert.is(cluster.node(1).maySleep(everybody), true);
    return cluster;
  };
  const proposing = make();
  proposing.node(1).propose(new Uint8Array(1));
  assert.is(proposing.node(1).maySleep(everybody), false);

  const reading = make();
  reading.isLost = ({ type }) => type === "heartbeat";
  reading.node(1).readIndex();
  reading.settle();
  assert.is(reading.node(1).maySleep(everybody), false);

  const transferring = make();
  transferring.isLost = ({ type }) => type === "timeout_now";
  transferring.node(1).transferLeader(2);
  transferring.settle();
  assert.is(transferring.node(1).maySleep(everybody), false);

  const joint = make();
  const changes = [{ kind: "add_learner", replica: 3 }] as const;
  joint.change(1, { transition: "joint_explicit", changes });
  assert.is(joint.node(1).maySleep(everybody), false);
  joint.change(1, {});
  assert.is(joint.node(1).maySleep(everybody), true);
});

test("maySleep: after a transfer that failed, not before all members were heard of again", () => {
  const cluster = new RaftCluster({ options: { checkQuorum: true } });
  cluster.elect(1);
  cluster.isLost = ({ type }) => type === "timeout_now" || type === "heartbeat";
  const leader = cluster.node(1);
  leader.transferLeader(2);
  // The check of the quorum, which also ends the transfer, forgets who was heard of.
  for (let ticks = 0; leader.status().transferee !== 0; ticks++) {
    assert.ok(ticks < 100, "The transfer does not end");
    cluster.tick(1, 1);
    cluster.settle();
  }
  assert.is(leader.maySleep(everybody), false);
  cluster.heal();
  for (let ticks = 0; !leader.maySleep(everybody); ticks++) {
    assert.ok(ticks < 100, "It never sleeps");
    cluster.tick(1, 1);
    cluster.settle();
  }
  assert.ok(leader.status().members.every(({ recentActive }) => recentActive));
});

test("maySleep: a new leader waits until its members have said so to it", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  assert.is(cluster.node(1).maySleep(everybody), true);
  cluster.isLost = ({ from, type }) => from === 3 && type === "append_reply";
  cluster.elect(2);
  assert.is(cluster.node(2).maySleep(everybody), false);
});

test.run();
