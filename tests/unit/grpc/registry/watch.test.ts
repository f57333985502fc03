/** Watches by `crs.v1.Registry`, over a real registry in the same process. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Registry } from "../../../../schemas/proto/gen/crs/v1/registry_pb.ts";
import {
  ChangeTypeSchema,
  WatchResponseSchema,
} from "../../../../schemas/proto/gen/crs/v1/watch_pb.ts";
import { GRPC_STREAMS_MAX, GRPC_UNTAKEN_MS_MAX } from "../../../../src/base/limits.ts";
import type { FakeCallStream } from "../../../support/grpc_stream.ts";
import { type OpenRegistryGrpc, openRegistryGrpc } from "../../../support/registry_grpc.ts";

const M = Registry.method;
const ID = "0192f0c0-0000-7000-8000-0000000000a1";
const OTHER = "0192f0c0-0000-7000-8000-0000000000a2";

/** Returns the first so many responses of a watch as short texts. */
async function seen({ face }: OpenRegistryGrpc, stream: FakeCallStream, count: number) {
  const responses = await face.answers(stream, WatchResponseSchema, count);
  return responses.map(({ event }) => {
    if (event.case !== "change") return event.case;
    const { type, record, isState } = event.value;
    const value = record?.record.value;
    return `${ChangeTypeSchema.value[type]?.localName} ${value?.domain}${isState ? " state" : ""}`;
  });
}

/** Returns the token of the last response that has one. */
function tokenOf(stream: FakeCallStream): string {
  return stream.answers(WatchResponseSchema).findLast(({ resumeToken }) => resumeToken !== "")!
    .resumeToken;
}

/** Returns the number of watches that nodes have open. */
function watches({ harness }: OpenRegistryGrpc): number {
  return harness.registry.watches.counts.watches;
}

test("a watch tells that it has begun, then each change, and continues after a token", async () => {
  const open = await openRegistryGrpc();
  const { face } = open;
  const stream = face.begin(M.watch, { kind: 1, includeBefore: true });
  assert.equal((await seen(open, stream, 2)).sort(), ["begun", "progress"]);
  await face.ask(M.registerAgent, { agent: { id: ID, domain: "a.example" } });
  await face.ask(M.reportAgent, { id: ID, draining: true });
  const [, , first, second] = await face.answers(stream, WatchResponseSchema, 4);
  assert.equal((await seen(open, stream, 4)).slice(2), ["PUT a.example", "PUT a.example"]);
  const changes = [first, second].map((response) =>
    response?.event.case === "change" ? response.event.value : undefined
  );
  assert.is(changes[0]?.before, undefined);
  assert.is(changes[1]?.before?.record.value?.domain, "a.example");
  assert.ok(first!.receipt!.position!.index < second!.receipt!.position!.index);
  stream.leave();

  await face.ask(M.deregisterAgent, { id: ID });
  const { resumeToken } = first!;
  const next = face.begin(M.watch, { kind: 1, resumeToken });
  const texts = (await seen(open, next, 3)).filter((text) =>
    !["begun", "progress"].includes(text!)
  );
  assert.is(texts[0], "PUT a.example");
});

test("a watch of the state sends it first, and its end once", async () => {
  const open = await openRegistryGrpc();
  const { face, harness } = open;
  await face.ask(M.registerAgent, { agent: { id: ID, domain: "a.example", labels: { k: "v" } } });
  await face.ask(M.registerAgent, { agent: { id: OTHER, domain: "b.example" } });
  const stream = face.begin(M.watch, { includeState: true, labels: { k: "v" } });
  assert.ok(harness.partitionCount > 1);
  const texts = await seen(open, stream, 3);
  assert.equal([texts.slice().sort(), texts.at(-1)], [
    ["PUT a.example state", "begun", "complete"],
    "complete",
  ]);
  const state = stream.answers(WatchResponseSchema).find(({ event }) => event.case === "change");
  const { agent } = await face.ask(M.getAgent, { id: ID });
  assert.ok(agent!.revision!.generation > 0n);
  assert.equal(state?.receipt?.position, agent!.revision);
  await face.ask(M.reportAgent, { id: ID, draining: true });
  assert.is((await seen(open, stream, 4))[3], "PUT a.example");
  const domain = face.begin(M.watch, { includeState: true, domain: "b.example" });
  const found = await seen(open, domain, 3);
  assert.equal(found.slice().sort(), ["PUT b.example state", "begun", "complete"]);
});

test("a watch tells that nothing is missing as often as it is asked to", async () => {
  const open = await openRegistryGrpc();
  const { face, harness: { world } } = open;
  const quiet = face.begin(M.watch, {});
  const told = face.begin(M.watch, { progressMs: 1_000 });
  await seen(open, told, 2);
  await seen(open, quiet, 2);
  for (let second = 0; second < 5; second++) await world.pass(1_000);
  assert.ok(told.sent.length >= 5, `${told.sent.length} responses`);
  assert.is(quiet.sent.length, 2);
});

test("bad watches are refused", async () => {
  const { face } = await openRegistryGrpc();
  assert.match(await face.refused(M.watch, { resumeToken: "x" }), /^3 /);
  assert.match(await face.refused(M.watch, { resumeToken: "x".repeat(98_305) }), /^3 resume_token/);
  assert.match(await face.refused(M.watch, { kind: 9 as never }), /^3 kind must be/);
  assert.match(await face.refused(M.watch, { ids: ["x"] }), /^3 /);
  assert.match(await face.refused(M.watch, { domain: "a.example", ids: [ID] }), /^3 /);
  assert.match(await face.refused(M.watch, { progressMs: 1 }), /^3 /);
});

test("a watch that is canceled ends at the node at once, also before it has begun", async () => {
  const open = await openRegistryGrpc();
  const { face, harness: { world } } = open;
  const begun = face.begin(M.watch, {});
  await seen(open, begun, 2);
  assert.ok(watches(open) > 0);
  begun.leave();
  const early = face.begin(M.watch, { includeState: true });
  early.leave();
  await world.settle();
  await world.wait(face.ask(M.getNodeStatus, {}));
  assert.is(watches(open), 0);
});

test("a watch with a deadline ends by it", async () => {
  const open = await openRegistryGrpc();
  const { face, harness: { world } } = open;
  const stream = face.begin(M.watch, {}, { "grpc-timeout": "3S" });
  await seen(open, stream, 2);
  await world.pass(3_000);
  assert.is(stream.status, 4);
});

test("a watch whose caller takes nothing ends, and holds up nobody meanwhile", async () => {
  const open = await openRegistryGrpc();
  const { face, harness: { world } } = open;
  const slow = face.begin(M.watch, {});
  slow.hasRoom = false;
  const quick = face.begin(M.watch, {});
  await seen(open, quick, 2);
  await world.wait(slow.answered(1));
  await face.ask(M.registerAgent, { agent: { id: ID, domain: "a.example" } });
  assert.is((await seen(open, quick, 3))[2], "PUT a.example");
  assert.is(slow.sent.length, 1, "the second response waits for room");
  assert.is(slow.resetBy, undefined);
  await world.pass(GRPC_UNTAKEN_MS_MAX);
  assert.is(slow.resetBy, "too slow");
  assert.is(quick.status, undefined);
  quick.leave();
  await world.settle();
  await world.wait(face.ask(M.getNodeStatus, {}));
  assert.is(watches(open), 0);
});

test("1,000 watches of one caller are served, and more than all places are refused", async () => {
  const open = await openRegistryGrpc();
  const { face } = open;
  const streams = Array.from({ length: 1_000 }, () => face.begin(M.watch, { ids: [ID] }));
  await Promise.all(streams.map((stream) => seen(open, stream, 2)));
  await face.ask(M.registerAgent, { agent: { id: ID, domain: "a.example" } });
  for (const stream of streams) {
    assert.is((await seen(open, stream, 3))[2], "PUT a.example");
  }
  const more = Array.from({ length: GRPC_STREAMS_MAX - 1_000 + 1 }, () => face.begin(M.watch, {}));
  assert.is(more.at(-1)!.status, 8);
  assert.ok((await face.ask(M.getAgent, { id: ID })).agent, "unary calls have places of their own");
  for (const stream of [...streams, ...more]) stream.leave();
  assert.ok(tokenOf(streams[0]!).length > 0);
});

test.run();
