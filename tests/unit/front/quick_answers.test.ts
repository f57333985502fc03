/**
 * Answers at once and those of the handler: two listeners before one governed plane, of which only one
 * answers at once, get the same bytes and must send the same.
 */
import fc from "fast-check";
import { connect } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RegistryError } from "../../../src/base/errors.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { type HttpListener, openHttpListener } from "../../../src/front/http_listener.ts";
import type { HttpCallers } from "../../../src/http/callers.ts";
import { HttpError } from "../../../src/http/errors.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { GovernanceHarness } from "../../support/governance.ts";
import { readerOf, REFUSED_READER } from "../../support/governed_view.ts";
import { HttpFace } from "../../support/http_face.ts";
import { testWorld } from "../../support/production_world.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";
import { within } from "../../support/until.ts";

const REGISTRY = "/v1/registry";
const HEAD = `${REGISTRY}/descriptors/svc@eu`;
const ID = "6f1c2f6e-8a58-4d0c-9f6e-0d8d6c1b7a11";
const LOCAL = "Host: localhost";
const RUNS = 150;

/** A listener and its face. */
interface Side {
  readonly face: HttpFace;
  readonly listener: HttpListener;
  /** Whether its last request was answered at once. */
  wasQuick: boolean;
}

type Options = Partial<ConstructorParameters<typeof HttpFace>[0]>;

async function sideOf(plane: GovernanceHarness, isQuick: boolean, options: Options): Promise<Side> {
  const { client } = new FakeClient({});
  const callers: HttpCallers = {
    take: ({ authorization }) => {
      if (authorization !== "Bearer bad") return { client, release() {} };
      throw new HttpError("Unauthorized", "The token is bad", { hint: "Send another." });
    },
  };
  const world = new SteppedWorld();
  const face = new HttpFace(
    { governedReader: readerOf(plane), callers, ...options, client },
    world,
  );
  const listener = await openHttpListener({
    ...{ host: "127.0.0.1", port: 0, logger: SILENT_LOGGER },
    scheduler: testWorld().scheduler,
    handler: (request, peer) => face.app.answer(request, peer),
    quick: (request, peer) => {
      const answer = isQuick ? face.app.quick(request, peer) : undefined;
      side.wasQuick = answer !== undefined;
      return answer;
    },
  });
  const side: Side = { face, listener, wasQuick: false };
  return side;
}

/** Both listeners before one plane. */
class Pair {
  readonly plane: GovernanceHarness;
  readonly quick: Side;
  readonly ordinary: Side;

  private constructor(plane: GovernanceHarness, [quick, ordinary]: readonly [Side, Side]) {
    this.plane = plane;
    this.quick = quick;
    this.ordinary = ordinary;
  }

  static async with(run: (pair: Pair) => Promise<void>, options: Options = {}): Promise<void> {
    const plane = new GovernanceHarness();
    for (const id of ["svc@eu", "svc@eu", "other@eu"]) plane.decide(plane.next({ id }));
    const sides = [
      await sideOf(plane, true, options),
      await sideOf(plane, false, options),
    ] as const;
    try {
      // The first request has the view opened.
      for (const { face } of sides) await face.ask("GET", `${REGISTRY}/version`);
      await run(new Pair(plane, sides));
    } finally {
      await Promise.all(sides.map(({ listener }) => listener.close()));
    }
  }

  /** Sends one request to both; returns their answer, and whether one was given at once. */
  async ask(text: string): Promise<{ readonly answer: string; readonly wasQuick: boolean }> {
    this.quick.wasQuick = false;
    const [answer, other] = await Promise.all([
      answerOf(this.quick.listener.port, text),
      answerOf(this.ordinary.listener.port, text),
    ]);
    assert.is(answer, other, text);
    return { answer, wasQuick: this.quick.wasQuick };
  }
}

/** Returns the answer with its headers sorted, without what no two answers share. */
async function answerOf(port: number, text: string): Promise<string> {
  let received = "";
  const socket = connect(port, "127.0.0.1", () => socket.write(text, "latin1"));
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => received += chunk);
  socket.on("error", () => {});
  await within(`the answer to ${text}`, new Promise((done) => socket.on("close", done)));
  const [head = "", ...body] = received.split("\r\n\r\n");
  const [status, ...headers] = head.split("\r\n");
  const kept = headers.filter((line) => !/^date:/i.test(line)).map((line) =>
    line.replace(/^[^:]*/, (name) => name.toLowerCase())
  );
  return [status, ...kept.toSorted(), "", body.join("\r\n\r\n")].join("\n")
    .replace(/[0-9a-f-]{36}/g, (id) => id === ID ? id : "<new id>");
}

function requestOf(line: string, headers: readonly string[], body = ""): string {
  return [`${line} HTTP/1.1`, ...headers, "Connection: close", "", body].join("\r\n");
}

test("HttpApp.quick answers what is in memory as fetch does", () =>
  Pair.with(async (pair) => {
    const lines = [
      `GET ${HEAD}`,
      `HEAD ${HEAD}`,
      `GET ${REGISTRY}/descriptors/svc%40eu`,
      `GET ${HEAD}/versions/1`,
      `GET ${HEAD}/versions/2`,
      `GET ${REGISTRY}/descriptors/other@eu`,
      `GET ${REGISTRY}/version`,
      `HEAD ${REGISTRY}/version`,
      "GET /version",
    ];
    const headers = [
      [LOCAL],
      ["HOST: 127.0.0.1:80", "X-Corr-ID: " + ID, "Accept: */*", "Cookie: a=b", "Cookie: c"],
      ["host: [::1]:1", "x-corr-id: junk", "sec-fetch-site: same-origin"],
      [LOCAL, "Origin: http://LOCALHOST", "Sec-Fetch-Site: none", "Authorization: Bearer good"],
      [LOCAL, 'If-None-Match: "2-published"'],
      [LOCAL, 'If-None-Match: "x", W/"3-published"'],
      [LOCAL, 'If-None-Match: "1-replaced" , "3"'],
      [LOCAL, "if-none-match: *"],
      [LOCAL, "If-None-Match:"],
      [LOCAL, 'If-None-Match: "\u00e9"', "X-A: \u00e9"],
      [LOCAL, 'If-None-Match: "a"', 'If-None-Match: "2-published"'],
    ];
    const statuses = new Set<string>();
    for (const line of lines) {
      for (const more of headers) {
        const { answer, wasQuick } = await pair.ask(requestOf(line, more));
        assert.ok(wasQuick, `${line} ${more}`);
        statuses.add(answer.slice(9, 12));
      }
    }
    assert.equal([...statuses].toSorted(), ["200", "304"]);
    const { answer } = await pair.ask(requestOf(`GET ${HEAD}`, [LOCAL, `X-Corr-ID: ${ID}`]));
    assert.match(answer, /"id":"svc@eu"/);
    assert.match(answer, /^etag: "2-published"$/m);
    assert.match(answer, /^x-registry-age-ms: 7$/m);
    assert.match(answer, new RegExp(`^x-corr-id: ${ID}$`, "m"));
  }));

test("HttpApp.quick leaves everything else to fetch", () =>
  Pair.with(async (pair) => {
    const get = `GET ${HEAD}`;
    const requests = [
      ...[
        "?",
        "?after=0",
        "?max_staleness_ms=0",
        "?junk=1",
        "/",
        "#a",
        "/versions/01",
        "/versions/0",
      ]
        .map((end) => requestOf(get + end, [LOCAL])),
      ...["/versions/3", "/versions/1x", "/versions", "%00", "%zz", "%C3%A9", "\u00e9", "%2540"]
        .map((end) => requestOf(get + end, [LOCAL])),
      ...["/none@eu", "//svc@eu", "/./svc@eu", "/../descriptors/svc@eu", "/%73vc@eu", "/..", ""]
        .map((end) => requestOf(`GET ${REGISTRY}/descriptors${end}`, [LOCAL])),
      ...["POST", "PUT", "OPTIONS", "get", "TRACE"]
        .map((method) => requestOf(`${method} ${HEAD}`, [LOCAL])),
      ...["content-length: 0", "Origin: http://evil.example", "Host: localhost"]
        .map((header) => requestOf(get, [LOCAL, header])),
      ...["Sec-Fetch-Site: cross-site", "Authorization: Bearer bad"]
        .map((header) => requestOf(get, [LOCAL, header])),
      ...[["Host: evil.example"], ["Host: "], []].map((headers) => requestOf(get, headers)),
      requestOf(get, [LOCAL, "Content-Length: 3"], "abc"),
      requestOf(get, [LOCAL, "Transfer-Encoding: chunked"], "3\r\nabc\r\n0\r\n\r\n"),
      requestOf(`GET http://localhost${HEAD}`, [LOCAL]),
      requestOf(`GET ${REGISTRY}/descriptors/${"x".repeat(300)}`, [LOCAL]),
    ];
    for (const request of requests) {
      assert.not((await pair.ask(request)).wasQuick, request);
    }
  }));

test("HttpApp.quick and fetch answer any mixture of targets and headers alike", () =>
  Pair.with(async (pair) => {
    const target = fc.tuple(
      fc.constantFrom(REGISTRY, `${REGISTRY}/descriptors`, HEAD, `${HEAD}/versions`, ""),
      fc.array(
        fc.constantFrom(
          "/",
          "version",
          "svc@eu",
          "other%40eu",
          "1",
          "2",
          ".",
          "%2e",
          "%40",
          "?",
          "&x",
        ),
        { maxLength: 3 },
      ),
    ).map(([start, parts]) => (start + parts.join("")) || "/");
    const value = fc.oneof(
      fc.constantFrom(
        "localhost",
        "*",
        '"2-published"',
        ID,
        "none",
        "http://localhost",
        "Bearer bad",
      ),
      fc.stringMatching(/^[\t -~\u0080-\u00ff]*$/, { maxLength: 20 }),
    );
    const name = fc.constantFrom(
      ...["Host", "if-none-match", "Origin", "Sec-Fetch-Site", "X-Corr-ID", "Authorization", "X-A"],
    );
    const headers = fc.array(fc.tuple(name, value).map((both) => both.join(": ")), {
      maxLength: 3,
    });
    const method = fc.constantFrom("GET", "GET", "GET", "HEAD", "DELETE");
    let quick = 0;
    const asked = fc.asyncProperty(method, target, headers, async (method, target, headers) => {
      const { wasQuick } = await pair.ask(requestOf(`${method} ${target}`, [LOCAL, ...headers]));
      if (wasQuick) quick++;
    });
    await fc.assert(asked, { numRuns: RUNS });
    assert.ok(quick > 0);
    // Both counted the same.
    const counts = await Promise.all([pair.quick, pair.ordinary].map(async ({ face }) => {
      const { text } = await face.ask("GET", "/metrics");
      const counted = /^(requests_total|rejected_total|request_latency_seconds_count)\{/;
      return text.split("\n").filter((line) => counted.test(line)).toSorted();
    }));
    assert.equal(counts[0], counts[1]);
    assert.ok(counts[0]!.length > 3);
  }));

test("HttpApp.quick answers with a newer version as soon as there is one", () =>
  Pair.with(async (pair) => {
    const { plane } = pair;
    for (let version = 3; version <= 5; version++) {
      const before = await pair.ask(requestOf(`GET ${HEAD}`, [LOCAL]));
      assert.is(plane.decide(plane.next({ id: "svc@eu" })), "ok");
      const after = await pair.ask(requestOf(`GET ${HEAD}`, [LOCAL]));
      assert.ok(before.wasQuick && after.wasQuick);
      assert.match(after.answer, new RegExp(`"version":${version},`));
      const old = await pair.ask(requestOf(`GET ${HEAD}/versions/${version - 1}`, [LOCAL]));
      assert.match(old.answer, /"state":"replaced"/);
    }
  }));

test("HttpApp.quick keeps to the limit of requests in flight", () =>
  Pair.with(async (pair) => {
    const { answer, wasQuick } = await pair.ask(requestOf(`GET ${HEAD}`, [LOCAL]));
    assert.not(wasQuick);
    assert.match(answer, /^HTTP\/1\.1 503 /);
  }, { inFlightMax: 0 }));

test("HttpApp.quick answers whoever presents something once the registry has found it valid", () => {
  let isValid = false;
  const status = () =>
    isValid ? Promise.resolve({}) : Promise.reject(new RegistryError("unauthenticated", "Forged"));
  const { client } = new FakeClient({});
  const caller = { ...client, evidence: "capability", governed: { status } } as never;
  const callers: HttpCallers = { take: () => ({ client: caller, release() {} }) };
  return Pair.with(async (pair) => {
    const ask = () => pair.ask(requestOf(`GET ${HEAD}`, [LOCAL, "Authorization: Bearer x"]));
    for (let times = 0; times < 2; times++) {
      const { answer, wasQuick } = await ask();
      assert.not(wasQuick);
      assert.match(answer, /^HTTP\/1\.1 401 /);
    }
    isValid = true;
    assert.not((await ask()).wasQuick);
    const { answer, wasQuick } = await ask();
    assert.ok(wasQuick);
    assert.match(answer, /^HTTP\/1\.1 200 /);
  }, { callers });
});

test("HttpApp.quick answers nothing of a view that is not everybody's", () =>
  Pair.with(async (pair) => {
    const { answer, wasQuick } = await pair.ask(requestOf(`GET ${HEAD}`, [LOCAL]));
    assert.not(wasQuick);
    assert.match(answer, /^HTTP\/1\.1 503 /);
  }, { governedReader: REFUSED_READER }));

test.run();
