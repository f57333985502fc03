/** The listener of the HTTP face over real sockets on loopback. */
import { connect, type Socket } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { HTTP_HEADER_BYTES_MAX, WATCH_TOKEN_CHARACTERS_MAX } from "../../../src/base/limits.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { startFront } from "../../../src/front/front.ts";
import {
  type HttpHandler,
  type HttpListener,
  openHttpListener,
} from "../../../src/front/http_listener.ts";
import { pathOf, queryOf, type StreamBody, type StreamSink } from "../../../src/http/reply.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { testWorld } from "../../support/production_world.ts";
import { until, within } from "../../support/until.ts";

async function withListener(
  handler: HttpHandler,
  run: (listener: HttpListener, url: string) => Promise<void>,
  connectionsMax?: number,
): Promise<void> {
  const listener = await openHttpListener({
    host: "127.0.0.1",
    port: 0,
    handler,
    logger: SILENT_LOGGER,
    scheduler: testWorld().scheduler,
    ...(connectionsMax === undefined ? {} : { connectionsMax }),
  });
  try {
    await run(listener, `http://127.0.0.1:${listener.port}`);
  } finally {
    await listener.close();
  }
}

/** A raw connection. */
interface Raw {
  readonly socket: Socket;
  /** Everything received. */
  readonly text: () => string;
  readonly closed: Promise<void>;
}

function raw(port: number, text: string): Raw {
  let received = "";
  const socket = connect(port, "127.0.0.1", () => socket.write(text));
  socket.on("data", (chunk: Uint8Array) => received += new TextDecoder().decode(chunk));
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  return { socket, text: () => received, closed };
}

const echo: HttpHandler = async (request, peer) => ({
  status: 202,
  headers: { "x-a": "1" },
  body: JSON.stringify({
    method: request.method,
    path: pathOf(request),
    query: [...queryOf(request) ?? []],
    host: request.headers.get("host"),
    body: request.body === null ? null : await new Response(request.body).text(),
    peer,
  }),
});

test("openHttpListener passes method, target, headers, body and peer on", () =>
  withListener(echo, async (_, url) => {
    const response = await fetch(`${url}/a/b?c=d%20e`, {
      method: "POST",
      body: "x".repeat(300_000),
    });
    assert.equal([response.status, response.headers.get("x-a")], [202, "1"]);
    const json = await response.json();
    assert.equal([json.method, json.path, json.query], ["POST", "/a/b", [["c", "d e"]]]);
    assert.is(json.body.length, 300_000);
    assert.equal(json.host, new URL(url).host);
    assert.equal(json.peer, { address: "127.0.0.1", scheme: "http:" });
    const get = await (await fetch(url)).json();
    assert.equal([get.method, get.body], ["GET", null]);
  }));

test("openHttpListener refuses targets that are no path, and goes on", () =>
  withListener(echo, async ({ port }, url) => {
    for (const target of ["*", "http://evil.example/", "evil.example:80"]) {
      const { closed, text } = raw(port, `GET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`);
      await within("the end", closed);
      assert.match(text(), /^(HTTP\/1\.1 400 |$)/);
    }
    assert.is((await fetch(url)).status, 202);
  }));

test("openHttpListener closes connections with oversized or malformed heads", () =>
  withListener(echo, async ({ port }, url) => {
    const long = "x".repeat(HTTP_HEADER_BYTES_MAX);
    for (
      const head of [`GET / HTTP/1.1\r\na: ${long}\r\n\r\n`, "\0\0\0\0\r\n\r\n", "GET\r\n\r\n"]
    ) {
      await within("the end", raw(port, head).closed);
    }
    assert.is((await fetch(url)).status, 202);
  }));

test("openHttpListener answers a head that is too large, unless requests before it are not answered", async () => {
  const held = Promise.withResolvers<void>();
  const listener = await openHttpListener({
    ...{ host: "127.0.0.1", port: 0, logger: SILENT_LOGGER, scheduler: testWorld().scheduler },
    handler: async () => {
      await held.promise;
      return { status: 200, headers: {}, body: "late" };
    },
    headTooLarge: ({ address }) => ({ status: 431, headers: { "x-a": "b" }, body: address }),
  });
  const long = `GET /a HTTP/1.1\r\nhost: a\r\na: ${
    "x".repeat(HTTP_HEADER_BYTES_MAX + 5_000)
  }\r\n\r\n`;
  const refused = raw(listener.port, long);
  await within("the end", refused.closed);
  assert.match(
    refused.text(),
    /^HTTP\/1\.1 431 Request Header Fields Too Large\r\nx-a: b\r\n.*\r\n\r\n127\.0\.0\.1$/s,
  );
  assert.match(refused.text(), /\r\nconnection: close\r\n/);
  const mixed = raw(listener.port, "GET / HTTP/1.1\r\nhost: a\r\n\r\n" + long);
  await within("the end", mixed.closed);
  assert.is(mixed.text(), "");
  held.resolve();
  await listener.close();
});

test("openHttpListener passes on a head as large as the limit allows", () =>
  withListener(
    (request) =>
      Promise.resolve({
        ...{ status: 200, headers: {} },
        body: String(request.headers.get("last-event-id")?.length),
      }),
    async ({ port }) => {
      const id = "x".repeat(WATCH_TOKEN_CHARACTERS_MAX);
      const head = `GET / HTTP/1.1\r\nhost: a\r\nlast-event-id: ${id}\r\n\r\n`;
      const { text, socket } = raw(port, head);
      await until("the answer", () => text().endsWith(`\r\n\r\n${id.length}`));
      socket.end();
    },
  ));

test("openHttpListener answers a request whose body nobody reads, then ends the connection", async () => {
  for (const [method, status] of [["POST", 413], ["GET", 200]] as const) {
    await withListener(
      () => Promise.resolve({ status, headers: {}, body: "no" }),
      async ({ port }) => {
        const head = `${method} / HTTP/1.1\r\nhost: a\r\ncontent-length: 10000000\r\n\r\n`;
        const { closed, text, socket } = raw(port, head + "x".repeat(100_000));
        await until("the answer", () => text().includes("\r\n\r\nno"));
        assert.ok(text().startsWith(`HTTP/1.1 ${status} `));
        assert.match(text(), /connection: close/i);
        socket.end();
        await within("the end", closed);
      },
    );
  }
});

test("openHttpListener keeps the connection of requests that have arrived", () =>
  withListener(
    () => Promise.resolve({ status: 404, headers: {}, body: "no" }),
    async ({ port }) => {
      const heads = [
        "GET / HTTP/1.1\r\nhost: a",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0",
      ];
      const { closed, text, socket } = raw(port, `${heads[0]}\r\n\r\n`);
      await until("an answer", () => text().endsWith("no"));
      socket.write(`${heads[1]}\r\n\r\n`);
      await until("two answers", () => text().split("\r\n\r\nno").length === 3);
      assert.not.match(text(), /connection: close/i);
      socket.end();
      await within("the end", closed);
    },
  ));

test("openHttpListener aborts the request of a caller that leaves", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await withListener(({ signal }) => {
    signal.addEventListener("abort", () => resolve());
    return promise.then(() => ({ status: 200, headers: {}, body: undefined }));
  }, async ({ port }) => {
    const { socket } = raw(port, "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await until("it is connected", () => socket.readyState === "open");
    await new Promise((done) => setTimeout(done, 0));
    socket.destroy();
    await within("the abort", promise);
  });
});

test("openHttpListener sends an event stream as it comes, and cancels it when the reader leaves", async () => {
  let sink!: StreamSink;
  const { promise: canceled, resolve } = Promise.withResolvers<void>();
  const body: StreamBody = {
    start: (given) => {
      sink = given;
    },
    drained: () => {},
    close: () => resolve(),
  };
  const headers = { "content-type": "text/event-stream" };
  await withListener(() => Promise.resolve({ status: 200, headers, body }), async ({ port }) => {
    const { socket, text } = raw(port, "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await until("the beginning", () => sink !== undefined);
    sink.write(new TextEncoder().encode("data: 1\n\n"));
    await until("the first event", () => text().includes("data: 1\n\n"));
    sink.write(new TextEncoder().encode("data: 2\n\n"));
    await until("the second event", () => text().includes("data: 2\n\n"));
    socket.destroy();
    await within("the cancellation", canceled);
  });
});

test("openHttpListener takes no more of an event stream than its reader does", async () => {
  let pieces = 0;
  const piece = new Uint8Array(64 * 1024).fill(97);
  let sink: StreamSink | undefined;
  const fill = () => {
    do pieces++; while (sink!.write(piece));
  };
  const body: StreamBody = {
    start: (given) => {
      sink = given;
      fill();
    },
    drained: fill,
    close: () => {},
  };
  const headers = { "content-type": "text/event-stream" };
  await withListener(() => Promise.resolve({ status: 200, headers, body }), async ({ port }) => {
    const { socket } = raw(port, "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    socket.pause();
    let before = -1;
    // It stops once the buffers of both sockets are full.
    await until("it stops", async () => {
      const isSame = pieces === before && pieces > 0;
      before = pieces;
      await new Promise((done) => setTimeout(done, 50));
      return isSame;
    });
    assert.ok(pieces < 1_000, `${pieces} pieces of 64 KiB were taken`);
    // It goes on once the reader takes more.
    socket.resume();
    await until("it goes on", () => pieces > before);
    socket.destroy();
  });
});

test("openHttpListener gives the place of the longest idle connection to a new one", () =>
  withListener(echo, async ({ port }, url) => {
    const idle = raw(port, "");
    await until("it is connected", () => idle.socket.readyState === "open");
    assert.is((await fetch(url)).status, 202);
    await within("the end of the idle one", idle.closed);
  }, 1));

test("openHttpListener says which port is taken", () =>
  withListener(echo, async ({ port }) => {
    const logged: string[] = [];
    try {
      await withListener.call(undefined, echo, () => Promise.resolve());
      await openHttpListener({
        host: "127.0.0.1",
        port,
        handler: echo,
        logger: { ...SILENT_LOGGER, warn: (message) => logged.push(message) },
        scheduler: testWorld().scheduler,
      });
      assert.unreachable();
    } catch (error) {
      assert.equal(logged, [], "The caller reports the failure");
      assert.instance(error, RegistryError);
      assert.is((error as RegistryError).code, "invalid_configuration");
      assert.match((error as RegistryError).message, new RegExp(String(port)));
    }
  }));

test("startFront refuses plain text beyond loopback unless it is told to", async () => {
  const options = {
    client: new FakeClient({ delegate: () => ({ close() {} }) }).client,
    isDevelopment: false,
    world: testWorld(),
    logger: SILENT_LOGGER,
  };
  const httpAt = (host: string) => (
    { endpoint: { host, port: 0 }, hostNames: [], allowsInsecure: false, readCache: 1 }
  );
  const grpcAt = (host: string) => ({
    endpoint: { host, port: 0 },
    allowsInsecure: false,
    allowsLegacyClients: false,
    allowsOlderRelays: false,
    relayBackend: "memory:",
    mapsLeaseMs: 60_000,
    relayTimes: {},
  });
  const refused = [
    [{ http: httpAt("0.0.0.0") }, /--insecure-http/],
    [{ http: httpAt("127.0.0.1"), grpc: grpcAt("0.0.0.0") }, /--insecure-grpc/],
    [{ http: httpAt("0.0.0.0"), grpc: grpcAt("127.0.0.1") }, /--insecure-http/],
  ] as const;
  for (const [faces, message] of refused) {
    try {
      await startFront({ ...options, ...faces });
      assert.unreachable();
    } catch (error) {
      assert.is((error as RegistryError).code, "invalid_configuration");
      assert.match((error as RegistryError).message, message);
    }
  }
  const faces = { http: httpAt("127.0.0.1"), grpc: grpcAt("127.0.0.1") };
  const front = await startFront({ ...options, ...faces });
  const response = await fetch(`http://127.0.0.1:${front.http?.port}/healthz`);
  assert.equal(await response.json(), { status: "ok" });
  assert.ok(front.grpc!.port > 0);
  assert.match(front.notice, /Callers have their own rights/);
  await front.close();
});

test.run();
