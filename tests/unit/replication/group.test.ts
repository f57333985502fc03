/** One group's loop, on three nodes in one process: the guarantees to callers under all events. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { GROUP_PROPOSALS_MAX, WAL_ENTRY_BYTES_MAX } from "../../../src/base/limits.ts";
import type { ReadPoint } from "../../../src/replication/group_interface.ts";
import {
  type ConfChange,
  EMPTY_DATA,
  LEAVE_JOINT,
  type MemberChange,
} from "../../../src/raft/mod.ts";
import { type ClusterNode, GroupCluster, word } from "../../support/group_cluster.ts";

/** Returns a cluster of three with a leader whose lease has begun. */
async function served(): Promise<{ cluster: GroupCluster; leader: ClusterNode }> {
  const cluster = await GroupCluster.led();
  await cluster.world.pass(2_000);
  return { cluster, leader: await cluster.leader() };
}

/** Returns a sole voter, which leads. */
async function alone(): Promise<{ cluster: GroupCluster; node: ClusterNode }> {
  const cluster = new GroupCluster({ nodes: 1 });
  const node = cluster.node(1);
  await node.open();
  node.add(1, true);
  node.set.start();
  await cluster.world.settle();
  return { cluster, node };
}

function change(transition: ConfChange["transition"], ...changes: MemberChange[]): ConfChange {
  return { transition, changes, context: EMPTY_DATA };
}

/** Returns the result of a read in one word. */
function readWord(answer: ReadPoint | RegistryError): string {
  return answer instanceof RegistryError ? answer.code : `read at ${answer.appliedIndex}`;
}

/** Returns the current result of a promise; undefined: it is pending. */
function answerOf<T>(promise: Promise<T>): { value: T | undefined } {
  const answer: { value: T | undefined } = { value: undefined };
  promise.then((value) => answer.value = value);
  return answer;
}

test("propose: committed entries are applied on all replicas, in one order, and answered", async () => {
  const { cluster, leader } = await served();
  const { world } = cluster;
  const before = leader.group().status().appliedIndex;
  const proposed = [leader.propose("a"), leader.propose("b")];
  const [a, b] = await world.wait(Promise.all(proposed));
  const { term } = leader.group().status();
  assert.equal(a, { ok: true, index: before + 1, term, outcome: `a at ${term}:${before + 1}` });
  assert.equal(b, { ok: true, index: before + 2, term, outcome: `b at ${term}:${before + 2}` });
  await world.pass(1_000);
  for (const node of cluster.nodes) {
    assert.equal(node.journal().applied, ["a", "b"]);
    assert.is(node.group().status().appliedIndex, before + 2);
  }
});

test("propose: a proposal is answered only after a quorum has it, and only once", async () => {
  const { cluster, leader } = await served();
  cluster.isolate(leader);
  const answer = answerOf(leader.propose("a"));
  await cluster.world.pass(500);
  assert.is(answer.value, undefined);
  assert.equal(leader.journal().applied, []);
  cluster.heal();
  await cluster.world.pass(500);
  assert.is(answer.value === undefined ? undefined : word(answer.value).slice(0, 4), "a at");
});

test("propose: not_leader names the leading node, or none if none is known", async () => {
  const { cluster, leader } = await served();
  const [follower] = cluster.followers(leader);
  const refused = await cluster.world.wait(follower!.propose("a"));
  assert.ok(!refused.ok && refused.error.code === "not_leader");
  assert.is(!refused.ok && refused.error.fields.leaderHint, leader.id);
  assert.is(!refused.ok && refused.error.fields.leaderTerm, leader.group().status().term);

  const unled = new GroupCluster();
  const node = unled.node(1);
  await node.open();
  await node.found([1, 2, 3]);
  node.set.start();
  const nobody = await unled.world.wait(node.propose("a"));
  assert.ok(!nobody.ok && nobody.error.code === "not_leader");
  assert.is(!nobody.ok && nobody.error.fields.leaderHint, undefined);
});

test("propose: a command without bytes, or over the limit, is refused and changes nothing", async () => {
  const { cluster, node } = await alone();
  const before = node.group().status();
  for (const length of [0, WAL_ENTRY_BYTES_MAX + 1]) {
    const refused = node.group().propose(new Uint8Array(length), 1_000);
    assert.is(word(await cluster.world.wait(refused)), "too_large");
  }
  assert.equal(node.group().status(), before);
});

test("propose: beyond the commands that may wait it is overloaded, and nothing is logged", async () => {
  const { cluster, node } = await alone();
  node.disk.delayMs = () => Infinity;
  const open: Promise<unknown>[] = [];
  for (let count = 0; count < GROUP_PROPOSALS_MAX; count++) open.push(node.propose("a"));
  const { lastIndex } = node.group().status();
  const refused = await cluster.world.wait(node.propose("one more"));
  assert.ok(!refused.ok && refused.error.code === "overloaded");
  assert.ok(!refused.ok && (refused.error.fields.retryAfterMs ?? 0) > 0);
  assert.is(node.group().status().lastIndex, lastIndex);
  node.disk.delayMs = () => 0;
  node.disk.releaseHeld();
  await cluster.world.wait(Promise.all(open));
  assert.is(word(await cluster.world.wait(node.propose("now"))), `now at 1:${lastIndex + 1}`);
});

test("propose: too many bytes that are not committed are overloaded", async () => {
  const cluster = await GroupCluster.led({ settings: { uncommittedBytesMax: 100 } });
  const leader = await cluster.leader();
  cluster.isolate(leader);
  const first = answerOf(leader.propose("x".repeat(80)));
  assert.is(word(await cluster.world.wait(leader.propose("x".repeat(30)))), "overloaded");
  cluster.heal();
  await cluster.world.pass(1_000);
  assert.ok(first.value?.ok);
  assert.ok((await cluster.world.wait(leader.propose("x".repeat(30)))).ok);
});

test("propose: its time is up, the outcome not known, and the entry may be applied yet", async () => {
  const { cluster, leader } = await served();
  cluster.isolate(leader);
  const answer = answerOf(leader.propose("late", { timeoutMs: 300 }));
  await cluster.world.pass(299);
  assert.is(answer.value, undefined);
  await cluster.world.pass(200);
  assert.is(answer.value === undefined ? undefined : word(answer.value), "deadline_exceeded");
  cluster.heal();
  await cluster.world.pass(500);
  assert.equal(leader.journal().applied, ["late"]);
});

test("propose: a leader that is cut off answers soon, as others may replace the entry unseen", async () => {
  const { cluster, leader } = await served();
  const { world } = cluster;
  cluster.isolate(leader);
  const lost = answerOf(leader.propose("lost", { timeoutMs: 60_000 }));
  await world.pass(8_000);
  const next = cluster.followers(leader).find((node) => node.group().status().role === "leader");
  assert.ok(next !== undefined, "the others have a leader");
  assert.ok((await world.wait(next.propose("kept"))).ok);
  assert.is(lost.value === undefined ? undefined : word(lost.value), "connection_lost");
  cluster.heal();
  await world.pass(5_000);
  for (const node of cluster.nodes) assert.equal(node.journal().applied, ["kept"]);
});

test("propose: a replica that leads again answers its new proposals, whatever it lost before", async () => {
  const { cluster, leader } = await served();
  const { world } = cluster;
  cluster.isolate(leader);
  const lost = ["x", "y", "z"].map((text) => answerOf(leader.propose(text, { timeoutMs: 60_000 })));
  await world.pass(8_000);
  cluster.heal();
  await world.pass(5_000);
  const next = await cluster.leader();
  assert.is.not(next, leader);
  next.group().transferLeader(leader.id);
  await world.pass(500);
  assert.is(leader.group().status().role, "leader");
  for (const text of ["a", "b"]) {
    assert.is(word(await world.wait(leader.propose(text), 100)).slice(0, 4), `${text} at`);
  }
  assert.equal(lost.map(({ value }) => value && word(value)), Array(3).fill("connection_lost"));
  assert.equal(leader.journal().applied, ["a", "b"]);
});

test("readBarrier: a leader that is cut off refuses the reads that wait, so that others serve them", async () => {
  const { cluster, leader } = await served();
  cluster.isolate(leader);
  while (leader.group().readPoint(0) !== undefined) await cluster.world.pass(1);
  const read = answerOf(leader.group().readBarrier(0, 60_000));
  await cluster.world.pass(8_000);
  assert.is(read.value === undefined ? undefined : readWord(read.value), "not_leader");
});

test("close: pending calls are answered, and later ones are refused", async () => {
  const { cluster, leader } = await served();
  cluster.isolate(leader);
  const proposal = answerOf(leader.propose("a"));
  await cluster.world.pass(3_000);
  const read = answerOf(leader.group().readBarrier(0, 5_000));
  await cluster.world.settle();
  leader.group().close();
  await cluster.world.settle();
  assert.is(proposal.value === undefined ? undefined : word(proposal.value), "connection_lost");
  assert.is(read.value === undefined ? undefined : readWord(read.value), "shutting_down");
  assert.is(word(await cluster.world.wait(leader.propose("b"))), "shutting_down");
  const after = await cluster.world.wait(leader.group().readBarrier(0, 1_000));
  assert.is(readWord(after), "shutting_down");
  assert.is(leader.group().status().role, "closed");
});

test("readPoint: a leader with a lease serves at once, a follower and a leader without one do not", async () => {
  const { cluster, leader } = await served();
  const { appliedIndex, term } = leader.group().status();
  assert.equal(leader.group().readPoint(0), { appliedIndex, term, ageBoundMs: 0 });
  for (const follower of cluster.followers(leader)) {
    assert.is(follower.group().readPoint(0), undefined);
    assert.is(follower.group().readPoint(60_000), undefined, "no age is proven");
  }
  cluster.isolate(leader);
  await cluster.world.pass(2_100);
  assert.is(leader.group().readPoint(0), undefined, "its support ran out");
});

test("isLeading: from the first entry of its term on, with a lease or without, until it leads no more", async () => {
  const cluster = await GroupCluster.led({ leases: false });
  await cluster.world.pass(2_000);
  const leader = await cluster.leader();
  assert.is(leader.group().isLeading, true);
  assert.is(leader.group().readPoint(0), undefined);
  for (const follower of cluster.followers(leader)) assert.is(follower.group().isLeading, false);
  leader.group().close();
  assert.is(leader.group().isLeading, false);
});

test("readPoint: no lease is served while something committed is not applied here", async () => {
  const { cluster, leader } = await served();
  const group = leader.group();
  assert.ok(group.readPoint(0) !== undefined);
  const { appliedIndex } = group.status();
  leader.disk.delayMs = () => Infinity;
  leader.propose("a");
  await cluster.world.pass(20);
  assert.is(group.raftStatus().committed, appliedIndex + 1, "by the two others");
  assert.is(group.status().appliedIndex, appliedIndex);
  assert.is(group.readPoint(0), undefined);
  const read = answerOf(group.readBarrier(0, 5_000));
  await cluster.world.pass(500);
  assert.is(read.value, undefined);
  leader.disk.delayMs = () => 0;
  leader.disk.releaseHeld();
  await cluster.world.pass(20);
  assert.is(
    read.value === undefined ? undefined : readWord(read.value),
    `read at ${appliedIndex + 1}`,
  );
});

test("readPoint: with leases off none is served, and barriers are answered by a quorum", async () => {
  const cluster = await GroupCluster.led({ leases: false });
  await cluster.world.pass(2_000);
  const leader = await cluster.leader();
  assert.is(leader.group().readPoint(0), undefined);
  const { appliedIndex } = leader.group().status();
  const read = await cluster.world.wait(leader.group().readBarrier(0, 1_000));
  assert.is(readWord(read), `read at ${appliedIndex}`);
  cluster.isolate(leader);
  const cut = await cluster.world.wait(leader.group().readBarrier(0, 1_000));
  assert.is(readWord(cut), "deadline_exceeded");
});

test("readBarrier: a follower reads everything acknowledged before", async () => {
  const { cluster, leader } = await served();
  const proposed = await cluster.world.wait(leader.propose("a"));
  assert.ok(proposed.ok);
  const [follower] = cluster.followers(leader);
  const read = await cluster.world.wait(follower!.group().readBarrier(0, 1_000));
  assert.ok(!(read instanceof RegistryError) && read.appliedIndex >= proposed.index);
  assert.equal(follower!.journal().applied, ["a"]);
});

test("readBarrier: a replica that begins to lead permits what it had asked of the leader before", async () => {
  const { cluster, leader } = await served();
  const [next] = cluster.followers(leader);
  cluster.deliver = ({ messages }) =>
    !messages.some(({ message }) => message.type === "read_index");
  const read = answerOf(next!.group().readBarrier(0, 60_000));
  await cluster.world.pass(1);
  leader.group().transferLeader(next!.group().replica);
  assert.is(await cluster.leader(), next);
  await cluster.world.pass(1_000);
  assert.ok(read.value !== undefined && !(read.value instanceof RegistryError));
});

test("readBarrier: a request that was lost is asked again, within the deadline", async () => {
  const { cluster, leader } = await served();
  const [follower] = cluster.followers(leader);
  let isLost = false;
  cluster.deliver = ({ from, messages }) => {
    const asks = from === follower!.id &&
      messages.some(({ message }) => message.type === "read_index");
    if (!asks || isLost) return true;
    return !(isLost = true);
  };
  const read = await cluster.world.wait(follower!.group().readBarrier(0, 2_000));
  assert.ok(isLost && !(read instanceof RegistryError));
});

test("notLeading: a follower names its leader and the term; a leader, and a sole voter, are not refused", async () => {
  const { cluster, leader } = await served();
  const { term } = leader.group().status();
  assert.is(leader.group().notLeading(), undefined);
  for (const follower of cluster.followers(leader)) {
    const refusal = follower.group().notLeading();
    assert.is(refusal?.code, "not_leader");
    assert.equal(refusal?.fields, { leaderHint: leader.id, leaderTerm: term });
  }
  const { node } = await alone();
  assert.is(node.group().notLeading(), undefined);
});

test("timeMs: a leader's time runs with the clock, a follower's stays at the last command", async () => {
  const { cluster, leader } = await served();
  await cluster.world.wait(leader.propose("time 5000"));
  await cluster.world.pass(1_000);
  const [follower] = cluster.followers(leader);
  assert.is(follower!.group().timeMs(), 5_000);
  const beforeMs = leader.group().timeMs();
  await cluster.world.pass(250);
  assert.is(leader.group().timeMs(), beforeMs + 250);
  assert.ok(leader.journal().ledFromMs !== undefined);
  assert.is(follower!.journal().ledFromMs, undefined);
});

test("transferLeader: the target leads, logged entries stay, and the former leader is no longer asked", async () => {
  const { cluster, leader } = await served();
  await cluster.world.wait(leader.propose("a"));
  const [next] = cluster.followers(leader);
  assert.is(leader.group().transferLeader(next!.id), "accepted");
  assert.is(word(await cluster.world.wait(leader.propose("b"))).length > 0, true);
  await cluster.world.pass(200);
  assert.is(next!.group().status().role, "leader");
  assert.is(leader.group().status().role, "follower");
  assert.is(leader.journal().ledFromMs, undefined);
  assert.is(word(await cluster.world.wait(leader.propose("c"))), "not_leader");
  assert.ok((await cluster.world.wait(next!.propose("d"))).ok);
});

test("transferLeader: proposals meanwhile are overloaded; one that cannot be is given up", async () => {
  const { cluster, leader } = await served();
  const [next] = cluster.followers(leader);
  cluster.isolate(next!);
  assert.is(leader.group().transferLeader(next!.id), "accepted");
  assert.is(word(await cluster.world.wait(leader.propose("a"))), "overloaded");
  assert.is(leader.group().readPoint(0), undefined, "it may be told to campaign, later");
  await cluster.world.pass(3_000);
  assert.is(leader.group().status().role, "leader");
  assert.ok((await cluster.world.wait(leader.propose("b"))).ok);
  assert.is(leader.group().transferLeader(99), "unknown_member");
});

test("proposeConfChange: while a joint configuration stands another change is overloaded", async () => {
  const { cluster, leader } = await served();
  const { world } = cluster;
  const [other, third] = cluster.followers(leader);
  const remove = { kind: "remove", replica: third!.id } as const;
  const joint = await world.wait(
    leader.group().proposeConfChange(change("joint_explicit", remove), 5_000),
  );
  assert.ok(joint.ok);
  const voters = [leader.id, other!.id].sort();
  assert.equal(joint.outcome.voters, voters);
  assert.equal(joint.outcome.votersOutgoing, [1, 2, 3]);
  const second = change("auto", { kind: "add_learner", replica: third!.id });
  assert.is(word(await world.wait(leader.group().proposeConfChange(second, 5_000))), "overloaded");
  assert.equal(leader.group().configuration, joint.outcome);
  const left = await world.wait(leader.group().proposeConfChange(LEAVE_JOINT, 5_000));
  assert.ok(left.ok);
  assert.equal([left.outcome.voters, left.outcome.votersOutgoing], [voters, []]);
  assert.ok((await world.wait(leader.propose("after"))).ok);
  assert.equal(other!.group().configuration.votersOutgoing, []);
});

test("proposeConfChange: what cannot be is refused, and so is one for whose voters no support stands", async () => {
  const { cluster, leader } = await served();
  const { world } = cluster;
  const group = leader.group();
  const { configuration } = group;
  const nobody = change(
    "joint_implicit",
    ...[1, 2, 3].map((replica) => ({ kind: "remove", replica }) as const),
  );
  assert.is(word(await world.wait(group.proposeConfChange(nobody, 5_000))), "invalid_argument");
  const others = cluster.followers(leader);
  const foreign = change(
    "joint_implicit",
    ...others.map(({ id }) => ({ kind: "remove", replica: id }) as const),
    { kind: "add_voter", replica: 8 },
    { kind: "add_voter", replica: 9 },
  );
  assert.is(word(await world.wait(group.proposeConfChange(foreign, 5_000))), "overloaded");
  assert.is(group.configuration, configuration);
});

test("step: bad input is counted by a code and changes nothing", async () => {
  const { cluster, leader } = await served();
  const { world } = cluster;
  const [follower] = cluster.followers(leader);
  const group = follower!.group();
  const { term } = group.status();
  const append = {
    type: "append",
    to: follower!.id,
    from: leader.id,
    term,
    logTerm: term,
    index: group.status().lastIndex,
    commit: 0,
    vote: 0,
    reject: false,
    rejectHint: 0,
    entries: [],
    snapshot: undefined,
    responses: [],
    read: undefined,
    transfer: false,
    transferee: 0,
    boundTicks: 0,
  } as const;
  const cases = {
    misdirected: { ...append, to: leader.id },
    local_message: { ...append, from: follower!.id },
    unknown_peer: { ...append, from: 77 },
    older_term: { ...append, term: 1, logTerm: 1 },
    malformed: { ...append, logTerm: term + 1 },
    impossible_index: { ...append, type: "heartbeat", logTerm: 0, index: 0, commit: 1_000 },
  } as const;
  const before = group.raftStatus();
  for (const [code, message] of Object.entries(cases)) {
    assert.is(group.step(message), code);
    await world.settle();
    assert.equal(group.raftStatus(), before, code);
  }
  assert.ok((await world.wait(leader.propose("after"))).ok);
});

test("apply: a broken invariant ends only its group, on every node alike, and the loop continues", async () => {
  const cluster = new GroupCluster();
  const { world, nodes } = cluster;
  for (const node of nodes) {
    await node.open();
    for (const id of [1, 2]) await node.found([1, 2, 3], id);
    node.set.start();
  }
  const leader = await cluster.leader(1);
  const other = await cluster.leader(2);
  const waits = answerOf(leader.propose("broken"));
  const behind = answerOf(leader.propose("behind"));
  await world.pass(1_000);
  assert.is(waits.value === undefined ? undefined : word(waits.value), "internal");
  assert.is(behind.value === undefined ? undefined : word(behind.value), "internal");
  assert.is(word(await world.wait(leader.propose("b"))), "internal");
  assert.is(readWord(await world.wait(leader.group().readBarrier(0, 1_000))), "internal");
  for (const node of nodes) {
    assert.is(node.group(1).status().role, "failed");
    assert.equal(node.failures.map(({ group }) => group), [1]);
    assert.equal(node.errors, ["A group broke an invariant and was stopped"]);
    assert.equal(node.journal(1).applied, []);
  }
  assert.ok((await world.wait(other.propose("a", { id: 2 }))).ok);
  await world.pass(1_000);
  for (const node of nodes) assert.equal(node.journal(2).applied, ["a"]);
});

test("apply: a group that broke an invariant writes no image of what it has", async () => {
  const { cluster, node } = await alone();
  await cluster.world.wait(node.propose("broken"));
  const done = new Promise<RegistryError | undefined>((settle) => node.group().writeImage(settle));
  assert.is((await cluster.world.wait(done))?.code, "internal");
  assert.is(node.log.imageIndex(node.group().id), 0);
});

test("logPoisoned: a leader that others can replace steps down, and its accepted entries are not lost", async () => {
  const { cluster, leader } = await served();
  const { world } = cluster;
  assert.ok((await world.wait(leader.propose("a"))).ok);
  leader.disk.intercept = ({ kind }) => kind === "sync" ? "io" : undefined;
  const open = answerOf(leader.propose("b"));
  await world.pass(100);
  assert.is(open.value === undefined ? undefined : word(open.value), "storage_unavailable");
  assert.is(leader.group().status().role, "failed");
  assert.is(leader.group().readPoint(0), undefined);
  assert.is(word(await world.wait(leader.propose("c"))), "storage_unavailable");
  await world.pass(8_000);
  const next = cluster.followers(leader).find((node) => node.group().status().role === "leader");
  assert.ok(next !== undefined && next.journal().applied[0] === "a");
  assert.ok((await world.wait(next.propose("d"))).ok);
});

test("logPoisoned: a sole voter continues to read durable data", async () => {
  const { cluster, node } = await alone();
  const { world } = cluster;
  assert.ok((await world.wait(node.propose("a"))).ok);
  const { appliedIndex } = node.group().status();
  node.disk.intercept = ({ kind }) => kind === "sync" ? "io" : undefined;
  assert.is(word(await world.wait(node.propose("b"))), "storage_unavailable");
  assert.is(word(await world.wait(node.propose("c"))), "storage_unavailable");
  assert.is(node.group().readPoint(0)?.appliedIndex, appliedIndex);
  assert.equal(node.journal().applied, ["a"]);
});

test("a single-voter group works in the calling turn, and gets no ticks", async () => {
  const { cluster, node } = await alone();
  assert.is(node.group().wantsTicks, false);
  let ticks = 0;
  node.group().tick = () => void ticks++;
  assert.is(node.group().status().role, "leader");
  assert.is(node.group().readPoint(0)?.appliedIndex, 1);
  const sent = cluster.sent.length;
  await cluster.world.pass(10_000);
  assert.is(cluster.sent.length, sent);
  assert.is(node.group().status().term, 1);
  assert.is(ticks, 0);
});

test("a single-voter group that adds a member gets ticks, because its first messages may be lost", async () => {
  const cluster = new GroupCluster({ nodes: 2 });
  const { world } = cluster;
  const [first, second] = [cluster.node(1), cluster.node(2)];
  for (const node of [first, second]) {
    await node.open();
    node.add(1, node === first);
    node.set.start();
  }
  first.set.peerConnected(second.id);
  second.set.peerConnected(first.id);
  await world.pass(2_000);
  assert.ok((await world.wait(first.propose("a"))).ok);
  // No beats are delivered, so that liveness never wakes the group.
  cluster.deliver = ({ messages }) => messages.length === 0;
  const learner = change("auto", { kind: "add_learner", replica: 2 });
  assert.ok((await world.wait(first.group().proposeConfChange(learner, 5_000))).ok);
  cluster.heal();
  await world.pass(2_000);
  assert.equal(second.journal().applied, ["a"]);
  assert.is(first.group().wantsTicks, false, "all is told, and it may sleep");
});

test("a member that joins a group just founded knows who decides", async () => {
  const cluster = new GroupCluster({ nodes: 2 });
  const { world } = cluster;
  const [first, second] = [cluster.node(1), cluster.node(2)];
  for (const node of [second, first]) {
    await node.open();
    node.add(1, node === first);
    node.set.start();
  }
  const learner = change("auto", { kind: "add_learner", replica: 2 });
  // As soon as it leads, before anything of the group is applied.
  while (first.group().raftStatus().role !== "leader") await world.turn();
  assert.is(first.group().status().appliedIndex, 0);
  const changed = first.group().proposeConfChange(learner, 5_000);
  assert.ok((await world.wait(changed)).ok);
  assert.ok((await world.wait(first.propose("a"))).ok);
  await world.pass(3_000);
  assert.equal(second.journal().applied, ["a"]);
  assert.equal(second.group().configuration, first.group().configuration);
  assert.equal(second.group().configuration.voters, [1]);
});

test("a restarted node finds its acknowledged entries, and catches up", async () => {
  const { cluster, leader } = await served();
  const { world } = cluster;
  assert.ok((await world.wait(leader.propose("a"))).ok);
  leader.crash();
  const next = await cluster.leader();
  assert.ok((await world.wait(next.propose("b"))).ok);
  await leader.restart();
  await world.pass(5_000);
  assert.equal(leader.journal().applied, ["a", "b"]);
});

test.run();
