/** The way of every request through the HTTP face: admission, checks, limits, errors. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ERROR_TABLE, type ErrorCode, RegistryError } from "../../../src/base/errors.ts";
import {
  CLIENT_TICK_MS,
  HTTP_BODY_BYTES_MAX,
  HTTP_BODY_MS_MAX,
  HTTP_HEADER_BYTES_MAX,
} from "../../../src/base/limits.ts";
import type { LogFacts } from "../../../src/base/logger.ts";
import { SILENT_LOGGER } from "../../../src/base/logger.ts";
import { ERROR_NAMES, ERROR_STATUSES } from "../../../src/http/errors.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { HttpFace, LOCAL_PEER } from "../../support/http_face.ts";
import { STARTED_UNIX_MS, SteppedWorld } from "../../support/stepped_world.ts";

const ID = "6f1c2f6e-8a58-4d0c-9f6e-0d8d6c1b7a11";
const STATUS = { nodeId: 1, region: "global", ready: true, reason: "", leaderless: 0 };

function faceOf(answers: Readonly<Record<string, unknown>> = {}, world = new SteppedWorld()) {
  const { client } = new FakeClient({ nodeStatus: STATUS, ...answers });
  return new HttpFace({ client }, world);
}

test("HttpApp answers each code of the registry with its status, name, hint and envelope", async () => {
  for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
    const error = new RegistryError(code, `The message of ${code}`);
    const face = faceOf({ nodeStatus: () => Promise.reject(error) });
    const { status, json, headers } = await face.ask("GET", "/v1/status", {
      headers: { "x-corr-id": ID },
    });
    assert.is(status, ERROR_STATUSES[ERROR_NAMES[code]], code);
    assert.equal(Object.keys(json), ["error"]);
    const { hint, ...rest } = json.error;
    assert.ok(hint.length > 10 && !hint.includes("retryAfterMs"), code);
    assert.equal(rest, {
      code: ERROR_NAMES[code],
      message: `The message of ${code}`,
      retryable: ERROR_TABLE[code].class === "unavailable",
      ts: new Date(STARTED_UNIX_MS).toISOString(),
      request_id: ID,
      reason: code,
    });
    assert.is(headers.has("retry-after"), status === 503 || status === 429, code);
    // A conflict does not end by waiting.
    assert.ok(status < 500 || ERROR_TABLE[code].class !== "conflict", code);
    assert.is(headers.has("www-authenticate"), status === 401, code);
  }
});

test("HttpApp rounds retryAfterMs up to the seconds of Retry-After", async () => {
  const overloaded = new RegistryError("overloaded", "Too many", { retryAfterMs: 1_200 });
  const face = faceOf({ nodeStatus: () => Promise.reject(overloaded) });
  const { status, headers } = await face.ask("GET", "/v1/status");
  assert.equal([status, headers.get("retry-after")], [429, "2"]);
});

test("HttpApp hides the message of a bug and logs it", async () => {
  const logged: { message: string; facts: LogFacts | undefined }[] = [];
  const { client } = new FakeClient({
    nodeStatus: () => {
      throw new TypeError("secret internals");
    },
  });
  const face = new HttpFace({
    client,
    logger: {
      ...SILENT_LOGGER,
      error: (message, facts) => void logged.push({ message, facts }),
    },
  });
  const { status, text } = await face.ask("GET", "/v1/status");
  assert.is(status, 503);
  assert.not.match(text, /secret/);
  assert.is(logged.length, 1);
  assert.is(logged[0]!.facts?.route, "/v1/status");
  assert.match(String((logged[0]!.facts?.error as Error).message), /secret/);
});

test("HttpApp answers 404 and 405 in the envelope", async () => {
  const face = faceOf();
  const unknown = await face.ask("GET", "/v1/nothing");
  assert.equal([unknown.status, unknown.json.error.code], [404, "NotFound"]);
  const wrong = await face.ask("PATCH", "/v1/agents");
  assert.equal([wrong.status, wrong.json.error.code], [405, "MethodNotAllowed"]);
  assert.is(wrong.headers.get("allow"), "GET, POST, HEAD");
  const options = await face.ask("OPTIONS", `/v1/agents/${ID}`);
  assert.equal([options.status, options.headers.get("allow")], [405, "GET, DELETE, HEAD"]);
});

test("HttpApp echoes a ULID or UUID and replaces any other correlation id", async () => {
  const face = faceOf();
  for (const given of [ID, ID.toUpperCase(), "01ARZ3NDEKTSV4RRFFQ69G5FAV"]) {
    const { headers } = await face.ask("GET", "/healthz", { headers: { "x-corr-id": given } });
    assert.is(headers.get("x-corr-id"), given);
  }
  const made = new Set<string>();
  for (
    const given of ["", "x", "91ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAU", `${ID} `]
  ) {
    const { headers } = await face.ask("GET", "/healthz", {
      headers: { "x-corr-id": `${given}!` },
    });
    const id = headers.get("x-corr-id")!;
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    made.add(id);
  }
  assert.is(made.size, 5);
});

test("HttpApp serves hosts that are addresses, localhost or configured names only", async () => {
  const { client } = new FakeClient({});
  const face = new HttpFace({ client, hostNames: ["Registry.example"] });
  const statusOf = async (host: string) =>
    (await face.ask("GET", "/healthz", { headers: { host } })).status;
  for (
    const host of [
      "localhost",
      "LOCALHOST:1",
      "127.0.0.1:9402",
      "[::1]:9402",
      "192.0.2.1",
      "registry.example:80",
    ]
  ) {
    assert.is(await statusOf(host), 200, host);
  }
  for (
    const host of [
      "evil.example",
      "localhost.evil.example",
      "",
      "localhost:x",
      "a@localhost",
      "::1",
      "[localhost]",
      "localhost, x",
    ]
  ) {
    assert.is(await statusOf(host), 403, host);
  }
});

test("HttpApp refuses pages of other origins and sites, and sends no CORS headers", async () => {
  const face = faceOf();
  const statusOf = async (headers: Record<string, string>) => {
    const answer = await face.ask("GET", "/healthz", { headers });
    assert.not.ok([...answer.headers.keys()].some((name) => name.startsWith("access-control")));
    return answer.status;
  };
  assert.is(await statusOf({ origin: "http://localhost:9402" }), 200);
  assert.is(await statusOf({ origin: "https://localhost:9402" }), 403);
  assert.is(await statusOf({ origin: "http://localhost:3000" }), 403);
  assert.is(await statusOf({ origin: "http://evil.example" }), 403);
  assert.is(await statusOf({ origin: "null" }), 403);
  assert.is(await statusOf({ "sec-fetch-site": "same-origin" }), 200);
  assert.is(await statusOf({ "sec-fetch-site": "none" }), 200);
  assert.is(await statusOf({ "sec-fetch-site": "cross-site" }), 403);
  assert.is(await statusOf({ "sec-fetch-site": "same-site" }), 403);
});

test("HttpApp takes JSON in UTF-8 only", async () => {
  const face = faceOf();
  const post = (body: unknown, type?: string) =>
    face.ask("POST", "/v1/agents", {
      body,
      ...(type === undefined ? {} : { headers: { "content-type": type } }),
    });
  for (const type of ["text/plain", "application/json; charset=latin1", "application/jsonp"]) {
    const { status, json } = await post("{}", type);
    assert.equal([status, json.error.code], [415, "UnsupportedMediaType"], type);
  }
  assert.is((await post(new Uint8Array([0x7b, 0xff]), "application/json")).status, 400);
  for (
    const text of [
      "",
      "{",
      '{"region":"a","region":"b"}',
      '{"ttl":1e400}',
      "[".repeat(40) + "]".repeat(40),
      '"\\ud800"',
    ]
  ) {
    const { status, json } = await post(text, "application/json; charset=utf-8");
    assert.equal([status, json.error.code], [400, "BadRequest"], text);
  }
});

test("HttpApp refuses bodies above 1 MiB, declared or not, before it has read them", async () => {
  const face = faceOf();
  const large = "x".repeat(HTTP_BODY_BYTES_MAX + 1);
  const declared = await face.ask("POST", "/v1/agents", {
    body: "{}",
    headers: { "content-type": "application/json", "content-length": String(large.length) },
  });
  assert.equal([declared.status, declared.json.error.code], [413, "PayloadTooLarge"]);
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulled++;
      controller.enqueue(new Uint8Array(64 * 1024).fill(32));
    },
  });
  const streamed = await face.ask("POST", "/v1/agents", {
    body: endless,
    headers: { "content-type": "application/json" },
  });
  assert.is(streamed.status, 413);
  assert.ok(pulled < 20, `${pulled} chunks were read`);
});

test("HttpApp refuses a head that was too large to be read, in the envelope", async () => {
  const face = faceOf({});
  const { status, headers, body } = face.app.refuseHead(LOCAL_PEER);
  const { error } = JSON.parse(body as string);
  assert.equal([status, error.code, error.retryable], [431, "HeadTooLarge", false]);
  assert.ok(error.message.includes(String(HTTP_HEADER_BYTES_MAX)));
  assert.is(headers["x-corr-id"], error.request_id);
  const { text } = await face.ask("GET", "/metrics");
  assert.ok(text.includes('rejected_total{reason="head_too_large"} 1'));
  assert.ok(text.includes('requests_total{route="none",method="other",status="431"} 1'));
});

test("HttpApp refuses a body that does not arrive in time", async () => {
  const world = new SteppedWorld();
  const face = faceOf({}, world);
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
  });
  const { status, json } = await face.ask("POST", "/v1/agents", {
    body,
    headers: { "content-type": "application/json" },
  });
  assert.equal([status, json.error.code], [400, "BadRequest"]);
  assert.is(world.nowMs(), HTTP_BODY_MS_MAX);
});

test("HttpApp ends a call whose answer is late, and one whose caller is gone", async () => {
  const world = new SteppedWorld();
  const signals: AbortSignal[] = [];
  const nodeStatus = ({ signal }: { signal?: AbortSignal } = {}) =>
    new Promise((_, reject) => {
      signals.push(signal!);
      signal!.addEventListener("abort", () => reject(new RegistryError("canceled", "Canceled")));
    });
  const { client } = new FakeClient({ nodeStatus });
  const face = new HttpFace({ client, answerMsMax: 700 }, world);
  const late = await face.ask("GET", "/v1/status");
  assert.equal([late.status, late.json.error.reason], [503, "deadline_exceeded"]);
  const lateMs = world.nowMs();
  assert.is(lateMs, 700 + CLIENT_TICK_MS / 2, "a deadline waits for others that are close");
  const leaving = new AbortController();
  const { signal } = leaving;
  const headers = { host: "localhost" };
  const asked = face.app.fetch(
    new Request("http://localhost/v1/status", { headers, signal }),
    LOCAL_PEER,
  );
  await world.settle();
  leaving.abort();
  assert.is((await (await asked).json()).error.reason, "canceled");
  assert.ok(signals.every(({ aborted }) => aborted));
  assert.is(world.nowMs(), lateMs);
});

test("HttpApp refuses requests above its limit of requests in flight", async () => {
  const { promise, resolve } = Promise.withResolvers();
  const { client } = new FakeClient({ nodeStatus: () => promise });
  const face = new HttpFace({ client, inFlightMax: 1 });
  const first = face.app.fetch(
    new Request("http://localhost/v1/status", { headers: { host: "localhost" } }),
    { address: "::1", scheme: "http:" },
  );
  const second = await face.ask("GET", "/v1/status");
  assert.equal([second.status, second.json.error.retryable], [503, true]);
  assert.is(second.headers.get("retry-after"), "1");
  resolve(STATUS);
  assert.is((await first).status, 200);
  assert.is((await face.ask("GET", "/v1/status")).status, 200);
});

test("HttpApp refuses unknown and repeated parameters, and a body where none belongs", async () => {
  const face = faceOf();
  const refused = async (method: string, path: string, body?: unknown) => {
    const { status, json } = await face.ask(method, path, { body });
    assert.equal([status, json.error.code], [400, "BadRequest"], path);
    return json.error.message as string;
  };
  assert.match(await refused("GET", "/v1/status?x=1"), /query.*"x"/);
  assert.match(await refused("GET", "/v1/agents?limit=0"), /limit/);
  assert.match(await refused("GET", "/v1/agents?limit=1e2"), /limit/);
  assert.match(await refused("GET", "/v1/agents?limit=1&limit=2"), /limit/);
  assert.match(await refused("GET", "/v1/agents?cursor=xyz"), /cursor/);
  assert.match(await refused("GET", "/v1/agents?__proto__=1"), /__proto__/);
  assert.match(await refused("GET", "/v1/agents/not-an-id"), /path.*id/);
  assert.match(await refused("GET", "/v1/resolve"), /domain: it is missing$/);
  assert.match(await refused("POST", "/v1/agents"), /The body .* not valid: it is missing$/);
  assert.match(await refused("GET", "/v1/registry/proposals/x"), /id: it must be a whole number/);
  assert.match(await refused("POST", `/v1/agents/${ID}/renew`, {}), /no body/);
  assert.match(await refused("POST", `/v1/agents/${ID}/drain`, { x: 1 }), /body.*"x"/);
});

test("HttpApp counts and logs each request under its route", async () => {
  const lines: (readonly [string, LogFacts])[] = [];
  const log = (level: string) => (_: string, facts: LogFacts = {}) =>
    void lines.push([level, facts]);
  const { client } = new FakeClient({ nodeStatus: STATUS });
  const logger = { ...SILENT_LOGGER, debug: log("debug"), info: log("info"), warn: log("warn") };
  const face = new HttpFace({ client, logger });
  const headers = { "x-corr-id": ID };
  await face.ask("GET", "/v1/status", { headers });
  await face.ask("BREW", "/v1/status", { headers });
  await face.ask("GET", "/v1/agents/x", { headers });
  const facts = { request_id: ID, peer_addr: "127.0.0.1" };
  assert.equal(lines, [
    ["debug", { ...facts, route: "/v1/status", method: "GET", status: 200 }],
    ["info", { ...facts, route: "none", method: "other", status: 405 }],
    ["debug", { ...facts, route: "/v1/agents/{id}", method: "GET", status: 400 }],
  ]);
  const { text, headers: { get: _ } } = await face.ask("GET", "/metrics");
  for (
    const line of [
      'requests_total{route="/v1/status",method="GET",status="200"} 1',
      'requests_total{route="none",method="other",status="405"} 1',
      'request_latency_seconds_count{route="/v1/status"} 1',
      'rejected_total{reason="bad_request"} 1',
      "requests_in_flight 1",
      "event_streams 0",
    ]
  ) {
    assert.ok(text.split("\n").includes(line), `${line}\n${text}`);
  }
});

test.run();
