/** Sessions: the handshake, events that end them and events that do not, and a node's goodbye. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes } from "../../../src/base/bytes.ts";
import {
  ANONYMOUS_SESSION_MS,
  ANONYMOUS_SESSIONS_PER_ADDRESS_MAX,
  GOODBYE_LINGER_MS,
  HELLO_BYTES_MAX,
  HELLO_MS_MAX,
} from "../../../src/base/limits.ts";
import type { Hello } from "../../../schemas/gen/wire.ts";
import { FEATURE_ANNOUNCES_STREAMS, PROTOCOL_VERSION_MAX } from "../../../src/wire/control.ts";
import type { StreamKind } from "../../../transport/transport.ts";
import { controlFrame, GOOD_HELLO, RawPeer, requestFrame } from "../../support/raw_peer.ts";
import { agentRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { extraOf, idOf } from "../../support/store.ts";

const GET = { id: idOf(1) };

function say(peer: RawPeer, bytes: Uint8Array): void {
  peer.control.write(bytes).catch(() => {});
}

function hello(fields: Partial<Hello> = {}): Uint8Array {
  return controlFrame({ kind: "hello", hello: { ...GOOD_HELLO, ...fields } });
}

/** Asserts that other sessions are served as before. */
async function othersServed(harness: RegistryHarness): Promise<void> {
  const other = await harness.peer();
  assert.is((await other.ask("getAgent", GET)).code, "not_found");
  other.session.abort("done");
  await harness.world.settle();
}

/** Returns the outcome of a session, after asserting that it is over on both sides. */
async function over(harness: RegistryHarness, peer: RawPeer) {
  const end = await harness.world.wait(peer.session.closed, 2_000);
  await harness.world.settle();
  return { end: end.code, goodbye: peer.goodbye };
}

test("a Hello is answered with the node's facts and its ring map", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const first = peer.heard[0]!;
  assert.is(first.kind, "hello_reply");
  if (first.kind !== "hello_reply") return;
  assert.is(first.reply.version, PROTOCOL_VERSION_MAX);
  assert.equal(first.reply.clusterId, harness.registry.cluster.clusterId);
  assert.is(first.reply.ringMap.partitionCount, 8);
  assert.is(harness.sessions.count, 1);
});

test("a client that announces streams is served on those that it announced", async () => {
  const harness = await RegistryHarness.open();
  const features = FEATURE_ANNOUNCES_STREAMS;
  const peer = await harness.peer({ kind: "hello", hello: { ...GOOD_HELLO, features } });
  await peer.openRequests();
  const answer = peer.send("getAgent", GET);
  await harness.world.pass(1_000);
  let isServed = false;
  void answer.then(() => isServed = true);
  await harness.world.settle();
  assert.is(isServed, false);
  say(peer, controlFrame({ kind: "stream_opening" }));
  assert.is((await harness.world.wait(answer)).code, "not_found");
  // Announcements may come together, and before their streams.
  for (let count = 0; count < 2; count++) say(peer, controlFrame({ kind: "stream_opening" }));
  for (let count = 0; count < 2; count++) {
    await peer.openRequests();
    assert.is((await peer.ask("getAgent", GET)).code, "not_found");
  }
});

test("the end of a session is noticed although no stream is awaited", async () => {
  const harness = await RegistryHarness.open();
  const features = FEATURE_ANNOUNCES_STREAMS;
  const peer = await harness.peer({ kind: "hello", hello: { ...GOOD_HELLO, features } });
  assert.is(harness.sessions.count, 1);
  peer.session.abort("gone");
  await harness.world.settle();
  assert.is(harness.sessions.count, 0);
});

test("a session without a Hello in time is ended, and one that is just in time is not", async () => {
  const harness = await RegistryHarness.open();
  const silent = await harness.unauthenticated();
  const slow = await harness.unauthenticated();
  await harness.world.pass(HELLO_MS_MAX - 1);
  say(slow, hello());
  await harness.world.pass(1);
  await over(harness, silent);
  assert.is(silent.heard.length, 0);
  await slow.openRequests();
  assert.is((await slow.ask("getAgent", GET)).code, "not_found");
  await harness.world.pass(HELLO_MS_MAX * 2);
  assert.is((await slow.ask("getAgent", GET)).code, "not_found", "its timer ended with its Hello");
  assert.is(harness.sessions.count, 1);
});

test("a Hello of another version or cluster is refused with its code", async () => {
  const harness = await RegistryHarness.open();
  const cases: [Partial<Hello>, string][] = [
    [{ versionMin: PROTOCOL_VERSION_MAX + 1, versionMax: 9 }, "unsupported_version"],
    [{ versionMin: 0, versionMax: 0 }, "unsupported_version"],
    [{ clusterId: new Uint8Array(16).fill(9) }, "wrong_cluster"],
  ];
  for (const [fields, code] of cases) {
    const peer = await harness.unauthenticated();
    say(peer, hello(fields));
    assert.equal(await over(harness, peer), { end: code, goodbye: code });
  }
  const meant = await harness.unauthenticated();
  say(meant, hello({ clusterId: harness.registry.cluster.clusterId, versionMax: 40 }));
  await harness.world.settle();
  assert.is(meant.heard[0]?.kind, "hello_reply");
  await othersServed(harness);
});

test("a first frame other than Hello, or a second Hello, ends the session as malformed", async () => {
  const harness = await RegistryHarness.open();
  const goodbye = controlFrame({
    kind: "goodbye",
    goodbye: { code: 0, message: "", retryAfterMs: 0 },
  });
  const first = await harness.unauthenticated();
  say(first, goodbye);
  assert.equal(await over(harness, first), { end: "malformed", goodbye: "malformed" });
  const twice = await harness.peer();
  say(twice, hello());
  assert.equal(await over(harness, twice), { end: "malformed", goodbye: "malformed" });
  await othersServed(harness);
});

test("requests on a stream opened before the Hello wait for it, and are answered after", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.unauthenticated();
  await peer.openRequests();
  const answer = peer.send("getAgent", GET);
  let answered = false;
  void answer.then(() => answered = true);
  await harness.world.pass(100);
  assert.is(answered, false, "nothing is done for a peer before its Hello");
  say(peer, hello());
  assert.is((await harness.world.wait(answer)).code, "not_found");
});

test("a session that begins with a request stream may ask for a certificate, and nothing else", async () => {
  const harness = await RegistryHarness.open();
  const { world } = harness;
  const session = await world.wait(
    harness.dialer().dial({ host: "node", port: 4100 }, { trust: { kind: "pins", sha256: [] } }),
  );
  const stream = await world.wait(session.open("request"));
  const anonymous = new RawPeer(world, session, stream);
  anonymous.useRequests(stream);
  assert.is((await anonymous.ask("getAgent", GET)).code, "permission_denied");
  for (const name of ["status", "getTrustBundle", "getTokenKeys"] as const) {
    assert.is((await anonymous.ask(name, {})).code, "permission_denied", name);
  }
  const none = new Uint8Array(0);
  const enrol = { token: "", subject: "", request: none, timeMs: 0, proof: none };
  assert.is((await anonymous.ask("enrol", enrol)).code, "invalid_argument", "no request");
  await world.pass(ANONYMOUS_SESSION_MS);
  assert.is((await world.wait(session.closed)).by, "peer", "its time is up");
});

test("anonymous sessions that ask for nothing give way, and whoever asks is served", async () => {
  const harness = await RegistryHarness.open();
  const { world } = harness;
  const trust = { kind: "pins", sha256: [] } as const;
  const anonymous = async (host: string) => {
    const dialer = harness.network.dialer(host);
    const session = await world.wait(dialer.dial({ host: "node", port: 4100 }, { trust }));
    return new RawPeer(world, session, await world.wait(session.open("request")));
  };
  const crowd: RawPeer[] = [];
  for (let count = 0; count < 200; count++) crowd.push(await anonymous("crowd"));
  assert.is(harness.sessions.anonymous.count, ANONYMOUS_SESSIONS_PER_ADDRESS_MAX);
  assert.is(harness.sessions.anonymous.evicted, 200 - ANONYMOUS_SESSIONS_PER_ADDRESS_MAX);
  assert.is((await world.wait(crowd[0]!.session.closed)).code, "overloaded", "The oldest gave way");
  const none = new Uint8Array(0);
  const enrol = { token: "", subject: "", request: none, timeMs: 0, proof: none };
  for (const host of ["crowd", "elsewhere"]) {
    const asking = await anonymous(host);
    asking.useRequests(asking.control);
    assert.is((await asking.ask("enrol", enrol)).code, "invalid_argument", "It was looked at");
  }
  await world.pass(ANONYMOUS_SESSION_MS);
  assert.equal([harness.sessions.anonymous.count, harness.sessions.count], [0, 0]);
});

test("a session whose first stream is not the control stream is refused", async () => {
  const harness = await RegistryHarness.open();
  for (const kind of ["peer", "bulk"] as StreamKind[]) {
    const session = await harness.world.wait(
      harness.dialer().dial({ host: "node", port: 4100 }, { trust: { kind: "pins", sha256: [] } }),
    );
    await session.open(kind);
    assert.is((await harness.world.wait(session.closed)).code, "malformed");
  }
  await othersServed(harness);
});

test("a stream of a kind that clients may not open is dropped, and the session goes on", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  for (const kind of ["peer", "bulk", "control"] as StreamKind[]) {
    const stream = await peer.session.open(kind);
    assert.is(await harness.world.wait(stream.read(new Uint8Array(8))), undefined);
  }
  assert.is((await peer.ask("getAgent", GET)).code, "not_found");
});

test("control frames that are broken, too large or unknown: the unknown is skipped, the others end it", async () => {
  const harness = await RegistryHarness.open();
  const unknown = hello();
  // The kind is the first field of the frame's first struct, after table and root pointer.
  new DataView(unknown.buffer, unknown.byteOffset).setUint16(16, 77, true);
  const skipped = await harness.peer();
  say(skipped, unknown);
  assert.is((await skipped.ask("getAgent", GET)).code, "not_found");

  const huge = new Uint8Array(8);
  new DataView(huge.buffer).setUint32(4, HELLO_BYTES_MAX / 8, true);
  const tooLarge = await harness.unauthenticated();
  say(tooLarge, huge);
  assert.equal(await over(harness, tooLarge), { end: "too_large", goodbye: "too_large" });

  const segments = new Uint8Array(8);
  new DataView(segments.buffer).setUint32(0, 0x7fff_ffff, true);
  const many = await harness.unauthenticated();
  say(many, segments);
  const { end } = await over(harness, many);
  assert.ok(end === "malformed" || end === "too_large", String(end));
  await othersServed(harness);
});

test("a goodbye ends the session from the node's side", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  say(peer, controlFrame({ kind: "goodbye", goodbye: { code: 0, message: "", retryAfterMs: 0 } }));
  assert.equal(await over(harness, peer), { end: undefined, goodbye: undefined });
  assert.is(harness.sessions.count, 0);
  assert.equal(harness.caught, []);
});

test("a peer that vanishes in the middle of a frame or of a write leaves nothing behind", async () => {
  const harness = await RegistryHarness.open();
  const half = await harness.peer();
  half.write(requestFrame(1, "getAgent", GET).subarray(0, 20));
  const writing = await harness.peer();
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  void writing.send("registerAgent", agentRequest({ number: 1 }));
  await harness.world.settle();
  half.session.abort("gone");
  writing.session.abort("gone");
  await harness.world.settle();
  harness.disk.intercept = () => undefined;
  harness.disk.releaseHeld();
  await harness.world.settle();
  assert.is(harness.sessions.count, 0);
  assert.ok(harness.agent(idOf(1)) !== undefined, "what was taken is done");
  assert.is(harness.listener.stats.sessions, 0);
  assert.is(harness.listener.stats.streams, 0);
});

test("sessions that ended take their revocation listeners with them", async () => {
  const harness = await RegistryHarness.open();
  const { signal } = harness.revocation;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (type: string, listener: EventListenerOrEventListenerObject) => {
    listeners++;
    add(type, listener);
  };
  signal.removeEventListener = (type: string, listener: EventListenerOrEventListenerObject) => {
    listeners--;
    remove(type, listener);
  };
  for (let count = 0; count < 20; count++) {
    const peer = await harness.peer();
    if (count === 0) assert.is(listeners, 1);
    peer.session.abort("done");
    await harness.world.settle();
  }
  assert.is(listeners, 0);
});

test("a revoked identity ends its sessions, and gets no new one", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  harness.revocation.abort();
  assert.equal(await over(harness, peer), { end: "unauthenticated", goodbye: "unauthenticated" });
  const again = await harness.unauthenticated();
  say(again, hello());
  assert.equal(await over(harness, again), { end: "unauthenticated", goodbye: "unauthenticated" });
  assert.is(harness.sessions.count, 0);
});

test("a new ring map is sent to sessions past their Hello only", async () => {
  const harness = await RegistryHarness.open();
  const greeted = await harness.peer();
  const anonymous = await harness.unauthenticated();
  await harness.world.settle();
  harness.sessions.pushRingMap();
  await harness.world.settle();
  assert.equal(greeted.heard.map(({ kind }) => kind), ["hello_reply", "ring_map"]);
  assert.equal(anonymous.heard, []);
});

test("a ring map waits for a peer that does not read its replies, and only the latest is sent", async () => {
  const harness = await RegistryHarness.open({ partitions: 2 });
  const writer = await harness.peer();
  for (let number = 1; number <= 500; number++) {
    void writer.send(
      "registerAgent",
      agentRequest({ number, extra: extraOf({ k: "v".repeat(250) }) }),
    );
  }
  await harness.world.settle();
  const slow = await harness.unauthenticated();
  slow.reads = false;
  say(slow, hello());
  await harness.world.settle();
  const list = { region: "global", cursor: new Uint8Array(0), limit: 500 };
  for (let id = 1; id <= 20; id++) slow.write(requestFrame(id, "listAgentsByRegion", list));
  // Lists rest between their pages.
  await harness.world.pass(500);
  for (let count = 0; count < 100; count++) harness.sessions.pushRingMap();
  slow.resume();
  await harness.world.pass(500);
  const maps = slow.heard.filter(({ kind }) => kind === "ring_map").length;
  assert.is(slow.replies.length, 20);
  assert.ok(maps >= 1 && maps < 100, `${maps} ring maps`);
});

test("a client must wait for the reply to its Hello", async () => {
  const harness = await RegistryHarness.open();
  for (const early of [requestFrame(1, "getAgent", GET), Uint8Array.of(0), hello()]) {
    const peer = await harness.unauthenticated();
    say(peer, concatBytes([hello(), early]));
    assert.equal(await over(harness, peer), { end: "malformed", goodbye: "malformed" });
  }
  await othersServed(harness);
});

test("a client's session has one stream, and one more from its first list on", async () => {
  const harness = await RegistryHarness.open();
  const client = await harness.client();
  const { stats } = harness.listener;
  await harness.world.wait(client.nodeStatus());
  assert.is(stats.streams, 1);
  for (let count = 0; count < 3; count++) {
    await harness.world.wait(client.listAgents("global"));
    await harness.world.wait(client.listGateways("global"));
    assert.is(stats.streams, 2);
  }
  await harness.world.wait(client.close());
});

test("the end of a session's first stream ends the session", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await harness.world.wait(peer.openRequests());
  assert.is((await peer.ask("getAgent", GET)).code, "not_found");
  peer.control.abort();
  await over(harness, peer);
  assert.is(harness.sessions.count, 0);
});

test("a drain waits for writes under way, answers them, refuses new ones and says goodbye", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  const write = peer.send("registerAgent", agentRequest({ number: 1 }));
  await harness.world.settle();
  harness.registry.admission.drain();
  const closed = harness.sessions.close(1_000);
  await harness.world.pass(100);
  const refused = await peer.ask("getAgent", GET);
  assert.is(refused.code, "shutting_down");
  assert.ok(refused.response.retryAfterMs > 0);
  assert.is(peer.goodbye, undefined, "it waits");
  const late = await harness.unauthenticated();
  assert.is((await over(harness, late)).end, "shutting_down");
  harness.disk.intercept = () => undefined;
  harness.disk.releaseHeld();
  assert.is((await harness.world.wait(write)).code, "ok");
  await harness.world.wait(closed);
  assert.equal(await over(harness, peer), { end: "shutting_down", goodbye: "shutting_down" });
});

test("a drain ends at its deadline", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  harness.disk.intercept = ({ kind }) => kind === "sync" ? "hold" : undefined;
  void peer.send("registerAgent", agentRequest({ number: 1 }));
  await harness.world.settle();
  const startMs = harness.world.nowMs();
  await harness.world.wait(harness.sessions.close(500));
  const tookMs = harness.world.nowMs() - startMs;
  // The peer of this test reads the goodbye and does not close.
  assert.ok(tookMs >= 500 && tookMs < 700 + GOODBYE_LINGER_MS, String(tookMs));
});

test("acknowledged data is there after a stop and the next start", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  const answers = Array.from(
    { length: 30 },
    (_, index) => peer.send("registerAgent", agentRequest({ number: index + 1 })),
  );
  await harness.world.turn();
  await harness.world.turn();
  await harness.stop();
  await harness.start();
  let acknowledged = 0;
  for (const [index, answer] of answers.entries()) {
    const settled = await Promise.race([answer, Promise.resolve(undefined)]);
    if (settled?.code !== "ok") continue;
    acknowledged++;
    assert.ok(harness.agent(idOf(index + 1)) !== undefined);
  }
  assert.is(acknowledged, 30, "a stop answers what was taken");
});

test.run();
