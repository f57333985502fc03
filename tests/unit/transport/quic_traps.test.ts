/**
 * Hostile and broken peers against the QUIC and WebTransport listener, and the runtime behaviour
 * that it works around. After each attack, an honest session must still work.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { SeededEntropy } from "../../../src/base/prng.ts";
import type { RegistryError } from "../../../src/base/errors.ts";
import { prefaceOf } from "../../../transport/preface.ts";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { listenQuic } from "../../../transport/quic_listener.ts";
import type {
  ErrorStage,
  Listener,
  ListenerLimits,
  Session,
  Trust,
} from "../../../transport/transport.ts";
import { WebTransportDialer } from "../../../transport/webtransport_dialer.ts";
import { issueTestCertificate } from "../../support/certificate.ts";
import type { TestCertificate } from "../../support/certificate.ts";
import { testWorld } from "../../support/production_world.ts";
import {
  connectRaw,
  connectWebTransportRaw,
  HTTP3_CONNECT,
  HTTP3_SETTINGS,
  sendRaw,
  WEBTRANSPORT_STREAM_HEADER,
} from "../../support/raw_quic.ts";
import { UdpRelay } from "../../support/udp_relay.ts";
import { until, within } from "../../support/until.ts";
import { codeOf } from "../../support/refusal.ts";

const certificate = await issueTestCertificate();
const otherCertificate = await issueTestCertificate();
const { scheduler } = testWorld();
const NO_HEADER = new Uint8Array(0);
const pinned = (shown: TestCertificate): Trust => ({ kind: "pins", sha256: [shown.sha256] });

interface Server {
  readonly listener: Listener;
  readonly errors: [ErrorStage, unknown][];
  readonly dialer: QuicDialer;
}

function serve(limits: ListenerLimits = {}): Server {
  const errors: [ErrorStage, unknown][] = [];
  const onError = (stage: ErrorStage, error: unknown) => errors.push([stage, error]);
  const listener = listenQuic({
    hosts: ["127.0.0.1"],
    port: 0,
    certificate,
    scheduler,
    onError,
    limits,
  });
  return { listener, errors, dialer: new QuicDialer({ scheduler, onError }) };
}

async function withServer(limits: ListenerLimits, run: (server: Server) => Promise<void>) {
  const server = serve(limits);
  try {
    await run(server);
    await assertServes(server, certificate);
  } finally {
    await server.dialer.close();
    await server.listener.close();
  }
}

/** Asserts that an honest session works, skipping ended sessions that were never accepted. */
async function assertServes(server: Server, shown: TestCertificate): Promise<void> {
  const near = await server.dialer.dial(
    { host: "127.0.0.1", port: server.listener.port },
    { trust: pinned(shown) },
  );
  const stream = await near.open("request");
  for (;;) {
    const far = await within("an honest session", server.listener.accept());
    const accepted = await within("its stream", far!.accept());
    if (accepted === undefined) continue;
    await stream.write(new Uint8Array([42]));
    assert.equal(await within("its byte", accepted.read(new Uint8Array(1))), new Uint8Array([42]));
    await near.goodbye(undefined, "", { lingerMs: 0 });
    return;
  }
}

function dialHonest({ listener, dialer }: Server, trust: Trust): Promise<Session> {
  return dialer.dial({ host: "127.0.0.1", port: listener.port }, { trust });
}

test("listener survives a client of another protocol and counts it", () =>
  withServer({}, async ({ listener, errors }) => {
    let message = "";
    await connectRaw(listener.port, "nope", certificate)
      .catch((error: Error) => message = error.message);
    assert.match(message, /known protocol/);
    assert.is(listener.stats.handshakeFailures, 1);
    assert.is(listener.stats.handshakes, 0);
    assert.equal(errors.map(([stage]) => stage), ["handshake"]);
  }));

test("listener survives garbage datagrams and keeps no state for them", () =>
  withServer({}, async ({ listener }) => {
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    const entropy = new SeededEntropy(7);
    for (let count = 0; count < 1_000; count++) {
      const bytes = new Uint8Array(1 + Math.floor(entropy.unit() * 1_400));
      entropy.fill(bytes);
      // A third look like long headers of QUIC version 1, a third like short ones.
      if (count % 3 === 0) bytes.set([0xc0, 0, 0, 0, 1].slice(0, bytes.length));
      if (count % 3 === 1) bytes[0] = 0x40;
      await socket.send(bytes, { transport: "udp", hostname: "127.0.0.1", port: listener.port });
    }
    socket.close();
    assert.is(listener.stats.sessions, 0);
    assert.is(listener.stats.handshakes, 0);
  }));

test("listener closes a handshake that stalls at its deadline", () =>
  withServer({ handshakeMsMax: 100 }, async ({ listener }) => {
    const relay = new UdpRelay(listener.port);
    relay.dropToClient = true;
    const stalled = connectRaw(relay.port, "crs", certificate).then(
      (connection) => connection.close(),
      () => {},
    );
    await until("it began", () => listener.stats.handshakes === 1);
    relay.dropToServer = true;
    await until("it was given up", () => listener.stats.handshakes === 0);
    assert.is(listener.stats.deadlines, 1);
    assert.is(listener.stats.handshakeFailures, 1);
    relay.heal();
    await stalled;
    relay.close();
  }));

test("listener refuses handshakes beyond its limit and has room again after a deadline", () =>
  withServer({ handshakeMsMax: 200, handshakesMax: 1 }, async (server) => {
    const idle = await connectRaw(server.listener.port, "h3", certificate);
    await until("it began", () => server.listener.stats.handshakes === 1);
    assert.is(await codeOf(dialHonest(server, pinned(certificate))), "overloaded");
    await until("it was given up", () => server.listener.stats.handshakes === 0);
    assert.is(server.listener.stats.refused, 1);
    idle.close();
  }));

test("listener closes an h3 client that never sends SETTINGS at the deadline", () =>
  withServer({ handshakeMsMax: 100 }, async ({ listener, errors }) => {
    const connection = await connectRaw(listener.port, "h3", certificate);
    const { reason } = await within("the close", connection.closed);
    assert.is(reason, "upgrade took too long");
    await until("it is not counted", () => listener.stats.handshakes === 0);
    assert.is(listener.stats.deadlines, 1);
    assert.equal(errors.map(([stage]) => stage), ["upgrade"]);
  }));

test("listener closes an h3 client that sends half of its SETTINGS at the deadline", () =>
  withServer({ handshakeMsMax: 100 }, async ({ listener }) => {
    const connection = await connectRaw(listener.port, "h3", certificate);
    const writer = (await connection.createUnidirectionalStream()).getWriter();
    await writer.write(HTTP3_SETTINGS.slice(0, 9));
    const { reason } = await within("the close", connection.closed);
    assert.is(reason, "upgrade took too long");
  }));

test("listener closes an h3 client that never sends CONNECT at the deadline", () =>
  withServer({ handshakeMsMax: 100 }, async ({ listener }) => {
    const connection = await connectRaw(listener.port, "h3", certificate);
    const writer = (await connection.createUnidirectionalStream()).getWriter();
    await writer.write(HTTP3_SETTINGS);
    const { reason } = await within("the close", connection.closed);
    assert.is(reason, "upgrade took too long");
    assert.is(listener.stats.deadlines, 1);
  }));

test("listener closes an h3 client whose first request is no CONNECT at once", () =>
  withServer({}, async ({ listener, errors }) => {
    const connection = await connectRaw(listener.port, "h3", certificate);
    const writer = (await connection.createUnidirectionalStream()).getWriter();
    await writer.write(HTTP3_SETTINGS);
    const get = HTTP3_CONNECT.slice();
    get[get.indexOf(0xcf)] = 0xd1; // :method GET in place of CONNECT (RFC 9204, appendix A)
    await sendRaw(connection, get);
    await within("the close", connection.closed.catch(() => {}));
    await until("it is not counted", () => listener.stats.handshakes === 0);
    assert.is(listener.stats.handshakeFailures, 1);
    assert.equal(errors.map(([stage]) => stage), ["upgrade"]);
  }));

test("close of the listener ends what is still in its handshake or upgrade", async () => {
  const { listener, dialer } = serve();
  const connection = await connectRaw(listener.port, "h3", certificate);
  await until("it began", () => listener.stats.handshakes === 1);
  await listener.close();
  // Before the handshake is confirmed QUIC hides the code (RFC 9000 §10.2.3).
  const end = connection.closed.then(({ reason }) => reason, (error: Error) => error.message);
  assert.match(await within("the close", end), /shutting down|^aborted by peer/);
  await until("it is not counted", () => listener.stats.handshakes === 0);
  await dialer.close();
});

test("session drops a malformed WebTransport stream header and accepts the next stream", () =>
  withServer({}, async ({ listener }) => {
    const { connection, held } = await connectWebTransportRaw(listener.port, certificate);
    const session = (await within("the session", listener.accept()))!;
    assert.is(session.transport, "webtransport");
    const accepting = session.accept();
    const malformed = prefaceOf("request", new Uint8Array([0xff, 0xff, 0xff]));
    await sendRaw(connection, malformed);
    await sendRaw(connection, prefaceOf("request", new Uint8Array([0x40, 0x41, 0x04])));
    await until("both are dropped", () => listener.stats.streamsRefused === 2);
    const good = await sendRaw(connection, prefaceOf("bulk", WEBTRANSPORT_STREAM_HEADER));
    assert.is((await within("the good stream", accepting))!.kind, "bulk");
    assert.is(listener.stats.streams, 1);
    assert.ok(held.length > 0 && good.readable);
    connection.close();
    await within("the end", session.closed);
  }));

test("session gives stream credit back over WebTransport: more streams than the limit pass", () =>
  withServer({ streamsPerSessionMax: 4 }, async ({ listener }) => {
    const { connection, held } = await connectWebTransportRaw(listener.port, certificate);
    const session = (await within("the session", listener.accept()))!;
    for (let count = 0; count < 40; count++) {
      const opening = connection.createBidirectionalStream({ waitUntilAvailable: true });
      const stream = await within(`credit for stream ${count}`, opening);
      const writer = stream.writable.getWriter();
      await writer.write(prefaceOf("request", WEBTRANSPORT_STREAM_HEADER));
      const accepted = (await within(`stream ${count}`, session.accept()))!;
      accepted.abort();
      await writer.close().catch(() => {});
      await stream.readable.cancel().catch(() => {});
    }
    assert.is(listener.stats.streams, 0);
    assert.ok(held.length > 0);
    connection.close();
  }));

test("session drops a half-sent preface at its deadline and meanwhile serves other streams", () =>
  withServer({ prefaceMsMax: 150 }, async ({ listener }) => {
    const connection = await connectRaw(listener.port, "crs", certificate);
    const session = (await within("the session", listener.accept()))!;
    await sendRaw(connection, prefaceOf("request", NO_HEADER).subarray(0, 10));
    await sendRaw(connection, prefaceOf("control", NO_HEADER));
    assert.is((await within("the whole one", session.accept()))!.kind, "control");
    await until("the half one is dropped", () => listener.stats.deadlines === 1);
    assert.is(listener.stats.streamsRefused, 1);
    assert.is(listener.stats.streams, 1);
    connection.close();
  }));

test("session drops prefaces of another magic, kind, version or shape", () =>
  withServer({ streamsPerSessionMax: 8 }, async ({ listener }) => {
    const connection = await connectRaw(listener.port, "crs", certificate);
    const session = (await within("the session", listener.accept()))!;
    const accepting = session.accept();
    for (const offset of [0, 4, 8, 12, 16, 20, 21, 22]) {
      const bytes = prefaceOf("request", NO_HEADER);
      bytes[offset]! ^= 0x40;
      await sendRaw(connection, bytes);
    }
    await until("all are dropped", () => listener.stats.streamsRefused === 8);
    await sendRaw(connection, prefaceOf("peer", NO_HEADER));
    assert.is((await within("the good stream", accepting))!.kind, "peer");
    connection.close();
  }));

test("session leaves the bytes after a preface to the stream's first read", () =>
  withServer({}, async ({ listener }) => {
    const connection = await connectRaw(listener.port, "crs", certificate);
    const session = (await within("the session", listener.accept()))!;
    const bytes = new Uint8Array(30);
    bytes.set(prefaceOf("request", NO_HEADER));
    bytes.set([1, 2, 3, 4, 5, 6], 24);
    await sendRaw(connection, bytes);
    const stream = (await within("the stream", session.accept()))!;
    const part = await within("the rest", stream.read(new Uint8Array(100)));
    assert.equal(part, new Uint8Array([1, 2, 3, 4, 5, 6]));
    connection.close();
  }));

test("rotate shows the new certificate to new sessions and leaves the old ones alone", () =>
  withServer({}, async (server) => {
    const old = await dialHonest(server, pinned(certificate));
    const oldFar = (await server.listener.accept())!;
    server.listener.rotate(otherCertificate);
    assert.is(await codeOf(dialHonest(server, pinned(certificate))), "tls_failed");
    await assertServes(server, otherCertificate);
    const stream = await old.open("request");
    await stream.write(new Uint8Array([1]));
    const accepted = (await within("a stream of the old session", oldFar.accept()))!;
    assert.equal(await accepted.read(new Uint8Array(1)), new Uint8Array([1]));
    for (let round = 0; round < 20; round++) {
      server.listener.rotate(round % 2 === 0 ? certificate : otherCertificate);
    }
    await assertServes(server, otherCertificate);
    server.listener.rotate(certificate);
  }));

test("rotate refuses what is no certificate, and the old one stays", () =>
  withServer({}, async (server) => {
    for (
      const wrong of [
        { chainPem: "junk", keyPem: certificate.keyPem },
        { chainPem: certificate.chainPem, keyPem: "junk" },
        { chainPem: certificate.chainPem, keyPem: otherCertificate.keyPem },
      ]
    ) {
      let code = "ok";
      try {
        server.listener.rotate(wrong);
      } catch (error) {
        code = (error as RegistryError).code;
      }
      assert.is(code, "invalid_argument");
    }
    await assertServes(server, certificate);
  }));

test("dial believes a certificate by one of several pins or by its authority, and no other", () =>
  withServer({}, async (server) => {
    const both = { kind: "pins", sha256: [otherCertificate.sha256, certificate.sha256] } as const;
    for (const trust of [pinned(certificate), both, { kind: "ca", pem: [certificate.caPem] }]) {
      const near = await dialHonest(server, trust as Trust);
      assert.ok(await within("the session", server.listener.accept()));
      await near.goodbye(undefined, "", { lingerMs: 0 });
    }
    const wrongs: Trust[] = [
      pinned(otherCertificate),
      { kind: "pins", sha256: [] },
      { kind: "ca", pem: [otherCertificate.caPem] },
      { kind: "ca", pem: [] },
      { kind: "ca", pem: [certificate.caPem], serverName: "elsewhere.example" },
    ];
    for (const wrong of wrongs) assert.is(await codeOf(dialHonest(server, wrong)), "tls_failed");
    await until("the failures are counted", () => server.listener.stats.handshakeFailures === 5);
  }));

test("dial answers connection_lost where nobody listens, sooner than its deadline", async () => {
  const dialer = new QuicDialer({ scheduler, onError: () => {}, idleMs: 100, keepAliveMs: 50 });
  const dialing = dialer.dial({ host: "127.0.0.1", port: 9 }, { trust: pinned(certificate) });
  assert.is(await codeOf(within("the failure", dialing)), "connection_lost");
  await dialer.close();
});

test("WebTransportDialer refuses a CA, which Deno would ignore", async () => {
  const dialer = new WebTransportDialer({ scheduler, onError: () => {} });
  const trust = { kind: "ca", pem: [certificate.caPem] } as const;
  assert.is(
    await codeOf(dialer.dial({ host: "127.0.0.1", port: 9 }, { trust })),
    "invalid_argument",
  );
  await dialer.close();
});

test("listenQuic binds both loopback addresses on one port, and leaves out what is not there", async () => {
  const stages: ErrorStage[] = [];
  const onError = (stage: ErrorStage) => stages.push(stage);
  const options = { port: 0, certificate, scheduler, onError };
  const listener = listenQuic({ ...options, hosts: ["127.0.0.1", "::1", "192.0.2.1"] });
  assert.equal(listener.addresses.filter(({ host }) => host !== "::1"), [
    { host: "127.0.0.1", port: listener.port },
  ]);
  assert.ok(stages.length >= 1 && stages.every((stage) => stage === "bind"));
  const dialer = new QuicDialer({ scheduler, onError });
  for (const { host } of listener.addresses) {
    const near = await dialer.dial({ host, port: listener.port }, { trust: pinned(certificate) });
    assert.ok(await within("a session", listener.accept()));
    await near.goodbye(undefined, "", { lingerMs: 0 });
  }
  let code = "ok";
  try {
    listenQuic({ ...options, hosts: ["127.0.0.1"], port: listener.port });
  } catch (error) {
    code = (error as RegistryError).code;
  }
  assert.is(code, "invalid_configuration");
  await dialer.close();
  await listener.close();
});

test("listener ends a session whose CONNECT stream the client ended", () =>
  withServer({}, async ({ listener }) => {
    const { held } = await connectWebTransportRaw(listener.port, certificate);
    const session = (await within("the session", listener.accept()))!;
    const connect = held[2] as Deno.QuicBidirectionalStream;
    await connect.writable.close();
    const end = await within("its end", session.closed);
    assert.equal(end, { by: "peer", code: undefined, message: "" });
  }));

test("listenQuic without WebTransport refuses h3 in the handshake", async () => {
  const onError = () => {};
  const options = { hosts: ["127.0.0.1"], port: 0, certificate, scheduler, onError };
  const listener = listenQuic({ ...options, webtransport: false });
  let message = "";
  await connectRaw(listener.port, "h3", certificate)
    .catch((error: Error) => message = error.message);
  assert.match(message, /known protocol/);
  assert.is(listener.stats.handshakeFailures, 1);
  await listener.close();
});

test.run();
