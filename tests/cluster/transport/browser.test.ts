/**
 * A page in a real headless Chromium against the listener: `localhost` (so [::1] first), a pinned
 * certificate, streams of both sides, more streams than the limit one after the other.
 *
 * A browser's `close()` does not end the connection, only the CONNECT stream, and with it the session.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { STREAMS_PER_SESSION_MAX } from "../../../src/base/limits.ts";
import { prefaceOf } from "../../../transport/preface.ts";
import { listenQuic } from "../../../transport/quic_listener.ts";
import type { Listener, Session, Stream } from "../../../transport/transport.ts";
import { withPage } from "../../support/browser.ts";
import { issueTestCertificate } from "../../support/certificate.ts";
import { testWorld } from "../../support/production_world.ts";
import { CHROMIUM, testWith } from "../../support/requirement.ts";
import { within } from "../../support/until.ts";

const NO_HEADER = new Uint8Array(0);
const CHURNED_STREAMS = 3 * STREAMS_PER_SESSION_MAX;
const PAGE_MS_MAX = 60_000;

/** Runs in the page, which posts its report back. */
const SCRIPT = `
const report = { errors: [] };
try {
  const session = new WebTransport(url, {
    serverCertificateHashes: [{ algorithm: "sha-256", value: new Uint8Array(pin) }],
  });
  await session.ready;
  const incoming = session.incomingBidirectionalStreams.getReader();
  const open = async (kind) => {
    const stream = await session.createBidirectionalStream();
    const writer = stream.writable.getWriter();
    await writer.write(new Uint8Array(prefaces[kind]));
    return { writer, reader: stream.readable.getReader({ mode: "byob" }) };
  };
  const readExactly = async (reader, length) => {
    const bytes = [];
    while (bytes.length < length) {
      bytes.push(...(await reader.read(new Uint8Array(length - bytes.length))).value);
    }
    return bytes;
  };
  await open("control");
  const opened = (await incoming.read()).value;
  report.opened = await readExactly(opened.readable.getReader({ mode: "byob" }), 25);
  const { writer, reader } = await open("request");
  await writer.write(new Uint8Array([1, 2, 3]));
  report.echo = await readExactly(reader, 3);
  for (report.churned = 0; report.churned < churned; report.churned++) {
    const stream = await open("bulk");
    await stream.writer.close();
    await stream.reader.cancel();
  }
} catch (error) {
  report.errors.push(String(error));
}
await fetch("/report", { method: "POST", body: JSON.stringify(report) });
`;

async function serveStream(session: Session, stream: Stream): Promise<void> {
  if (stream.kind === "control") {
    const opened = await session.open("peer");
    await opened.write(new Uint8Array([77]));
  }
  for (let into = new Uint8Array(64);;) {
    const part = await stream.read(into);
    if (part === undefined) return;
    await stream.write(part);
    into = new Uint8Array(part.buffer);
  }
}

async function serve(listener: Listener): Promise<void> {
  const session = await listener.accept();
  for (;;) {
    const stream = await session?.accept();
    if (stream === undefined) return;
    // The page is closed at the end, in the middle of any read.
    serveStream(session!, stream).catch(() => {});
  }
}

testWith(CHROMIUM)("listener serves a page in Chromium", async (chromium) => {
  const certificate = await issueTestCertificate();
  const listener = listenQuic({
    hosts: ["127.0.0.1", "::1"],
    port: 0,
    certificate,
    scheduler: testWorld().scheduler,
    onError: () => {},
  });
  const reported = Promise.withResolvers<Record<string, unknown>>();
  const constants = {
    url: `https://localhost:${listener.port}/`,
    pin: [...certificate.sha256],
    prefaces: Object.fromEntries(
      (["control", "request", "bulk"] as const).map((kind) => [kind, [
        ...prefaceOf(kind, NO_HEADER),
      ]]),
    ),
    churned: CHURNED_STREAMS,
  };
  const script = `const { url, pin, prefaces, churned } = ${JSON.stringify(constants)};${SCRIPT}`;
  const http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    if (request.method === "POST") reported.resolve(await request.json());
    const page = `<!doctype html><script type="module">${script}</script>`;
    return new Response(page, { headers: { "content-type": "text/html" } });
  });
  try {
    void serve(listener);
    const report = await withPage(
      chromium,
      `http://localhost:${http.addr.port}/`,
      () => within("the page's report", reported.promise, PAGE_MS_MAX),
    );
    assert.equal(report, {
      errors: [],
      opened: [...prefaceOf("peer", NO_HEADER), 77],
      echo: [1, 2, 3],
      churned: CHURNED_STREAMS,
    });
  } finally {
    await http.shutdown();
    await listener.close();
  }
});

test.run();
