/** The operator's port over real sockets on loopback. */
import { connect } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { testWorld } from "../../support/production_world.ts";
import {
  openOpsHttp,
  type OpsHttp,
  type OpsHttpOptions,
  type UnreadyReason,
} from "../../../src/node/ops_http.ts";

const METRICS = { text: "crs_ready 1\n", contentType: "text/plain; version=0.0.4" };

async function withPort(
  options: Partial<OpsHttpOptions>,
  run: (ops: OpsHttp, url: string) => Promise<void>,
): Promise<void> {
  const ops = await openOpsHttp({
    host: "127.0.0.1",
    port: 0,
    unready: () => [],
    metrics: () => Promise.resolve(METRICS),
    logger: SILENT_LOGGER,
    scheduler: testWorld().scheduler,
    ...options,
  });
  try {
    await run(ops, `http://127.0.0.1:${ops.port}`);
  } finally {
    await ops.close();
  }
}

/** Sends raw text and resolves with everything received until the server closed the connection. */
function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let received = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("data", (chunk: Uint8Array) => received += new TextDecoder().decode(chunk));
    socket.on("error", () => {});
    socket.on("close", () => resolve(received));
  });
}

test("openOpsHttp /healthz answers 200 while the node is not ready", () =>
  withPort({ unready: () => [{ reason: "starting", message: "wait" }] }, async (_, url) => {
    const response = await fetch(`${url}/healthz`);
    assert.is(response.status, 200);
    assert.equal(await response.json(), { status: "ok" });
    assert.is(response.headers.get("cache-control"), "no-store");
  }));

test("openOpsHttp /readyz tells all reasons, and 200 once there are none", () => {
  let reasons: UnreadyReason[] = [
    { reason: "storage_poisoned", message: "a sync failed: restart the node" },
    { reason: "draining", message: "the node is shutting down" },
  ];
  return withPort({ unready: () => reasons }, async (_, url) => {
    const refused = await fetch(`${url}/readyz`);
    assert.is(refused.status, 503);
    assert.equal(await refused.json(), { status: "not_ready", reasons });
    reasons = [];
    const ready = await fetch(`${url}/readyz?verbose`);
    assert.is(ready.status, 200);
    assert.equal(await ready.json(), { status: "ready", reasons: [] });
  });
});

test("openOpsHttp /metrics passes text and media type on", () =>
  withPort({}, async (_, url) => {
    const response = await fetch(`${url}/metrics`);
    assert.is(response.headers.get("content-type"), METRICS.contentType);
    assert.is(await response.text(), METRICS.text);
  }));

test("openOpsHttp answers 500 where metrics fail, and goes on", () => {
  const failures: unknown[] = [];
  const logger = { ...SILENT_LOGGER, warn: (_: string, facts?: unknown) => failures.push(facts) };
  const metrics = () => Promise.reject(new Error("no snapshot"));
  return withPort({ metrics, logger }, async (_, url) => {
    const response = await fetch(`${url}/metrics`);
    assert.is(response.status, 500);
    assert.not.match(await response.text(), /snapshot/);
    assert.is(failures.length, 1);
    assert.is((await fetch(`${url}/healthz`)).status, 200);
  });
});

test("openOpsHttp refuses other paths with 404 and other methods with 405, as JSON", () =>
  withPort({}, async (_, url) => {
    const missing = await fetch(`${url}/metrics/../secret`);
    assert.is(missing.status, 404);
    assert.is((await missing.json()).code, "not_found");
    const posted = await fetch(`${url}/healthz`, { method: "POST", body: "x" });
    assert.is(posted.status, 405);
    assert.is(posted.headers.get("allow"), "GET, HEAD");
    assert.is((await posted.json()).code, "invalid_argument");
    const head = await fetch(`${url}/healthz`, { method: "HEAD" });
    assert.is(head.status, 200);
    assert.is(await head.text(), "");
  }));

test("openOpsHttp refuses a Host that is not this machine", () =>
  withPort({}, async ({ port }) => {
    const ask = (host: string) =>
      exchange(port, `GET /metrics HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    for (const host of ["localhost", `127.0.0.1:${port}`, "[::1]:1", "LOCALHOST:80"]) {
      assert.match(await ask(host), /^HTTP\/1\.1 200 /, host);
    }
    for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost@evil", "", "[::2]"]) {
      const answer = await ask(host);
      assert.match(answer, /^HTTP\/1\.1 4\d\d /, host);
      assert.not.match(answer, /crs_ready/, host);
    }
  }));

test("openOpsHttp drops oversized and malformed requests and serves the next", () =>
  withPort({}, async ({ port }, url) => {
    const large = "a".repeat(20_000);
    await exchange(port, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${large}\r\n\r\n`);
    await exchange(port, `GET /${large} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await exchange(port, "\u0016\u0003\u0001 not HTTP\r\n\r\n");
    assert.is((await fetch(`${url}/healthz`)).status, 200);
  }));

test("openOpsHttp refuses connections beyond its limit", () =>
  withPort({}, async ({ port }) => {
    const sockets = Array.from({ length: 80 }, () => connect(port, "127.0.0.1"));
    const startMs = performance.now();
    const dropped = await new Promise<number>((resolve) => {
      let closed = 0;
      for (const socket of sockets) {
        socket.on("error", () => {});
        socket.on("close", () => ++closed === 80 - 64 && resolve(closed));
      }
    });
    assert.is(dropped, 80 - 64);
    assert.ok(performance.now() - startMs < 4_000, "at once, not by the time limit of 5 s");
    for (const socket of sockets) socket.destroy();
  }));

test("openOpsHttp answers a probe while idle connections hold all places", () =>
  withPort({}, async ({ port }, url) => {
    const sockets = Array.from({ length: 64 }, () => connect(port, "127.0.0.1"));
    for (const socket of sockets) socket.on("error", () => {});
    await Promise.all(sockets.map((socket) => new Promise((done) => socket.once("connect", done))));
    const closed = new Promise((done) => sockets[0]!.once("close", done));
    sockets[0]!.resume();
    const response = await fetch(`${url}/healthz`);
    assert.is(response.status, 200);
    await response.body?.cancel();
    await closed;
    for (const socket of sockets) socket.destroy();
  }));

test("openOpsHttp on another address than loopback serves whatever Host a request names", () =>
  withPort({ host: "0.0.0.0" }, async ({ port }) => {
    const request =
      "GET /healthz HTTP/1.1\r\nHost: node-1.example:9443\r\nConnection: close\r\n\r\n";
    assert.match(await exchange(port, request), /^HTTP\/1.1 200/);
  }));

test("openOpsHttp names a port that is taken and what to do", () =>
  withPort({}, async ({ port }) => {
    try {
      await withPort({ port }, () => Promise.resolve());
      assert.unreachable();
    } catch (error) {
      assert.instance(error, RegistryError);
      const refusal = error as RegistryError;
      assert.is(refusal.code, "invalid_configuration");
      assert.is(refusal.fields.field, "opsPort");
      assert.match(refusal.message, new RegExp(`127\\.0\\.0\\.1 TCP port ${port} .*--ops-port`));
    }
  }));

test("openOpsHttp close drops open connections and frees the port", async () => {
  await withPort({}, async (ops) => {
    const socket = connect(ops.port, "127.0.0.1");
    socket.on("error", () => {});
    await new Promise<void>((resolve) => socket.on("connect", () => resolve()));
    const dropped = new Promise<void>((resolve) => socket.on("close", () => resolve()));
    socket.resume();
    await Promise.all([ops.close(), ops.close()]);
    await dropped;
    await withPort({ port: ops.port }, (again) => {
      assert.is(again.port, ops.port);
      return Promise.resolve();
    });
  });
});

test.run();
