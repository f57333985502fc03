/**
 * Replication: Raft paper Figure 2 (AppendEntries, rules for leaders), Figure 3 (its properties),
 * §5.3, §5.4.2, §5.5; and the flow control of the core.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Entry, type Message, newMessage } from "../../../src/raft/mod.ts";
import { RaftCluster } from "../../support/raft_cluster.ts";

const text = (value: string) => new TextEncoder().encode(value);

function entry(index: number, term: number, data = ""): Entry {
  return { index, term, kind: "normal", data: text(data) };
}

function append(
  fields: Partial<Message> & { entries?: readonly Entry[] },
  { from = 2, to = 1 } = {},
): Message {
  return Object.assign(newMessage("append", to), { from, term: 1, index: 1, logTerm: 1 }, fields);
}

test("§5.3: an entry is committed when a majority holds it, and applied in order everywhere", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a");
  cluster.propose(1, "b");
  assert.equal(cluster.applied(1), ["a", "b"]);
  cluster.heal();
  cluster.propose(1, "c");
  cluster.tick(1, 1);
  cluster.settle();
  for (const id of [1, 2, 3]) assert.equal(cluster.applied(id), ["a", "b", "c"]);
});

test("§5.3: nothing is committed without a majority", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  const { committed } = cluster.node(1).status();
  cluster.isolate(1);
  cluster.propose(1, "a");
  assert.is(cluster.node(1).status().committed, committed);
  assert.equal(cluster.applied(1), []);
});

test("§5.3: the leader's own entry counts only when it is durable", () => {
  const cluster = new RaftCluster({ voters: [1] });
  cluster.elect(1);
  cluster.node(1).propose(text("a"));
  const before = cluster.node(1).status().committed;
  const ready = cluster.node(1).ready();
  assert.equal(ready.committedEntries, []);
  assert.is(cluster.node(1).status().committed, before);
  cluster.write(cluster.get(1), ready);
  cluster.node(1).advance();
  assert.is(cluster.node(1).status().committed, before + 1);
});

test("Figure 2: an append is refused where the log holds no such entry before it", () => {
  const cluster = new RaftCluster();
  cluster.node(1).step(append({ index: 5, logTerm: 1, entries: [entry(6, 1)] }));
  const [reply] = cluster.work(1)!.messages;
  assert.equal([reply!.reject, reply!.index, reply!.rejectHint], [true, 5, 1]);
  assert.equal(cluster.log(1), []);
});

test("Figure 2: an append of an older term changes nothing", () => {
  const cluster = new RaftCluster();
  cluster.node(1).step(append({ term: 3 }));
  cluster.work(1);
  assert.is(cluster.node(1).step(append({ term: 2, entries: [entry(2, 2, "x")] })), "older_term");
  assert.is(cluster.node(1).hasReady(), false);
});

test("Figure 2: a conflicting entry goes, with all that follow it", () => {
  const cluster = new RaftCluster();
  cluster.node(1).step(append({ entries: [entry(2, 1, "a"), entry(3, 1, "b"), entry(4, 1, "c")] }));
  cluster.work(1);
  assert.equal(cluster.log(1), ["1:a", "1:b", "1:c"]);
  cluster.node(1).step(append({ term: 2, index: 2, entries: [entry(3, 2, "d")] }, { from: 3 }));
  cluster.work(1);
  assert.equal(cluster.log(1), ["1:a", "2:d"]);
});

test("Figure 2: an append that says nothing new cuts nothing off", () => {
  const cluster = new RaftCluster();
  const entries = [entry(2, 1, "a"), entry(3, 1, "b")];
  cluster.node(1).step(append({ entries }));
  cluster.work(1);
  cluster.node(1).step(append({ entries: entries.slice(0, 1) }));
  const ready = cluster.work(1)!;
  assert.equal(ready.entries, []);
  assert.is(ready.messages[0]!.index, 2, "It vouches for no more than the append held");
  assert.equal(cluster.log(1), ["1:a", "1:b"]);
});

test("Figure 2: the commit index is the lesser of the leader's and the last new entry", () => {
  const cluster = new RaftCluster();
  cluster.node(1).step(append({ entries: [entry(2, 1)], commit: 9 }));
  assert.is(cluster.node(1).status().committed, 2);
  cluster.node(1).step(append({ index: 2, entries: [], commit: 1 }));
  assert.is(cluster.node(1).status().committed, 2, "It never goes back");
});

test("§5.3: entries are acknowledged after they are to be written, in the same Ready", () => {
  const cluster = new RaftCluster();
  cluster.node(1).step(append({ entries: [entry(2, 1)] }));
  const ready = cluster.node(1).ready();
  assert.is(ready.entries.length, 1);
  assert.ok(ready.mustSync);
  assert.equal(ready.messages.map(({ type, index }) => [type, index]), [["append_reply", 2]]);
});

test("§5.3: a leader brings diverged followers to its log (Figure 7)", () => {
  // Terms of the entries after index 1, as in Figure 7: the leader, then followers a to f.
  const leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  const followers = [
    [1, 1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 1, 4],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  ];
  for (const terms of followers) {
    const cluster = new RaftCluster();
    const fill = (id: number, list: readonly number[]) => {
      cluster.get(id).storage.append(list.map((term, at) => entry(at + 2, term)));
      cluster.get(id).storage.setHardState({ term: 7, vote: 0, commit: 1 });
      cluster.restart(id);
    };
    fill(1, leader);
    fill(2, leader);
    fill(3, terms);
    cluster.isLost = ({ to, type }) => to === 3 && type === "vote";
    cluster.elect(1);
    cluster.heal();
    cluster.tick(1, 1);
    cluster.settle();
    assert.equal(cluster.log(3), cluster.log(1), terms.join());
    assert.is(cluster.log(3).length, leader.length + 1);
  }
});

test("§5.3: probing spends at most one round on each term", () => {
  const cluster = new RaftCluster();
  const long = Array.from({ length: 200 }, (_, at) => entry(at + 2, 2));
  cluster.get(1).storage.append([
    entry(2, 1),
    ...Array.from({ length: 200 }, (_, at) => entry(at + 3, 3)),
  ]);
  cluster.get(2).storage.append([
    entry(2, 1),
    ...Array.from({ length: 200 }, (_, at) => entry(at + 3, 3)),
  ]);
  cluster.get(3).storage.append(long);
  for (const id of [1, 2, 3]) {
    cluster.get(id).storage.setHardState({ term: 3, vote: 0, commit: 1 });
    cluster.restart(id);
  }
  let refusals = 0;
  cluster.isLost = ({ reject, type }) => {
    if (type === "append_reply" && reject) refusals++;
    return false;
  };
  cluster.elect(1);
  assert.equal(cluster.log(3), cluster.log(1));
  assert.ok(refusals <= 3, `${refusals} refusals`);
});

test("§5.4.2: an entry of an earlier term is never committed by counting replicas (Figure 8)", () => {
  const cluster = new RaftCluster();
  // (index 2, term 2) is on 1; term 4 leads, and replicates it to 2: a majority.
  cluster.get(1).storage.append([entry(2, 2, "old")]);
  for (const id of [1, 2, 3]) {
    cluster.get(id).storage.setHardState({ term: 3, vote: 0, commit: 1 });
    cluster.restart(id);
  }
  cluster.isLost = ({ type }) => type === "append";
  cluster.elect(1);
  assert.equal(cluster.log(1), ["2:old", "4:"]);
  const reply = (index: number) =>
    Object.assign(newMessage("append_reply", 1), { from: 2, term: 4, index });
  cluster.node(1).step(reply(2));
  assert.is(cluster.node(1).status().members[1]!.match, 2);
  assert.is(cluster.node(1).status().committed, 1);
  cluster.node(1).step(reply(3));
  assert.is(
    cluster.node(1).status().committed,
    3,
    "With its own entry, the older is committed too",
  );
});

test("§5.3: an append from before the commit index is answered with it, compacted or not", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.propose(1, "a");
  cluster.propose(1, "b");
  cluster.compact(2);
  cluster.node(2).step(append({ index: 1, entries: [entry(2, 1)] }, { from: 1, to: 2 }));
  const [reply] = cluster.work(2)!.messages;
  assert.equal([reply!.reject, reply!.index], [false, 4]);
});

test("§5.5: lost appends are sent again until the follower holds them", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isLost = ({ to, type }) => to === 3 && type === "append";
  cluster.propose(1, "a");
  cluster.propose(1, "b");
  assert.equal(cluster.applied(3), []);
  cluster.heal();
  cluster.tick(1, 1);
  cluster.settle();
  cluster.tick(1, 1);
  cluster.settle();
  assert.equal(cluster.applied(3), ["a", "b"]);
});

test("§5.5: appends are idempotent", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  const seen: Message[] = [];
  cluster.isLost = (message) => {
    if (message.type === "append" && message.to === 2) seen.push(message);
    return false;
  };
  cluster.propose(1, "a");
  cluster.propose(1, "b");
  cluster.heal();
  for (const message of [...seen, ...seen.reverse()]) cluster.node(2).step(message);
  cluster.settle();
  assert.equal(cluster.log(2), ["1:", "1:a", "1:b"]);
  assert.equal(cluster.applied(2), ["a", "b"]);
});

test("Figure 3, leader append-only: a leader never changes what its log holds", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.propose(1, "a");
  assert.is(cluster.node(1).step(append({ index: 2, entries: [entry(3, 1, "x")] })), "accepted");
  cluster.settle();
  assert.equal(cluster.log(1), ["1:", "1:a"]);
});

test("Figure 3, leader completeness: only a log with all committed entries wins", () => {
  const cluster = new RaftCluster({ voters: [1, 2, 3] });
  cluster.elect(1);
  cluster.isolate(3);
  cluster.propose(1, "a");
  cluster.heal();
  cluster.isLost = ({ from, to, type }) =>
    type !== "vote" && type !== "vote_reply" && (from === 1 || to === 1);
  cluster.elect(3);
  assert.is.not(cluster.role(3), "leader");
  cluster.elect(2);
  assert.is(cluster.role(2), "leader");
  assert.equal(cluster.applied(3), ["a"]);
});

test("heartbeats carry no commit index beyond the follower's known match index", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.isLost = ({ to }) => to === 3;
  cluster.propose(1, "a");
  cluster.heal();
  cluster.tick(1, 1);
  const { messages } = cluster.work(1)!;
  const commits = messages.filter(({ type }) => type === "heartbeat")
    .map(({ to, commit }) => [to, commit]);
  assert.equal(commits, [[2, 3], [3, 2]]);
});

test("inflights: appends stop at the limit of messages and go on when acknowledged", () => {
  const cluster = new RaftCluster({ options: { inflightMessagesMax: 2 } });
  cluster.elect(1);
  cluster.isLost = ({ to }) => to === 3;
  for (const value of ["a", "b", "c", "d"]) cluster.propose(1, value);
  const third = () => cluster.node(1).status().members[2]!;
  assert.equal([third().inflightCount, third().isInflightFull, third().isPaused], [2, true, true]);
  assert.is(third().next, 5);
  cluster.heal();
  cluster.tick(1, 1);
  cluster.settle();
  assert.equal(cluster.applied(3), ["a", "b", "c", "d"]);
});

test("inflights: appends stop at the limit of bytes", () => {
  const options = { inflightBytesMax: 1_000, appendBytesMax: 1_000 };
  const cluster = new RaftCluster({ options });
  cluster.elect(1);
  cluster.isLost = ({ to }) => to === 3;
  for (let count = 0; count < 5; count++) cluster.node(1).propose(new Uint8Array(400));
  cluster.settle();
  assert.is(cluster.node(1).status().members[2]!.inflightCount, 3);
});

test("appendBytesMax: an append holds what fits, and at least one entry", () => {
  const cluster = new RaftCluster({ options: { appendBytesMax: 100 } });
  cluster.elect(1);
  cluster.isLost = ({ to }) => to !== 1;
  const sizes: number[] = [];
  cluster.node(1).propose(new Uint8Array(30), new Uint8Array(30), new Uint8Array(500));
  const { messages } = cluster.work(1)!;
  for (const { entries, to } of messages) if (to === 2) sizes.push(entries.length);
  assert.is(sizes[0], 1, "30 + 24 bytes twice exceed 100");
});

test("uncommittedBytesMax: proposals are refused above it, and the first always passes", () => {
  const cluster = new RaftCluster({ options: { uncommittedBytesMax: 100 } });
  cluster.elect(1);
  cluster.isolate(1);
  const { node } = cluster.get(1);
  assert.is(node.propose(new Uint8Array(1_000)), "accepted");
  cluster.settle();
  const { lastIndex } = node.status();
  assert.is(node.propose(new Uint8Array(1)), "over_limit");
  assert.is(node.propose(new Uint8Array(0)), "accepted", "What is empty counts nothing");
  assert.is(node.status().lastIndex, lastIndex + 1);
  cluster.heal();
  cluster.tick(1, 1);
  cluster.settle();
  assert.is(node.propose(new Uint8Array(1)), "accepted");
});

test("applyingBytesMax: committed entries come in portions of at least one", () => {
  const cluster = new RaftCluster({ options: { applyingBytesMax: 1 } });
  cluster.elect(1);
  cluster.node(1).propose(text("a"), text("b"), text("c"));
  const portions: number[] = [];
  for (let round = 0; round < 20; round++) {
    const ready = cluster.work(1);
    if (ready !== undefined) portions.push(ready.committedEntries.length);
    for (const id of [2, 3]) cluster.work(id);
    const { queue } = cluster;
    cluster.queue = [];
    for (const message of queue) cluster.deliver(message);
  }
  assert.ok(portions.every((count) => count <= 1), portions.join());
  assert.equal(cluster.applied(1), ["a", "b", "c"]);
});

test("reportUnreachable: a stream falls back to probing", () => {
  const cluster = new RaftCluster();
  cluster.elect(1);
  cluster.node(1).reportUnreachable(2);
  assert.is(cluster.node(1).status().members[1]!.state, "probe");
  cluster.tick(1, 1);
  cluster.settle();
  assert.is(cluster.node(1).status().members[1]!.state, "replicate");
});

test.run();
