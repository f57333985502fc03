/**
 * Sessions that make the node hold bytes: which of their requests wait, when they are ended, and
 * who notices.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  LIST_ITEMS_MAX,
  LISTS_WAITING_MAX,
  NODE_HELD_BYTES_MAX,
  PEER_STALL_MS,
  REPLY_BACKLOG_BYTES_HIGH,
  RESPONSE_FRAME_BYTES_MAX,
  STALL_LOOK_MS,
  STREAMS_PER_SESSION_MAX,
} from "../../../src/base/limits.ts";
import { OPERATIONS } from "../../../src/wire/operations/mod.ts";
import type { RawPeer } from "../../support/raw_peer.ts";
import { requestFrame } from "../../support/raw_peer.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { extraOf, idOf } from "../../support/store.ts";

const GET = { id: idOf(1) };
const LIST = { region: "global", cursor: new Uint8Array(0), limit: LIST_ITEMS_MAX };
const LATE_MS = PEER_STALL_MS + 2 * STALL_LOOK_MS;

/** Returns a registry with 1,000 large agents: a page of half a megabyte. */
async function filled(): Promise<RegistryHarness> {
  const harness = await RegistryHarness.open({ partitions: 2 });
  const writer = await harness.peer();
  const extra = extraOf({ k: "v".repeat(250), l: "v".repeat(200) });
  for (let at = 0; at < 1_000; at += 250) {
    const items = Array.from(
      { length: 250 },
      (_, index) => ({ ...agentRequest({ number: at + index + 1, extra }), kind: 1 }),
    );
    await writer.must("registerMany", { items });
  }
  writer.session.abort("done");
  await harness.world.settle();
  return harness;
}

/** Returns a peer that requests lists on every stream that it may have, and reads none of them. */
async function greedy(harness: RegistryHarness): Promise<RawPeer> {
  const peer = await harness.peer();
  peer.reads = false;
  const lists = Array.from(
    { length: 20 },
    (_, index) => requestFrame(index + 1, "listAgentsByRegion", LIST, { timeoutMs: 60_000 }),
  );
  for (let count = 2; count < STREAMS_PER_SESSION_MAX; count++) {
    const stream = await harness.world.wait(peer.session.open("request"));
    for (const frame of lists) stream.write(frame).catch(() => {});
  }
  return peer;
}

test("a session that does not read is given a bounded backlog over all its streams, and ended", async () => {
  const harness = await filled();
  const { world, sessions: { budget } } = harness;
  const peers: RawPeer[] = [];
  for (let count = 0; count < 5; count++) peers.push(await greedy(harness));
  await world.pass(1_000);
  const heldMax = peers.length * (REPLY_BACKLOG_BYTES_HIGH + RESPONSE_FRAME_BYTES_MAX);
  assert.ok(budget.repliesBytes > 0 && budget.repliesBytes <= heldMax, `${budget.repliesBytes}`);
  const honest = await harness.peer();
  assert.is((await honest.ask("getAgent", GET)).code, "ok");
  await world.pass(LATE_MS);
  assert.equal([...budget.ended], [["replies_not_taken", peers.length]]);
  for (const { session } of peers) {
    assert.is((await world.wait(session.closed)).code, "deadline_exceeded");
  }
  assert.equal([budget.repliesBytes, harness.sessions.count], [0, 1]);
  assert.is((await honest.ask("getAgent", GET)).code, "ok");
});

test("a session that reads a little now and then is slow, and stays", async () => {
  const harness = await filled();
  const { world, sessions } = harness;
  const peer = await harness.peer();
  const stream = await world.wait(peer.session.open("request"));
  const frame = requestFrame(1, "listAgentsByRegion", LIST, { timeoutMs: 60_000 });
  for (let count = 0; count < 8; count++) await world.wait(stream.write(frame));
  for (let count = 0; count < 6; count++) {
    await world.pass(PEER_STALL_MS / 2);
    for (let bytes = 0; bytes < 400_000;) {
      bytes += (await world.wait(stream.read(new Uint8Array(64 * 1024))))!.length;
    }
  }
  assert.equal([...sessions.budget.ended], []);
  assert.is(sessions.count, 1);
});

test("a frame that is not finished in time ends its session", async () => {
  const harness = await RegistryHarness.open();
  const { world, sessions: { budget } } = harness;
  const peer = await harness.peer();
  const idle = await harness.peer();
  const half = requestFrame(1, "registerAgent", agentRequest({ number: 1 })).slice(0, -8);
  peer.write(half);
  await world.settle();
  assert.is(budget.framesBytes, half.length);
  await world.pass(PEER_STALL_MS - STALL_LOOK_MS);
  assert.is(harness.sessions.count, 2);
  await world.pass(3 * STALL_LOOK_MS);
  assert.equal([...budget.ended], [["frame_not_finished", 1]]);
  assert.equal([budget.framesBytes, peer.goodbye], [0, "deadline_exceeded"]);
  assert.is((await idle.ask("getAgent", GET)).code, "not_found", "Silence is no fault");
});

test("half-sent frames of many sessions stay within the node's budget", async () => {
  const harness = await RegistryHarness.open();
  const { world, sessions: { budget } } = harness;
  const half = new Uint8Array(250_000);
  new DataView(half.buffer).setUint32(4, 32_000, true);
  const bytesPerSession = (STREAMS_PER_SESSION_MAX - 2) * half.length;
  let sessions = 0;
  while (sessions * bytesPerSession < 1.5 * NODE_HELD_BYTES_MAX) {
    const peer = await harness.peer();
    sessions++;
    for (let count = 1; count < STREAMS_PER_SESSION_MAX - 1; count++) {
      const stream = await world.wait(peer.session.open("request"));
      stream.write(half).catch(() => {});
    }
    await world.settle();
    assert.ok(budget.framesBytes <= NODE_HELD_BYTES_MAX, `${budget.framesBytes}`);
  }
  const ended = budget.ended.get("memory") ?? 0;
  assert.ok(ended > 0 && ended < sessions, `${ended} of ${sessions}`);
  await world.pass(LATE_MS);
  assert.is(budget.framesBytes, 0);
});

test("requests that follow too many lists of a session are not read until the lists had their turns", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const frame = requestFrame(1_000, "listAgentsByRegion", LIST);
  const frames = new Uint8Array(frame.length * 200);
  for (let count = 0; count < 200; count++) frames.set(frame, count * frame.length);
  peer.write(frames);
  await harness.world.turn();
  await harness.world.turn();
  const asked = await harness.world.wait(peer.send("getAgent", GET));
  assert.is(asked.code, "not_found");
  const { id } = OPERATIONS.listAgentsByRegion;
  assert.is(harness.counts.get(`${id} ok`), 200);
  assert.ok(LISTS_WAITING_MAX < 200);
});

test.run();
