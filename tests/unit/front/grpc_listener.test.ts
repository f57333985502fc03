/** The listener of gRPC over real sockets: what is answered, and which connections end by which limit. */
import { X509Certificate } from "node:crypto";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, toHex } from "../../../src/base/bytes.ts";
import {
  GRPC_AGE_GRACE_MS,
  GRPC_AGE_MS_MAX,
  GRPC_CHECK_MS,
  GRPC_DRAIN_MS,
  GRPC_HANDSHAKE_MS_MAX,
  GRPC_IDLE_MS_MAX,
  GRPC_PING_AFTER_MS,
  GRPC_PING_MS_MAX,
  GRPC_RESETS_BURST,
  GRPC_RESETS_PER_SECOND,
} from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import type { World } from "../../../src/base/world.ts";
import { GrpcListener, type GrpcListenerOptions } from "../../../src/front/grpc_listener.ts";
import type { CallStream } from "../../../src/grpc/call_stream.ts";
import { testWorld } from "../../support/production_world.ts";
import {
  callHeaders,
  EMPTY_MESSAGE,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  headerBlock,
  PREFACE,
} from "../../support/raw_http2.ts";
import { codeOf, codeOfCall } from "../../support/refusal.ts";
import { issueTlsIdentities } from "../../support/tls_identities.ts";
import { until, within } from "../../support/until.ts";

const ids = await issueTlsIdentities();
const others = await issueTlsIdentities(2);

/** The flag of a ping that answers one. */
const ACK = 1;

/** The real world with a clock and with looks at connections that a test moves. */
class MovedWorld {
  readonly world: Pick<World, "monotonic" | "scheduler" | "entropy">;
  #offsetMs = 0;
  readonly #held = new Map<number, (() => void)[]>();

  /** @param heldMs the delays whose timers wait for {@link run}. */
  constructor(heldMs: readonly number[] = [GRPC_CHECK_MS]) {
    const { monotonic, scheduler, entropy } = testWorld();
    for (const ms of heldMs) this.#held.set(ms, []);
    this.world = {
      monotonic: { nowMs: () => monotonic.nowMs() + this.#offsetMs },
      entropy,
      scheduler: {
        after: (ms, run) => {
          const held = this.#held.get(ms);
          if (held === undefined) return scheduler.after(ms, run);
          held.push(run);
          return { cancel: () => void held.splice(held.indexOf(run) >>> 0, 1) };
        },
        nextTurn: (run) => scheduler.nextTurn(run),
      },
    };
  }

  pass(ms: number): void {
    this.#offsetMs += ms;
    this.run(GRPC_CHECK_MS);
  }

  /** Runs the timers of a delay. */
  run(ms: number): void {
    for (const run of this.#held.get(ms)!.splice(0)) run();
  }
}

/** A client that speaks HTTP/2 by hand. */
class RawClient {
  readonly frames: { readonly type: number; readonly flags: number; readonly body: Uint8Array }[] =
    [];
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(socket: Socket) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => socket.on("close", () => resolve()));
    socket.on("error", () => {});
    socket.on("data", (chunk: Uint8Array) => this.#take(chunk));
  }

  static to(port: number): RawClient {
    return new RawClient(connect(port, "127.0.0.1"));
  }

  send(...parts: readonly Uint8Array[]): void {
    this.#socket.write(concatBytes(parts));
  }

  close(): void {
    this.#socket.destroy();
  }

  /** @param flags absent: any. */
  count(type: number, flags?: number): number {
    return this.frames.filter((one) => one.type === type && (flags ?? one.flags) === one.flags)
      .length;
  }

  /** The bytes of all bodies that have arrived, in hexadecimal. */
  get data(): string {
    return this.frames.filter(({ type }) => type === FRAME.data)
      .map(({ body }) => toHex(body)).join("");
  }

  /** The number of streams that the server has ended. */
  get endedStreams(): number {
    const types: readonly number[] = [FRAME.data, FRAME.headers];
    return this.frames.filter(({ type, flags }) => types.includes(type) && (flags & END_STREAM) > 0)
      .length;
  }

  #take(chunk: Uint8Array): void {
    let bytes = concatBytes([this.#rest, chunk]);
    while (bytes.length >= 9) {
      const length = bytes[0]! * 65_536 + bytes[1]! * 256 + bytes[2]!;
      if (bytes.length < 9 + length) break;
      const { 3: type, 4: flags } = bytes;
      this.frames.push({ type: type!, flags: flags!, body: bytes.slice(9, 9 + length) });
      bytes = bytes.slice(9 + length);
    }
    this.#rest = bytes;
  }
}

const head = (stream: number, headers = callHeaders("/a.B/C"), flags = END_HEADERS) =>
  frame(FRAME.headers, headerBlock(headers), { flags, stream });
const body = (stream: number, bytes: Uint8Array = EMPTY_MESSAGE) =>
  frame(FRAME.data, bytes, { flags: END_STREAM, stream });

/** Answers a call with its body, when that is complete, and trailers. */
function echo(stream: CallStream): void {
  const parts: Uint8Array[] = [];
  stream.receive({
    data: (chunk) => void parts.push(chunk),
    end: () => {
      for (const part of parts) stream.send(part);
      stream.end({ "grpc-status": "0" });
    },
    closed: () => {},
  });
}

/** Leaves a call unanswered. */
function ignore(stream: CallStream): void {
  stream.receive({ data: () => {}, end: () => {}, closed: () => {} });
}

async function withListener(
  run: (listener: GrpcListener, moved: MovedWorld) => Promise<void>,
  options: Partial<GrpcListenerOptions> = {},
  moved = new MovedWorld(),
): Promise<void> {
  const listener = await GrpcListener.open({
    ...{ host: "127.0.0.1", port: 0, serve: echo, logger: SILENT_LOGGER, world: moved.world },
    ...options,
  });
  try {
    await run(listener, moved);
  } finally {
    await listener.close();
  }
}

/** Returns a client whose first call was answered. */
async function calledClient({ port }: GrpcListener): Promise<RawClient> {
  const client = RawClient.to(port);
  client.send(PREFACE, head(1), body(1));
  await until("an answer", () => client.endedStreams === 1);
  // The server hears of the end of a call after it sent the answer, and before it reads this.
  client.send(frame(FRAME.ping, new Uint8Array(8)));
  await until("a round trip", () => client.count(FRAME.ping, ACK) === 1);
  return client;
}

test("a call is answered with its body and trailers, and the connection serves the next one", () =>
  withListener(async (listener) => {
    const client = await calledClient(listener);
    assert.is(client.data, toHex(EMPTY_MESSAGE));
    assert.is(client.count(FRAME.headers), 2, "headers and trailers");
    client.send(head(3), body(3, Uint8Array.of(0, 0, 0, 0, 2, 7, 8)));
    await until("the second answer", () => client.endedStreams === 2);
    assert.ok(client.data.endsWith("00000000020708"));
    client.close();
    await until("the end", () => listener.count === 0);
  }));

test("what is no call of gRPC is answered without a call", async () => {
  const seen: string[] = [];
  const serve = (stream: CallStream) => {
    seen.push(`${stream.path} ${stream.header("x-one")} ${stream.header("x-none")}`);
    stream.receive({ data: () => {}, end: () => {}, closed: () => {} });
    stream.end({ "grpc-status": "12" });
  };
  await withListener(async ({ port }) => {
    const client = RawClient.to(port);
    const json = callHeaders("/a.B/C").map(([name, value]) =>
      [name, name === "content-type" ? "application/json" : value] as const
    );
    client.send(PREFACE, head(1, json, END_HEADERS | END_STREAM));
    await until("a refusal", () => client.endedStreams === 1);
    assert.equal(seen, []);
    const more = [...callHeaders("/a.B/D"), ["x-one", "1"], ["x-one", "2"]] as const;
    client.send(head(3, [...more]), body(3));
    await until("trailers alone", () => client.endedStreams === 2);
    assert.equal(seen, ["/a.B/D 1, 2 undefined"]);
    assert.is(client.count(FRAME.data), 0);
    client.close();
  }, { serve });
});

test("an answer that is larger than the client's window waits for it, or for the client's end", async () => {
  let sent = 0;
  const serve = async (stream: CallStream) => {
    let isOpen = true;
    stream.receive({ data: () => {}, end: () => {}, closed: () => void (isOpen = false) });
    stream.pause();
    stream.resume();
    while (isOpen) {
      sent++;
      if (!stream.send(new Uint8Array(16_384))) await stream.drained();
    }
    // Nothing is sent to a call that has ended.
    assert.is(stream.send(new Uint8Array(1)), true);
    await stream.drained();
    stream.end({});
    sent = -1;
  };
  await withListener(async ({ port }) => {
    const client = RawClient.to(port);
    client.send(PREFACE, head(1), body(1));
    await until("a full window", () => client.data.length >= 2 * 65_535);
    assert.ok(sent > 0 && sent < 100, `${sent} parts wait at most`);
    client.close();
    await until("the end of the call", () => sent === -1);
  }, { serve: (stream) => void serve(stream) });
});

test("an answer that has ended and is not taken can be given up, and its connection goes on", async () => {
  let given: CallStream | undefined;
  let closures = 0;
  const serve = (stream: CallStream) => {
    if (stream.path !== "/a.B/C") return echo(stream);
    given = stream;
    stream.receive({
      data: () => {},
      end: () => stream.end({ "grpc-status": "0" }, new Uint8Array(200_000)),
      closed: () => closures++,
    });
  };
  await withListener(async ({ port }) => {
    const client = RawClient.to(port);
    client.send(PREFACE, head(1), body(1));
    await until("a full window", () => client.data.length >= 2 * 65_535);
    assert.is(closures, 0);
    given!.reset(true);
    await until("the end of the call", () => closures === 1);
    await until("the reset", () => client.count(FRAME.reset) === 1);
    client.send(frame(FRAME.ping, new Uint8Array(8)));
    await until("a round trip", () => client.count(FRAME.ping, ACK) === 1);
    client.close();
  }, { serve });
});

test("a connection ends that does not complete its handshake in time", () =>
  withListener(async (listener, moved) => {
    const client = RawClient.to(listener.port);
    await until("the connection", () => listener.count === 1);
    moved.pass(GRPC_HANDSHAKE_MS_MAX - 1_000);
    assert.is(listener.count, 1);
    moved.pass(1_001);
    await within("the end", client.ended);
    assert.is(listener.count, 0);
  }));

test("a silent connection is asked whether it lives, and ends if it does not answer", () =>
  withListener(async (listener, moved) => {
    const client = await calledClient(listener);
    const pings = () => client.count(FRAME.ping, 0);
    moved.pass(GRPC_PING_AFTER_MS + 1);
    await until("a ping", () => pings() === 1);
    const asked = client.frames.findLast(({ type }) => type === FRAME.ping)!;
    client.send(frame(FRAME.ping, asked.body, { flags: ACK }), head(3), body(3));
    await until("an answer after that of the ping", () => client.endedStreams === 2);
    moved.pass(GRPC_PING_MS_MAX + 1);
    assert.is(listener.count, 1, "it lives");
    moved.pass(GRPC_PING_AFTER_MS + 1);
    await until("another ping", () => pings() === 2);
    moved.pass(GRPC_PING_MS_MAX + 1);
    await within("the end", client.ended);
  }));

test("a connection ends that has no calls for long, is old, or does not end when it is told to", async () => {
  await withListener(async (listener, moved) => {
    const client = await calledClient(listener);
    moved.pass(GRPC_IDLE_MS_MAX + 1);
    await within("the end of an idle connection", client.ended);
    assert.ok(client.count(FRAME.goaway) > 0);
  });
  await withListener(
    async (listener, moved) => {
      const client = RawClient.to(listener.port);
      client.send(PREFACE, head(1), body(1));
      await until("the server's settings", () => client.count(FRAME.settings) === 2);
      moved.pass(1.1 * GRPC_AGE_MS_MAX);
      await until("the announcement of the end", () => client.count(FRAME.goaway) > 0);
      assert.is(listener.count, 1, "a call is in progress");
      moved.pass(GRPC_AGE_GRACE_MS + 1);
      await within("the end of an old connection", client.ended);
    },
    { serve: ignore },
  );
});

test("a connection ends whose client says goodbye and keeps its side open", async () => {
  const moved = new MovedWorld([GRPC_CHECK_MS, GRPC_DRAIN_MS]);
  await withListener(
    async (listener) => {
      const socket = connect({ port: listener.port, host: "127.0.0.1", allowHalfOpen: true });
      const told = new Promise((resolve) => socket.once("end", resolve));
      const client = new RawClient(socket);
      client.send(PREFACE);
      await until("the server's settings", () => client.count(FRAME.settings) === 2);
      client.send(frame(FRAME.goaway, new Uint8Array(8)));
      await within("the end of the server's side", told);
      moved.pass(GRPC_PING_AFTER_MS + 1);
      moved.run(GRPC_DRAIN_MS);
      await until("the end", () => listener.count === 0);
      client.close();
    },
    {},
    moved,
  );
});

test("one connection too many takes the place of a silent one, then of an idle one, or has none", () =>
  withListener(async (listener) => {
    const silent = RawClient.to(listener.port);
    await until("the silent connection", () => listener.count === 1);
    const idle = await calledClient(listener);
    await within("the end of the silent connection", silent.ended);
    const busy = RawClient.to(listener.port);
    busy.send(PREFACE, head(1));
    await within("the end of the idle connection", idle.ended);
    await until("the call of the third", () => busy.count(FRAME.settings) === 2);
    const late = RawClient.to(listener.port);
    late.send(PREFACE);
    await within("the end of the last connection", late.ended);
    assert.is(listener.count, 1);
    busy.close();
  }, { connectionsMax: 1 }));

test("a connection ends whose calls are reset all the time", () =>
  withListener(async ({ port }) => {
    const client = RawClient.to(port);
    client.send(PREFACE);
    // In small groups, so that the limit of calls in flight is not what ends it.
    const calls = GRPC_RESETS_BURST + 20 * GRPC_RESETS_PER_SECOND;
    let isEnded = false;
    void client.ended.then(() => isEnded = true);
    for (let call = 0; call < calls && !isEnded; call += 50) {
      const streams = Array.from({ length: 50 }, (_, index) => 2 * (call + index) + 1);
      client.send(
        ...streams.flatMap((stream) => [
          head(stream),
          frame(FRAME.reset, Uint8Array.of(0, 0, 0, 8), { stream }),
        ]),
      );
      const { length } = client.frames;
      client.send(frame(FRAME.ping, new Uint8Array(8)));
      await until("an answer or the end", () => isEnded || client.frames.length > length);
    }
    await within("the end", client.ended);
  }));

test("close waits for calls in progress for a moment, and frees the port", async () => {
  const moved = new MovedWorld([GRPC_CHECK_MS, GRPC_DRAIN_MS]);
  const listener = await GrpcListener.open({
    ...{ host: "127.0.0.1", port: 0, serve: ignore, logger: SILENT_LOGGER, world: moved.world },
  });
  const { port } = listener;
  const client = RawClient.to(port);
  client.send(PREFACE, head(1), body(1));
  await until("the server's settings", () => client.count(FRAME.settings) === 2);
  const closed = listener.close();
  await until("the announcement of the end", () => client.count(FRAME.goaway) > 0);
  assert.is(listener.count, 1);
  moved.run(GRPC_DRAIN_MS);
  await within("the end of the connection", client.ended);
  await within("the end of the listener", closed);
  await withListener(async (again) => {
    assert.is(
      await codeOf(withListener(() => Promise.resolve(), { port: again.port })),
      "invalid_configuration",
    );
  }, { port });
});

test("with TLS the caller's certificate is passed on, and nothing but HTTP/2 is spoken", async () => {
  const peers: (string | undefined)[] = [];
  const serve = (stream: CallStream) => {
    const { certificate, isEncrypted } = stream.peer;
    peers.push(isEncrypted ? certificate && toHex(certificate) : "plain");
    echo(stream);
  };
  const tls = { certificate: ids.server, clientAuthorities: [ids.rootPem] };
  await withListener(async ({ port }) => {
    const dial = (options: object) =>
      connectTls({ host: "127.0.0.1", port, ca: [ids.rootPem], ALPNProtocols: ["h2"], ...options });
    const { chainPem: cert, keyPem: key } = ids.client;
    for (const options of [{}, { cert, key }]) {
      const client = new RawClient(dial(options) as unknown as Socket);
      client.send(PREFACE, head(1), body(1));
      await until("an answer", () => client.endedStreams === 1);
      client.close();
    }
    assert.equal(peers, [undefined, toHex(ids.clientLeaf)]);
    const other = new RawClient(dial({ ALPNProtocols: ["http/1.1"] }) as unknown as Socket);
    await within("the end of another protocol", other.ended);
    const old = new RawClient(dial({ maxVersion: "TLSv1.2" }) as unknown as Socket);
    await within("the end of an old TLS", old.ended);
    const plain = RawClient.to(port);
    plain.send(PREFACE);
    await within("the end of plain text", plain.ended);
  }, { serve, tls });
});

test("further connections have the certificate that is used then, and one that cannot be is refused", () =>
  withListener(async (listener) => {
    const { port } = listener;
    const seen = async () => {
      const socket = connectTls({
        ...{ host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: ["h2"] },
        ...{ cert: ids.client.chainPem, key: ids.client.keyPem },
      });
      const client = new RawClient(socket as unknown as Socket);
      client.send(PREFACE, head(1), body(1));
      await until("an answer", () => client.endedStreams === 1);
      return { client, name: socket.getPeerX509Certificate()!.fingerprint256 };
    };
    const before = await seen();
    const mixed = { chainPem: others.server.chainPem, keyPem: ids.server.keyPem };
    assert.is(codeOfCall(() => listener.useCertificate(mixed)), "invalid_argument");
    assert.is((await seen()).name, before.name);
    listener.useCertificate(others.server);
    assert.is((await seen()).name, new X509Certificate(others.server.chainPem).fingerprint256);
    before.client.send(head(3), body(3));
    await until("an answer on the connection of before", () => before.client.endedStreams === 2);
  }, { tls: { certificate: ids.server, clientAuthorities: [ids.rootPem] } }));

test.run();
