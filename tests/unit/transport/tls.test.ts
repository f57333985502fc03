/**
 * Behaviour specific to the TLS transport: admission by TLS, each side's knowledge of the other,
 * junk in chains, rotation, and peers that violate the framing.
 */
import net from "node:net";
import tls from "node:tls";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { isRefusal } from "../../../identity/pki/certificate_refusal.ts";
import { validateIdentity } from "../../../identity/pki/path_validation.ts";
import { TrustStore } from "../../../identity/trust/trust_store.ts";
import { decodePem, encodePem } from "../../../identity/pki/pem.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import type { ErrorCode } from "../../../src/base/errors.ts";
import { STREAMS_PER_SESSION_MAX, TLS_STREAM_WINDOW_BYTES } from "../../../src/base/limits.ts";
import { concatBytes } from "../../../src/base/bytes.ts";
import { listenTls, TlsDialer } from "../../../transport/tls.ts";
import {
  beatFrame,
  creditFrame,
  dataFrame,
  resetFrame,
  settingsFrame,
} from "../../../transport/tls_frame.ts";
import { prefaceOf } from "../../../transport/preface.ts";
import type {
  Listener,
  OnError,
  Session,
  Stream,
  TlsCertificate,
} from "../../../transport/transport.ts";
import { runOnNode } from "../../support/on_node.ts";
import { testWorld } from "../../support/production_world.ts";
import { NODE, testWith } from "../../support/requirement.ts";
import { issueTlsIdentities } from "../../support/tls_identities.ts";
import { until, within } from "../../support/until.ts";

const identities = await issueTlsIdentities();
const foreign = await issueTlsIdentities(2);
const { monotonic, scheduler } = testWorld();
const ignoreErrors: OnError = () => {};
const trust = { kind: "ca", pem: [identities.rootPem] } as const;
const NO_HEADER = new Uint8Array(0);

/** An invalid certificate between PEM's lines. */
const JUNK_PEM = encodePem("CERTIFICATE", new TextEncoder().encode("0\x82this is no certificate"));

type Run = (listener: Listener) => Promise<void>;
type Register = (name: string, handler: () => Promise<void>) => void;

function checkWithNode(name: string, run: Run): void {
  check(name, run, {}, testWith(NODE));
}

function check(name: string, run: Run, limits = {}, register: Register = test): void {
  register(`tls: ${name}`, async () => {
    const listener = await listenTls({
      hosts: ["127.0.0.1"],
      port: 0,
      certificate: identities.server,
      clientAuthorities: [identities.rootPem],
      scheduler,
      monotonic,
      onError: ignoreErrors,
      limits,
    });
    try {
      await run(listener);
    } finally {
      await listener.close();
    }
  });
}

function dialer(certificate: TlsCertificate = identities.client): TlsDialer {
  return new TlsDialer({ scheduler, onError: ignoreErrors, certificate: () => certificate });
}

async function dialWith(
  listener: { readonly port: number },
  certificate?: TlsCertificate,
  options: { readonly host?: string; readonly pem?: string; readonly serverName?: string } = {},
): Promise<ErrorCode | "session"> {
  const { host = "127.0.0.1", pem = identities.rootPem, serverName } = options;
  const dialing = dialer(certificate);
  try {
    const session = await dialing.dial({ host, port: listener.port }, {
      trust: { kind: "ca", pem: [pem], ...(serverName === undefined ? {} : { serverName }) },
    });
    session.abort("enough");
    return "session";
  } catch (error) {
    if (error instanceof RegistryError) return error.code;
    throw error;
  } finally {
    await dialing.close();
  }
}

check(
  "each side knows the other's certificate, and our own validation takes it",
  async (listener) => {
    const dialing = dialer();
    const [near, far] = await Promise.all([
      dialing.dial({ host: "127.0.0.1", port: listener.port }, { trust }),
      listener.accept(),
    ]);
    const [serverLeaf] = decodePem("CERTIFICATE", identities.server.chainPem);
    assert.equal(near.peerCertificate, new Uint8Array(serverLeaf!));
    assert.equal(far!.peerCertificate, identities.clientLeaf);
    const der = (pem: string) => decodePem("CERTIFICATE", pem)[0]!;
    const store = await TrustStore.open({
      trustDomain: "test.example",
      roots: [der(identities.rootPem)],
      intermediates: [der(identities.intermediatePem)],
    });
    assert.not(isRefusal(store));
    const identity = await validateIdentity({
      chain: [far!.peerCertificate!],
      trust: store as TrustStore,
      nowMs: Date.now(),
    });
    assert.not(isRefusal(identity), JSON.stringify(identity));
    assert.match((identity as { subject: string }).subject, /\/gateway\//);
    await dialing.close();
  },
);

check(
  "a client without a certificate, or with one that TLS does not believe, is refused",
  async (listener) => {
    const expired = await identities.issueClient({ notAfterMs: Date.now() - 1_000 });
    const leafOnly = {
      ...identities.client,
      chainPem: encodePem("CERTIFICATE", identities.clientLeaf),
    };
    const wrongUsage = identities.server;
    for (
      const [name, certificate] of [
        ["another root", foreign.client],
        ["expired", expired],
        ["without its CA", leafOnly],
        ["a server's", wrongUsage],
        ["none", { chainPem: "", keyPem: "" }],
      ] as const
    ) {
      const outcome = await within(name, dialWith(listener, certificate));
      assert.ok(outcome === "tls_failed" || outcome === "connection_lost", `${name}: ${outcome}`);
    }
    assert.is(listener.stats.accepted, 0);
    await until("all were counted", () => listener.stats.handshakeFailures === 5);
    assert.is(await dialWith(listener), "session");
  },
);

check(
  "a server that TLS does not believe, or of another name, is refused by the client",
  async (listener) => {
    assert.is(await dialWith(listener, undefined, { pem: foreign.rootPem }), "tls_failed");
    assert.is(await dialWith(listener, undefined, { serverName: "other.example" }), "tls_failed");
    assert.is(await dialWith(listener, undefined, { serverName: "localhost" }), "session");
  },
);

check("pins alone are no trust for TLS", async (listener) => {
  const dialing = dialer();
  const pins = { kind: "pins", sha256: [new Uint8Array(32)] } as const;
  try {
    await dialing.dial({ host: "127.0.0.1", port: listener.port }, { trust: pins });
    assert.unreachable();
  } catch (error) {
    assert.is((error as RegistryError).code, "invalid_argument");
  }
});

check("junk in a client's chain is survived by the server", async (listener) => {
  const { chainPem, keyPem } = identities.client;
  await dialWith(listener, { chainPem: chainPem + JUNK_PEM, keyPem });
  await dialWith(listener, { chainPem: JUNK_PEM + chainPem, keyPem });
  assert.is(await dialWith(listener), "session");
});

test("tls: junk in a server's chain is survived by the client", async () => {
  const { chainPem, keyPem } = identities.server;
  const server = Deno.listenTls({
    hostname: "127.0.0.1",
    port: 0,
    cert: chainPem + JUNK_PEM,
    key: keyPem,
    alpnProtocols: ["crs"],
  });
  const serve = async () => {
    for await (const connection of server) {
      connection.handshake().then(() => connection.close(), () => connection.close());
    }
  };
  void serve();
  const { port } = server.addr as Deno.NetAddr;
  const outcome = await within("the end of the dial", dialWith({ port }));
  assert.ok(outcome === "connection_lost" || outcome === "tls_failed", outcome);
  server.close();
});

check("a client that does not speak our protocol is refused", async (listener) => {
  const { chainPem, keyPem } = identities.client;
  for (const ALPNProtocols of [undefined, ["h2"]]) {
    const socket = tls.connect({
      host: "127.0.0.1",
      port: listener.port,
      ca: [identities.rootPem],
      cert: chainPem,
      key: keyPem,
      ...(ALPNProtocols && { ALPNProtocols }),
    });
    socket.on("error", () => {});
    await within("its end", new Promise<void>((resolve) => socket.on("close", () => resolve())));
  }
  assert.is(listener.stats.accepted, 0);
});

check("a connection that sends nothing or nonsense is dropped", async (listener) => {
  const silent = net.connect(listener.port, "127.0.0.1");
  const loud = net.connect(listener.port, "127.0.0.1", () => {
    loud.write("GET / HTTP/1.1\r\n\r\n".repeat(100));
  });
  for (const socket of [silent, loud]) {
    socket.on("error", () => {});
    socket.resume();
    await within("its end", new Promise<void>((resolve) => socket.on("close", () => resolve())));
  }
  const { stats } = listener;
  await until("both are counted", () => stats.handshakeFailures === 2 && stats.handshakes === 0);
  assert.is(stats.deadlines, 1);
  assert.is(await dialWith(listener), "session");
}, { handshakeMsMax: 150 });

check(
  "connections beyond the limit of handshakes are dropped, and others follow",
  async (listener) => {
    const { stats } = listener;
    const silent = (length: number) =>
      Array.from({ length }, () => {
        const socket = net.connect(listener.port, "127.0.0.1");
        socket.on("error", () => {});
        socket.resume();
        return socket;
      });
    const allowed = silent(8);
    await until("the limit is reached", () => stats.handshakes === 8);
    const ends = silent(192).map((socket) =>
      new Promise<void>((resolve) => socket.on("close", () => resolve()))
    );
    await within("the end of all beyond it", Promise.all(ends));
    assert.equal([stats.refused, stats.handshakes, stats.deadlines], [192, 8, 0]);
    for (const socket of allowed) socket.destroy();
    await until("none is left", () => stats.handshakes === 0);
    assert.is(await dialWith(listener), "session");
  },
  // No deadline passes during the test, and no connection beyond the limit is notified, so that
  // each is dropped at once and counted.
  { handshakesMax: 8, handshakeMsMax: 60_000, refusalsMax: 0 },
);

check(
  "rotate shows another certificate to new connections, and open ones stay",
  async (listener) => {
    const dialing = dialer();
    const dial = () => dialing.dial({ host: "127.0.0.1", port: listener.port }, { trust });
    const before = await dial();
    const far = (await listener.accept())!;
    const next = await identities.issueServer();
    listener.rotate(next);
    const after = await dial();
    const [leaf] = decodePem("CERTIFICATE", next.chainPem);
    assert.equal(after.peerCertificate, new Uint8Array(leaf!));
    assert.not.equal(before.peerCertificate, after.peerCertificate);
    const [nearStream, farStream] = await Promise.all([before.open("request"), far.accept()]);
    await nearStream.write(Uint8Array.of(7));
    assert.equal(await farStream!.read(new Uint8Array(4)), Uint8Array.of(7));
    try {
      listener.rotate({ chainPem: "nonsense", keyPem: "nonsense" });
      assert.unreachable();
    } catch (error) {
      assert.is((error as RegistryError).code, "invalid_argument");
    }
    const still = await dial();
    assert.equal(still.peerCertificate, after.peerCertificate);
    await dialing.close();
  },
);

/** Returns a client that speaks TLS and then sends whatever a test wants. */
async function rawPeer(listener: Listener): Promise<{ socket: tls.TLSSocket; session: Session }> {
  const { chainPem, keyPem } = identities.client;
  const socket = tls.connect({
    host: "127.0.0.1",
    port: listener.port,
    ca: [identities.rootPem],
    cert: chainPem,
    key: keyPem,
    ALPNProtocols: ["crs"],
  });
  socket.on("error", () => {});
  socket.write(settingsFrame({ idleMs: 45_000, windowBytes: 1_000_000, streamsMax: 16 }));
  socket.resume();
  const session = await within("a session", listener.accept());
  return { socket, session: session! };
}

const opening = (stream: number) => dataFrame(stream, prefaceOf("request", NO_HEADER));

check(
  "a peer that breaks the rules of frames loses its session, and nobody else's",
  async (listener) => {
    const good = dialer();
    const near = await good.dial({ host: "127.0.0.1", port: listener.port }, { trust });
    const far = (await listener.accept())!;
    const big = new Uint8Array(65_536);
    const windowful = Array.from(
      { length: TLS_STREAM_WINDOW_BYTES / big.length + 1 },
      () => dataFrame(1, big),
    );
    const breaches: [string, Uint8Array[]][] = [
      ["a frame of no type", [Uint8Array.of(99, 0, 0, 0, 0, 0, 0, 0)]],
      ["settings twice", [settingsFrame({ idleMs: 1, windowBytes: 1, streamsMax: 1 })]],
      ["more than the window", [opening(1), ...windowful]],
      ["the server's stream", [opening(2)]],
      ["too many streams", Array.from({ length: 17 }, (_, index) => opening(2 * index + 1))],
      ["too much credit", [opening(1), creditFrame(1, 2 ** 32 - 1), creditFrame(1, 2 ** 32 - 1)]],
    ];
    for (const [name, frames] of breaches) {
      const { socket, session } = await rawPeer(listener);
      socket.write(concatBytes(frames));
      const end = await within(name, session.closed);
      assert.is(end.code, "malformed", name);
      socket.destroy();
    }
    const [nearStream, farStream] = await Promise.all([near.open("request"), far.accept()]);
    await nearStream.write(Uint8Array.of(1));
    assert.equal(await farStream!.read(new Uint8Array(1)), Uint8Array.of(1));
    await good.close();
  },
);

check(
  "streams opened and reset in a hurry, taken by nobody, end the session before they pile up",
  async (listener) => {
    const { socket, session } = await rawPeer(listener);
    const frames: Uint8Array[] = [];
    for (let id = 1; id < 2_000; id += 2) frames.push(opening(id), resetFrame(id));
    socket.write(concatBytes(frames));
    assert.is((await within("its end", session.closed)).code, "malformed");
    socket.destroy();
  },
);

check("frames of streams that are over are passed by", async (listener) => {
  const { socket, session } = await rawPeer(listener);
  socket.write(concatBytes([
    opening(1),
    resetFrame(1),
    dataFrame(1, Uint8Array.of(1)),
    creditFrame(1, 5),
    resetFrame(1),
    opening(3),
    dataFrame(3, Uint8Array.of(9)),
  ]));
  const first = await within("a stream", session.accept());
  const second = first!.kind === "request" ? await first!.read(new Uint8Array(4)) : undefined;
  const stream = second === undefined ? await within("the next", session.accept()) : first;
  const bytes = second ?? await stream!.read(new Uint8Array(4));
  assert.equal(bytes, Uint8Array.of(9));
  socket.destroy();
});

check(
  "a peer that sends and does not read ends at the limit of what waits for it",
  async (listener) => {
    const { socket, session } = await rawPeer(listener);
    socket.pause();
    // Each ping is answered; because the client does not read, the replies wait here.
    const pings = concatBytes(Array.from({ length: 8_192 }, () => beatFrame("ping")));
    let over = false;
    const flood = () => {
      for (let burst = 0; burst < 16 && !over; burst++) socket.write(pings);
      if (!over) setTimeout(flood, 2);
    };
    try {
      flood();
      await within("its end", session.closed, 15_000);
    } finally {
      over = true;
    }
    assert.is((await session.closed).by, "lost");
    socket.destroy();
  },
);

check("two sides that write much and read late do not deadlock", async (listener) => {
  const dialing = dialer();
  const near = await dialing.dial({ host: "127.0.0.1", port: listener.port }, { trust });
  const far = (await listener.accept())!;
  const pairs: { readonly left: Stream; readonly right: Stream }[] = [];
  for (let index = 0; index < STREAMS_PER_SESSION_MAX; index++) {
    const [left, right] = await Promise.all([near.open("bulk"), far.accept()]);
    pairs.push({ left, right: right! });
  }
  const bytes = new Uint8Array(2_000_000);
  const writes = pairs.flatMap(({ left, right }) => [left.write(bytes), right.write(bytes)]);
  const drain = async (stream: Stream) => {
    let into = new Uint8Array(65_536);
    for (let count = 0; count < bytes.length;) {
      const part = (await stream.read(into))!;
      count += part.length;
      into = new Uint8Array(part.buffer);
    }
  };
  await within(
    "all bytes both ways",
    Promise.all([...writes, ...pairs.flatMap(({ left, right }) => [drain(left), drain(right)])]),
    15_000,
  );
  await dialing.close();
});

check("a hot stream does not hold up another", async (listener) => {
  const dialing = dialer();
  const near = await dialing.dial({ host: "127.0.0.1", port: listener.port }, { trust });
  const far = (await listener.accept())!;
  const [bulk] = await Promise.all([near.open("bulk"), far.accept()]);
  // The client does not read it: it fills its window and waits.
  const stuck = bulk.write(new Uint8Array(4_000_000));
  stuck.catch(() => {});
  const [quick, other] = await Promise.all([near.open("request"), far.accept()]);
  await quick.write(Uint8Array.of(3));
  assert.equal(await within("a byte", other!.read(new Uint8Array(1))), Uint8Array.of(3));
  await dialing.close();
});

checkWithNode("Node dials Deno and itself, and refuses whom Deno refuses", async (listener) => {
  const accepting = async () => {
    for (let session = await listener.accept(); session; session = await listener.accept()) {
      void echo(session);
    }
  };
  void accepting();
  const printed = await runOnNode(new URL("../../support/tls_node_entry.ts", import.meta.url), {
    PATH: Deno.env.get("PATH") ?? "",
    TLS_TEST: JSON.stringify({
      port: listener.port,
      rootPem: identities.rootPem,
      server: identities.server,
      client: identities.client,
      foreign: foreign.client,
    }),
  });
  const { leaves, ...outcomes } = JSON.parse(printed);
  assert.equal(leaves, [identities.clientLeaf.length]);
  assert.is(outcomes.toDeno, "true true");
  assert.is(outcomes.toNode, "true true");
  for (const refused of [outcomes.foreignToDeno, outcomes.foreignToNode]) {
    assert.ok(refused === "tls_failed" || refused === "connection_lost", refused);
  }
});

async function echo(session: Session): Promise<void> {
  const stream = await session.accept();
  let into = new Uint8Array(65_536);
  try {
    for (;;) {
      const part = await stream?.read(into);
      if (part === undefined) return;
      await stream!.write(part);
      into = new Uint8Array(part.buffer);
    }
  } catch (error) {
    // The peer disconnected, as intended.
    assert.is((error as RegistryError).code, "connection_lost");
  }
}

test.run();
