/**
 * Membership: Raft paper §6; thesis §4.1 (one change at a time), §4.2.1 (learners), §4.2.2 (removing
 * the leader), §4.3 (joint consensus).
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { configurationFault, EMPTY_CONFIGURATION } from "../../../src/raft/mod.ts";
import { MemoryStorage, RaftNode } from "../../../src/raft/mod.ts";
import type { MemberChangeKind, Message } from "../../../src/raft/mod.ts";
import { EMPTY_DATA, newMessage } from "../../../src/raft/mod.ts";
import { APPEND_THREAD, APPLY_THREAD } from "../../../src/raft/message.ts";
import { RaftCluster } from "../../support/raft_cluster.ts";

const change = (kind: MemberChangeKind, replica: number) => ({ kind, replica });

test("thesis §4.1: one change enters the log at a time", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isolate(1);
  const first = {
    transition: "auto",
    changes: [change("add_learner", 4)],
    context: EMPTY_DATA,
  } as const;
  const second = { ...first, changes: [change("remove", 3)] };
  assert.is(cluster.node(1).proposeConfChange(first), "accepted");
  assert.is(cluster.node(1).proposeConfChange(second), "conf_change_ignored");
  cluster.settle();
  assert.equal(cluster.log(1), ["1:", "1:conf_change", "1:"]);
});

test("thesis §4.1: a new leader proposes no change before its log is applied", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  const wish = (kind: MemberChangeKind, replica: number) =>
    ({ transition: "auto", changes: [change(kind, replica)], context: EMPTY_DATA }) as const;
  // The change is in the log of every server, and none knows that it is committed.
  cluster.isLost = ({ to }) => to === 1;
  assert.is(cluster.node(1).proposeConfChange(wish("add_learner", 4)), "accepted");
  cluster.settle();
  assert.equal(cluster.log(2), ["1:", "1:conf_change"]);
  cluster.node(2).campaign();
  while (cluster.role(2) !== "leader") {
    for (const id of [1, 2, 3]) cluster.work(id);
    const { queue } = cluster;
    cluster.queue = [];
    for (const message of queue) cluster.deliver(message);
  }
  assert.equal(cluster.node(2).status().configuration.learners, []);
  assert.is(cluster.node(2).proposeConfChange(wish("remove", 3)), "conf_change_ignored");
  cluster.settle();
  assert.equal(cluster.node(2).status().configuration.learners, [4]);
  assert.is(cluster.node(2).proposeConfChange(wish("remove", 3)), "accepted");
});

test("thesis §4.1: a single change takes effect when it is applied, on every server", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.change(1, { changes: [change("remove", 3)] }, true);
  for (const id of [1, 2]) {
    assert.equal(cluster.node(id).status().configuration.voters, [1, 2]);
  }
  cluster.isLost = ({ to }) => to === 2;
  const { committed } = cluster.node(1).status();
  cluster.propose(1, "a");
  assert.is(cluster.node(1).status().committed, committed, "2 of 2 are needed now");
});

test("thesis §4.1: a change that no configuration could follow is refused, not logged", () => {
  const cluster = new RaftCluster({ voters: [1] });
  cluster.elect(1);
  const { lastIndex } = cluster.node(1).status();
  const wish = { transition: "auto", changes: [change("remove", 1)], context: EMPTY_DATA } as const;
  assert.is(cluster.node(1).proposeConfChange(wish), "conf_change_invalid");
  assert.is(cluster.node(1).status().lastIndex, lastIndex);
});

test("thesis §4.1: a smaller quorum commits at once what it holds already", () => {
  const cluster = new RaftCluster({ voters: [1, 2, 3, 4] });
  cluster.elect(1);
  const text = new TextEncoder().encode("a");
  cluster.isLost = ({ entries, to }) =>
    to === 4 || (to === 3 && entries.some(({ data }) => data === text));
  const wish = { transition: "auto", changes: [change("remove", 4)], context: EMPTY_DATA } as const;
  assert.is(cluster.node(1).proposeConfChange(wish), "accepted");
  assert.is(cluster.node(1).propose(text), "accepted");
  cluster.settle();
  // Two of four hold it, which does not commit it; two of three do.
  assert.equal(cluster.applied(1).at(-1), "a");
});

test("thesis §4.2.1: a learner receives the log and does not count", () => {
  const cluster = new RaftCluster({ voters: [1] });
  cluster.elect(1);
  cluster.add(4);
  cluster.change(1, { changes: [change("add_learner", 4)] });
  cluster.propose(1, "a");
  assert.equal(cluster.node(4).status().configuration.learners, [4]);
  assert.is(cluster.get(4).storage.lastIndex(), cluster.get(1).storage.lastIndex());
  cluster.isLost = ({ to }) => to === 4;
  cluster.propose(1, "b");
  assert.equal(cluster.applied(1).at(-1), "b", "The learner's acknowledgement is not needed");
});

test("thesis §4.2.2: a removed leader does not count itself, and steps down when told to", () => {
  const cluster = new RaftCluster({ options: { stepDownOnRemoval: true } });
  cluster.elect(1);
  cluster.change(1, { changes: [change("remove", 1)] });
  assert.is(cluster.role(1), "follower");
  assert.is(cluster.node(1).campaign(), "not_promotable");
  assert.equal(cluster.node(2).status().configuration.voters, [2, 3]);
  cluster.elect(2);
  assert.is(cluster.role(2), "leader");
});

test("thesis §4.2.2: a removed leader that stays takes no proposals", () => {
  const cluster = new RaftCluster({ options: { stepDownOnRemoval: false } });
  cluster.elect(1);
  cluster.change(1, { changes: [change("remove", 1)] });
  assert.is(cluster.role(1), "leader");
  assert.is(cluster.node(1).propose(new Uint8Array(1)), "not_member");
});

/** Returns a cluster in the joint configuration of {1, 2, 3} and {1, 4, 5}, led by 1. */
function jointCluster(): RaftCluster {
  const cluster = new RaftCluster();
  cluster.elect(1);
  for (const id of [4, 5]) cluster.add(id);
  const changes = [
    change("remove", 2),
    change("remove", 3),
    change("add_voter", 4),
    change("add_voter", 5),
  ];
  cluster.change(1, { transition: "joint_explicit", changes });
  return cluster;
}

test("thesis §4.3: while joint, both majorities must agree to commit", () => {
  const cluster = jointCluster();
  assert.equal(cluster.node(1).status().configuration, {
    voters: [1, 4, 5],
    votersOutgoing: [1, 2, 3],
    learners: [],
    learnersNext: [],
    autoLeave: false,
  });
  const { committed } = cluster.node(1).status();
  cluster.isLost = ({ to }) => to === 2 || to === 3;
  cluster.propose(1, "a");
  assert.is(cluster.node(1).status().committed, committed, "The new half alone does not commit");
  cluster.heal();
  cluster.tick(1, 1);
  cluster.settle();
  assert.is(cluster.node(1).status().committed, committed + 1);
  cluster.isLost = ({ to }) => to === 4 || to === 5;
  cluster.propose(1, "b");
  assert.is(cluster.node(1).status().committed, committed + 1, "Nor does the old half");
});

test("thesis §4.3: while joint, both majorities must agree to elect", () => {
  const cluster = jointCluster();
  cluster.isLost = ({ from, to }) => [4, 5].includes(from) !== [4, 5].includes(to);
  cluster.elect(2);
  assert.is(cluster.role(2), "candidate");
  cluster.heal();
  cluster.elect(2);
  assert.is(cluster.role(2), "leader");
});

test("thesis §4.3: an automatic change passes through the joint configuration and leaves it", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.add(4);
  cluster.change(1, { changes: [change("remove", 3), change("add_voter", 4)] });
  for (const id of [1, 2, 4]) {
    const { voters, votersOutgoing, autoLeave } = cluster.node(id).status().configuration;
    assert.equal([voters, votersOutgoing, autoLeave], [[1, 2, 4], [], false]);
  }
});

test("thesis §4.3: the next leader leaves a joint configuration that is to be left by itself", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.add(4);
  let isJoint = false;
  // The entry that leaves the joint configuration is lost with its leader.
  cluster.isLost = ({ from, entries, type }) => {
    if (
      type === "append" && entries.some(({ kind, data }) => kind !== "normal" && data.length === 0)
    ) {
      isJoint = true;
      return from === 1;
    }
    return false;
  };
  cluster.change(1, { changes: [change("remove", 3), change("add_voter", 4)] });
  assert.ok(isJoint);
  assert.is(cluster.node(2).status().configuration.votersOutgoing.length, 3);
  cluster.isolate(1);
  cluster.elect(2);
  assert.is(cluster.role(2), "leader");
  assert.equal(cluster.node(2).status().configuration.votersOutgoing, []);
});

test("thesis §4.3: a voter that becomes a learner votes until the joint configuration is left", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.change(1, { transition: "joint_explicit", changes: [change("add_learner", 3)] });
  assert.equal(cluster.node(1).status().configuration.learnersNext, [3]);
  cluster.change(1, {});
  const { learners, learnersNext, voters } = cluster.node(1).status().configuration;
  assert.equal([voters, learners, learnersNext], [[1, 2], [3], []]);
});

test("§4.1: a change in the log says that the one before is committed, whatever the hard state lost", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.change(1, { changes: [{ kind: "add_learner", replica: 4 }] });
  cluster.change(1, { changes: [{ kind: "add_learner", replica: 5 }] });
  const { storage } = cluster.get(2);
  const entries = storage.entries(2, storage.lastIndex() + 1, Number.POSITIVE_INFINITY)!;
  assert.equal(entries.map(({ kind }) => kind), ["normal", "conf_change", "conf_change"]);

  const torn = new MemoryStorage();
  const configuration = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3] };
  torn.applySnapshot({ index: 1, term: 1, configuration, data: EMPTY_DATA });
  torn.append(entries);
  torn.setHardState({ term: 1, vote: 1, commit: 1 });
  const node = RaftNode.start({
    id: 2,
    storage: torn,
    applied: 1,
    entropy: new SeededEntropy(1),
    electionTicks: 10,
    heartbeatTicks: 1,
  });
  assert.is(node.committed, 3, "The first change, not the second");
  assert.is(node.campaign(), "conf_change_unapplied");
});

test("a joint configuration survives a restart from a snapshot", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.change(1, { transition: "joint_explicit", changes: [change("add_learner", 3)] });
  const before = cluster.node(2).status().configuration;
  cluster.compact(2);
  cluster.restart(2);
  assert.equal(cluster.node(2).status().configuration, before);
});

for (const preVote of [false, true]) {
  test(`§4.2.2: who is left learns from a refused ${preVote ? "pre-" : ""}vote that it needs none`, () => {
    const cluster = new RaftCluster({
      voters: [1, 2],
      options: { preVote, stepDownOnRemoval: true },
    });
    cluster.elect(1);
    const { committed } = cluster.node(1);
    const changes = [change("remove", 1)];
    cluster.node(1).proposeConfChange({ transition: "auto", changes, context: EMPTY_DATA });
    cluster.node(1).propose(new TextEncoder().encode("beyond"));
    // The follower alone receives the change, and is not told that this commits it.
    cluster.isLost = ({ commit, entries, from }) => {
      return from === 1 &&
        (commit > committed || entries.some(({ index }) => index > committed + 1));
    };
    cluster.work(1);
    const [append] = cluster.queue.filter(({ type }) => type === "append");
    cluster.queue = [{ ...append!, entries: append!.entries.slice(0, 1) }];
    cluster.settle();
    assert.is(cluster.role(1), "follower", "the leader applied its removal");
    assert.equal(cluster.node(2).status().configuration.voters, [1, 2]);
    cluster.heal();
    cluster.elect(2);
    assert.is(cluster.node(2).committed, committed + 1, "the refusal told what is committed");
    cluster.elect(2);
    assert.is(cluster.role(2), "leader");
    assert.equal(cluster.node(2).status().configuration.voters, [2]);
  });
}

for (const preVote of [false, true]) {
  const kind = preVote ? "pre-vote" : "vote";
  test(`a campaign ends when a refused ${kind} tells that a change is committed`, () => {
    const cluster = new RaftCluster({ options: { preVote } });
    cluster.elect(1);
    const { committed } = cluster.node(2);
    // All have the change, and 2 is not told that it is committed.
    cluster.isLost = ({ commit, to }) => to === 2 && commit > committed;
    cluster.change(1, { changes: [change("remove", 2)] });
    assert.is(cluster.node(2).committed, committed);
    assert.is(cluster.node(2).lastIndex, cluster.node(3).lastIndex);
    cluster.heal();
    cluster.node(2).campaign();
    cluster.work(2);
    const { role } = cluster.node(2).status();
    assert.is(role, preVote ? "pre_candidate" : "candidate");
    const { term } = cluster.node(2);
    const type = preVote ? "pre_vote_reply" : "vote_reply";
    const refusal = { ...newMessage(type, 2), from: 3, reject: true, term };
    cluster.node(2).step({ ...refusal, commit: committed + 1, logTerm: 1 });
    assert.is(cluster.role(2), "follower");
    // The votes that it requested arrive too late.
    cluster.node(2).step({ ...newMessage(type, 2), from: 1, term: preVote ? term + 1 : term });
    cluster.settle();
    assert.is(cluster.role(2), "follower", "it is no member");
    assert.equal(cluster.node(2).status().configuration.voters, [1, 3]);
  });
}

for (const preVote of [false, true]) {
  const kind = preVote ? "pre-vote" : "vote";
  test(`a learner with the longest log learns by a ${kind} request that it votes, and is elected`, () => {
    const options = { preVote, asyncStorageWrites: true };
    const cluster = new RaftCluster({ voters: [1], learners: [2], options });
    cluster.elect(1);
    const { committed } = cluster.node(1);
    const [first, second] = [cluster.node(1), cluster.node(2)];
    // The learner writes the change and the entry after it, before the leader has written the latter.
    const changes = [change("add_voter", 2)];
    first.proposeConfChange({ transition: "auto", changes, context: EMPTY_DATA });
    cluster.work(1);
    first.propose(new TextEncoder().encode("lost at the leader"));
    cluster.work(1);
    for (const message of cluster.queue) cluster.deliver(message);
    cluster.work(2);
    cluster.workStorage(2, APPEND_THREAD);
    // The leader alone is the majority that commits the change.
    cluster.workStorage(1, APPEND_THREAD);
    cluster.work(1);
    cluster.workStorage(1, APPLY_THREAD);
    cluster.restart(1);
    cluster.queue = [];
    assert.equal(cluster.node(1).status().configuration.voters, [1, 2]);
    assert.equal([cluster.node(1).lastIndex, second.lastIndex], [committed + 1, committed + 2]);
    assert.equal(second.status().configuration.voters, [1]);
    cluster.elect(1);
    assert.is.not(cluster.role(1), "leader", "its log is behind that of the other voter");
    assert.equal(second.status().configuration.voters, [1, 2]);
    cluster.elect(2);
    assert.is(cluster.role(2), "leader");
    assert.is(cluster.log(1).at(-2), cluster.log(2).at(-2));
  });
}

test("a vote request commits no entry of another term, and none beyond the candidate's log", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isLost = ({ to, commit }) => to === 2 && commit > cluster.node(2).committed;
  cluster.propose(1, "not known to be committed");
  const { committed, lastIndex, term } = cluster.node(2);
  assert.is(lastIndex, committed + 1);
  const request = (rest: Partial<Message>): Message => {
    return { ...newMessage("vote", 2), from: 3, term: term + 1, transfer: true, ...rest };
  };
  const log = { index: lastIndex, logTerm: term };
  cluster.node(2).step(request({ ...log, commit: lastIndex, rejectHint: term + 1 }));
  cluster.node(2).step(request({ ...log, commit: lastIndex, rejectHint: 0 }));
  const beyond = request({ ...log, commit: lastIndex + 1, rejectHint: term });
  assert.is(cluster.node(2).step(beyond), "malformed");
  assert.is(cluster.node(2).committed, committed);
  cluster.node(2).step(request({ ...log, commit: lastIndex, rejectHint: term }));
  assert.is(cluster.node(2).committed, lastIndex);
});

test("a refused vote commits no entry of another term, and nothing at a leader", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isolate(1);
  cluster.propose(1, "lost");
  const { committed, lastIndex, term } = cluster.node(1);
  assert.ok(lastIndex > committed);
  const reply = (rest: Partial<Message>): Message => {
    return { ...newMessage("vote_reply", 1), from: 2, reject: true, term, ...rest };
  };
  cluster.node(1).step(reply({ commit: lastIndex, logTerm: term }));
  assert.is(cluster.node(1).committed, committed, "a leader counts for itself");
  cluster.node(1).stepDown();
  cluster.node(1).step(reply({ commit: lastIndex, logTerm: term + 1 }));
  cluster.node(1).step(reply({ commit: lastIndex + 5, logTerm: term }));
  assert.is(cluster.node(1).committed, committed);
});

test("replica ids: a message of a replica that the directory does not know changes nothing", () => {
  const known = new Set([1, 2, 3]);
  const cluster = new RaftCluster({ options: { directory: { knows: (id) => known.has(id) } } });
  cluster.elect(1);
  known.delete(3);
  cluster.node(3).campaign();
  cluster.work(3);
  const before = cluster.node(2).status();
  for (const message of cluster.queue) {
    assert.is(cluster.deliver(message), "unknown_peer");
  }
  assert.equal(cluster.node(2).status(), before);
});

test("configurationFault names what is wrong, and nothing in what is sound", () => {
  const sound = { ...EMPTY_CONFIGURATION, voters: [1, 2], learners: [3] };
  assert.is(configurationFault(sound), undefined);
  assert.is(configurationFault(EMPTY_CONFIGURATION), undefined);
  const faulty = [
    { ...sound, voters: [2, 1] },
    { ...sound, voters: [1, 1] },
    { ...sound, voters: [0, 1] },
    { ...sound, voters: [1.5] },
    { ...sound, learners: [2] },
    { ...sound, learnersNext: [2] },
    { ...sound, votersOutgoing: [4], learnersNext: [5] },
    { ...sound, votersOutgoing: [2], learnersNext: [2] },
    { ...sound, autoLeave: true },
    { ...EMPTY_CONFIGURATION, votersOutgoing: [1] },
    { ...EMPTY_CONFIGURATION, voters: Array.from({ length: 65 }, (_, at) => at + 1) },
  ];
  for (const configuration of faulty) {
    assert.type(configurationFault(configuration), "string", JSON.stringify(configuration));
  }
});

test.run();
