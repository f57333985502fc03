/** All groups of a node: one frame per node and turn, ticks, and refusals of input. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { HostedReplica } from "../../../src/replication/assembly/node_groups.ts";
import { InvariantError } from "../../../src/base/assert.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { groupId, nodeId, replicaId } from "../../../src/base/ids.ts";
import { BEAT_MS, RAFT_TICK_MS, SUPPORT_MS } from "../../../src/base/limits.ts";
import {
  EMPTY_CONFIGURATION,
  EMPTY_DATA,
  type Message,
  newMessage,
} from "../../../src/raft/mod.ts";
import { encodePeerFrame } from "../../../src/wire/peer_frame.ts";
import {
  type ClusterNode,
  GroupCluster,
  idOfGroup,
  type Journal,
  type Sent,
  word,
} from "../../support/group_cluster.ts";
import { newBeat } from "../../support/beat.ts";

/** Returns three nodes with several groups, all led by the first node. */
async function ledByFirst(groups: number): Promise<GroupCluster> {
  const cluster = new GroupCluster();
  for (const node of cluster.nodes) {
    await node.open();
    for (let id = 1; id <= groups; id++) await node.found([1, 2, 3], id);
    node.set.start();
  }
  for (let id = 1; id <= groups; id++) cluster.node(1).group(id).campaign();
  await cluster.world.pass(3_000);
  for (let id = 1; id <= groups; id++) assert.is(cluster.node(1).group(id).status().role, "leader");
  return cluster;
}

/** Returns a list to which everything sent from now on is added. */
function listen(cluster: GroupCluster): Sent[] {
  const heard: Sent[] = [];
  cluster.deliver = (sent) => heard.push(sent) > 0;
  return heard;
}

function heartbeat(from: number, to: ClusterNode, term: number): Message {
  return { ...newMessage("heartbeat", to.id), from, term };
}

/** A frame with one message, and nothing else. */
function frameOf(message: Message, group = 1): Uint8Array {
  const messages = [{ groupId: idOfGroup(group), fortifies: false, message }];
  return encodePeerFrame({ run: 1, supports: 0, beat: undefined, messages });
}

/** Returns the set's refusals since it began, by code. */
function refusals(node: ClusterNode): Record<string, number> {
  return Object.fromEntries(node.set.refusals);
}

test("the messages of all groups to a node in one turn are sent in one frame", async () => {
  const groups = 20;
  const cluster = await ledByFirst(groups);
  const { world } = cluster;
  const heard = listen(cluster);
  const proposals = Array.from({ length: groups }, (_, at) => {
    return cluster.node(1).propose(`to ${at + 1}`, { id: at + 1 });
  });
  await world.turn();
  const all = Array.from({ length: groups }, (_, at) => at + 1);
  assert.equal(heard.map(({ to }) => to).sort(), [2, 3]);
  for (const { messages } of heard) {
    assert.equal(messages.map((one) => one.groupId as number), all);
    assert.ok(messages.every(({ message }) => message.entries.length === 1));
  }
  assert.ok((await world.wait(Promise.all(proposals))).every(({ ok }) => ok));
});

test("idle groups get no ticks and say nothing; only beats pass, at their pace", async () => {
  const groups = 5;
  const cluster = await ledByFirst(groups);
  let ticks = 0;
  for (const node of cluster.nodes) {
    for (const group of node.groups.values()) {
      assert.not(group.wantsTicks);
      group.tick = () => void ticks++;
    }
  }
  const heard = listen(cluster);
  const passMs = 30 * BEAT_MS;
  await cluster.world.pass(passMs);
  assert.is(ticks, 0);
  assert.equal(heard.filter(({ messages }) => messages.length > 0), []);
  const perPair = heard.filter(({ from, to }) => from === 1 && to === 2).length;
  assert.ok(
    perPair >= passMs / (BEAT_MS + RAFT_TICK_MS) && perPair <= passMs / BEAT_MS,
    `${perPair}`,
  );
  assert.is(cluster.node(1).group(3).readPoint(0)?.ageBoundMs, 0, "and leases go on");
});

test("a sleeping group takes a proposal at once, and sleeps again", async () => {
  const cluster = await ledByFirst(1);
  const proposed = cluster.node(1).propose("a");
  assert.ok((await cluster.world.wait(proposed, 10)).ok);
  await cluster.world.pass(1_000);
  for (const node of cluster.nodes) {
    assert.equal(node.journal().applied, ["a"]);
    assert.not(node.group().wantsTicks);
  }
});

test("when its leader's node is supported no more a sleeping group wakes, and elects another", async () => {
  const groups = 4;
  const cluster = await ledByFirst(groups);
  cluster.node(1).crash();
  await cluster.world.pass(SUPPORT_MS - 500);
  for (const node of [cluster.node(2), cluster.node(3)]) {
    for (const group of node.groups.values()) assert.not(group.wantsTicks, "it may come back");
  }
  // A member of each group campaigns at once, and another one than in the next group.
  await cluster.world.pass(700);
  const leaders = new Set<number>();
  for (let id = 1; id <= groups; id++) {
    const leader = [2, 3].find((at) => cluster.node(at).group(id).status().role === "leader");
    assert.ok(leader !== undefined, `group ${id}`);
    leaders.add(leader);
  }
  assert.is(leaders.size, 2, "they do not all go to one node");
  const survivors = [cluster.node(2), cluster.node(3)];
  for (const { liveness } of survivors) {
    assert.is(liveness.get("withdrawn 1"), 1);
    assert.is(liveness.get("lost 1"), 1);
    assert.ok(liveness.get("beatOut 1")! > 1 && liveness.get("beatIn 1")! > 1);
  }
  const counts = survivors.map(({ set }) => set.counts);
  assert.is(counts.reduce((sum, { leadsWon }) => sum + leadsWon, 0), groups);
  assert.is(counts.reduce((sum, { leadsLost }) => sum + leadsLost, 0), 0);
  const elections = counts.reduce((sum, one) => sum + one.elections, 0);
  assert.ok(elections >= groups && elections <= 2 * groups, `${elections} elections`);
});

test("a returning follower's node gets missed entries from idle groups", async () => {
  const cluster = await ledByFirst(2);
  const third = cluster.node(3);
  third.crash();
  await cluster.world.pass(SUPPORT_MS + 1_000);
  assert.ok((await cluster.world.wait(cluster.node(1).propose("missed", { id: 2 }))).ok);
  await cluster.world.pass(1_000);
  for (const id of [1, 2]) assert.not(cluster.node(1).group(id).wantsTicks);
  await third.restart();
  await cluster.world.pass(SUPPORT_MS + 2_000);
  assert.equal(third.journal(2).applied, ["missed"]);
  for (const id of [1, 2]) assert.not(cluster.node(1).group(id).wantsTicks);
});

test("a learner gets missed entries when its node is back, without asking for them", async () => {
  const cluster = new GroupCluster({ nodes: 2 });
  const { world } = cluster;
  const [first, second] = cluster.nodes as [ClusterNode, ClusterNode];
  for (const node of [first, second]) {
    await node.open();
    node.add(1, node === first);
    node.set.start();
  }
  await world.settle();
  const changes = [{ kind: "add_learner", replica: 2 }] as const;
  const change = { transition: "auto", changes, context: EMPTY_DATA } as const;
  assert.ok((await world.wait(first.group().proposeConfChange(change, 5_000))).ok);
  await world.pass(3_000);
  cluster.isolate(second);
  await world.pass(SUPPORT_MS + 1_000);
  assert.ok((await world.wait(first.propose("missed"))).ok);
  await world.pass(1_000);
  assert.not(first.group().wantsTicks);
  assert.equal(second.journal().applied, []);
  cluster.heal();
  await world.pass(3_000);
  assert.equal(second.journal().applied, ["missed"]);
});

test("an invalid frame, or one with forbidden content, is refused by a code and changes nothing", async () => {
  const cluster = await ledByFirst(1);
  const [first, second] = cluster.nodes as [ClusterNode, ClusterNode];
  const { term } = second.group().status();
  const before = second.group().raftStatus();
  const good = frameOf(heartbeat(1, second, term));
  for (const bytes of [new Uint8Array(0), Uint8Array.of(1, 2, 3), good.subarray(0, 20)]) {
    second.set.receive(first.id, bytes);
  }
  assert.equal(refusals(second), { malformed: 3 });
  const snapshot = { index: 9, term, configuration: EMPTY_CONFIGURATION, data: new Uint8Array(0) };
  const image = { ...newMessage("snapshot", second.id), from: 1, term, snapshot };
  second.set.receive(first.id, frameOf(image));
  assert.equal(refusals(second), { malformed: 4 });
  second.set.receiveImage(first.id, good, new Uint8Array(9));
  second.set.receiveImage(first.id, Uint8Array.of(7), new Uint8Array(9));
  assert.equal(refusals(second), { malformed: 6 });
  await cluster.world.settle();
  assert.equal(second.group().raftStatus(), before);
});

test("a node speaks for its own replicas, to groups that are here, and for no replica that is gone", async () => {
  const cluster = await ledByFirst(1);
  const [first, second, third] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode];
  const { term } = second.group().status();
  const before = second.group().raftStatus();
  second.set.receive(third.id, frameOf(heartbeat(1, second, term + 1)));
  assert.equal(refusals(second), { unknown_peer: 1 }, "of another node's replica");
  second.set.receive(first.id, frameOf(heartbeat(1, second, term + 1), 9));
  assert.equal(refusals(second), { unknown_peer: 1, unknown_group: 1 });
  cluster.forgotten.add(1);
  second.set.receive(first.id, frameOf(heartbeat(1, second, term + 1)));
  assert.equal(refusals(second), { unknown_peer: 2, unknown_group: 1 });
  await cluster.world.settle();
  assert.equal(second.group().raftStatus(), before);
});

test("a leader that is the only voter ignores the pre-vote of a removed one, and goes on", async () => {
  const cluster = await ledByFirst(1);
  const { world } = cluster;
  const first = cluster.node(1);
  const changes = [2, 3].map((replica) => ({ kind: "remove", replica }) as const);
  for (const change of changes) {
    const removal = { transition: "auto", changes: [change], context: EMPTY_DATA } as const;
    await world.wait(first.group().proposeConfChange(removal, 5_000));
  }
  assert.equal(first.group().configuration.voters, [1]);
  const { term, lastIndex: index } = first.group().status();
  const preVote = { ...newMessage("pre_vote", 1), from: 3, term: term + 1, index, logTerm: term };
  first.set.receive(nodeId(3), frameOf(preVote));
  await world.pass(1_000);
  assert.is(refusals(first).leader_alive, 1);
  assert.ok((await world.wait(first.propose("a"))).ok);
});

test("a term of 2^53 - 1 is refused whoever sends it, and the group goes on and elects", async () => {
  const cluster = await ledByFirst(1);
  const [first, second, third] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode];
  const term = Number.MAX_SAFE_INTEGER;
  const types = ["heartbeat", "append", "vote", "pre_vote", "timeout_now"] as const;
  for (const type of types) {
    const message = { ...newMessage(type, second.id), from: 1, term };
    second.set.receive(first.id, frameOf(message));
  }
  const reply = { ...newMessage("append_reply", first.id), from: 3, term };
  first.set.receive(third.id, frameOf(reply));
  assert.equal(refusals(second), { term_too_far: types.length });
  assert.equal(refusals(first), { term_too_far: 1 });
  assert.is((await cluster.world.wait(first.propose("one"))).ok, true);
  first.crash();
  await cluster.world.pass(10_000);
  const leader = [second, third].find((node) => node.group().isLeading);
  assert.ok(leader !== undefined, "A group without its leader elects another one");
  assert.is((await cluster.world.wait(leader.propose("two"))).ok, true);
});

test("an impossible beat, or one of a node without a shared group, is refused by a code", async () => {
  const cluster = await ledByFirst(1);
  const second = cluster.node(2);
  const beat = newBeat(1);
  const frame = encodePeerFrame({ run: 1, supports: 0, beat, messages: [] });
  second.set.receive(nodeId(77), frame);
  assert.equal(refusals(second), { unknown_peer: 1 });
  const broken = { ...beat, run: 2, sequence: 1_000, echo: 5 };
  second.set.receive(
    cluster.node(1).id,
    encodePeerFrame({ run: 2, supports: 0, beat: broken, messages: [] }),
  );
  assert.equal(refusals(second), { unknown_peer: 1, malformed: 1 });
});

test("messages for a removed replica reach neither it nor its successor", async () => {
  const cluster = await ledByFirst(2);
  const third = cluster.node(3);
  const { term } = third.group().status();
  const removed = new Promise((done) => third.host.remove(groupId(1), done));
  third.set.receive(nodeId(1), frameOf(heartbeat(1, third, term)));
  assert.equal(refusals(third), { unknown_group: 1 });
  await cluster.world.wait(removed);
  const place = { group: groupId(1), replica: replicaId(8) };
  const joined = new Promise((done) => third.host.join(place, done));
  const next = (await cluster.world.wait(joined) as HostedReplica<Journal>).raft;
  third.set.receive(nodeId(1), frameOf(heartbeat(1, third, term)));
  assert.is(refusals(third).misdirected, 1);
  assert.is(next.status().term, 0);
  await cluster.world.pass(1_000);
  assert.ok((await cluster.world.wait(cluster.node(1).propose("a", { id: 2 }))).ok);
});

test("a group is here once", async () => {
  const cluster = new GroupCluster({ nodes: 1 });
  const node = cluster.node(1);
  await node.open();
  node.add(1, true);
  assert.throws(() => node.add(1, true), (error: Error) => error instanceof InvariantError);
});

test("found: a refusal of the log is reported in a later turn, and no group exists", async () => {
  const cluster = new GroupCluster({ nodes: 1 });
  const { world } = cluster;
  const node = cluster.node(1);
  await node.open();
  node.set.start();
  node.disk.intercept = ({ kind }) => kind === "sync" ? "io" : undefined;
  const failure = await node.found([1, 2, 3]).catch((error: RegistryError) => error.code);
  assert.is(failure, "storage_unavailable");
  const again = await node.found([1, 2, 3]).catch((error: RegistryError) => error.code);
  assert.is(again, "storage_unavailable");
  await world.settle();
  assert.is(node.set.group(groupId(1)), undefined);
});

test("logWritable: meanwhile proposals are refused with a time to come back, and reads go on", async () => {
  const cluster = await ledByFirst(1);
  const { world } = cluster;
  const first = cluster.node(1);
  const { lastIndex } = first.group().status();
  first.set.logWritable(false);
  const refused = await world.wait(first.propose("a"));
  assert.ok(!refused.ok && refused.error.code === "storage_unavailable");
  assert.ok(!refused.ok && (refused.error.fields.retryAfterMs ?? 0) > 0);
  assert.ok(first.group().readPoint(0) !== undefined);
  assert.is(first.group().status().lastIndex, lastIndex);
  first.set.logWritable(true);
  assert.ok((await world.wait(first.propose("b"))).ok);
});

test("a set that is closed, or whose log is poisoned, takes nothing and says nothing", async () => {
  for (const end of ["close", "poison"] as const) {
    const cluster = await ledByFirst(1);
    const { world } = cluster;
    const second = cluster.node(2);
    if (end === "close") second.set.close();
    else second.set.logPoisoned(new RegistryError("storage_unavailable", "gone"));
    const heard = listen(cluster);
    second.set.receive(nodeId(1), frameOf(heartbeat(1, second, 1)));
    assert.equal(refusals(second), { closed: 1 });
    await world.pass(1_000);
    assert.ok((await world.wait(cluster.node(1).propose("a"))).ok, "the others go on");
    const said = heard.filter(({ from, messages }) => from === 2 && messages.length > 0);
    assert.equal(said, [], end);
    assert.equal(second.journal().applied, []);
    const code = end === "close" ? "shutting_down" : "storage_unavailable";
    assert.is(word(await world.wait(second.propose("b"))), code);
  }
});

test.run();
