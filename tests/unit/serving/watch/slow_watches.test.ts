/** Watches whose peers are slow, or gone, or too many: what they cost others, and how they end. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { developmentPeer } from "../../../../identity/enrolment/development_peer.ts";
import type { RegistryError } from "../../../../src/base/errors.ts";
import { partitionId } from "../../../../src/base/ids.ts";
import { PEER_STALL_MS, WATCHES_SESSION_MAX } from "../../../../src/base/limits.ts";
import { KIND_AGENT } from "../../../../src/record/key.ts";
import { WATCH_STARTS } from "../../../../schemas/gen/wire.ts";
import { FakeWatchStream } from "../../../support/fake_watch_stream.ts";
import { requestFrame } from "../../../support/raw_peer.ts";
import { agentRequest, RegistryHarness } from "../../../support/registry_harness.ts";
import { extraOf, idOf } from "../../../support/store.ts";
import {
  NO_ORDER,
  type ProbeOrder,
  startAll,
  type WatchReplyLog,
} from "../../../support/watch_probe.ts";

const PARTITIONS = 4;
const NEXT = startAll(PARTITIONS, WATCH_STARTS.next);
const LARGE = { extra: extraOf({ filler: "x".repeat(250), more: "y".repeat(250) }) };

async function opened() {
  const harness = await RegistryHarness.open({ partitions: PARTITIONS });
  const owner = await harness.peer();
  const revoked = new AbortController().signal;
  const stream = () => new FakeWatchStream(developmentPeer({ region: "global", revoked }));
  const hub = harness.registry.watches;
  const watch = (of: FakeWatchStream, order: ProbeOrder = {}) =>
    of.watch(hub, { positions: NEXT, ...order }, PARTITIONS);
  const register = async (number: number, sequence = 7, more = {}) => {
    await owner.must("registerAgent", agentRequest({ number, sequence, ...more }));
  };
  return { harness, hub, owner, stream, watch, register };
}

const placesOf = ({ events }: WatchReplyLog) =>
  events.map(({ partition, index, ordinal }) => `${partition} ${index} ${ordinal}`);

test("a slow watch delays no other, and receives everything in order once it reads", async () => {
  const { harness, hub, stream, watch, register } = await opened();
  const [fast, slow] = [stream(), stream()];
  const logs = [watch(fast), watch(slow), watch(slow, { withBefore: true })];
  await harness.world.pass(2);
  slow.reads = false;
  for (let number = 1; number <= 100; number++) {
    await register(number % 40, 7 + number);
    await harness.world.pass(2);
    assert.ok(logs[0]!.events.length >= number);
    if (number % 30 === 0) slow.readOnce();
  }
  assert.is(hub.status.blocked, 2);
  assert.ok(hub.status.lagMs > 0);
  assert.ok(logs[1]!.events.length < logs[0]!.events.length);
  slow.reads = true;
  await harness.world.pass(5);
  const byPartition = (log: WatchReplyLog) => placesOf(log).sort();
  assert.equal(byPartition(logs[1]!), byPartition(logs[0]!));
  assert.equal(byPartition(logs[2]!), byPartition(logs[0]!));
  assert.is(hub.status.blocked, 0);
});

test("watches end although not even a refusal fits behind what their peer has not read", async () => {
  const { harness, hub, watch } = await opened();
  const revoked = new AbortController().signal;
  const peer = developmentPeer({ region: "global", revoked });
  const full = new FakeWatchStream(peer, 1, 1 << 16);
  const [canceled] = [watch(full), watch(full), watch(full)];
  await harness.world.pass(2);
  full.reads = false;
  full.writer.allocate((1 << 16) - full.writer.length);
  const { length } = full.writer;
  hub.cancel(full, 1);
  assert.is(hub.status.counts.watches, 2);
  full.events!.stalled();
  assert.is(hub.status.counts.watches, 0);
  assert.is(full.writer.length, length, "nothing half written is left");
  assert.is(canceled!.end, undefined);
});

test("a watch whose refused partitions cannot be told for lack of room does not begin", async () => {
  const { harness, hub, watch } = await opened();
  const revoked = new AbortController().signal;
  const full = new FakeWatchStream(developmentPeer({ region: "global", revoked }), 1, 1 << 16);
  full.reads = false;
  harness.registry.table.put({ isHere: false, id: partitionId(1), nodes: [7], leader: 7 });
  full.writer.allocate((1 << 16) - full.writer.length);
  assert.throws(() => watch(full), (error: RegistryError) => error.code === "too_large");
  assert.is(hub.status.counts.watches, 0);
});

test("watches of one stream take turns", async () => {
  const { harness, stream, watch, register } = await opened();
  for (let number = 1; number <= 400; number++) await register(number, 7, LARGE);
  const one = stream();
  one.reads = false;
  const state = startAll(PARTITIONS, WATCH_STARTS.state);
  const logs = Array.from({ length: 8 }, () => watch(one, { positions: state }));
  for (let reads = 0; reads < 16; reads++) {
    await harness.world.pass(2);
    one.readOnce();
  }
  const received = logs.map(({ events }) => events.length);
  assert.ok(Math.min(...received) > 0, `${received}`);
  assert.ok(Math.max(...received) < 400, `${received}`);
});

test("a watch ends where what it has not taken is no longer in the history", async () => {
  const { harness, hub, stream, watch, register } = await opened();
  const slow = stream();
  const log = watch(slow);
  await harness.world.pass(2);
  slow.reads = false;
  await register(1);
  await harness.world.pass(2);
  for (let sequence = 8; sequence < 1_000; sequence++) {
    await register(1, sequence, LARGE);
    if (sequence % 50 === 0) await harness.world.pass(2);
  }
  const partition = harness.registry.table.held(KIND_AGENT, idOf(1)).id;
  slow.reads = true;
  await harness.world.pass(5);
  assert.equal([...log.ended], [[partition, "overloaded"]]);
  assert.is(log.end, undefined);
  // The others go on, and a new watch continues in this one, with the state.
  await register(2);
  await register(3);
  await register(4);
  await register(5);
  await harness.world.pass(2);
  const others = log.events.filter((event) => event.partition !== partition);
  assert.ok(others.length > 0);
  const again = watch(slow, { positions: log.resume() });
  await harness.world.pass(2);
  assert.equal(again.resets, [partition]);
  assert.equal([...hub.status.counts.partitionsEnded], [["overloaded", 1]]);
});

test("a stream of watches that is not read is given up, and its session goes on", async () => {
  const { harness, hub, register } = await opened();
  const peer = await harness.peer();
  const unread = await harness.world.wait(peer.session.open("request"));
  await unread.write(requestFrame(1, "watch", { ...NO_ORDER, positions: NEXT, withBefore: true }));
  await harness.world.pass(2);
  assert.is(hub.status.counts.watches, 1);
  for (let sequence = 8; sequence < 1_500; sequence++) {
    await register(1, sequence, LARGE);
    if (sequence % 50 === 0) await harness.world.pass(2);
  }
  await harness.world.pass(PEER_STALL_MS + 2_000);
  assert.is(hub.status.counts.watches, 0);
  assert.equal([...hub.status.counts.ended], [["overloaded", 1]]);
  assert.is((await peer.ask("status", {})).code, "ok");
  assert.is(peer.goodbye, undefined);
  assert.equal([...harness.sessions.budget.ended], []);
});

test("watches end with their stream", async () => {
  const { harness, hub } = await opened();
  const peer = await harness.peer();
  await peer.openRequests();
  peer.write(requestFrame(1, "watch", { ...NO_ORDER, positions: NEXT }));
  peer.write(requestFrame(2, "watch", { ...NO_ORDER, positions: NEXT }));
  await harness.world.pass(2);
  assert.is(hub.status.counts.watches, 2);
  peer.session.abort("gone");
  await harness.world.pass(2);
  assert.is(hub.status.counts.watches, 0);
  assert.is(hub.status.subscriptions, 0);
  assert.equal([...hub.status.counts.ended], [["closed", 2]]);
});

test("two watches of a stream cannot have one id", async () => {
  const { harness, owner } = await opened();
  owner.write(requestFrame(40, "watch", { ...NO_ORDER, positions: NEXT }));
  owner.write(requestFrame(40, "watch", { ...NO_ORDER, positions: NEXT }));
  await harness.world.pass(2);
  const codes = owner.replies.map(({ code }) => code);
  assert.ok(codes.includes("invalid_argument"), `${codes}`);
});

test("watches beyond the limit of a session are refused", async () => {
  const { hub, stream, watch } = await opened();
  const one = stream();
  for (let count = 0; count < WATCHES_SESSION_MAX; count++) watch(one);
  assert.is(hub.status.counts.watches, WATCHES_SESSION_MAX);
  assert.throws(
    () => watch(one),
    ({ code, fields }: RegistryError) => code === "overloaded" && fields.retryAfterMs !== undefined,
  );
  one.events!.over();
  assert.is(hub.status.counts.watches, 0);
  watch(one);
});

test.run();
