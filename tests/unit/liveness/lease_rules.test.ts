/**
 * The seven rules of leases, each by name, over production liveness and, where the core is
 * involved, production cores; and the computation of a lease.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { groupId, nodeId, replicaId } from "../../../src/base/ids.ts";
import { BEAT_MS, CLOCK_JUMP_MS, SUPPORT_MS, TURN_LATE_MS } from "../../../src/base/limits.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import type { Fortification } from "../../../src/liveness/mod.ts";
import { countedMs, Liveness, LIVENESS_TIMING, restartWaitMs } from "../../../src/liveness/mod.ts";
import {
  EMPTY_CONFIGURATION,
  EMPTY_DATA,
  MemoryStorage,
  newMessage,
  RaftNode,
} from "../../../src/raft/mod.ts";
import { DIRECTORY, type FakeReplica, LivenessNodes } from "../../support/liveness_nodes.ts";
import { ELECTION_TICKS, RaftCluster } from "../../support/raft_cluster.ts";

const ONE = nodeId(1);
const TWO = nodeId(2);
const COUNTED_MS = countedMs(LIVENESS_TIMING);

interface Group {
  readonly nodes: LivenessNodes;
  readonly groups: readonly Fortification[];
  readonly replicas: readonly FakeReplica[];
  /** Reports whether replica 1, which leads, holds a lease now. */
  hasLease(): boolean;
}

/** Returns a group led from node 1, with every promise made and every node supported. */
function ledGroup(count = 3, term = 1): Group {
  const nodes = new LivenessNodes(count);
  nodes.round();
  const groups = nodes.nodes.map((node) => node.add(1));
  const replicas = nodes.fortify(groups, 1, term);
  const hasLease = () => groups[0]!.hasLease(replicas[0]!, nodes.node(1).liveness.nowMs());
  return { nodes, groups, replicas, hasLease };
}

test("rule 1: no lease before an entry of the leader's own term is committed", () => {
  const { nodes, groups } = ledGroup(3, 2);
  const cluster = new RaftCluster();
  cluster.elect(3);
  cluster.node(1).campaign();
  while (cluster.role(1) !== "leader") {
    for (const id of [1, 2, 3]) while (cluster.work(id) !== undefined);
    for (const message of cluster.queue.splice(0)) cluster.deliver(message);
  }
  const node = cluster.node(1);
  assert.is(node.term, 2);
  groups[0]!.lead(2, node.configuration);
  assert.ok(groups[0]!.hasQuorum(2), "Support is there already");
  assert.not.ok(groups[0]!.hasLease(node, nodes.node(1).liveness.nowMs()));
  cluster.settle();
  assert.ok(groups[0]!.hasLease(node, nodes.node(1).liveness.nowMs()));
});

test("rule 2: once TimeoutNow was sent, no lease in that term, not after an abort either", () => {
  const { nodes, groups } = ledGroup();
  const cluster = new RaftCluster();
  cluster.elect(1);
  const node = cluster.node(1);
  groups[0]!.lead(1, node.configuration);
  const hasLease = () => groups[0]!.hasLease(node, nodes.node(1).liveness.nowMs());
  assert.ok(hasLease());
  cluster.isLost = ({ type }) => type === "timeout_now";
  node.transferLeader(2);
  assert.not.ok(hasLease(), "Before the message left");
  cluster.settle();
  cluster.tick(1, 2 * ELECTION_TICKS);
  cluster.settle();
  assert.is(node.status().transferee, 0, "The transfer was given up");
  assert.equal([node.role, node.term], ["leader", 1]);
  assert.not.ok(hasLease());
});

test("rule 3: a node that restarts neither votes nor campaigns until its old promises ran out", () => {
  const nodes = new LivenessNodes(3);
  nodes.round();
  const two = nodes.node(2);
  two.restart();
  nodes.introduce(two);
  const support = two.add(1);
  const storage = new MemoryStorage();
  const configuration = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3] };
  storage.applySnapshot({ index: 1, term: 1, configuration, data: EMPTY_DATA });
  // No vote was cast in term 5 yet: a request of that same term must be held off, too.
  storage.setHardState({ term: 5, vote: 0, commit: 1 });
  const node = RaftNode.start({
    id: 2,
    storage,
    applied: 1,
    support,
    entropy: new SeededEntropy(1),
    electionTicks: 10,
    heartbeatTicks: 1,
  });
  const request = newMessage("vote", 2);
  Object.assign(request, { from: 3, term: 5, index: 9, logTerm: 5 });
  const waitMs = restartWaitMs(LIVENESS_TIMING);
  assert.ok(waitMs >= SUPPORT_MS);
  two.clocks.advance(waitMs - 1);
  assert.not.ok(two.liveness.mayVote());
  assert.is(node.campaign(), "leader_supported");
  assert.is(node.step(request), "leader_alive");
  assert.is(node.step({ ...request, term: 6 }), "leader_alive");
  assert.is(node.step({ ...request, type: "pre_vote", term: 6 }), "leader_alive");
  two.clocks.advance(1);
  assert.ok(two.liveness.mayVote());
  assert.is(node.step(request), "accepted");
  assert.is(node.status().vote, 3);
});

test("rule 3: a node that never supported anybody does not wait", () => {
  const nodes = new LivenessNodes(1);
  assert.ok(nodes.node(1).liveness.mayVote());
});

test("rule 3: a restarted follower is not counted, by what it promised before or by late frames of then", () => {
  const { nodes, groups, replicas, hasLease } = ledGroup();
  const two = nodes.node(2);
  const old = { replica: 2, term: 1, run: two.run, epoch: two.liveness.supportedEpoch(ONE) };
  two.restart();
  nodes.introduce(two);
  nodes.node(3).clocks.advance(SUPPORT_MS);
  nodes.remove(1, 3);
  nodes.round();
  nodes.round();
  assert.ok(nodes.node(1).liveness.supportUntilMs(TWO) > 0, "Its new run supports node 1");
  assert.not.ok(hasLease());
  groups[0]!.fortified(old);
  assert.not.ok(hasLease());
  const again = [groups[0]!, two.add(1), groups[2]!];
  assert.ok(nodes.reply(again, replicas[1]!, 1, 1));
  assert.ok(hasLease());
});

test("rule 4: a change of the configuration waits for support to cover a quorum of the incoming one", () => {
  const { groups, nodes, replicas } = ledGroup(5);
  const [leader] = groups;
  const three = { voters: [1, 2, 3], votersOutgoing: [], learners: [4, 5] };
  for (const replica of replicas) replica.configuration = three;
  leader!.lead(1, three);
  // Replicas 4 and 5 are learners that have not promised yet.
  nodes.remove(1, 4, 5);
  const incoming = { voters: [1, 4, 5], votersOutgoing: [1, 2, 3], learners: [] };
  assert.not.ok(leader!.supportsIncoming(incoming));
  assert.ok(
    leader!.supportsIncoming({ ...three, voters: [1, 2, 3, 4] }),
    "Three of four are there",
  );
  nodes.addBack(1, 4);
  nodes.round();
  nodes.round();
  assert.not.ok(leader!.supportsIncoming(incoming), "Support alone is no promise of the group");
  assert.ok(nodes.reply(groups, replicas[3]!, 1, 1));
  assert.ok(leader!.supportsIncoming(incoming));
  nodes.node(1).liveness.stall(true);
  assert.not.ok(leader!.supportsIncoming(incoming));
});

test("rule 5: a suspended machine holds no lease when it wakes, nor by answers to earlier beats", () => {
  const { nodes, hasLease, groups, replicas } = ledGroup();
  assert.ok(hasLease());
  const { clocks, liveness } = nodes.node(1);
  const beat = liveness.beat(TWO);
  nodes.node(2).liveness.receive(ONE, beat);
  const answer = nodes.node(2).liveness.beat(ONE);
  clocks.suspend(CLOCK_JUMP_MS + 1);
  assert.not.ok(hasLease());
  assert.ok(liveness.poll().voided);
  assert.not.ok(liveness.poll().voided, "Told once");
  liveness.receive(TWO, answer);
  assert.not.ok(hasLease());
  for (const replica of [2, 3]) nodes.reply(groups, replicas[replica - 1]!, 1, 1);
  nodes.round();
  nodes.round();
  assert.ok(hasLease(), "New beats give it back: the promises stood all the while");
});

test("rule 5: many short suspends count like one long one", () => {
  const { nodes, hasLease } = ledGroup();
  const { clocks, liveness } = nodes.node(1);
  let suspendedMs = 0;
  while (hasLease()) {
    clocks.suspend(20);
    suspendedMs += 20;
    clocks.advance(1);
    assert.ok(suspendedMs < CLOCK_JUMP_MS + 40, `${suspendedMs} ms were hidden`);
  }
  assert.ok(liveness.poll().voided);
});

test("rule 5: a turn that comes far too late finds no lease", () => {
  const { nodes, hasLease } = ledGroup();
  const { clocks, liveness } = nodes.node(1);
  clocks.advance(TURN_LATE_MS);
  assert.ok(hasLease());
  clocks.advance(TURN_LATE_MS + 1);
  assert.not.ok(hasLease());
  assert.ok(liveness.poll().voided);
  // Far below the duration of support: only the turn ended it.
  nodes.round();
  nodes.round();
  clocks.advance(1);
  assert.ok(hasLease());
});

test("rule 5: a wall clock that is set voids the lease; clocks that drift do not", () => {
  const { nodes, hasLease } = ledGroup();
  const { clocks, liveness } = nodes.node(1);
  for (let beats = 0; beats < 2_000; beats++) {
    nodes.advance(BEAT_MS);
    // The wall clock of node 1 runs fast by the whole drift, in whole milliseconds.
    if (beats % 7 === 0) clocks.suspend(1);
    nodes.round();
    assert.ok(hasLease(), `After ${beats} beats`);
  }
  assert.not.ok(liveness.poll().voided);
  clocks.wallMs -= 3_600_000;
  assert.not.ok(hasLease());
});

test("rule 6: support that lapsed does not revive, and neither do promises that rested on it", () => {
  const { nodes, groups, hasLease } = ledGroup();
  const [, two, three] = nodes.nodes;
  two!.clocks.advance(SUPPORT_MS);
  three!.clocks.advance(SUPPORT_MS);
  assert.not.ok(groups[1]!.isBound(1, 1));
  assert.not.ok(groups[2]!.isBound(1, 1));
  // Both may have voted by now.
  for (let rounds = 0; rounds < 3; rounds++) {
    nodes.round();
    assert.is(two!.liveness.supportedEpoch(ONE), 0);
    assert.not.ok(hasLease());
  }
  nodes.node(1).raiseEpochs();
  nodes.round();
  assert.equal([two, three].map((node) => node!.liveness.supportedEpoch(ONE)), [2, 3]);
  assert.ok(nodes.node(1).liveness.supportUntilMs(TWO) > 0);
  assert.not.ok(groups[1]!.isBound(1, 1), "The promise named the lapsed epoch");
  assert.not.ok(hasLease(), "Support for the node is not yet a promise of the group");
});

test("rule 7: a stalled leader neither serves nor beats, and goes on when it is through", () => {
  const { nodes, groups, hasLease } = ledGroup();
  const { liveness, clocks } = nodes.node(1);
  liveness.stall(true);
  assert.not.ok(hasLease());
  assert.not.ok(groups[0]!.hasQuorum(1));
  clocks.advance(BEAT_MS);
  assert.equal(liveness.dueBeats(), []);
  assert.is(liveness.receive(TWO, nodes.node(2).liveness.beat(ONE)), undefined);
  liveness.stall(false);
  assert.ok(hasLease());
});

test("leases off: there is none, not for a group of one either, and support goes on", () => {
  for (const areLeasesOn of [false, true]) {
    const { clocks } = new LivenessNodes(1).node(1);
    const liveness = new Liveness({
      self: ONE,
      run: 1,
      mayHaveSupported: false,
      ...clocks,
      directory: DIRECTORY,
      areLeasesOn,
    });
    const group = liveness.addGroup(groupId(1), replicaId(1));
    const configuration = { voters: [1], votersOutgoing: [], learners: [] };
    const leader = { term: 1, configuration, isLeaseAllowed: () => true };
    group.lead(1, configuration);
    assert.is(group.hasLease(leader, liveness.nowMs()), areLeasesOn);
    assert.ok(group.hasQuorum(1));
  }
});

test("a lease is the quorum minimum of when the answered beats were sent", () => {
  const { nodes, hasLease } = ledGroup(5);
  const { clocks, liveness } = nodes.node(1);
  nodes.node(1).liveness.poll();
  const startMs = clocks.monotonicMs;
  // Nodes 2 and 3 answer later beats; 4 and 5 are not heard any more.
  for (let beats = 0; beats < 3; beats++) {
    nodes.advance(BEAT_MS);
    for (const to of [2, 3]) {
      nodes.node(to).liveness.receive(ONE, liveness.beat(nodeId(to)));
      liveness.receive(nodeId(to), nodes.node(to).liveness.beat(ONE));
    }
  }
  clocks.advance(COUNTED_MS - 3 * BEAT_MS);
  assert.ok(clocks.monotonicMs - startMs >= COUNTED_MS, "Nodes 4 and 5 count no more");
  assert.ok(hasLease());
  clocks.advance(3 * BEAT_MS - 1);
  assert.ok(hasLease());
  clocks.advance(1);
  assert.not.ok(hasLease());
});

test("lease: needs both halves of a joint configuration, and counts the leader only where it votes", () => {
  const { nodes, groups, replicas } = ledGroup(5);
  const [leader] = groups;
  const hasLease = (voters: number[], votersOutgoing: number[]) => {
    replicas[0]!.configuration = { voters, votersOutgoing, learners: [] };
    return leader!.hasLease(replicas[0]!, nodes.node(1).liveness.nowMs());
  };
  nodes.remove(1, 4, 5);
  assert.ok(hasLease([1, 2, 3], []));
  assert.ok(hasLease([1, 2, 3, 4, 5], []));
  assert.ok(hasLease([1, 2, 4], [1, 3, 5]));
  assert.not.ok(hasLease([1, 2, 3], [3, 4, 5]));
  assert.not.ok(hasLease([1, 4, 5], [1, 2, 3]));
  assert.not.ok(hasLease([2, 4], [1, 3]), "Without itself, half of two is no majority");
  assert.ok(hasLease([2, 3], [1, 2]));
  assert.not.ok(hasLease([], []));
});

test("a lease asks for the core's term, role and say at this very moment", () => {
  const { replicas, hasLease } = ledGroup();
  const [leader] = replicas;
  assert.ok(hasLease());
  leader!.isAllowed = false;
  assert.not.ok(hasLease());
  leader!.isAllowed = true;
  leader!.term = 2;
  assert.not.ok(hasLease(), "What was promised in term 1 counts for nothing in term 2");
});

test.run();
