/** Refusals of the QUIC listener by remote address, and a case in which a close is not received. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { RegistryError } from "../../../src/base/errors.ts";
import { QuicDialer } from "../../../transport/quic_dialer.ts";
import { listenQuic } from "../../../transport/quic_listener.ts";
import type { Listener, ListenerLimits, Session } from "../../../transport/transport.ts";
import { issueTestCertificate } from "../../support/certificate.ts";
import { testWorld } from "../../support/production_world.ts";
import { UdpRelay } from "../../support/udp_relay.ts";
import { until, within } from "../../support/until.ts";

const certificate = await issueTestCertificate();
const { scheduler } = testWorld();
const trust = { kind: "pins", sha256: [certificate.sha256] } as const;

interface Server {
  readonly listener: Listener;
  dial(): Promise<Session>;
}

/** Runs `run` with a listener whose clock is `nowMs`. */
async function withServer(
  limits: ListenerLimits,
  nowMs: () => number,
  run: (server: Server) => Promise<void>,
): Promise<void> {
  const onError = () => {};
  const hosts = ["127.0.0.1"];
  const monotonic = { nowMs };
  const listener = listenQuic({
    hosts,
    port: 0,
    certificate,
    scheduler,
    onError,
    limits,
    monotonic,
  });
  const dialer = new QuicDialer({ scheduler, onError });
  try {
    const endpoint = { host: "127.0.0.1", port: listener.port };
    await run({ listener, dial: () => dialer.dial(endpoint, { trust }) });
  } finally {
    await dialer.close();
    await listener.close();
  }
}

/**
 * Asserts that the client of a connection beyond a limit is told by the dial, or right after it.
 */
async function assertRefused(server: Server): Promise<void> {
  const { refused } = server.listener.stats;
  const code = await server.dial()
    .then(async (session) => (await session.closed).code, (error: RegistryError) => error.code);
  assert.ok(code === "overloaded" || code === "connection_lost", code);
  assert.is(server.listener.stats.refused, refused + 1);
}

/** Dials and disconnects. */
async function visit(server: Server): Promise<void> {
  const session = await server.dial();
  await within("the far session", server.listener.accept());
  session.abort("");
  await until("its end is counted", () => server.listener.stats.sessions === 0);
}

test("session limits per remote address leave loopback out, unless they are told not to", async () => {
  await withServer({ sessionsPerAddressMax: 1 }, () => 0, async (server) => {
    await Promise.all([server.dial(), server.dial()]);
    assert.is(server.listener.stats.refused, 0);
  });
  await withServer({ sessionsPerAddressMax: 1, limitsLoopback: true }, () => 0, async (server) => {
    await server.dial();
    await assertRefused(server);
  });
});

test("one address may connect at a limited rate, and again when its bucket has filled", async () => {
  let nowMs = 0;
  const limits = { sessionsPerAddressMax: 16, limitsLoopback: true };
  await withServer(limits, () => nowMs, async (server) => {
    for (let count = 0; count < 16; count++) await visit(server);
    await assertRefused(server);
    // A sixteenth of sixteen a second.
    nowMs = 1_000;
    await visit(server);
    await assertRefused(server);
  });
});

// quinn-rs/quinn#2785: if this fails, the runtime has been repaired and Carrier.close says so.
test("a close while the congestion window is full reaches the peer by no frame", async () => {
  const listener = listenQuic({
    hosts: ["127.0.0.1"],
    port: 0,
    certificate,
    scheduler,
    onError: () => {},
    idleMs: 700,
  });
  const relay = new UdpRelay(listener.port);
  const dialer = new QuicDialer({ scheduler, onError: () => {} });
  try {
    const near = await dialer.dial(
      { host: "127.0.0.1", port: relay.port },
      { trust },
    );
    const far = await within("the far session", listener.accept());
    const stream = await near.open("request");
    const farStream = await within("its stream", far!.accept());
    relay.dropToClient = true;
    await stream.write(new Uint8Array(100_000));
    await within("the first bytes", farStream!.read(new Uint8Array(1)));
    near.abort("no more");
    assert.is((await within("the far end", far!.closed)).by, "lost");
  } finally {
    await dialer.close();
    await listener.close();
    relay.close();
  }
});

test.run();
