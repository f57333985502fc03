/** Connections at real listeners that wait for the turn of their handshake. */
import net from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { HANDSHAKE_REST_MS_MAX } from "../../../src/base/limits.ts";
import type { MonotonicClock } from "../../../src/base/world.ts";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { listenQuic } from "../../../transport/quic_listener.ts";
import { listenTls, TlsDialer } from "../../../transport/tls.ts";
import type { Listener, ListenerLimits, Session } from "../../../transport/transport.ts";
import { issueTestCertificate } from "../../support/certificate.ts";
import { testWorld } from "../../support/production_world.ts";
import { codeOf } from "../../support/refusal.ts";
import { issueTlsIdentities } from "../../support/tls_identities.ts";
import { until, within } from "../../support/until.ts";

const certificate = await issueTestCertificate();
const identities = await issueTlsIdentities();
const { scheduler } = testWorld();
const onError = () => {};
const HOST = "127.0.0.1";
const ALL = { handshakeWaitMsMax: Infinity };

interface Server {
  readonly listener: Listener;
  dial(): Promise<Session>;
  close(): Promise<void>;
}

/** A clock by which each turn begins one handshake, and then rests for as long as it may. */
function fastClock(): MonotonicClock {
  let nowMs = 0;
  return { nowMs: () => nowMs += HANDSHAKE_REST_MS_MAX };
}

function quic(limits: ListenerLimits): Server {
  const options = { hosts: [HOST], port: 0, certificate, scheduler, onError, limits };
  const listener = listenQuic({ ...options, monotonic: fastClock() });
  const dialer = new QuicDialer({ scheduler, onError });
  const trust = { kind: "pins", sha256: [certificate.sha256] } as const;
  return {
    listener,
    dial: () => dialer.dial({ host: HOST, port: listener.port }, { trust }),
    close: async () => {
      await dialer.close();
      await listener.close();
    },
  };
}

async function tls(limits: ListenerLimits): Promise<Server> {
  const { server, client, rootPem } = identities;
  const options = { hosts: [HOST], port: 0, certificate: server, scheduler, onError, limits };
  const listener = await listenTls({
    ...{ ...options, monotonic: fastClock() },
    clientAuthorities: [rootPem],
  });
  const dialer = new TlsDialer({ scheduler, onError, certificate: () => client });
  const trust = { kind: "ca", pem: [rootPem] } as const;
  return {
    listener,
    dial: () => dialer.dial({ host: HOST, port: listener.port }, { trust }),
    close: async () => {
      await dialer.close();
      await listener.close();
    },
  };
}

async function withServer(
  make: (limits: ListenerLimits) => Server | Promise<Server>,
  limits: ListenerLimits,
  run: (server: Server) => Promise<void>,
): Promise<void> {
  const server = await make(limits);
  try {
    await run(server);
  } finally {
    await server.close();
  }
}

for (const make of [quic, tls]) {
  test(`${make.name}: a connection that waits becomes a session when its turn comes`, async () => {
    await withServer(make, ALL, async ({ listener, dial }) => {
      const dials = Array.from({ length: 6 }, dial);
      await within("all sessions", Promise.all(dials));
      const { begun, waiting, waitedMs, overdue } = listener.stats;
      assert.equal([begun, waiting, overdue], [6, 0, 0]);
      assert.ok(waitedMs > 0);
    });
  });

  test(`${make.name}: a connection that waits too long is refused and leaves nothing behind`, async () => {
    await withServer(make, { handshakeWaitMsMax: 1 }, async ({ listener: { stats }, dial }) => {
      const code = make === quic ? "overloaded" : "connection_lost";
      for (let count = 1; count <= 3; count++) {
        assert.is(await within("the refusal", codeOf(dial())), code);
        await until("its end", () => stats.handshakes === 0);
        assert.equal([stats.overdue, stats.refused, stats.waiting], [count, count, 0]);
      }
      assert.equal([stats.begun, stats.sessions], [0, 0]);
    });
  });
}

test("tls: the deadline of a handshake includes the wait", async () => {
  const count = 5;
  const handshakeMsMax = 1.5 * HANDSHAKE_REST_MS_MAX;
  await withServer(tls, { ...ALL, handshakeMsMax }, async ({ listener: { port, stats } }) => {
    const silent = Array.from({ length: count }, () => {
      const socket = net.connect(port, HOST);
      socket.on("error", () => {});
      return new Promise((resolve) => socket.resume().on("close", resolve));
    });
    await within("the end of those that say nothing", Promise.all(silent));
    await until("their ends", () => stats.handshakes === 0 && stats.waiting === 0);
    assert.is(stats.deadlines, count);
  });
});

test.run();
