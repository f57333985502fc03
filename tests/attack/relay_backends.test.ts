/**
 * Backends of the relay registry that are broken or hostile: servers that answer junk, too much, too
 * slowly, or nothing. Every call ends coded, in time and with bounded memory, and no error escapes.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RELAY_ANSWER_BYTES_MAX } from "../../src/base/limits.ts";
import { openRelayRegistry } from "../../src/relay/open_relay_registry.ts";
import type { RelayRegistry } from "../../src/relay/relay_registry.ts";
import { testWorld } from "../support/production_world.ts";
import { codeOf, rejectionOf } from "../support/refusal.ts";
import { FakeConsul } from "../support/fake_consul.ts";
import { SteppedWorld } from "../support/stepped_world.ts";
import { until, within } from "../support/until.ts";

const utf8 = new TextEncoder();
const relay = { relayId: "r1", address: "192.0.2.1", grpcPort: 1 };
/** Bytes of an answer that a client takes in, and what sockets hold besides. */
const TAKEN_BYTES_MAX = RELAY_ANSWER_BYTES_MAX + 16 * 1024 * 1024;

const CALLS: Record<string, (front: RelayRegistry) => Promise<unknown>> = {
  registerRelay: (front) => front.registerRelay(relay, { timeoutMs: 1_000 }),
  heartbeatRelay: (front) => front.heartbeatRelay("r1", { timeoutMs: 1_000 }),
  registerAgent: (front) => front.registerAgent("a1", "r1", { timeoutMs: 1_000 }),
  heartbeatAgent: (front) => front.heartbeatAgent("a1", "r1", { timeoutMs: 1_000 }),
  placement: (front) => front.placement("a1", { timeoutMs: 1_000 }),
  listRelays: (front) => front.listRelays({ timeoutMs: 1_000 }),
  listAgents: (front) => front.listAgents({ timeoutMs: 1_000 }),
};

/** A TCP server that treats each connection in its way. */
class HostileServer {
  readonly port: number;
  connectionCount = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.Conn>();

  /** @param serve gets the connection and what arrived on it. */
  constructor(serve: (connection: Deno.Conn) => Promise<void>) {
    this.port = this.#listener.addr.port;
    (async () => {
      for await (const connection of this.#listener) {
        this.connectionCount++;
        this.#open.add(connection);
        serve(connection).catch(() => {}).finally(() => this.#close(connection));
      }
    })();
  }

  close(): void {
    this.#listener.close();
    for (const connection of this.#open) this.#close(connection);
  }

  #close(connection: Deno.Conn): void {
    if (!this.#open.delete(connection)) return;
    try {
      connection.close();
    } catch {
      // The client closed it.
    }
  }
}

/** Answers each chunk with `reply`. */
function answering(reply: Uint8Array): (connection: Deno.Conn) => Promise<void> {
  return async (connection) => {
    const buffer = new Uint8Array(65_536);
    while (await connection.read(buffer) !== null) await writeAll(connection, reply);
  };
}

/**
 * Answers the first chunk with `start`, and then `more` until the client leaves; the first connection
 * tells how many bytes it took.
 */
function streaming(
  start: string,
  more: Uint8Array,
  ended: (takenBytes: number) => void,
): (connection: Deno.Conn) => Promise<void> {
  return async (connection) => {
    await connection.read(new Uint8Array(65_536));
    await writeAll(connection, utf8.encode(start));
    let takenBytes = 0;
    try {
      for (;; takenBytes += more.length) await writeAll(connection, more);
    } finally {
      ended(takenBytes);
    }
  };
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

async function withServer(
  serve: (connection: Deno.Conn) => Promise<void>,
  urlOf: (port: number) => string,
  use: (front: RelayRegistry, server: HostileServer) => Promise<void>,
): Promise<void> {
  const server = new HostileServer(serve);
  const front = await openRelayRegistry(urlOf(server.port), { world: testWorld() });
  try {
    await use(front, server);
  } finally {
    await front.close();
    server.close();
  }
}

const redis = (port: number) => `redis://127.0.0.1:${port}`;
const etcd = (port: number) => `etcd://127.0.0.1:${port}`;
const consul = (port: number) => `consul://127.0.0.1:${port}`;

/** Makes each call; all must be refused with one of `codes`. */
async function allRefused(front: RelayRegistry, codes: readonly string[]): Promise<void> {
  for (const [name, call] of Object.entries(CALLS)) {
    const code = await within(name, codeOf(call(front)), 4_000);
    assert.ok(codes.includes(code), `${name}: ${code}`);
  }
}

const JUNK: Record<string, string> = {
  "another protocol": "HTTP/1.1 400 Bad Request\r\n\r\n",
  "zeros": "\0".repeat(1_000),
  "OK": "+OK\r\n",
  "nothing": "$-1\r\n",
  "a number": ":2\r\n",
  "a list that says that it is enormous": "*4294967296\r\n",
  "a list of nothing": "*3\r\n$-1\r\n$-1\r\n$-1\r\n",
  "a row too short": "*2\r\n$2\r\na1\r\n$2\r\nr1\r\n",
  "rows without a time": "*12\r\n" + "$2\r\nr1\r\n".repeat(12),
  "nested lists": "*1\r\n".repeat(200_000),
  "an error of a megabyte": `-ERR ${"x".repeat(1_000_000)}\r\n`,
  "more answers than questions": ":3\r\n".repeat(1_000),
};

for (const [what, reply] of Object.entries(JUNK)) {
  test(`a Redis that answers with ${what} gets coded errors`, () =>
    withServer(
      answering(utf8.encode(reply)),
      redis,
      (front) => allRefused(front, ["internal", "connection_lost", "deadline_exceeded"]),
    ));
}

test("a Redis that closes each connection gets no more than a few attempts a second", () =>
  withServer(() => Promise.resolve(), redis, async (front, server) => {
    await allRefused(front, ["connection_lost", "deadline_exceeded"]);
    const before = server.connectionCount;
    const startMs = performance.now();
    await until("some more attempts", () => server.connectionCount >= before + 3, 20_000);
    assert.ok(server.connectionCount < 200, `${server.connectionCount} connections`);
    assert.ok(performance.now() - startMs > 50);
  }));

test("a Redis that never ends an answer is cut off", () => {
  const taken = Promise.withResolvers<number>();
  return withServer(
    streaming("$4000000000\r\n", new Uint8Array(1024 * 1024), taken.resolve),
    redis,
    async (front, server) => {
      const code = await within(
        "the call",
        codeOf(front.listRelays({ timeoutMs: 20_000 })),
        25_000,
      );
      assert.is(code, "connection_lost");
      await until("it connects again", () => server.connectionCount > 1);
      assert.ok(await taken.promise < TAKEN_BYTES_MAX, `${await taken.promise} bytes`);
    },
  );
});

const DATE = "date: Mon, 30 Nov 2026 19:44:17 GMT\r\n";
const answerOf = (body: string, status = "200 OK", headers = DATE) =>
  `HTTP/1.1 ${status}\r\n${headers}content-length: ${utf8.encode(body).length}\r\n\r\n${body}`;

const HTTP_JUNK: Record<string, string> = {
  "another protocol": "-ERR unknown command\r\n",
  "no date": answerOf("{}", "200 OK", ""),
  "no JSON": answerOf("<html>"),
  "null": answerOf("null"),
  "a list": answerOf("[]"),
  "a text": answerOf('"crs"'),
  "other members": answerOf('{"responses":{"a":1},"Results":{"a":1}}'),
  "entries that are none": answerOf('{"responses":[1,2],"Results":[1,2]}'),
  "a redirect": answerOf("", "302 Found", `${DATE}location: http://127.0.0.1:1/\r\n`),
  "an error without words": answerOf("", "500 Internal Server Error"),
  "a body cut short": `HTTP/1.1 200 OK\r\n${DATE}content-length: 100\r\n\r\n{`,
  "a body that is not UTF-8": answerOf("{}").replace("{}", "\u00ff\u00fe"),
};

for (const [what, reply] of Object.entries(HTTP_JUNK)) {
  for (const [name, urlOf] of Object.entries({ etcd, consul })) {
    test(`a server that answers with ${what} in place of ${name} gets coded errors`, () =>
      withServer(
        answering(Uint8Array.from(reply, (character) => character.charCodeAt(0))),
        urlOf,
        (front) => allRefused(front, ["internal", "connection_lost", "deadline_exceeded"]),
      ));
  }
}

for (const [name, urlOf] of Object.entries({ etcd, consul })) {
  test(`a server that never ends an answer in place of ${name} is cut off`, () => {
    const taken = Promise.withResolvers<number>();
    const head = `HTTP/1.1 200 OK\r\n${DATE}\r\n`;
    return withServer(
      streaming(head, new Uint8Array(1024 * 1024).fill(32), taken.resolve),
      urlOf,
      async (front) => {
        const { code, message } = await within(
          "the call",
          rejectionOf(front.listRelays({ timeoutMs: 20_000 })),
          25_000,
        );
        assert.is(code, "internal");
        assert.match(message, "must be at most");
        assert.ok(await taken.promise < TAKEN_BYTES_MAX, `${await taken.promise} bytes`);
      },
    );
  });

  test(`a server that answers a byte at a time in place of ${name} is left at the deadline`, () => {
    let isLeft = false;
    const serve = async (connection: Deno.Conn) => {
      await connection.read(new Uint8Array(65_536));
      await writeAll(connection, utf8.encode(`HTTP/1.1 200 OK\r\n${DATE}\r\n`));
      try {
        for (;;) {
          await writeAll(connection, utf8.encode(" "));
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      } finally {
        isLeft = true;
      }
    };
    return withServer(serve, urlOf, async (front) => {
      const code = await within("the call", codeOf(front.listRelays({ timeoutMs: 300 })), 4_000);
      assert.is(code, "deadline_exceeded");
      await until("the connection ends", () => isLeft);
    });
  });
}

test("a Consul that is away and comes back is served again by itself", async () => {
  const fake = new FakeConsul(new SteppedWorld());
  const open = (port: number) =>
    Deno.serve(
      { hostname: "127.0.0.1", port, onListen: () => {} },
      (request) => fake.answer(request),
    );
  let server = open(0);
  const { port } = server.addr;
  const front = await openRelayRegistry(consul(port), { world: testWorld() });
  try {
    await front.registerRelay(relay);
    await server.shutdown();
    assert.is(await codeOf(front.listRelays()), "connection_lost");
    server = open(port);
    await front.registerAgent("a1", "r1");
    assert.is((await front.placement("a1")).relayId, "r1");
  } finally {
    await front.close();
    await server.shutdown();
  }
});

test.run();
