/**
 * Elections: Raft paper Figure 2 (RequestVote, rules for servers), §5.2, §5.4.1; thesis §4.2.3
 * (disruptive servers), §9.6 (pre-vote); and the promises of node liveness.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../../src/base/assert.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { Core } from "../../../src/raft/core.ts";
import {
  MemoryStorage,
  newMessage,
  type RaftOptions,
  raftSettings,
} from "../../../src/raft/mod.ts";
import { ELECTION_TICKS, RaftCluster } from "../../support/raft_cluster.ts";

function voteRequest(
  from: number,
  to: number,
  term: number,
  last: { index: number; term: number },
) {
  const message = newMessage("vote", to);
  message.from = from;
  message.term = term;
  message.index = last.index;
  message.logTerm = last.term;
  return message;
}

test("§5.2: servers begin as followers", () => {
  const cluster = new RaftCluster();
  for (const id of [1, 2, 3]) assert.is(cluster.role(id), "follower");
});

test("§5.2: a follower that hears nothing over the election timeout begins an election", () => {
  const cluster = new RaftCluster();
  cluster.node(1).setElectionTimeout(ELECTION_TICKS);
  cluster.tick(1, ELECTION_TICKS - 1);
  assert.is(cluster.role(1), "follower");
  cluster.tick(1, 1);
  assert.is(cluster.role(1), "candidate");
  assert.is(cluster.node(1).status().term, 1);
  const ready = cluster.work(1)!;
  assert.equal(ready.messages.map(({ type, to, term }) => [type, to, term]), [
    ["vote", 2, 1],
    ["vote", 3, 1],
  ]);
});

test("§5.2: a heartbeat of the leader restarts the election timeout", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.node(2).setElectionTimeout(ELECTION_TICKS);
  for (let beat = 0; beat < 3; beat++) {
    cluster.tick(2, ELECTION_TICKS - 1);
    cluster.tick(1, 1);
    cluster.settle();
  }
  assert.is(cluster.role(2), "follower");
});

test("§5.2: election timeouts are random within [T, 2T) and differ between seeds", () => {
  const timeouts = new Set<number>();
  for (let seed = 1; seed <= 40; seed++) {
    const cluster = new RaftCluster({ seed });
    let ticks = 0;
    while (cluster.role(1) === "follower") {
      cluster.tick(1, 1);
      ticks++;
    }
    assert.ok(ticks >= ELECTION_TICKS && ticks < 2 * ELECTION_TICKS, `${ticks} ticks`);
    timeouts.add(ticks);
  }
  assert.ok(timeouts.size > 5, "Timeouts must spread");
});

test("§5.2: a candidate wins with the votes of a majority and not before", () => {
  const cluster = new RaftCluster({ voters: [1, 2, 3, 4, 5] });
  cluster.isLost = ({ to, type }) => type === "vote" && to > 2;
  cluster.elect(1);
  assert.is(cluster.role(1), "candidate");
  cluster.isLost = ({ to, type }) => type === "vote" && to > 3;
  cluster.elect(1);
  assert.is(cluster.role(1), "leader");
});

test("§5.2: a candidate's own vote counts only when it is durable", () => {
  const cluster = new RaftCluster({ voters: [1] });
  cluster.node(1).campaign();
  assert.is(cluster.role(1), "candidate");
  cluster.settle();
  assert.is(cluster.role(1), "leader");
});

test("Figure 2: a server votes for one candidate a term, first come, first served", () => {
  const cluster = new RaftCluster();
  const last = { index: 1, term: 1 };
  cluster.node(1).step(voteRequest(2, 1, 1, last));
  cluster.node(1).step(voteRequest(3, 1, 1, last));
  cluster.node(1).step(voteRequest(2, 1, 1, last));
  const ready = cluster.work(1)!;
  assert.equal(ready.messages.map(({ to, reject }) => [to, reject]), [
    [2, false],
    [3, true],
    [2, false],
  ]);
});

test("Figure 2: the vote is durable before it is told, and survives a restart", () => {
  const cluster = new RaftCluster();
  const last = { index: 1, term: 1 };
  cluster.node(1).step(voteRequest(2, 1, 1, last));
  const ready = cluster.work(1)!;
  assert.equal(ready.hardState, { term: 1, vote: 2, commit: 1 });
  assert.ok(ready.mustSync);
  cluster.restart(1);
  cluster.node(1).step(voteRequest(3, 1, 1, last));
  assert.ok(cluster.work(1)!.messages[0]!.reject);
});

test("Figure 2: a vote request of an older term is refused", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.elect(2);
  const request = voteRequest(3, 1, 1, { index: 1, term: 1 });
  assert.is(cluster.node(1).step(request), "older_term");
  assert.is(cluster.node(1).status().vote, 2);
});

test("§5.4.1: a vote is refused to a log with an earlier last term, or the same and shorter", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.propose(1, "a");
  // Replica 1 ends with (index 3, term 1).
  const isGranted = (index: number, term: number) => {
    const asked = new RaftCluster();
    asked.elect(1);
    asked.propose(1, "a");
    asked.node(1).step(voteRequest(2, 1, 9, { index, term }));
    return !asked.work(1)!.messages.at(-1)!.reject;
  };
  assert.is(isGranted(3, 1), true);
  assert.is(isGranted(4, 1), true);
  assert.is(isGranted(2, 1), false);
  assert.is(isGranted(2, 2), true, "A later term is more up to date, however short");
  assert.is(isGranted(9, 0), false, "An earlier term is not, however long");
});

test("§5.2: a candidate that hears of a leader of its term follows it", () => {
  const cluster = new RaftCluster();
  cluster.node(1).campaign();
  cluster.work(1);
  cluster.queue = [];
  const append = newMessage("append", 1);
  append.from = 2;
  append.term = 1;
  append.index = 1;
  append.logTerm = 1;
  assert.is(cluster.node(1).step(append), "accepted");
  const { role, lead, term } = cluster.node(1).status();
  assert.equal([role, lead, term], ["follower", 2, 1]);
});

test("§5.1: every role follows a higher term, whatever brings it", () => {
  const make = { follower: 0, candidate: 1, leader: 2 } as const;
  for (const role of Object.keys(make) as (keyof typeof make)[]) {
    const cluster = new RaftCluster();
    if (role === "candidate") cluster.node(1).campaign();
    if (role === "leader") cluster.elect(1);
    assert.is(cluster.role(1), role);
    const reply = newMessage("append_reply", 1);
    reply.from = 2;
    reply.term = 7;
    cluster.node(1).step(reply);
    const status = cluster.node(1).status();
    assert.equal([status.role, status.term, status.vote, status.lead], ["follower", 7, 0, 0], role);
  }
});

test("§5.2: a split vote elects nobody, and the next term does", () => {
  const cluster = new RaftCluster({ voters: [1, 2] });
  cluster.node(1).campaign();
  cluster.node(2).campaign();
  cluster.settle();
  assert.not(["leader"].includes(cluster.role(1)) || cluster.role(2) === "leader");
  cluster.elect(1);
  assert.is(cluster.role(1), "leader");
  assert.is(cluster.node(1).status().term, 2);
});

test("§5.2: the leader of a term appends an entry of it at once", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  for (const id of [1, 2, 3]) assert.equal(cluster.log(id), ["1:"]);
});

test("thesis §4.2.3: with check-quorum, a vote request is ignored while a leader is heard of", () => {
  const cluster = new RaftCluster({ options: { checkQuorum: true } });
  cluster.elect(1);
  cluster.node(2).campaign();
  cluster.isLost = ({ to }) => to === 1;
  cluster.settle();
  assert.is(cluster.node(3).status().term, 1, "The term did not move");
  assert.is(cluster.role(2), "candidate");
});

test("thesis §4.2.3: after the election timeout without a leader the vote is given", () => {
  const cluster = new RaftCluster({ options: { checkQuorum: true } });
  cluster.elect(1);
  cluster.isolate(1);
  cluster.node(3).setElectionTimeout(2 * ELECTION_TICKS);
  cluster.tick(3, ELECTION_TICKS);
  cluster.elect(2);
  assert.is(cluster.role(2), "leader");
});

test("thesis §6.2: a leader that hears of no quorum for an election timeout steps down", () => {
  const cluster = new RaftCluster({ options: { checkQuorum: true } });
  cluster.elect(1);
  cluster.isolate(1);
  for (let tick = 0; tick < 2 * ELECTION_TICKS; tick++) {
    cluster.tick(1, 1);
    cluster.settle();
  }
  assert.is(cluster.role(1), "follower");
});

test("thesis §9.6: a pre-vote changes neither term nor vote of anybody", () => {
  const cluster = new RaftCluster({ options: { preVote: true } });
  cluster.isLost = ({ type }) => type === "pre_vote_reply";
  cluster.elect(1);
  assert.is(cluster.role(1), "pre_candidate");
  for (const id of [1, 2, 3]) {
    const { term, vote } = cluster.node(id).status();
    assert.equal([term, vote], [0, 0]);
    assert.is(cluster.get(id).storage.initialState().hardState.term, 0);
  }
});

test("thesis §9.6: a server cut off keeps its term and disturbs nobody when it returns", () => {
  const cluster = new RaftCluster({ options: { preVote: true, checkQuorum: true } });
  cluster.elect(1);
  cluster.isolate(3);
  for (let round = 0; round < 100; round++) {
    for (const id of [1, 2, 3]) cluster.tick(id, 1);
    cluster.settle();
  }
  cluster.heal();
  cluster.settle();
  assert.is(cluster.role(1), "leader");
  for (const id of [1, 2, 3]) assert.is(cluster.node(id).status().term, 1);
});

test("thesis §9.6: a pre-vote is refused to a log that is behind", () => {
  const cluster = new RaftCluster({ options: { preVote: true } });
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a");
  cluster.heal();
  cluster.isLost = ({ to }) => to === 1;
  cluster.elect(3);
  assert.is(cluster.role(3), "pre_candidate");
  assert.is(cluster.node(2).status().term, 1);
});

test("a learner does not campaign, and votes when it is asked", () => {
  const cluster = new RaftCluster({ voters: [1, 2], learners: [3] });
  assert.is(cluster.node(3).campaign(), "not_promotable");
  cluster.tick(3, 5 * ELECTION_TICKS);
  assert.is(cluster.role(3), "follower");
  cluster.node(3).step(voteRequest(2, 3, 1, { index: 1, term: 1 }));
  assert.is(cluster.work(3)!.messages[0]!.reject, false);
});

test("LeaderSupport: a supported leader keeps its followers from voting and campaigning", () => {
  const supported = new Set<number>();
  const options: Partial<RaftOptions> = {
    support: { isBound: (lead) => supported.has(lead) },
  };
  const cluster = new RaftCluster({ options });
  cluster.elect(1);
  supported.add(1);
  // No ticks, no heartbeats: the group is idle.
  assert.is(cluster.node(2).campaign(), "leader_supported");
  const request = voteRequest(3, 2, 9, { index: 9, term: 9 });
  assert.is(cluster.node(2).step(request), "leader_alive");
  assert.is(cluster.node(2).status().term, 1);
  supported.delete(1);
  assert.is(cluster.node(2).step(request), "accepted");
  assert.is(cluster.node(2).status().vote, 3);
});

test("LeaderSupport: without it a sleeping group votes, though no tick passed since its leader", () => {
  const options = { checkQuorum: true, support: { isBound: () => false } };
  const cluster = new RaftCluster({ options });
  cluster.elect(1);
  cluster.isolate(1);
  cluster.elect(2);
  assert.is(cluster.role(2), "leader");
});

test("LeaderSupport: a leader that a quorum supports is not deposed by a vote request", () => {
  let isSupported = false;
  const options = { support: { isBound: () => isSupported } };
  const cluster = new RaftCluster({ options });
  cluster.elect(1);
  isSupported = true;
  const request = voteRequest(3, 1, 9, { index: 9, term: 9 });
  assert.is(cluster.node(1).step(request), "leader_alive");
  assert.is(cluster.role(1), "leader");
  assert.is(cluster.node(2).forgetLeader(), false, "The promise stands");
  isSupported = false;
  assert.is(cluster.node(1).step(request), "accepted");
  assert.is(cluster.role(1), "follower");
});

test("stepDown: ends leadership within the term, and drops its reads", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  assert.is(cluster.node(2).stepDown(), false);
  cluster.node(1).readIndex();
  assert.is(cluster.node(1).stepDown(), true);
  const { role, term, lead, vote } = cluster.node(1).status();
  assert.equal([role, term, lead, vote], ["follower", 1, 0, 1]);
  assert.is(cluster.work(1)!.readsDropped.length, 1);
  assert.is(cluster.node(1).propose(new Uint8Array(1)), "no_leader");
});

test("LeaderSupport: an election that the leader asked for passes", () => {
  let isSupported = false;
  const options = { support: { isBound: () => isSupported } };
  const cluster = new RaftCluster({ options });
  cluster.elect(1);
  isSupported = true;
  cluster.node(1).transferLeader(2);
  cluster.settle();
  assert.is(cluster.role(2), "leader");
});

test("LeaderSupport: a promise outlives the leader's being forgotten with the term it was made in", () => {
  let isBound = false;
  const cluster = new RaftCluster({
    options: { preVote: true, support: { isBound: () => isBound } },
  });
  cluster.elect(1);
  isBound = true;
  // A late reply with a higher term: replica 2 is in that term now, and knows no leader in it.
  const late = newMessage("append_reply", 2);
  late.from = 3;
  late.term = 7;
  late.reject = true;
  cluster.node(2).step(late);
  const { lead, term, vote } = cluster.node(2).status();
  assert.equal([lead, term, vote], [0, 7, 0]);
  assert.is(cluster.node(2).campaign(), "leader_supported");
  for (const asked of [7, 8]) {
    const request = voteRequest(3, 2, asked, { index: 9, term: 9 });
    assert.is(cluster.node(2).step(request), "leader_alive", `A request of term ${asked}`);
    assert.is(cluster.node(2).step({ ...request, type: "pre_vote" }), "leader_alive");
  }
  assert.is(cluster.node(2).status().vote, 0);
  isBound = false;
  cluster.node(2).step(voteRequest(3, 2, 7, { index: 9, term: 9 }));
  assert.is(cluster.node(2).status().vote, 3);
});

test("LeaderSupport: a bound voter tells a pre-candidate for how long, and is asked again then", () => {
  const bound = new Map([[2, 0], [3, 0]]);
  const cluster = new RaftCluster({
    options: { preVote: true },
    supportOf: (id) => ({
      isBound: () => (bound.get(id) ?? 0) > 0,
      boundTicks: () => bound.get(id) ?? 0,
    }),
  });
  cluster.elect(1);
  cluster.isolate(1);
  // The support of the leader's node ends a moment later at replica 3.
  bound.set(3, 3);
  cluster.node(2).campaign();
  cluster.settle();
  assert.is(cluster.role(2), "pre_candidate");
  assert.is(cluster.node(3).status().term, 1);
  cluster.tick(2, 2);
  cluster.settle();
  assert.is(cluster.role(2), "pre_candidate");
  bound.set(3, 0);
  cluster.tick(2, 1);
  cluster.settle();
  assert.is(cluster.role(2), "leader");
});

test("LeaderSupport: no voter makes a pre-candidate wait longer, or counts as a refusal", () => {
  const cluster = new RaftCluster({
    options: { preVote: true },
    supportOf: (id) => ({ isBound: () => id !== 2, boundTicks: () => 4_000_000_000 }),
  });
  cluster.node(2).campaign();
  cluster.settle();
  assert.is(cluster.role(2), "pre_candidate");
  const asked = () =>
    cluster.work(2)?.messages.filter(({ type }) => type === "pre_vote").length ?? 0;
  let count = 0;
  for (let ticks = 0; ticks < 2 * ELECTION_TICKS; ticks++) {
    cluster.node(2).tick();
    count += asked();
  }
  assert.ok(count >= 2, `${count}`);
});

test("LeaderSupport: a voter that no time releases does not reply to a pre-vote", () => {
  const support = { isBound: () => true, boundTicks: () => Infinity };
  const cluster = new RaftCluster({ options: { preVote: true, support } });
  cluster.node(3).step({ ...voteRequest(2, 3, 1, { index: 0, term: 0 }), type: "pre_vote" });
  assert.equal(cluster.work(3)?.messages ?? [], []);
});

test("LeaderSupport: a bound voter's late reply concerns neither a candidate nor a follower", () => {
  const late = {
    ...newMessage("pre_vote_reply", 2),
    from: 3,
    term: 1,
    reject: true,
    boundTicks: 1,
  };
  const cluster = new RaftCluster({ options: { preVote: true } });
  cluster.elect(1);
  cluster.node(2).step(late);
  cluster.tick(2, 1);
  assert.is(cluster.role(2), "follower", "it has a leader");
  cluster.isLost = ({ type }) => type === "vote";
  cluster.tick(3, 2 * ELECTION_TICKS);
  cluster.tick(2, 2 * ELECTION_TICKS);
  cluster.settle();
  assert.is(cluster.role(2), "candidate");
  cluster.node(2).step(late);
  cluster.tick(2, 1);
  assert.is(cluster.role(2), "candidate");
});

test("LeaderSupport: a bound voter of an older term is asked again, too", () => {
  const cluster = new RaftCluster({
    options: { preVote: true },
    supportOf: (id) => ({ isBound: () => id === 3, boundTicks: () => 2 }),
  });
  cluster.elect(1);
  cluster.isolate(1);
  // A late reply with a higher term: replica 2 is in that term now.
  cluster.node(2).step({ ...newMessage("append_reply", 2), from: 3, term: 7, reject: true });
  cluster.node(2).campaign();
  cluster.settle();
  assert.equal([2, 3].map((id) => cluster.node(id).status().term), [7, 1]);
  cluster.tick(2, 1);
  assert.is(cluster.work(2), undefined);
  cluster.tick(2, 1);
  assert.ok(cluster.work(2)?.messages.some(({ type, to }) => type === "pre_vote" && to === 3));
});

test("LeaderSupport: a replica whose term ran ahead tells the leader of the older one, and comes back", () => {
  // Without pre-vote and check-quorum, which would have the same effect.
  const cluster = new RaftCluster({ options: { support: { isBound: () => false } } });
  cluster.elect(1);
  cluster.isolate(2);
  for (let times = 0; times < 3; times++) cluster.elect(2);
  cluster.heal();
  cluster.tick(1, 1);
  cluster.settle();
  assert.equal([cluster.role(1), cluster.node(1).term], ["follower", cluster.node(2).term]);
});

test("LeaderSupport: a pre-vote that is won after a promise was made elects nobody", () => {
  let isBound = false;
  const cluster = new RaftCluster({
    options: { preVote: true, support: { isBound: () => isBound } },
  });
  cluster.node(2).campaign();
  cluster.work(2);
  assert.is(cluster.role(2), "pre_candidate");
  for (const request of cluster.queue.splice(0)) cluster.deliver(request);
  cluster.work(1);
  cluster.work(3);
  assert.is(cluster.queue.length, 2);
  isBound = true;
  cluster.settle();
  assert.equal([cluster.role(2), cluster.node(2).term], ["follower", 0]);
});

test("forgetLeader: a follower forgets within the term, votes then, and remembers at a heartbeat", () => {
  const cluster = new RaftCluster({ options: { checkQuorum: true } });
  cluster.elect(1);
  assert.is(cluster.node(1).forgetLeader(), false);
  assert.is(cluster.node(2).forgetLeader(), true);
  assert.is(cluster.node(2).forgetLeader(), false);
  assert.is(cluster.node(2).status().lead, 0);
  cluster.tick(1, 1);
  cluster.settle();
  assert.is(cluster.node(2).status().lead, 1);
});

test("campaign: refused while a committed change of the configuration is not applied", () => {
  const cluster = new RaftCluster({ options: { asyncStorageWrites: true } });
  const { node } = cluster.get(2);
  const change = { term: 1, index: 2, kind: "conf_change", data: new Uint8Array(0) } as const;
  const append = newMessage("append", 2);
  Object.assign(append, { from: 1, term: 1, index: 1, logTerm: 1, commit: 2, entries: [change] });
  assert.is(node.step(append), "accepted");
  assert.is(node.campaign(), "conf_change_unapplied");
});

test("Core.castVote: a second vote in one term is a broken invariant", () => {
  const settings = raftSettings({
    entropy: new SeededEntropy(1),
    electionTicks: 10,
    heartbeatTicks: 1,
  });
  const core = new Core(1, new MemoryStorage(), settings);
  core.enterTerm(1);
  core.castVote(2);
  core.castVote(2);
  assert.throws(() => core.castVote(3), (error: unknown) => error instanceof InvariantError);
  assert.throws(() => core.enterTerm(0), (error: unknown) => error instanceof InvariantError);
});

test.run();
