/** Leadership transfer: thesis §3.10. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ELECTION_TICKS, RaftCluster } from "../../support/raft_cluster.ts";

test("thesis §3.10: leadership passes to a server whose log is up to date, at once", () => {
  const cluster = new RaftCluster({ options: { checkQuorum: true, preVote: true } });
  cluster.elect(1);
  assert.is(cluster.node(1).transferLeader(2), "accepted");
  cluster.settle();
  assert.is(cluster.role(2), "leader");
  assert.is(cluster.node(1).status().lead, 2);
});

test("thesis §3.10: a server that is behind is brought up to date first", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a");
  cluster.heal();
  cluster.node(1).transferLeader(3);
  cluster.tick(1, 1);
  cluster.settle();
  assert.is(cluster.role(3), "leader");
  assert.equal(cluster.applied(3), ["a"]);
});

test("thesis §3.10: the leader takes no proposals while it hands over", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isolate(3);
  cluster.node(1).transferLeader(3);
  const { lastIndex } = cluster.node(1).status();
  assert.is(cluster.node(1).propose(new Uint8Array(1)), "transferring");
  assert.is(cluster.node(1).status().lastIndex, lastIndex);
});

test("thesis §3.10: a transfer that takes an election timeout is given up", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a");
  cluster.node(1).transferLeader(3);
  cluster.tick(1, ELECTION_TICKS);
  assert.is(cluster.node(1).status().transferee, 0);
  assert.is(cluster.node(1).propose(new Uint8Array(1)), "accepted");
});

test("transferLeader: to itself, to a learner, to a non-member, to the same again", () => {
  const cluster = new RaftCluster({ voters: [1, 2], learners: [3] });
  cluster.elect(1);
  assert.is(cluster.node(1).transferLeader(1), "accepted");
  assert.is(cluster.node(1).status().transferee, 0);
  assert.is(cluster.node(1).transferLeader(3), "learner");
  assert.is(cluster.node(1).transferLeader(9), "unknown_member");
  cluster.node(1).transferLeader(2);
  cluster.node(1).transferLeader(2);
  const sent = cluster.work(1)!.messages.filter(({ type }) => type === "timeout_now");
  assert.is(sent.length, 1);
});

test("transferLeader: another transfer replaces one under way", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isolate(2);
  cluster.propose(1, "a");
  cluster.node(1).transferLeader(2);
  assert.is(cluster.node(1).status().transferee, 2);
  cluster.node(1).transferLeader(3);
  cluster.settle();
  assert.is(cluster.role(3), "leader");
});

test("transferLeader: a follower sends the wish on, without a leader it cannot", () => {
  const cluster = new RaftCluster();
  assert.is(cluster.node(2).transferLeader(2), "no_leader");
  cluster.elect(1);
  assert.is(cluster.node(2).transferLeader(3), "accepted");
  cluster.settle();
  assert.is(cluster.role(3), "leader");
});

test("thesis §3.10: the removal of the one to lead ends the transfer", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  const change = {
    transition: "auto",
    changes: [{ kind: "remove", replica: 3 }],
    context: new Uint8Array(0),
  } as const;
  assert.is(cluster.node(1).proposeConfChange(change), "accepted");
  cluster.isLost = ({ to }) => to === 3;
  cluster.node(1).transferLeader(3);
  cluster.settle();
  assert.equal(cluster.node(1).status().configuration.voters, [1, 2]);
  assert.is(cluster.node(1).status().transferee, 0);
});

test("isLeaseAllowed: from the term's first commit on, and never again once TimeoutNow was sent", () => {
  const cluster = new RaftCluster();
  cluster.get(1).storage.setHardState({ term: 1, vote: 0, commit: 1 });
  cluster.restart(1);
  assert.is(cluster.node(1).isLeaseAllowed(), false);
  cluster.isLost = ({ type }) => type === "append";
  cluster.elect(1);
  assert.is(cluster.node(1).role, "leader");
  assert.is(cluster.node(1).isLeaseAllowed(), false, "Nothing of its term is committed");
  cluster.heal();
  cluster.tick(1, 1);
  cluster.settle();
  assert.is(cluster.node(1).isLeaseAllowed(), true);
  // A transfer that waits for its target's log has not told any replica to campaign yet.
  cluster.isolate(3);
  cluster.propose(1, "a");
  cluster.node(1).transferLeader(3);
  assert.is(cluster.node(1).isLeaseAllowed(), true);
  cluster.node(1).transferLeader(2);
  assert.is(cluster.node(1).isLeaseAllowed(), false);
  cluster.queue = [];
  cluster.isLost = ({ type }) => type === "timeout_now";
  cluster.settle();
  cluster.tick(1, 2 * ELECTION_TICKS);
  cluster.settle();
  assert.equal([cluster.node(1).role, cluster.node(1).status().transferee], ["leader", 0]);
  assert.is(cluster.node(1).isLeaseAllowed(), false, "The message may still arrive");
  cluster.heal();
  cluster.node(1).campaign();
  const { term } = cluster.node(1);
  cluster.elect(2);
  cluster.elect(1);
  assert.ok(cluster.node(1).term > term);
  assert.is(cluster.node(1).isLeaseAllowed(), true, "A new term begins anew");
});

test.run();
