/** Events of watches as `crs.v1.Registry` tells them, and how a watch ends, over a watch in memory. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Registry } from "../../../../schemas/proto/gen/crs/v1/registry_pb.ts";
import { ChangeType, WatchResponseSchema } from "../../../../schemas/proto/gen/crs/v1/watch_pb.ts";
import { RegistryError } from "../../../../src/base/errors.ts";
import type { AgentInfo } from "../../../../src/client/records.ts";
import type { RecordEvent, Watch, WatchEvent } from "../../../../src/client/mod.ts";
import { FakeClient } from "../../../support/fake_client.ts";
import { RegistryGrpc } from "../../../support/registry_grpc.ts";
import { SteppedWorld } from "../../../support/stepped_world.ts";

const { watch: WATCH } = Registry.method;
const RECEIPT = { node: 3, partition: 5, generation: 1, index: 9, ageBoundMs: undefined };
const AGENT: AgentInfo = {
  ...{ id: "0192f0c0-0000-7000-8000-0000000000a1", domain: "a.example", address: "", port: 0 },
  ...{ region: "eu", labels: {}, credentialHash: "", ttlMs: 30_000, state: "draining" },
  ...{ scope: "region", lastSeenUnixMs: 1, writer: 2, gatewayId: "", isStale: false },
  incarnation: { generation: 1, index: 2 },
  revision: { generation: 1, index: 3 },
};

/** Returns a watch of some events, which then ends, by an error if there is one. */
function watchOf(events: readonly WatchEvent[], error?: RegistryError, begun = Promise.resolve()) {
  let closes = 0;
  const watch: Watch = {
    begun,
    token: undefined,
    async *[Symbol.asyncIterator]() {
      yield* events;
      if (error !== undefined) throw error;
    },
    close: () => void closes++,
  };
  const { client, calls } = new FakeClient({ watch: () => watch });
  const world = new SteppedWorld();
  return { face: new RegistryGrpc(client, world), calls, world, closes: () => closes };
}

/** Returns an event of the agent. */
function agentEvent(fields: Partial<RecordEvent<"agent">>): WatchEvent {
  return {
    ...{ type: "put", kind: "agent", record: AGENT, before: undefined, isState: false },
    ...{ hasLeft: false, remainingMs: 7, receipt: RECEIPT, token: "t" },
    ...fields,
  } as WatchEvent;
}

test("every kind of event is told with its fields", async () => {
  const types = [
    "put",
    "superseded",
    "deregistered",
    "expired",
    "domain_lost",
    "stale",
    "recovered",
  ] as const;
  const events: WatchEvent[] = [
    ...types.map((type) => agentEvent({ type })),
    agentEvent({ home: "us", hasLeft: true, before: { ...AGENT, port: 4 }, token: "last" }),
    { type: "reset", receipt: { ...RECEIPT, ageBoundMs: 1.5 }, token: "reset" },
    { type: "complete", isWhole: false, receipt: RECEIPT, token: "part" },
    { type: "complete", isWhole: true, receipt: RECEIPT, token: "whole" },
  ];
  const { face, closes } = watchOf(events);
  const [begun, ...told] = await face.all(WATCH, {});
  assert.equal([begun?.event.case, begun?.receipt], ["begun", undefined]);
  const changes = told.flatMap(({ event }) => event.case === "change" ? [event.value] : []);
  assert.equal(changes.map(({ type }) => type), [
    ...[ChangeType.PUT, ChangeType.SUPERSEDED, ChangeType.DEREGISTERED, ChangeType.EXPIRED],
    ...[ChangeType.DOMAIN_LOST, ChangeType.STALE, ChangeType.RECOVERED, ChangeType.PUT],
  ]);
  const last = changes.at(-1)!;
  assert.equal([last.homeRegion, last.hasLeft, last.remainingMs], ["us", true, 7]);
  const before = last.before?.record;
  assert.is(before?.case === "agent" ? before.value.port : undefined, 4);
  assert.equal(told.slice(-3).map(({ event, resumeToken }) => [event.case, resumeToken]), [
    ["change", "last"],
    ["reset", "reset"],
    ["complete", "whole"],
  ]);
  const { receipt } = told.at(-2)!;
  assert.equal([receipt?.node, receipt?.partition, receipt?.ageBoundMs], [3n, 5, 2]);
  assert.equal(receipt?.position?.index, 9n);
  assert.is(told[0]?.receipt?.ageBoundMs, undefined);
  assert.is(closes(), 1);
});

test("an event that comes before the beginning is told before it", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { face, world } = watchOf([agentEvent({ isState: true })], undefined, promise);
  const stream = face.begin(WATCH, { includeState: true });
  await world.settle();
  assert.equal(stream.answers(WatchResponseSchema).map(({ event }) => event.case), ["change"]);
  resolve();
  await world.settle();
});

test("a watch that the registry ends tells its code after the events before", async () => {
  for (const [code, status] of [["history_lost", 11], ["permission_denied", 7]] as const) {
    const error = new RegistryError(code, "It ended");
    const { face, world, closes } = watchOf([agentEvent({})], error);
    const stream = face.begin(WATCH, {});
    await world.wait(stream.ended);
    assert.equal([stream.status, stream.message, stream.sent.length], [status, "It ended", 2]);
    assert.is(closes(), 1);
  }
});

test("a watch that is refused before it begins tells its code", async () => {
  const error = new RegistryError("invalid_argument", "The token is of another cluster");
  const begun = Promise.reject(error);
  begun.catch(() => {});
  const { face } = watchOf([], error, begun);
  assert.is(await face.refused(WATCH, {}), "3 The token is of another cluster");
});

test("the conditions and options of a watch are passed on", async () => {
  const { face, calls } = watchOf([]);
  await face.all(WATCH, {
    ...{ kind: 2, region: "eu", labels: { k: "v" }, ids: [AGENT.id], resumeToken: "t" },
    ...{ includeBefore: true, excludeMirrors: true, progressMs: 500, maxStalenessMs: 9 },
  });
  const [[, filter, { signal: _, ...options }]] = calls as unknown as [
    [string, unknown, Record<string, unknown>],
  ];
  assert.equal(filter, { kind: "gateway", region: "eu", labels: { k: "v" }, ids: [AGENT.id] });
  const wanted = { from: "t", before: true, mirrors: false, progressMs: 500, maxStalenessMs: 9 };
  assert.equal(options, wanted);
});

test.run();
