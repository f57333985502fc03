/**
 * The public interface: order of work, asynchronous writes, recovery, refusals of bad input, and
 * the local invariants. Raft paper Figure 2 (state), thesis §3.8, §10.2.1.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { InvariantError } from "../../../src/base/assert.ts";
import { RAFT_FIRST_TERM_MAX, RAFT_TERM_AHEAD_MAX } from "../../../src/base/limits.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import {
  APPEND_THREAD,
  APPLY_THREAD,
  EMPTY_CONFIGURATION,
  EMPTY_DATA,
  encodeConfChange,
  type Entry,
  MemoryStorage,
  type Message,
  newMessage,
  RaftNode,
  raftSettings,
} from "../../../src/raft/mod.ts";
import { RaftCluster } from "../../support/raft_cluster.ts";

const isRangeError = (error: unknown) => error instanceof RangeError;
const isInvariantError = (error: unknown) => error instanceof InvariantError;

function entry(index: number, term: number): Entry {
  return { index, term, kind: "normal", data: EMPTY_DATA };
}

function message(type: Message["type"], fields: Partial<Message>): Message {
  return Object.assign(newMessage(type, 1), { from: 2, term: 1 }, fields);
}

test("ready and advance alternate; anything else is a broken invariant", () => {
  const cluster = new RaftCluster();
  const { node } = cluster.get(1);
  node.campaign();
  assert.throws(() => node.advance(), isInvariantError);
  node.ready();
  assert.throws(() => node.ready(), isInvariantError);
  node.advance();
});

test("ready: returned values are not changed by later events", () => {
  const cluster = new RaftCluster();
  const { node } = cluster.get(1);
  node.campaign();
  const ready = node.ready();
  const before = structuredClone(ready);
  node.step(message("vote", { term: 9, index: 9, logTerm: 9 }));
  node.readIndex();
  assert.equal(ready, before);
});

test("ready: mustSync tells of entries, term or vote, not of the commit index alone", () => {
  const cluster = new RaftCluster();
  const { node } = cluster.get(1);
  node.step(message("append", { index: 1, logTerm: 1, entries: [entry(2, 1)] }));
  assert.is(cluster.work(1)!.mustSync, true);
  node.step(message("append", { index: 2, logTerm: 1, commit: 2 }));
  const ready = cluster.work(1)!;
  assert.is(ready.hardState?.commit, 2);
  assert.is(ready.mustSync, false);
});

test("ready: mustSync tells of a vote alone", () => {
  const cluster = new RaftCluster();
  const { node } = cluster.get(1);
  node.step(message("vote", { index: 0, logTerm: 0 }));
  assert.equal(cluster.work(1)!.hardState, { term: 1, vote: 0, commit: 1 });
  node.step(message("vote", { from: 3, index: 1, logTerm: 1 }));
  const ready = cluster.work(1)!;
  assert.equal(ready.hardState, { term: 1, vote: 3, commit: 1 });
  assert.is(ready.mustSync, true);
});

test("Figure 2: term, vote and log survive a restart; commit and applied are found again", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.propose(1, "a");
  const before = cluster.node(1).status();
  cluster.restart(1);
  const after = cluster.node(1).status();
  assert.equal([after.term, after.vote, after.lastIndex], [
    before.term,
    before.vote,
    before.lastIndex,
  ]);
  assert.is(after.role, "follower");
  cluster.settle();
  assert.equal(cluster.applied(1), ["a"], "What was committed is applied anew");
});

test("RaftNode: a hard state that the log cannot have is refused at the start", () => {
  const storage = new MemoryStorage();
  storage.setHardState({ term: 1, vote: 0, commit: 5 });
  const settings = raftSettings({
    entropy: new SeededEntropy(1),
    electionTicks: 10,
    heartbeatTicks: 1,
  });
  assert.throws(() => new RaftNode({ id: 1, storage, settings }), isInvariantError);
  assert.throws(
    () => new RaftNode({ id: 0, storage: new MemoryStorage(), settings }),
    isRangeError,
  );
});

test("RaftNode: a snapshot, or what was applied, says more than an older hard state", () => {
  const configuration = { ...EMPTY_CONFIGURATION, voters: [1] };
  const storage = new MemoryStorage();
  storage.applySnapshot({ index: 5, term: 1, configuration, data: EMPTY_DATA });
  storage.append([entry(6, 1), entry(7, 1)]);
  storage.setHardState({ term: 1, vote: 1, commit: 3 });
  const settings = raftSettings({
    entropy: new SeededEntropy(1),
    electionTicks: 10,
    heartbeatTicks: 1,
  });
  assert.is(new RaftNode({ id: 1, storage, settings }).committed, 5);
  const { applied, committed } = new RaftNode({ id: 1, storage, settings, applied: 6 });
  assert.equal([applied, committed], [6, 6]);
  assert.throws(() => new RaftNode({ id: 1, storage, settings, applied: 8 }), isInvariantError);
});

test("raftSettings refuses impossible values", () => {
  const sound = { entropy: new SeededEntropy(1), electionTicks: 10, heartbeatTicks: 1 };
  const broken = [
    { heartbeatTicks: 0 },
    { electionTicks: 1 },
    { electionTicks: 2.5 },
    { readMode: "clock", checkQuorum: false } as const,
    { inflightBytesMax: 1 },
    { appendBytesMax: 0 },
    { readsPendingMax: Number.NaN },
  ];
  raftSettings(sound);
  for (const fields of broken) {
    assert.throws(
      () => raftSettings({ ...sound, ...fields }),
      isRangeError,
      JSON.stringify(fields),
    );
  }
});

test("step: bad input is refused by a code and changes nothing", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  const { node } = cluster.get(1);
  const snapshot = { index: 9, term: 1, configuration: EMPTY_CONFIGURATION, data: EMPTY_DATA };
  const broken: [string, Message][] = [
    ["misdirected", { ...message("append", {}), to: 2 }],
    ["unknown_peer", message("append_reply", { from: 9 })],
    ["unknown_peer", message("heartbeat_reply", { from: 9 })],
    ["local_message", message("storage_append_reply", {})],
    ["local_message", message("append_reply", { from: 1, index: 2 })],
    ["local_message", message("append_reply", { from: APPEND_THREAD, index: 2 })],
    ["malformed", message("append", { from: 0 })],
    ["malformed", message("append", { from: 1.5 })],
    ["malformed", message("append", { term: 0 })],
    ["malformed", message("append", { term: -1 })],
    ["malformed", message("append", { term: Number.NaN })],
    ["malformed", message("append", { term: 9, index: 1, logTerm: 1, entries: [entry(3, 1)] })],
    ["malformed", message("append", { term: 9, index: 1, logTerm: 1, entries: [entry(2, 10)] })],
    ["malformed", message("append", { term: 9, index: 1, logTerm: 5, entries: [entry(2, 4)] })],
    ["malformed", message("append", { term: 9, index: 1, logTerm: 10 })],
    ["malformed", message("append", { term: 9, index: 1, logTerm: 1, boundTicks: 1 })],
    ["malformed", message("pre_vote_reply", { term: 9, boundTicks: 1 })],
    ["malformed", message("pre_vote_reply", { term: 9, reject: true, boundTicks: -1 })],
    ["malformed", message("propose", { term: 0 })],
    ["malformed", message("propose", { term: 1, entries: [entry(0, 0)] })],
    ["malformed", message("snapshot", { term: 9 })],
    ["malformed", message("snapshot", { term: 9, snapshot: { ...snapshot, term: 10 } })],
    ["malformed", message("snapshot", { term: 9, snapshot: { ...snapshot, index: 0 } })],
    [
      "malformed",
      message("snapshot", {
        term: 9,
        snapshot: { ...snapshot, configuration: { ...EMPTY_CONFIGURATION, voters: [3, 1] } },
      }),
    ],
    ["malformed", message("read_index", { term: 0 })],
    ["malformed", message("transfer_leader", { transferee: 0 })],
    ["impossible_index", message("append_reply", { index: 99 })],
    ["impossible_index", message("heartbeat", { term: 9, commit: 99 })],
    ["malformed", message("append", { term: 0.5 })],
  ];
  const before = node.status();
  for (const [code, bad] of broken) {
    assert.is(node.step(bad), code, `${bad.type} ${JSON.stringify(bad)}`);
    assert.equal(node.status(), before, code);
    assert.is(node.hasReady(), false, code);
  }
});

test("step: no few messages of a member that lies lead near the last term", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  const { node } = cluster.get(1);
  const ahead = (by: number) => message("heartbeat", { term: node.status().term + by });
  assert.is(node.step(ahead(RAFT_TERM_AHEAD_MAX + 1)), "term_too_far");
  assert.is(node.step(message("vote", { term: Number.MAX_SAFE_INTEGER })), "term_too_far");
  assert.is(node.status().term, 1);
  for (let lie = 1; lie <= 3; lie++) {
    assert.is(node.step(ahead(RAFT_TERM_AHEAD_MAX)), "accepted");
    assert.is(node.status().term, 1 + lie * RAFT_TERM_AHEAD_MAX);
  }
  assert.ok(Number.MAX_SAFE_INTEGER / RAFT_TERM_AHEAD_MAX > 500_000_000);
});

test("step: a replica that never entered a term joins a group of any generation", () => {
  const fresh = () => new RaftCluster().get(1).node;
  assert.is(fresh().status().term, 0);
  assert.is(fresh().step(message("heartbeat", { term: RAFT_FIRST_TERM_MAX })), "accepted");
  const beyond = message("heartbeat", { term: RAFT_FIRST_TERM_MAX + 1 });
  assert.is(fresh().step(beyond), "term_too_far");
});

test("step: a proposal whose change of the configuration cannot be read is refused", () => {
  const cluster = new RaftCluster({ options: { forwardProposals: true } });
  cluster.elect(1);
  const data = new Uint8Array([1, 2, 3]);
  const broken: Entry = { term: 0, index: 0, kind: "conf_change", data };
  const bad = message("propose", { term: 0, entries: [broken] });
  assert.is(cluster.node(1).step(bad), "malformed");
});

test("step: a message of an older term is told of the newer one only where that is needed", () => {
  for (const checkQuorum of [true, false]) {
    const cluster = new RaftCluster({ options: { checkQuorum } });
    cluster.elect(1);
    cluster.elect(2);
    if (checkQuorum) cluster.node(1).step(message("heartbeat", { term: 5, from: 3 }));
    cluster.work(1);
    cluster.queue = [];
    assert.is(cluster.node(1).step(message("heartbeat", { term: 1, from: 3 })), "older_term");
    assert.is(cluster.node(1).hasReady(), checkQuorum);
  }
});

test("propose: a follower refuses, or sends it on where that is allowed", () => {
  for (const forwardProposals of [false, true]) {
    const cluster = new RaftCluster({ options: { forwardProposals } });
    assert.is(cluster.node(2).propose(new Uint8Array(1)), "no_leader");
    cluster.elect(1);
    const expected = forwardProposals ? "accepted" : "not_leader";
    assert.is(cluster.node(2).propose(new TextEncoder().encode("a")), expected);
    cluster.settle();
    assert.equal(cluster.applied(3), forwardProposals ? ["a"] : []);
  }
});

/** Returns a leader whose storage answers when the test says so. */
function asyncLeader(): { node: RaftNode; storage: MemoryStorage; take: () => Message[] } {
  const storage = new MemoryStorage();
  const configuration = { ...EMPTY_CONFIGURATION, voters: [1] };
  storage.applySnapshot({ index: 1, term: 1, configuration, data: EMPTY_DATA });
  const node = RaftNode.start({
    id: 1,
    storage,
    applied: 1,
    entropy: new SeededEntropy(1),
    electionTicks: 10,
    heartbeatTicks: 1,
    preVote: false,
    checkQuorum: false,
    asyncStorageWrites: true,
  });
  const take = () => (node.hasReady() ? [...node.ready().messages] : []);
  return { node, storage, take };
}

test("asyncStorageWrites: a vote, an entry and an application count when storage says so", () => {
  const { node, storage, take } = asyncLeader();
  node.campaign();
  const [vote] = take();
  assert.equal([vote!.type, vote!.to, vote!.term, vote!.vote], [
    "storage_append",
    APPEND_THREAD,
    1,
    1,
  ]);
  assert.is(node.status().role, "candidate");
  for (const response of vote!.responses) node.stepOwn(response);
  assert.is(node.status().role, "leader");

  const [opening] = take();
  assert.is(opening!.entries.length, 1);
  assert.is(node.status().committed, 1);
  node.propose(new Uint8Array(3));
  const [second] = take();
  assert.is(second!.entries.length, 1, "Writes overlap; each entry is handed out once");
  storage.append(opening!.entries);
  for (const response of opening!.responses) node.stepOwn(response);
  assert.is(node.status().committed, 2);
  const [commit, apply] = take();
  assert.is(commit!.commit, 2);
  assert.equal([apply!.type, apply!.to], ["storage_apply", APPLY_THREAD]);
  assert.is(node.status().applied, 1);
  for (const response of apply!.responses) node.stepOwn(response);
  assert.is(node.status().applied, 2);
});

test("asyncStorageWrites: what is committed but not durable here is not applied", () => {
  const cluster = new RaftCluster({ options: { asyncStorageWrites: true } });
  const { node, storage } = cluster.get(1);
  node.step(message("append", { index: 1, logTerm: 1, entries: [entry(2, 1)], commit: 2 }));
  const [append] = node.ready().messages;
  assert.is(node.status().committed, 2);
  assert.is(node.hasReady(), false);
  storage.append(append!.entries);
  for (const response of append!.responses) if (response.to === 1) node.stepOwn(response);
  assert.is(node.ready().committedEntries.length, 1);
});

test("asyncStorageWrites: the limit of applying bytes counts all pending entries", () => {
  const entries = [entry(2, 1), entry(3, 1), entry(4, 1)];
  const cluster = new RaftCluster({ options: { asyncStorageWrites: true, applyingBytesMax: 40 } });
  const { node, storage } = cluster.get(1);
  node.step(message("append", { index: 1, logTerm: 1, entries, commit: 4 }));
  const [append] = node.ready().messages;
  storage.append(append!.entries);
  for (const response of append!.responses) if (response.to === 1) node.stepOwn(response);
  for (const index of [2, 3, 4]) {
    const { committedEntries, messages } = node.ready();
    assert.equal(committedEntries.map((applied) => applied.index), [index]);
    assert.is(node.hasReady(), false, "One entry fits, and it is not applied yet");
    const apply = messages.find(({ type }) => type === "storage_apply")!;
    for (const response of apply.responses) node.stepOwn(response);
  }
  assert.is(node.hasReady(), false);
});

test("asyncStorageWrites: the answer of an older term makes no entry durable", () => {
  const cluster = new RaftCluster({ options: { asyncStorageWrites: true } });
  const { node, storage } = cluster.get(1);
  node.step(message("append", { index: 1, logTerm: 1, entries: [entry(2, 1)] }));
  const [first] = node.ready().messages;
  node.step(message("append", { term: 2, from: 3, index: 1, logTerm: 1, entries: [entry(2, 2)] }));
  const [second] = node.ready().messages;
  // The first entry arrives again, with the same index and term, while the second is being written.
  node.step(
    message("append", { term: 3, index: 1, logTerm: 1, entries: [entry(2, 1)], commit: 2 }),
  );
  const [third] = node.ready().messages;
  const answer = (work: Message) => {
    storage.append(work.entries);
    for (const response of work.responses) if (response.to === 1) node.stepOwn(response);
  };
  answer(first!);
  answer(second!);
  assert.is(node.hasReady(), false, "Nothing may be applied yet");
  answer(third!);
  assert.is(node.ready().committedEntries[0]!.term, 1);
});

test("a leader that would count an entry of its own that was never handed out stops", () => {
  const { node, take } = asyncLeader();
  node.campaign();
  for (const response of take()[0]!.responses) node.stepOwn(response);
  const forged = Object.assign(newMessage("append_reply", 1), { from: 1, term: 1, index: 2 });
  assert.is(node.step(forged), "local_message");
  assert.throws(() => node.stepOwn(forged), isInvariantError);
  assert.throws(() => node.stepOwn(message("append_reply", {})), isInvariantError);
});

test("applyConfChange: a committed change that cannot be applied stops the replica", () => {
  const cluster = new RaftCluster({ voters: [1], options: { skipConfChangeChecks: true } });
  cluster.elect(1);
  const changes = [{ kind: "remove", replica: 1 }] as const;
  const change = { transition: "auto", changes, context: EMPTY_DATA } as const;
  assert.is(cluster.node(1).proposeConfChange(change), "accepted");
  assert.throws(() => cluster.settle(), isInvariantError);
});

test("applyConfChange: only of what was handed out, and not of what a snapshot overtook", () => {
  const cluster = new RaftCluster({ options: { asyncStorageWrites: true } });
  const { node, storage } = cluster.get(1);
  const changes = [{ kind: "add_learner", replica: 9 }] as const;
  const change = { transition: "auto", changes, context: EMPTY_DATA } as const;
  const data = encodeConfChange(change);
  const changing: Entry = { term: 1, index: 2, kind: "conf_change", data };
  node.step(message("append", { index: 1, logTerm: 1, entries: [changing], commit: 2 }));
  assert.throws(() => node.applyConfChange(change, 2), isInvariantError);
  const [append] = node.ready().messages;
  storage.append(append!.entries);
  for (const response of append!.responses) if (response.to === 1) node.stepOwn(response);
  assert.is(node.ready().committedEntries.length, 1);
  // While the entry is in transit, a snapshot arrives whose configuration lacks the learner again.
  const configuration = { ...EMPTY_CONFIGURATION, voters: [1, 2, 3] };
  const snapshot = { index: 8, term: 1, configuration, data: EMPTY_DATA };
  assert.is(node.step(message("snapshot", { snapshot })), "accepted");
  assert.equal(node.applyConfChange(change, 2), configuration);
  assert.equal(node.status().configuration.learners, []);
});

test("entryTerm tells of entries durable or not, and of none compacted or beyond the end", () => {
  const cluster = new RaftCluster({ voters: [1] });
  cluster.elect(1);
  cluster.propose(1, "a");
  cluster.compact(1);
  const node = cluster.node(1);
  const { lastIndex, term } = node;
  assert.is(node.propose(new Uint8Array([1])), "accepted");
  assert.is(node.entryTerm(lastIndex + 1), term);
  assert.is(node.entryTerm(lastIndex), term);
  assert.is(node.entryTerm(lastIndex - 1), undefined);
  assert.is(node.entryTerm(lastIndex + 2), undefined);
});

test.run();
