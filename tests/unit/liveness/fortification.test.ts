/**
 * A follower's promise: its creation, the events that end it, the events that do not, and its
 * representation in beats.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { groupId, nodeId } from "../../../src/base/ids.ts";
import { ASK_AGAIN_MS, BEAT_GROUPS_MAX, BEAT_MS, SUPPORT_MS } from "../../../src/base/limits.ts";
import {
  type Beat,
  type Fortification,
  LIVENESS_TIMING,
  restartWaitMs,
} from "../../../src/liveness/mod.ts";
import { FakeReplica, LivenessNodes } from "../../support/liveness_nodes.ts";

const ONE = nodeId(1);
const TWO = nodeId(2);
const CONFIGURATION = { voters: [1, 2, 3], votersOutgoing: [], learners: [] };

interface Group {
  readonly nodes: LivenessNodes;
  readonly groups: readonly Fortification[];
  readonly replicas: readonly FakeReplica[];
}

/** Returns a group of three, led from node 1 in term 4, with every promise made. */
function ledGroup(): Group {
  const nodes = new LivenessNodes(3);
  nodes.round();
  const groups = nodes.nodes.map((node) => node.add(1));
  return { nodes, groups, replicas: nodes.fortify(groups, 1, 4) };
}

test("a follower that promised is bound, to whatever term it moved and whomever it forgot", () => {
  const { groups } = ledGroup();
  const [, follower] = groups;
  assert.ok(follower!.isBound(1, 4));
  assert.ok(follower!.isBound(0, 4));
  assert.ok(follower!.isBound(0, 9));
});

test("voteRestrictionAt returns a replica's restriction at a time, without changing it", () => {
  const { nodes, groups } = ledGroup();
  const [leader, follower] = groups;
  const nowMs = nodes.node(2).liveness.nowMs();
  const bond = follower!.voteRestrictionAt(nowMs);
  assert.ok(bond !== undefined && typeof bond !== "string");
  assert.equal([bond.leader, bond.term], [1, 4]);
  assert.is(leader!.voteRestrictionAt(nowMs), undefined, "A leader promised nothing");
  assert.is(follower!.voteRestrictionAt(nowMs + SUPPORT_MS), undefined);
  assert.ok(follower!.isBound(1, 4), "That time has not come");
  nodes.node(2).clocks.advance(SUPPORT_MS);
  assert.is(follower!.voteRestrictionAt(nowMs + SUPPORT_MS), undefined);
  assert.is(follower!.voteRestrictionAt(nowMs), bond, "Nobody has seen the lapse yet");
  assert.not.ok(follower!.isBound(1, 4));
  assert.is(follower!.voteRestrictionAt(nowMs), undefined);
});

test("voteRestrictionAt says that an earlier run may bind, as long as mayVote does", () => {
  const { nodes } = ledGroup();
  const restarted = nodes.node(2);
  restarted.restart();
  const group = restarted.add(1);
  const nowMs = restarted.liveness.nowMs();
  assert.is(group.voteRestrictionAt(nowMs), "earlier_run");
  assert.is(group.voteRestrictionAt(nowMs + restartWaitMs(LIVENESS_TIMING)), undefined);
  assert.not.ok(restarted.liveness.mayVote());
  restarted.clocks.advance(restartWaitMs(LIVENESS_TIMING));
  assert.ok(restarted.liveness.mayVote());
  assert.is(group.voteRestrictionAt(restarted.liveness.nowMs()), undefined);
});

test("boundMs returns how long a leader, a follower and a restarted node stay bound", () => {
  const cases = [
    { number: 1, lead: 1, isRestarted: false },
    { number: 2, lead: 1, isRestarted: false },
    { number: 2, lead: 0, isRestarted: true },
  ];
  for (const { number, lead, isRestarted } of cases) {
    const { nodes, groups } = ledGroup();
    const node = nodes.node(number);
    if (isRestarted) node.restart();
    const group = isRestarted ? node.add(1) : groups[number - 1]!;
    const boundMs = group.boundMs(lead, 4);
    assert.ok(boundMs > 1_000 && boundMs < restartWaitMs(LIVENESS_TIMING) + 1, `${boundMs}`);
    // A node whose clock was not read for longer counts as paused.
    for (let leftMs = boundMs - 1; leftMs > 0; leftMs -= BEAT_MS) {
      node.clocks.advance(Math.min(BEAT_MS, leftMs));
      assert.ok(group.isBound(lead, 4));
    }
    node.clocks.advance(1.001);
    assert.not.ok(group.isBound(lead, 4));
    assert.is(group.boundMs(lead, 4), 0);
  }
});

test("a promise ends when a leader of a higher term is followed, and stays ended", () => {
  const { groups } = ledGroup();
  const [, follower] = groups;
  assert.not.ok(follower!.isBound(3, 5));
  assert.not.ok(follower!.isBound(0, 5));
});

test("a promise ends when the support it names ends, or goes on under another epoch", () => {
  for (const isRaised of [false, true]) {
    const { nodes, groups } = ledGroup();
    if (isRaised) {
      nodes.node(1).liveness.raiseEpoch(TWO, 2);
      nodes.round();
      assert.is(nodes.node(2).liveness.supportedEpoch(ONE), 2);
    } else {
      nodes.node(2).clocks.advance(SUPPORT_MS);
    }
    assert.not.ok(groups[1]!.isBound(1, 4));
  }
});

test("a promise ends when the leader says that it leads no more, by any message of it that comes", () => {
  const { nodes, groups, replicas } = ledGroup();
  groups[0]!.stopLeading();
  assert.equal(nodes.node(1).liveness.dueBeats(), [2, 3], "At once");
  nodes.beat(1, 2);
  assert.not.ok(groups[1]!.isBound(1, 4));
  assert.ok(groups[2]!.isBound(1, 4), "Node 3 did not hear it");
  // It is repeated until it is acknowledged.
  nodes.advance(BEAT_MS);
  const told = nodes.node(1).liveness.beat(nodeId(3));
  assert.equal(told.released, [{ group: 1, term: 4 }]);
  assert.equal(nodes.node(1).liveness.beat(nodeId(3)).released, told.released);
  nodes.deliver(1, 3, told);
  assert.not.ok(groups[2]!.isBound(1, 4));
  nodes.advance(BEAT_MS);
  nodes.beat(3, 1);
  assert.equal(nodes.node(1).liveness.beat(nodeId(3)).released, []);
  assert.not.ok(groups[0]!.hasQuorum(4));
  assert.ok(replicas.length === 3);
});

test("a group that was released from its promise wakes, for it may have been asleep by it", () => {
  const { nodes, groups } = ledGroup();
  groups[0]!.stopLeading();
  nodes.node(2).liveness.poll();
  nodes.beat(1, 2);
  assert.equal(nodes.node(2).liveness.poll().wake, [1]);
  nodes.beat(1, 2);
  assert.equal(nodes.node(2).liveness.poll().wake, [], "It had no promise any more");
});

test("a release in a term does not affect later terms", () => {
  const { nodes, groups, replicas } = ledGroup();
  groups[0]!.stopLeading();
  const late = nodes.node(1).liveness.beat(TWO);
  groups[0]!.lead(6, CONFIGURATION);
  replicas[1]!.follow(1, 6);
  assert.ok(nodes.reply(groups, replicas[1]!, 1, 6));
  nodes.deliver(1, 2, late);
  assert.ok(groups[1]!.isBound(1, 6));
  assert.ok(groups[0]!.hasQuorum(6));
});

test("an echo acknowledges only promises sent with that beat and in all later ones", () => {
  const { nodes, groups } = ledGroup();
  const { liveness: one } = nodes.node(1);
  const { liveness: two } = nodes.node(2);
  const before = one.beat(TWO);
  groups[0]!.stopLeading();
  one.beat(TWO);
  two.receive(ONE, before);
  one.receive(TWO, two.beat(ONE));
  assert.is(one.beat(TWO).released.length, 1, "Beat 1 was echoed, which told nothing yet");
  two.receive(ONE, one.beat(TWO));
  one.receive(TWO, two.beat(ONE));
  assert.is(one.beat(TWO).released.length, 0);
});

test("promise: refused for a reply of an earlier term or leader, and by a replica that is no follower", () => {
  const { nodes, groups, replicas } = ledGroup();
  const [, follower] = groups;
  const [, replica] = replicas;
  const epoch = nodes.node(2).liveness.supportedEpoch(ONE);
  const reply = { to: 1, term: 4 };
  assert.ok(follower!.fortify(reply, replica!, epoch));
  // The reply waited for its write while this replica voted in term 5.
  replica!.follow(0, 5);
  assert.not.ok(follower!.fortify(reply, replica!, epoch));
  replica!.follow(3, 4);
  assert.not.ok(follower!.fortify(reply, replica!, epoch));
  replica!.follow(1, 4);
  replica!.role = "pre_candidate";
  assert.not.ok(follower!.fortify(reply, replica!, epoch));
});

test("promise: refused under an epoch that the frame does not name or that is not supported", () => {
  const { nodes, groups, replicas } = ledGroup();
  const [, replica] = replicas;
  const [, follower] = groups;
  assert.not.ok(follower!.fortify({ to: 1, term: 4 }, replica!, 0));
  assert.not.ok(follower!.fortify({ to: 1, term: 4 }, replica!, 7));
  nodes.node(2).clocks.advance(SUPPORT_MS);
  assert.not.ok(follower!.fortify({ to: 1, term: 4 }, replica!, 1));
  assert.not.ok(follower!.isBound(1, 4));
});

test("a promise under an earlier epoch, from an earlier run or an unknown node is not counted", () => {
  const { nodes, groups } = ledGroup();
  const [leader] = groups;
  nodes.node(1).liveness.raiseEpoch(TWO, 2);
  nodes.node(1).liveness.raiseEpoch(nodeId(3), 3);
  nodes.round();
  assert.not.ok(leader!.hasQuorum(4));
  const good = { replica: 2, term: 4, run: 1, epoch: 2 };
  for (
    const change of [{ epoch: 1 }, { run: 2 }, { replica: 3 }, { replica: 102 }, { term: 3 }]
  ) {
    leader!.fortified({ ...good, ...change });
    assert.not.ok(leader!.hasQuorum(4), JSON.stringify(change));
  }
  leader!.fortified(good);
  assert.ok(leader!.hasQuorum(4));
});

test("a promise to who leads no more is released as soon as it is heard of", () => {
  const { nodes, groups, replicas } = ledGroup();
  groups[0]!.stopLeading();
  nodes.round();
  nodes.round();
  assert.not.ok(groups[1]!.isBound(1, 4));
  // A delayed append makes replica 2 promise once more.
  assert.ok(nodes.reply(groups, replicas[1]!, 1, 4));
  assert.ok(groups[1]!.isBound(1, 4));
  nodes.beat(1, 2);
  assert.not.ok(groups[1]!.isBound(1, 4));
});

test("a released promise is never counted again in that term, in any order of arrival", () => {
  const { nodes, groups, replicas } = ledGroup();
  groups[0]!.stopLeading();
  const release = nodes.node(1).liveness.beat(TWO);
  // An owner with an error: it reports leading after it reported that it stopped.
  groups[0]!.lead(4, CONFIGURATION);
  assert.ok(nodes.reply(groups, replicas[1]!, 1, 4));
  assert.ok(nodes.reply(groups, replicas[2]!, 1, 4));
  nodes.deliver(1, 2, release);
  assert.not.ok(groups[1]!.isBound(1, 4));
  assert.not.ok(groups[0]!.hasQuorum(4));
});

test("a promise that the leader does not know of is found by the digest, and made void or said again", () => {
  const { nodes, groups, replicas } = ledGroup();
  const { liveness: two } = nodes.node(2);
  const fresh = nodes.nodes.map((node) => node.add(2));
  const epoch = two.supportedEpoch(ONE);
  // Both promises of node 2 for group 2 are lost in transit; only node 2 knows of them.
  assert.ok(fresh[1]!.fortify({ to: 1, term: 4 }, replicas[1]!, epoch));
  nodes.advance(BEAT_MS);
  nodes.round();
  nodes.advance(BEAT_MS);
  nodes.round();
  assert.not.ok(fresh[1]!.isBound(1, 4), "Node 1 does not lead group 2 at all");
  assert.ok(groups[1]!.isBound(1, 4), "Group 1 is led");

  fresh[0]!.lead(4, CONFIGURATION);
  assert.equal(nodes.node(1).liveness.poll().wake, []);
  // This time it leads.
  fresh[0]!.lead(5, CONFIGURATION);
  replicas[1]!.follow(1, 5);
  assert.ok(fresh[1]!.fortify({ to: 1, term: 5 }, replicas[1]!, epoch));
  for (let rounds = 0; rounds < 3; rounds++) {
    nodes.advance(BEAT_MS);
    nodes.round();
  }
  assert.ok(fresh[1]!.isBound(1, 5));
  assert.equal(nodes.node(1).liveness.poll().wake, [2], "So that the promise is said again");
  assert.equal(nodes.node(1).liveness.poll().wake, []);
  assert.ok(nodes.reply(fresh, replicas[1]!, 1, 5));
  nodes.advance(BEAT_MS);
  nodes.round();
  nodes.round();
  assert.equal(two.beat(ONE).asked, [], "Both sides count alike");
});

test("digests: nothing is asked while they agree, also after elections, restarts and changes of members", () => {
  const { nodes, groups, replicas } = ledGroup();
  const isQuiet = () => {
    for (let rounds = 0; rounds < 2; rounds++) {
      nodes.advance(BEAT_MS);
      nodes.round();
    }
    return nodes.nodes.every(({ id, liveness }) => {
      return nodes.nodes.every((to) => to.id === id || liveness.beat(to.id).asked.length === 0);
    });
  };
  assert.ok(isQuiet());
  groups[0]!.stopLeading();
  assert.ok(isQuiet());
  for (const replica of replicas) replica.follow(2, 5);
  groups[1]!.lead(5, CONFIGURATION);
  for (const from of [1, 3]) assert.ok(nodes.reply(groups, replicas[from - 1]!, 2, 5));
  assert.ok(isQuiet());
  groups[1]!.lead(5, { voters: [2, 3], votersOutgoing: [], learners: [] });
  nodes.node(1).liveness.removeGroup(groupId(1));
  assert.ok(isQuiet());
  nodes.node(2).liveness.raiseEpoch(nodeId(3), 2);
  nodes.round();
  assert.ok(isQuiet());
  assert.ok(nodes.reply(groups, replicas[2]!, 2, 5));
  assert.ok(isQuiet());
});

test("a question that remains open is repeated only after some time, or when the state changed", () => {
  const { nodes, groups, replicas } = ledGroup();
  const second = nodes.nodes.map((node) => node.add(2));
  const third = nodes.nodes.map((node) => node.add(3));
  for (const pair of [second, third]) {
    pair[0]!.lead(4, CONFIGURATION);
    assert.ok(nodes.reply(pair, replicas[1]!, 1, 4));
  }
  // Node 2 removed a replica that node 1 still counts.
  nodes.node(2).liveness.removeGroup(groupId(1));
  const asked = (rounds: number) => {
    let count = 0;
    for (let round = 0; round < rounds; round++) {
      nodes.advance(BEAT_MS);
      nodes.beat(1, 2);
      const beat = nodes.node(2).liveness.beat(ONE);
      if (beat.asked.length > 0) count++;
      nodes.deliver(2, 1, beat);
    }
    return count;
  };
  const rounds = Math.floor(ASK_AGAIN_MS / BEAT_MS);
  assert.is(asked(rounds), 1);
  assert.is(asked(2), 1);
  nodes.node(2).liveness.removeGroup(groupId(2));
  assert.is(asked(rounds), 1);
  assert.ok(third[1]!.isBound(1, 4), "What is led stays promised");
  groups[0]!.stopLeading();
  second[0]!.stopLeading();
  assert.is(asked(2 * rounds), 0);
});

test("more groups than one beat names are released and asked for page by page, until all are through", () => {
  const nodes = new LivenessNodes(2);
  nodes.round();
  const count = 2 * BEAT_GROUPS_MAX + 10;
  const pairs = Array.from({ length: count }, (_, at) => nodes.nodes.map((node) => node.add(at)));
  const configuration = { voters: [1, 2], votersOutgoing: [], learners: [] };
  const follower = new FakeReplica(2, configuration);
  follower.follow(1, 1);
  for (const pair of pairs) {
    pair[0]!.lead(1, configuration);
    assert.ok(nodes.reply(pair, follower, 1, 1));
  }
  assert.ok(pairs.every(([, b]) => b!.isBound(1, 1)));
  for (const [leader] of pairs) leader!.stopLeading();
  let beats = 0;
  while (pairs.some(([, b]) => b!.isBound(1, 1))) {
    const due = nodes.node(1).liveness.dueBeats();
    assert.equal(
      due,
      [2],
      "With more to tell, the next beat is due as soon as one is acknowledged",
    );
    const beat = nodes.node(1).liveness.beat(TWO);
    assert.ok(beat.released.length <= BEAT_GROUPS_MAX);
    nodes.deliver(1, 2, beat);
    nodes.beat(2, 1);
    beats++;
  }
  assert.is(beats, 3);
  // The same by asking: only node 2 knows of all these promises.
  for (const pair of pairs) {
    assert.ok(pair[1]!.fortify({ to: 1, term: 1 }, follower, 1));
  }
  for (beats = 0; pairs.some(([, b]) => b!.isBound(1, 1)); beats++) {
    assert.ok(beats < 8);
    nodes.round();
    nodes.advance(BEAT_MS);
  }
});

test("a group is added once, and gone when it is removed", () => {
  const { nodes, groups } = ledGroup();
  assert.throws(() => nodes.node(1).add(1), /already added/);
  nodes.node(1).liveness.removeGroup(groupId(1));
  assert.not.ok(groups[0]!.isLeading(4));
  const beat = nodes.node(1).liveness.beat(TWO) as Beat;
  assert.equal(beat.released, [{ group: 1, term: 4 }], "What it led is told as ended");
  nodes.node(1).add(1, 101);
});

test("isFortifiedBy says whose promise is counted now", () => {
  const { nodes, groups } = ledGroup();
  assert.ok(groups[0]!.isFortifiedBy(2));
  assert.not.ok(groups[0]!.isFortifiedBy(9));
  assert.not.ok(groups[1]!.isFortifiedBy(3), "It does not lead");
  nodes.node(1).clocks.advance(SUPPORT_MS);
  assert.not.ok(groups[0]!.isFortifiedBy(2));
});

test.run();
