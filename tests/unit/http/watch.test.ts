/** The watch as an event stream, over a real registry in the same process. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodeBase64url } from "../../../src/base/base64url.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { HTTP_HEARTBEAT_MS } from "../../../src/base/limits.ts";
import { type LogFacts, SILENT_LOGGER } from "../../../src/base/logger.ts";
import {
  decodeWatchToken,
  encodeWatchToken,
  type TokenPosition,
} from "../../../src/wire/watch_token.ts";
import { FakeClient } from "../../support/fake_client.ts";
import { EventReader, type ReadEvent } from "../../support/event_reader.ts";
import { HttpFace, openRegistryFace, type RegistryFace } from "../../support/http_face.ts";
import { SteppedWorld } from "../../support/stepped_world.ts";

async function streamOf(
  { face }: Pick<RegistryFace, "face">,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<EventReader> {
  const response = await face.open("GET", path, { headers });
  assert.is(response.status, 200, response.status === 200 ? "" : await response.text());
  assert.is(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  return new EventReader(response.body!);
}

async function register({ face }: RegistryFace, domain: string): Promise<string> {
  const { status, json } = await face.ask("POST", "/v1/agents", { body: { domain } });
  assert.is(status, 201);
  return json.id;
}

async function nextOf({ harness }: RegistryFace, reader: EventReader): Promise<ReadEvent> {
  return await harness.world.wait(reader.event());
}

test("GET /v1/watch sends each change with its token as the id, and continues after Last-Event-ID", async () => {
  const open = await openRegistryFace();
  const reader = await streamOf(open, "/v1/watch?kind=agent");
  const ids = [await register(open, "a1.example"), await register(open, "a2.example")];
  const first = await nextOf(open, reader);
  assert.is(first.event, "put");
  const data = JSON.parse(first.data!);
  assert.equal([data.event, data.kind, data.agent.id, data.isState], [
    "put",
    "agent",
    ids[0],
    false,
  ]);
  assert.is(first.id, data.token);
  await open.harness.world.wait(reader.leave());

  const ended = await open.face.ask("DELETE", `/v1/agents/${ids[0]}`);
  assert.is(ended.status, 200);
  const headers = { "last-event-id": first.id! };
  const next = await streamOf(open, "/v1/watch?kind=agent", headers);
  const rest = [await nextOf(open, next), await nextOf(open, next)]
    .map(({ event, data }) => `${event} ${JSON.parse(data!).agent.domain}`);
  assert.equal(rest.sort(), ["deregistered a1.example", "put a2.example"]);
});

test("GET /v1/watch refuses a position that was never written, however far it is", async () => {
  const open = await openRegistryFace();
  const reader = await streamOf(open, "/v1/watch?kind=agent");
  await register(open, "a1.example");
  const { id } = await nextOf(open, reader);
  const clusterId = decodeBase64url(id!)!.slice(1, 17);
  const positions = decodeWatchToken(id!, clusterId);
  for (const farther of [1_000, 2 ** 40, 2 ** 49]) {
    const far = new Map<number, TokenPosition>();
    for (const [partition, position] of positions) {
      if (position === "state") throw new Error("The state was not asked for");
      far.set(partition, { ...position, index: position.index + farther });
    }
    const headers = { "last-event-id": encodeWatchToken(clusterId, far) };
    const { status, json } = await open.face.ask("GET", "/v1/watch?kind=agent", { headers });
    assert.is(status, 400);
    assert.is(json.error.reason, "invalid_argument");
    assert.match(json.error.message, /never written/);
  }
});

test("GET /v1/watch sends the state first if asked, and filters by label and id", async () => {
  const open = await openRegistryFace();
  await register(open, "a1.example");
  const gold = await open.face.ask("POST", "/v1/agents", {
    body: { domain: "a2.example", labels: { tier: "gold=1" } },
  });
  const reader = await streamOf(open, "/v1/watch?kind=agent&label=tier=gold=1&state=true");
  const seen: string[] = [];
  let complete = 0;
  while (complete < open.harness.partitionCount) {
    const { event, data, id } = await nextOf(open, reader);
    if (event === "complete") {
      complete++;
      assert.is(id, undefined);
    } else seen.push(`${event} ${JSON.parse(data!).agent.domain} ${JSON.parse(data!).isState}`);
  }
  assert.equal(seen, ["put a2.example true"]);
  const one = await streamOf(open, `/v1/watch?id=${gold.json.id}&kind=agent`);
  await open.face.ask("POST", `/v1/agents/${gold.json.id}/drain`);
  assert.is(JSON.parse((await nextOf(open, one)).data!).agent.state, "draining");
});

test("GET /v1/watch sends a heartbeat every 5 s with the id from which to continue", async () => {
  const open = await openRegistryFace();
  const { world } = open.harness;
  const reader = await streamOf(open, "/v1/watch?kind=agent");
  const retry = await world.wait(reader.next());
  assert.equal([retry!.event, retry!.data], [undefined, undefined]);
  const waiting = reader.next();
  await world.pass(HTTP_HEARTBEAT_MS);
  const beat = (await waiting)!;
  assert.equal([beat.comments, beat.event, beat.data], [["heartbeat"], undefined, undefined]);
  assert.ok(beat.id!.length > 10);
  // It continues there: nothing is missing, nothing comes twice.
  await register(open, "a1.example");
  await world.wait(reader.event());
  const again = await streamOf(open, "/v1/watch?kind=agent", { "last-event-id": beat.id! });
  assert.is(JSON.parse((await nextOf(open, again)).data!).agent.domain, "a1.example");
});

test("GET /v1/watch refuses tokens and filters before a stream begins", async () => {
  const open = await openRegistryFace();
  const refused = async (query: string, headers = {}) => {
    const { status, json } = await open.face.ask("GET", `/v1/watch?${query}`, { headers });
    assert.is(status, 400, query);
    return json.error.message as string;
  };
  await refused("from=nonsense");
  await refused("", { "last-event-id": "nonsense" });
  await refused("label=x");
  await refused("label=a=1&label=a=2");
  await refused("kind=proxy");
  await refused("domain=a1.example&kind=agent");
  await refused("id=x");
});

test("GET /v1/watch tells an error in the stream and ends it", async () => {
  const failing = {
    begun: Promise.resolve(),
    token: undefined,
    close: () => {},
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.reject(new RegistryError("history_lost", "The cluster was restored")),
    }),
  };
  const { client } = new FakeClient({ watch: () => failing });
  const face = new HttpFace({ client });
  const reader = await streamOf({ face }, "/v1/watch");
  const { event, data, id } = await reader.event();
  assert.equal([event, id], ["error", undefined]);
  const { error } = JSON.parse(data!);
  assert.equal([error.code, error.reason], ["StaleVersion", "history_lost"]);
  assert.is(await reader.next(), undefined);
});

test("GET /v1/watch hides the message of a bug, and logs it", async () => {
  const failing = {
    begun: Promise.resolve(),
    token: undefined,
    close: () => {},
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new TypeError("secret")) }),
  };
  const { client } = new FakeClient({ watch: () => failing });
  const logged: unknown[] = [];
  const error = (_: string, facts?: LogFacts) => void logged.push(facts?.error, facts?.route);
  const face = new HttpFace({ client, logger: { ...SILENT_LOGGER, error } });
  const reader = await streamOf({ face }, "/v1/watch");
  const { event, data } = await reader.event();
  assert.is(event, "error");
  assert.not.match(data!, /secret/);
  assert.match(String(logged[0]), /secret/);
  assert.is(logged[1], "/v1/watch");
});

test("GET /v1/watch closes its watch when the reader leaves, and counts open streams", async () => {
  let closed = 0;
  const silent = {
    begun: Promise.resolve(),
    token: undefined,
    close: () => void closed++,
    [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
  };
  const { client } = new FakeClient({ watch: () => silent });
  const world = new SteppedWorld();
  const face = new HttpFace({ client, streamsMax: 1 }, world);
  const reader = await streamOf({ face }, "/v1/watch");
  const refused = await face.ask("GET", "/v1/watch");
  assert.equal([refused.status, refused.json.error.retryable], [503, true]);
  await reader.leave();
  assert.is(closed, 1);
  await (await streamOf({ face }, "/v1/watch")).leave();
  assert.is(closed, 2);
  // A head begins nothing.
  const { status, text } = await face.ask("HEAD", "/v1/watch");
  assert.equal([status, text, closed], [200, "", 3]);
});

/** Returns a face whose watches stay at their beginning, and how many were started and closed. */
function startingFace() {
  const found = { started: 0, closed: 0 };
  const watch = () => {
    found.started++;
    const { promise, reject } = Promise.withResolvers<void>();
    return {
      begun: promise,
      token: undefined,
      close: () => {
        found.closed++;
        reject(new RegistryError("canceled", "The watch is closed"));
      },
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
    };
  };
  const { client } = new FakeClient({ watch });
  const world = new SteppedWorld();
  return { face: new HttpFace({ client }, world), world, found };
}

test("GET /v1/watch ends its watch if it does not begin in time", async () => {
  const { face, found } = startingFace();
  const { status } = await face.ask("GET", "/v1/watch");
  assert.is(status, 503);
  assert.ok(found.closed >= 1);
});

test("GET /v1/watch starts no watch for a caller that has left", async () => {
  const { face, world, found } = startingFace();
  const { status } = await face.ask("GET", "/v1/watch", { signal: AbortSignal.abort() });
  assert.is(status, 503);
  assert.equal([found.started, world.nowMs()], [0, 0]);
});

test.run();
