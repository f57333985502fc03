/** The router between a request and the handler of its operation, without a node around it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  requestCodec,
  type RequestView,
  type Response,
  responseCodec,
} from "../../../schemas/gen/wire.ts";
import { FrameWriter } from "../../../schemas/runtime/writer.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { TokenBucket } from "../../../src/base/token_bucket.ts";
import type { ReadPoint } from "../../../src/replication/group_interface.ts";
import { AccessControl } from "../../../src/serving/access_control.ts";
import type { Handler } from "../../../src/serving/handler.ts";
import { ReplyWriter } from "../../../src/serving/reply_writer.ts";
import { RequestAdmission } from "../../../src/serving/request_admission.ts";
import { RequestRouter, type RequestRouterParts } from "../../../src/serving/request_router.ts";
import type { RequestStream } from "../../../src/serving/request_stream.ts";
import { type OperationName, OPERATIONS } from "../../../src/wire/operations/mod.ts";
import { requestFrame } from "../../support/raw_peer.ts";

const PEER = developmentPeer({ region: "eu", revoked: new AbortController().signal });
const POINT = { appliedIndex: 7, term: 1, ageBoundMs: 0 } as unknown as ReadPoint;

// deno-lint-ignore no-explicit-any -- each test knows the types of its operation.
type AnyHandler = Handler<any, any, any>;

const UNUSED = Object.fromEntries(
  Object.keys(OPERATIONS).map((name) => [name, () => {
    throw new Error(`${name} is not under test`);
  }]),
);

/**
 * Returns a router whose only handler is `handler`, and a stream that records the results of
 * requests.
 */
function routed(name: OperationName, handler: AnyHandler, bytesMax = 1 << 16) {
  const ceilings = { recordsMax: 1, memoryBytesMax: 1 };
  const usage = {
    records: () => 0,
    memoryBytes: () => 0,
    room: () => true,
    takesRegion: () => true,
  };
  const router = new RequestRouter({
    admission: new RequestAdmission(ceilings, usage),
    access: new AccessControl(),
    handlers: { ...UNUSED, [name]: handler } as unknown as RequestRouterParts["handlers"],
    turns: undefined as unknown as RequestRouterParts["turns"],
    replies: new ReplyWriter(1),
    clock: { nowMs: () => 0 },
    requestTimeoutMsDefault: 1_000,
  });
  const events: string[] = [];
  const writer = new FrameWriter({ bytesMax });
  const stream = {
    arrivedMs: 0,
    servedMs: 0,
    inFlight: 1,
    writer,
    caller: {
      sessionId: 1,
      peer: PEER,
      bucket: new TokenBucket({ ratePerSecond: 1e6, burst: 1e6, nowMs: 0 }),
    },
    answered: (id: number, code: string) => void events.push(`${id} ${code}`),
    refuse: (_: number, error: RegistryError, id: number) =>
      void events.push(`${id} refused ${error.code}`),
    drop: (id: number, code: string) => void events.push(`${id} dropped ${code}`),
  } as unknown as RequestStream;
  return {
    events,
    serve: (body: object) => router.serve(requestOf(name, body), stream),
    /** The only reply that was written. */
    reply: (): Response => {
      const bytes = writer.written.slice();
      return responseCodec.newView()
        .wrap(new DataView(bytes.buffer), bytes, 8, bytes.length).toPlain();
    },
  };
}

function requestOf(name: OperationName, body: object): RequestView {
  // deno-lint-ignore no-explicit-any -- as above.
  const frame = requestFrame(5, name, body as any);
  return requestCodec.newView().wrap(new DataView(frame.buffer), frame, 8, frame.length);
}

async function turns(): Promise<void> {
  for (let hop = 0; hop < 10; hop++) await undefined;
}

test("RequestRouter answers in the same turn what its handler returns at once", () => {
  const { events, reply, serve } = routed("mintToken", ({ audience }, { receipts }) => {
    receipts.push({ partition: 3, point: POINT });
    return { text: audience };
  });
  serve({ audience: "api.example", lifeMs: 1 });
  assert.equal(events, [`${OPERATIONS.mintToken.id} ok`]);
  assert.equal(reply().receipts, [{ ...POINT, node: 1, partition: 3 }]);
  assert.is(reply().id, 5);
});

test("RequestRouter answers later what its handler promises, with its deadline and receipts", async () => {
  const { events, reply, serve } = routed("getTokenKeys", async (_, { deadlineMs, receipts }) => {
    await undefined;
    receipts.push({ partition: 4, point: POINT });
    return { text: `${deadlineMs}` };
  });
  serve({});
  assert.equal(events, []);
  await turns();
  assert.equal(events, [`${OPERATIONS.getTokenKeys.id} ok`]);
  assert.is(reply().receipts[0]?.partition, 4);
});

test("RequestRouter refuses with the code that a handler throws, at once or later", async () => {
  const missing = () => {
    throw new RegistryError("not_found", "There is none");
  };
  const atOnce = routed("getLineage", missing);
  atOnce.serve({ lineage: 1 });
  assert.equal(atOnce.events, [`${OPERATIONS.getLineage.id} refused not_found`]);
  // deno-lint-ignore require-await -- the test needs a rejected promise.
  const later = routed("getLineage", async () => missing());
  later.serve({ lineage: 1 });
  await turns();
  assert.equal(later.events, atOnce.events);
});

test("RequestRouter: a reply that does not fit is a refused read, but a dropped write", async () => {
  const text = "x".repeat(1_000);
  const read = routed("getTokenKeys", () => ({ text }), 500);
  read.serve({});
  assert.equal(read.events, [`${OPERATIONS.getTokenKeys.id} refused too_large`]);
  const write = routed("mintToken", () => Promise.resolve({ text }), 500);
  write.serve({ audience: "", lifeMs: 1 });
  await turns();
  assert.equal(write.events, [`${OPERATIONS.mintToken.id} dropped too_large`]);
});

test("RequestRouter calls a handler in place again once the group permits the read", async () => {
  let permit: (point: typeof POINT) => void = () => {};
  const group = { readBarrier: () => new Promise((resolve) => permit = resolve) };
  let calls = 0;
  const { events, serve } = routed("getAgent", {
    inPlace: () => calls++ === 0 ? group as never : "not_found",
  });
  serve({ id: new Uint8Array(16) });
  assert.equal([calls, events], [1, []]);
  permit(POINT);
  await turns();
  assert.equal([calls, events], [2, [`${OPERATIONS.getAgent.id} not_found`]]);
});

test.run();
