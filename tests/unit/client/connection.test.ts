/** Calls over a connection that stalls, refuses, is lost and comes back. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { connect } from "../../../src/client/client.ts";
import { PROTOCOL_VERSION_MIN } from "../../../src/wire/control.ts";
import type { ConnectionEvent } from "../../../src/client/types.ts";
import {
  AGENT_ID,
  CLUSTER_ID,
  FakeRegistry,
  fakeRingMap,
  HOST,
  PORT,
  registeredRecord,
  rejection,
} from "./fake_registry.ts";

test("connect says who it is and which versions it speaks", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect({
    program: "crs/0.1",
    region: "eu-1",
    clusterId: "07070707-0707-0707-0707-070707070707",
  });
  const [first] = registry.sessions[0]!.heard;
  assert.ok(first?.kind === "hello");
  assert.is(first.hello.agent, "crs/0.1");
  assert.is(first.hello.region, "eu-1");
  assert.equal(first.hello.clusterId, CLUSTER_ID);
  assert.is(first.hello.versionMin, PROTOCOL_VERSION_MIN);
  await registry.wait(client.close());
});

test("connect rejects at once where the server refuses for good", async () => {
  const registry = new FakeRegistry();
  registry.refuseHello = "wrong_cluster";
  const error = await rejection(registry, registry.connect());
  assert.is(error.code, "wrong_cluster");
  assert.is(registry.sessions.length, 1);
  assert.is(registry.time.timerCount, 0);
});

test("connect tries again until its time is up, and tells the last trouble", async () => {
  const registry = new FakeRegistry();
  await registry.stop();
  const events: ConnectionEvent[] = [];
  const started = registry.time.nowMs();
  const error = await rejection(
    registry,
    registry.connect({ connectTimeoutMs: 3_000 }, (event) => events.push(event)),
  );
  assert.is(error.code, "connection_lost");
  assert.ok(registry.time.nowMs() - started >= 3_000);
  assert.ok(events.length > 3);
  assert.ok(events.every(({ kind }) => kind === "attempt_failed"));
});

test("connect gives a server up that does not answer Hello", async () => {
  const registry = new FakeRegistry();
  registry.silentHello = true;
  const error = await rejection(registry, registry.connect({ connectTimeoutMs: 6_000 }));
  assert.is(error.code, "deadline_exceeded");
});

test("attempts to connect get more time from one to the next, at most five seconds", async () => {
  const registry = new FakeRegistry();
  registry.silentHello = true;
  const lengths: number[] = [];
  let startMs = registry.time.nowMs();
  const client = await registry.connect({ lazy: true }, (event) => {
    if (event.kind !== "attempt_failed") return;
    lengths.push(registry.time.nowMs() - startMs);
    startMs = registry.time.nowMs() + event.retryInMs;
  });
  await registry.pass(30_000);
  assert.equal(lengths.slice(0, 5).map(Math.round), [1_000, 1_000, 2_000, 4_000, 5_000]);
  await registry.wait(client.close());
});

test("connect, lazy, returns at once and sends what waited when the server is there", async () => {
  const registry = new FakeRegistry();
  await registry.stop();
  const client = await registry.connect({ lazy: true });
  assert.is(client.status.state, "connecting");
  const answer = client.getAgent(AGENT_ID, { timeoutMs: 30_000 });
  await registry.pass(500);
  registry.listen();
  await registry.pass(10_000);
  (await registry.next("getAgent")).replyAgent();
  assert.is((await registry.wait(answer)).agent.id, AGENT_ID);
  await registry.wait(client.close());
});

test("connect refuses endpoints and options that cannot be", async () => {
  const registry = new FakeRegistry();
  const parameters = {
    endpoints: [],
    dialer: registry.network.dialer("client"),
    trust: { kind: "pins", sha256: [] },
    world: registry.world,
  } as const;
  assert.is((await rejection(registry, connect(parameters))).code, "invalid_argument");
  assert.is(
    (await rejection(registry, registry.connect({ inFlightMax: 0 }))).code,
    "invalid_argument",
  );
});

test("calls of one turn leave in one write and are answered in any order", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const answers = [1, 2, 3].map(() => client.getAgent(AGENT_ID));
  await registry.settle();
  const ports = [30, 20, 10];
  for (const request of registry.requests.splice(0).reverse()) {
    request.replyAgent({ port: ports.pop()! });
  }
  const found = await registry.wait(Promise.all(answers));
  assert.equal(found.map(({ agent }) => agent.port), [30, 20, 10]);
  await registry.wait(client.close());
});

test("a call ends at its deadline, and its late reply is nobody's", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const startMs = registry.time.nowMs();
  const answer = client.getAgent(AGENT_ID, { timeoutMs: 200 });
  const request = await registry.next();
  assert.is(request.timeoutMs, 200);
  let endMs = 0;
  answer.catch(() => endMs = registry.time.nowMs());
  await registry.pass(300);
  assert.is((await rejection(registry, answer)).code, "deadline_exceeded");
  assert.ok(endMs - startMs >= 200 && endMs - startMs <= 220, `${endMs - startMs}`);
  const next = client.getAgent(AGENT_ID);
  request.replyAgent({ port: 1 });
  (await registry.next()).replyAgent({ port: 2 });
  assert.is((await registry.wait(next)).agent.port, 2);
  await registry.wait(client.close());
});

test("a call refuses a time that is none", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  for (const timeoutMs of [0, -1, NaN, 60_001]) {
    const error = await rejection(registry, client.getAgent(AGENT_ID, { timeoutMs }));
    assert.is(error.code, "invalid_argument");
    assert.is(error.fields.field, "timeoutMs");
  }
  await registry.wait(client.close());
});

test("an aborted call is canceled: before it is sent, in flight, and while it waits", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect({ inFlightMax: 1 });
  const aborted = client.getAgent(AGENT_ID, { signal: AbortSignal.abort() });
  assert.is((await rejection(registry, aborted)).code, "canceled");
  const controller = new AbortController();
  const { signal } = controller;
  const inFlight = rejection(registry, client.getAgent(AGENT_ID, { signal }));
  const waiting = rejection(registry, client.getAgent(AGENT_ID, { signal }));
  const request = await registry.next();
  controller.abort();
  assert.is((await inFlight).code, "canceled");
  assert.is((await waiting).code, "canceled");
  // The slot is free again once the server answered, and canceled requests are not sent.
  const next = client.getAgent(AGENT_ID);
  await registry.settle();
  assert.is(registry.requests.length, 0);
  request.replyAgent();
  (await registry.next()).replyAgent();
  await registry.wait(next);
  assert.is(registry.requests.length, 0);
  await registry.wait(client.close());
});

test("no more requests are in flight than the server allows", async () => {
  const registry = new FakeRegistry();
  registry.requestsInFlightMax = 3;
  const client = await registry.connect();
  const answers = Promise.all(Array.from({ length: 10 }, () => client.getAgent(AGENT_ID)));
  let served = 0;
  for (; served < 10; served++) {
    await registry.settle();
    assert.is(registry.requests.length, Math.min(3, 10 - served));
    assert.is(client.status.waiting, Math.max(0, 10 - served - 3));
    registry.requests.shift()!.replyAgent();
  }
  assert.is((await registry.wait(answers)).length, 10);
  await registry.wait(client.close());
});

test("calls beyond what may wait are refused as overloaded", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect({ inFlightMax: 1 });
  let overloaded = 0;
  const count = 16_384 + 1 + 5;
  const settled = Array.from(
    { length: count },
    () =>
      client.getAgent(AGENT_ID, { timeoutMs: 1_000 }).catch(({ code, fields }) => {
        if (code === "overloaded" && fields.retryAfterMs === 100) overloaded++;
      }),
  );
  await registry.settle();
  assert.is(client.status.waiting, 16_384);
  assert.is(overloaded, 5);
  await registry.wait(Promise.all(settled));
  assert.is(client.status.waiting, 0);
  await registry.wait(client.close());
});

test("an overloaded answer is tried again after what the server asked for", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const answer = client.getAgent(AGENT_ID);
  (await registry.next()).refuse("overloaded", { retryAfterMs: 300 });
  await registry.pass(299);
  assert.is(registry.requests.length, 0);
  await registry.pass(50);
  const again = await registry.next();
  assert.ok(again.timeoutMs < 4_701 && again.timeoutMs > 4_600, `${again.timeoutMs}`);
  again.replyAgent();
  await registry.wait(answer);
  assert.is(client.status.retries, 1);
  await registry.wait(client.close());
});

test("an answer that comes back only after the deadline is refused at once", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const startMs = registry.time.nowMs();
  const answer = client.getAgent(AGENT_ID, { timeoutMs: 500 });
  (await registry.next()).refuse("overloaded", { retryAfterMs: 600 });
  assert.is((await rejection(registry, answer)).code, "overloaded");
  assert.ok(registry.time.nowMs() - startMs < 150);
  await registry.wait(client.close());
});

test("a repeated register keeps its process and sequence", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const answer = client.registerGateway({ region: "global", port: 1, address: "192.0.2.1" });
  const first = await registry.next();
  first.refuse("storage_unavailable");
  await registry.pass(100);
  const second = await registry.next();
  registry.sessions[0]!.drop();
  await registry.pass(500);
  const third = await registry.next();
  assert.is(third.session, registry.sessions[1]);
  for (const request of [second, third]) {
    assert.equal(request.body, first.body);
    assert.is(registeredRecord(request).sequence, 1);
  }
  third.replyRegistered();
  await registry.wait(answer);
  await registry.wait(client.close());
});

test("calls in flight are sent again over the next connection, in their order", async () => {
  const registry = new FakeRegistry();
  const events: string[] = [];
  const client = await registry.connect({}, ({ kind }) => events.push(kind));
  const answers = [1, 2, 3].map((byte) => client.getAgent(new Uint8Array(16).fill(byte)));
  await registry.settle();
  assert.is(registry.requests.splice(0).length, 3);
  registry.sessions[0]!.drop();
  await registry.pass(200);
  assert.equal(registry.requests.map(({ body }) => body.id[0]), [1, 2, 3]);
  for (const request of registry.requests.splice(0)) request.replyAgent();
  assert.is((await registry.wait(Promise.all(answers))).length, 3);
  assert.equal(events, ["connected", "lost", "connected"]);
  assert.is(client.status.connections, 2);
  await registry.wait(client.close());
});

test("calls wait for the next connection until their deadline, and then name the trouble", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  await registry.stop();
  const error = await rejection(registry, client.getAgent(AGENT_ID, { timeoutMs: 1_000 }));
  assert.is(error.code, "deadline_exceeded");
  assert.ok(error.cause instanceof RegistryError);
  assert.is((error.cause as RegistryError).code, "connection_lost");
  await registry.wait(client.close());
});

test("attempts to reconnect back off with jitter to at most ten seconds, and never end", async () => {
  const registry = new FakeRegistry();
  const delays: number[] = [];
  const client = await registry.connect({}, (event) => {
    if (event.kind === "attempt_failed") delays.push(event.retryInMs);
  });
  await registry.stop();
  await registry.pass(300_000);
  assert.ok(delays.length > 30, `${delays.length}`);
  delays.forEach((delay, index) => assert.ok(delay < Math.min(10_000, 100 * 2 ** (index + 2))));
  assert.ok(delays.slice(10).some((delay) => delay > 5_000));
  assert.ok(delays.slice(10).some((delay) => delay < 5_000));
  registry.listen();
  await registry.pass(10_000);
  assert.is(client.status.state, "connected");
  await registry.wait(client.close());
});

test("a client for which there was no room waits longer, unless it was told when to return", async () => {
  for (const retryAfterMs of [0, 5_000]) {
    const registry = new FakeRegistry();
    registry.refuseHello = "overloaded";
    registry.refuseHelloFields = { retryAfterMs };
    const delays: number[] = [];
    const connecting = registry.connect({ connectTimeoutMs: 60_000 }, (event) => {
      if (event.kind === "attempt_failed") delays.push(event.retryInMs);
    });
    await registry.pass(40_000);
    assert.ok(delays.length >= 4, `${delays.length}`);
    const isLonger = delays.slice(0, 4).some((delay, at) => delay > 100 * 2 ** at);
    assert.is(isLonger, true);
    for (const [at, delay] of delays.entries()) {
      const baseMs = retryAfterMs === 0 ? 1_000 : 100;
      assert.ok(
        delay >= retryAfterMs && delay <= retryAfterMs + Math.min(10_000, baseMs * 2 ** at),
      );
    }
    registry.refuseHello = undefined;
    await registry.wait((await registry.wait(connecting)).close());
  }
});

test("endpoints are tried in turn", async () => {
  const registry = new FakeRegistry();
  const client = await registry.wait(connect({
    endpoints: [{ host: "nowhere", port: 1 }, { host: HOST, port: PORT }],
    dialer: registry.network.dialer("client"),
    trust: { kind: "pins", sha256: [] },
    world: registry.world,
  }));
  assert.is(client.status.endpoint?.host, HOST);
  await registry.wait(client.close());
});

test("a silent server is probed and given up, and its calls go to the next connection", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const startMs = registry.time.nowMs();
  const answer = client.getAgent(AGENT_ID);
  registry.alive = false;
  await registry.pass(1_900);
  assert.is(registry.sessions.length, 1);
  registry.alive = true;
  await registry.pass(400);
  assert.is(registry.sessions.length, 2);
  (await registry.next()).replyAgent();
  await registry.wait(answer);
  assert.ok(registry.time.nowMs() - startMs < 2_600);
  await registry.wait(client.close());
});

test("a slow server that answers probes is waited for", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const answer = client.getAgent(AGENT_ID);
  const request = await registry.next();
  await registry.pass(4_500);
  assert.is(registry.sessions.length, 1);
  request.replyAgent();
  await registry.wait(answer);
  await registry.wait(client.close());
});

test("a malformed reply ends the connection; the call hears it, the others go on", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const broken = client.getAgent(AGENT_ID);
  const other = client.getAgent(AGENT_ID);
  const request = await registry.next();
  // Not a record: a pointer out of the message.
  request.reply("getAgent", { record: new Uint8Array(8).fill(0x7c), remainingMs: 1 });
  assert.is((await rejection(registry, broken)).code, "malformed");
  registry.requests.splice(0);
  await registry.pass(1_200);
  assert.is(registry.sessions.length, 2);
  (await registry.next()).replyAgent();
  await registry.wait(other);
  const goodbye = registry.sessions[0]!.heard.at(-1);
  assert.ok(goodbye?.kind === "goodbye" && goodbye.goodbye.code === 1);
  await registry.wait(client.close());
});

test("bytes that are no frame end the connection", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const answer = client.getAgent(AGENT_ID);
  const request = await registry.next();
  const replies = request.session.control;
  replies!.writer.allocate(8);
  replies!.writer.view.setUint32(0, 0x7fff_fff0, true);
  replies!.flush();
  await registry.pass(1_200);
  (await registry.next()).replyAgent();
  await registry.wait(answer);
  assert.is(registry.sessions.length, 2);
  await registry.wait(client.close());
});

const EMPTY_PAGE = { items: [], nextCursor: new Uint8Array(0) };

test("lists have a stream of their own, on which no other reply waits behind them", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const lists = [client.listAgents("global"), client.listAgents("eu-1")];
  const [first, second] = [await registry.next(), await registry.next()];
  const get = client.getAgent(AGENT_ID);
  const other = await registry.next("getAgent");
  assert.is(first.stream, second.stream);
  assert.is(first.stream.kind, "request");
  assert.is(other.stream.kind, "control", "the session's first stream");
  const [session] = registry.sessions;
  assert.equal(session!.heard.map(({ kind }) => kind), ["hello", "stream_opening"], "announced");
  other.replyAgent();
  await registry.wait(get);
  first.reply("listAgentsByRegion", EMPTY_PAGE);
  second.reply("listAgentsByRegion", EMPTY_PAGE);
  await registry.wait(Promise.all(lists));
  await registry.wait(client.close());
});

test("a list is sent on the first stream where the session has no room for another", async () => {
  const registry = new FakeRegistry();
  registry.streamsPerSessionMax = 1;
  const client = await registry.connect();
  const list = client.listAgents("global");
  const request = await registry.next("listAgentsByRegion");
  assert.is(request.stream.kind, "control");
  request.reply("listAgentsByRegion", EMPTY_PAGE);
  await registry.wait(list);
  await registry.wait(client.close());
});

test("a list whose stream ends is asked again on another one, in the same session", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const list = client.listAgents("global");
  const get = client.getAgent(AGENT_ID);
  const requests = [await registry.next(), await registry.next()];
  const [first, other] = requests.toSorted((a, b) => a.name < b.name ? 1 : -1);
  first!.stream.abort();
  await registry.pass(1_000);
  const again = await registry.next("listAgentsByRegion");
  assert.is(again.stream.kind, "request");
  again.reply("listAgentsByRegion", EMPTY_PAGE);
  other!.replyAgent();
  await registry.wait(Promise.all([list, get]));
  assert.is(registry.sessions.length, 1);
  await registry.wait(client.close());
});

test("goodbye of the server: requests in flight are awaited, and new ones go to another connection", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const first = client.getAgent(AGENT_ID);
  const request = await registry.next();
  registry.sessions[0]!.goodbye("shutting_down", { retryAfterMs: 50 });
  await registry.settle();
  const second = client.getAgent(AGENT_ID);
  await registry.settle();
  assert.is(registry.requests.length, 0);
  request.replyAgent();
  await registry.wait(first);
  await registry.pass(200);
  const next = await registry.next();
  assert.is(next.session, registry.sessions[1]);
  next.replyAgent();
  await registry.wait(second);
  await registry.wait(client.close());
});

test("a newer ring map is kept, and an older one is not", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  registry.sessions[0]!.say({ kind: "ring_map", ringMap: fakeRingMap(4) });
  await registry.settle();
  assert.is(client.lastRingMap?.epoch.number, 4);
  registry.sessions[0]!.say({ kind: "ring_map", ringMap: fakeRingMap(2) });
  await registry.settle();
  assert.is(client.lastRingMap?.epoch.number, 4);
  await registry.wait(client.close());
});

test("close says goodbye, refuses what waits, and leaves no timer behind", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const answer = client.getAgent(AGENT_ID);
  await registry.settle();
  const closed = client.close();
  assert.is((await rejection(registry, answer)).code, "shutting_down");
  await registry.wait(closed);
  await registry.wait(client.close());
  assert.is(client.status.state, "closed");
  const goodbye = registry.sessions[0]!.heard.at(-1);
  assert.ok(goodbye?.kind === "goodbye" && goodbye.goodbye.code === 0);
  assert.is((await rejection(registry, client.getAgent(AGENT_ID))).code, "shutting_down");
  assert.is(registry.time.timerCount, 0);
});

test("close tells a write that was sent from one that waits: it may have been applied", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect({ inFlightMax: 1 });
  const sent = rejection(registry, client.registerAgent({ region: "eu" }));
  const waiting = rejection(registry, client.registerAgent({ region: "eu" }));
  await registry.next("registerAgent");
  const closed = client.close();
  assert.is((await sent).code, "connection_lost");
  assert.is((await waiting).code, "shutting_down");
  await registry.wait(closed);
});

test("a request that is too large is refused before it is sent, and the others are not", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const huge = client.resolveAgents(new Array(256).fill("x".repeat(1_500)));
  const answer = client.getAgent(AGENT_ID);
  assert.is((await rejection(registry, huge)).code, "too_large");
  (await registry.next("getAgent")).replyAgent();
  await registry.wait(answer);
  await registry.wait(client.close());
});

test.run();
