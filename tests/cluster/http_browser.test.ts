/**
 * The HTTP face and a real headless Chromium: its `EventSource` reads a stream and continues it after the
 * stream has ended; a page of another origin, and one that gave its own name to the face's address (DNS
 * rebinding), reach nothing.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WATCH_TOKEN_CHARACTERS_MAX } from "../../src/base/limits.ts";
import type { WatchEvent } from "../../src/client/mod.ts";
import { SILENT_LOGGER } from "../../src/base/logger.ts";
import { openHttpListener } from "../../src/front/http_listener.ts";
import { pathOf } from "../../src/http/reply.ts";
import { withPage } from "../support/browser.ts";
import { FakeClient } from "../support/fake_client.ts";
import { HttpFace } from "../support/http_face.ts";
import { testWorld } from "../support/production_world.ts";
import { CHROMIUM, testWith } from "../support/requirement.ts";
import { within } from "../support/until.ts";

const PAGE_MS_MAX = 60_000;
const EVENTS_PER_STREAM = 3;

/** Reads seven events, so that two streams end in between. */
const READER = `
const read = [];
const source = new EventSource("/v1/watch?kind=agent");
source.addEventListener("put", (event) => {
  read.push([event.lastEventId.replaceAll("-", ""), JSON.parse(event.data).agent.id]);
  if (read.length === 7) {
    source.close();
    fetch("/report", { method: "POST", body: JSON.stringify(read) });
  }
});
`;

/** Tries everything that a page may try; the report goes to the page's own server. */
const ATTACKER = `
const outcomes = {};
const attempt = async (name, run) => {
  try { outcomes[name] = await run(); } catch (error) { outcomes[name] = error.name; }
};
const post = { method: "POST", body: '{"domain":"evil.example"}' };
await attempt("read", async () => (await fetch(face + "/v1/status")).status);
await attempt("json", async () =>
  (await fetch(face + "/v1/agents", { ...post, headers: { "content-type": "application/json" } }))
    .status);
await attempt("simple", async () =>
  (await fetch(face + "/v1/agents", { ...post, mode: "no-cors" })).type);
await attempt("stream", () => new Promise((resolve) => {
  const source = new EventSource(face + "/v1/watch");
  source.onopen = () => resolve("open");
  source.onerror = () => { source.close(); resolve("error"); };
}));
await fetch("/report", { method: "POST", body: JSON.stringify(outcomes) });
`;

/** Makes an id as long as one of a watch of all records in 8,192 partitions can be. */
const idOf = (number: number) => `t${number}`.padEnd(WATCH_TOKEN_CHARACTERS_MAX, "-");

/** A watch of events with growing ids, the first after that of `from`; it ends after some. */
function shortWatch(from: string | undefined) {
  let last = parseInt(from?.slice(1) ?? "0", 10);
  const end = last + EVENTS_PER_STREAM;
  return {
    begun: Promise.resolve(),
    token: undefined,
    close: () => {},
    [Symbol.asyncIterator]: () => ({
      next: () => {
        if (last === end) return Promise.resolve({ done: true, value: undefined });
        const value = {
          ...{ type: "put", kind: "agent", record: { id: `agent ${++last}` }, home: undefined },
          ...{ before: undefined, isState: false, hasLeft: false, remainingMs: 1 },
          ...{ receipt: { node: 1, partition: 1, generation: 1, index: last }, token: idOf(last) },
        } as unknown as WatchEvent;
        return Promise.resolve({ done: false, value });
      },
    }),
  };
}

interface Served {
  readonly port: number;
  /** Calls that reached the client. */
  readonly calls: readonly (readonly unknown[])[];
  /** The statuses that the face answered with. */
  readonly statuses: readonly number[];
  /** The first report of a page of the face's own origin. */
  readonly report: Promise<unknown>;
}

/** Serves the face, and beside it a page of its own origin. */
async function withFace(page: string, use: (served: Served) => Promise<void>): Promise<void> {
  const { client, calls } = new FakeClient({
    watch: (_: unknown, { from }: { from?: string }) => shortWatch(from),
    nodeStatus: { region: "global" },
    registerAgent: {},
  });
  const world = testWorld();
  const { app } = new HttpFace({ client }, world);
  const statuses: number[] = [];
  const { promise: report, resolve } = Promise.withResolvers<unknown>();
  const listener = await openHttpListener({
    host: "127.0.0.1",
    port: 0,
    handler: async (request, peer) => {
      const path = pathOf(request);
      if (path === "/report") resolve(await new Response(request.body).json());
      if (path !== "/page" && path !== "/report") {
        const reply = await app.answer(request, peer);
        statuses.push(reply.status);
        return reply;
      }
      return { status: 200, headers: { "content-type": "text/html" }, body: htmlOf(page) };
    },
    logger: SILENT_LOGGER,
    scheduler: world.scheduler,
  });
  try {
    await use({ port: listener.port, calls, statuses, report });
  } finally {
    await listener.close();
    app.close();
  }
}

function htmlOf(script: string): string {
  return `<!doctype html><script type="module">${script}</script>`;
}

/** Returns the report of a page that another server serves. */
async function reportOfOther(
  chromium: string,
  { script, host, flags = [] }: {
    readonly script: string;
    /** By which the browser reaches that server. */
    readonly host: string;
    /** For the browser. */
    readonly flags?: readonly string[];
  },
): Promise<unknown> {
  const { promise: report, resolve } = Promise.withResolvers<unknown>();
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      if (request.method === "POST") resolve(await request.json());
      return new Response(htmlOf(script), { headers: { "content-type": "text/html" } });
    },
  );
  try {
    return await withPage(
      chromium,
      `http://${host}:${server.addr.port}/`,
      () => within("the page's report", report, PAGE_MS_MAX),
      flags,
    );
  } finally {
    await server.shutdown();
  }
}

const browserTest = testWith(CHROMIUM);

browserTest(
  "EventSource reads the watch, and continues after each end of a stream, whatever its partitions",
  (chromium) =>
    withFace(READER, async ({ port, report, calls }) => {
      const read = await withPage(
        chromium,
        `http://localhost:${port}/page`,
        () => within("the page's report", report, PAGE_MS_MAX),
      );
      assert.equal(read, [1, 2, 3, 4, 5, 6, 7].map((n) => [`t${n}`, `agent ${n}`]));
      assert.equal(calls.map(([name, , options]) => [name, (options as { from?: string }).from]), [
        ["watch", undefined],
        ["watch", idOf(3)],
        ["watch", idOf(6)],
      ]);
    }),
);

browserTest(
  "a page of another origin reaches nothing",
  (chromium) =>
    withFace("", async ({ port, calls, statuses }) => {
      const attacker = `const face = "http://localhost:${port}";${ATTACKER}`;
      const outcomes = await reportOfOther(chromium, { script: attacker, host: "localhost" });
      assert.equal(outcomes, {
        read: "TypeError",
        json: "TypeError",
        // The browser sends it, and shows the page nothing of the refusal.
        simple: "opaque",
        stream: "error",
      });
      assert.equal(calls, []);
      // It was asked, and refused.
      assert.equal([...new Set(statuses)], [403]);
    }),
);

browserTest(
  "a name that was bound to the face's address is refused",
  (chromium) =>
    withFace("", async ({ port, calls, statuses }) => {
      // The frame has the name of the page and the port of the face, as after a rebinding.
      const script = `
        const frame = document.createElement("iframe");
        frame.src = "http://evil.example:${port}/v1/status";
        frame.onload = () => fetch("/report", { method: "POST", body: '"loaded"' });
        document.documentElement.append(frame);`;
      const flags = ["--host-resolver-rules=MAP evil.example 127.0.0.1"];
      await reportOfOther(chromium, { script, host: "evil.example", flags });
      assert.equal(calls, []);
      // It was asked, and refused.
      assert.equal([...new Set(statuses)], [403]);
    }),
);

test.run();
