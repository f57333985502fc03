/** Records by `crs.v1.Registry`, over a real registry in the same process. */
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  ListAgentsResponseSchema,
  RecordKind,
  RecordScope,
  RecordState,
} from "../../../../schemas/proto/gen/crs/v1/records_pb.ts";
import { Registry } from "../../../../schemas/proto/gen/crs/v1/registry_pb.ts";
import { ErrorInfoSchema } from "../../../../schemas/proto/gen/google/rpc/error_details_pb.ts";
import { REGISTER_ITEMS_MAX, TTL_MS_DEFAULT } from "../../../../src/base/limits.ts";
import { openRegistryGrpc, RegistryGrpc } from "../../../support/registry_grpc.ts";
import { FakeClient } from "../../../support/fake_client.ts";
import { SteppedWorld } from "../../../support/stepped_world.ts";

const M = Registry.method;
const ID = "0192f0c0-0000-7000-8000-0000000000a1";
const GATEWAY = "0192f0c0-0000-7000-8000-0000000000b1";
const NOBODY = "0192f0c0-0000-7000-8000-0000000000ff";

test("a record is registered, read with its receipts, renewed, drained and deregistered", async () => {
  const { face } = await openRegistryGrpc();
  const gateway = await face.ask(M.registerGateway, {
    gateway: {
      ...{ id: GATEWAY, address: "10.0.0.9", port: 443, labels: { tier: "gold" } },
      capacity: { cpu: 4, memoryMib: 1_024n },
    },
  });
  assert.ok(gateway.registration?.created);
  const { registration } = await face.ask(M.registerAgent, {
    agent: { id: ID, domain: "A.example", gatewayId: GATEWAY, credentialHash: Uint8Array.of(1, 2) },
  });
  assert.equal([registration?.id, registration?.created], [ID, true]);

  const got = await face.ask(M.getAgent, { id: ID });
  const { agent, remainingMs, source, receipts } = got;
  assert.equal(
    [agent?.domain, agent?.region, agent?.ttlMs, agent?.gatewayId, agent?.credentialHash],
    ["a.example", "global", TTL_MS_DEFAULT, GATEWAY, Uint8Array.of(1, 2)],
  );
  assert.equal([agent?.state, agent?.scope], [RecordState.ACTIVE, RecordScope.GLOBAL]);
  assert.equal(agent?.incarnation, registration?.incarnation);
  assert.ok(remainingMs > 0 && remainingMs <= TTL_MS_DEFAULT);
  assert.is(source, undefined, "It is of this region");
  assert.is(receipts.length, 1);
  assert.ok(receipts[0]!.node === 1n && receipts[0]!.term > 0n && receipts[0]!.appliedIndex > 0n);

  const { resolved } = await face.ask(M.resolveAgent, { domain: "a.example", maxStalenessMs: 500 });
  assert.equal([resolved?.agent?.id, resolved?.gateway?.capacity?.memoryMib], [ID, 1_024n]);
  const gateways = await face.ask(M.resolveGateways, {});
  assert.equal(gateways.gateways.map(({ gateway }) => gateway?.labels), [{ tier: "gold" }]);

  const { incarnation } = registration!;
  const item = { kind: RecordKind.AGENT, id: ID, incarnation: incarnation! };
  const lost = { ...item, id: NOBODY };
  const renewed = await face.ask(M.renew, { items: [item, lost] });
  assert.equal([renewed.renewed, renewed.failures.length, renewed.failures[0]?.index], [1, 1, 1]);
  assert.ok(renewed.renewAfterMs! > 0);
  const { error } = renewed.failures[0]!;
  assert.is(error?.code, 5);
  assert.is(anyUnpack(error!.details[0]!, ErrorInfoSchema)?.reason, "NOT_FOUND");

  await face.ask(M.reportAgent, { id: ID, draining: true });
  assert.is((await face.ask(M.getAgent, { id: ID })).agent?.state, RecordState.DRAINING);
  await face.ask(M.reportGateway, { id: GATEWAY, used: { cpu: 3 } });
  const used = (await face.ask(M.getGateway, { id: GATEWAY })).gateway;
  assert.equal([used?.used?.cpu, used?.state], [3, RecordState.ACTIVE]);

  const other = { generation: 1n, index: 9_999n };
  assert.match(await face.refused(M.deregisterAgent, { id: ID, incarnation: other }), /^10 /);
  assert.is((await face.ask(M.deregisterGateway, { id: GATEWAY, withAgents: true })).removed, 2);
  assert.match(await face.refused(M.getAgent, { id: ID }), /^5 /);
});

test("what a registry answered may be sent back to it as it is", async () => {
  const { face } = await openRegistryGrpc();
  await face.ask(M.registerAgent, { agent: { id: ID, domain: "a.example", ttlMs: 60_000 } });
  const { agent } = await face.ask(M.getAgent, { id: ID });
  const again = await face.ask(M.registerAgent, { agent: { ...agent!, port: 7 } });
  assert.is(again.registration?.created, false);
  const after = (await face.ask(M.getAgent, { id: ID })).agent;
  assert.equal([after?.port, after?.ttlMs, after?.domain], [7, 60_000, "a.example"]);
});

test("a registration that expects an incarnation replaces that one alone", async () => {
  const { face } = await openRegistryGrpc();
  const { registration } = await face.ask(M.registerAgent, { agent: { id: ID } });
  const expected = registration!.incarnation!;
  assert.ok((await face.ask(M.registerAgent, { agent: { id: ID }, expected })).registration);
  const wrong = { generation: expected.generation, index: expected.index + 1n };
  const refused = await face.refused(M.registerAgent, { agent: { id: ID }, expected: wrong });
  assert.match(refused, /^10 The record must have the incarnation/);
  assert.match(await face.refused(M.registerAgent, { agent: {}, expected }), /^3 .*add the id/);
});

test("a record that another process took is taken back, unless the caller says otherwise", async () => {
  const { face, harness } = await openRegistryGrpc();
  const other = await harness.client();
  const agent = { id: ID, domain: "a.example" };
  const taken = () =>
    harness.world.wait(other.registerAgent({ ...agent, region: "global" }, { takeOver: true }));
  await face.ask(M.registerAgent, { agent });
  await taken();
  assert.match(await face.refused(M.registerAgent, { agent, takeOver: false }), /^10 /);
  assert.ok((await face.ask(M.registerAgent, { agent })).registration?.created);
  const third = await harness.client();
  await harness.world.wait(
    third.registerAgent({ ...agent, region: "global" }, { takeOver: true }),
  );
  const records = [{ record: { case: "agent" as const, value: agent } }];
  const kept = await face.ask(M.registerMany, { records, takeOver: false });
  assert.is(kept.outcomes[0]?.outcome.case, "error");
  const many = await face.ask(M.registerMany, { records });
  assert.is(many.outcomes[0]?.outcome.case, "registration");
});

test("many records are registered and resolved, each on its own", async () => {
  const { face } = await openRegistryGrpc();
  const { outcomes } = await face.ask(M.registerMany, {
    records: [
      { record: { case: "agent", value: { id: ID, domain: "a.example" } } },
      { record: { case: "agent", value: { id: "no id" } } },
      { record: { case: "gateway", value: { id: GATEWAY, address: "10.0.0.9", port: 1 } } },
    ],
  });
  assert.equal(outcomes.map(({ outcome }) => outcome.case), [
    "registration",
    "error",
    "registration",
  ]);
  const resolved = await face.ask(M.resolveAgents, { domains: ["a.example", "b.example"] });
  assert.equal(resolved.outcomes.map(({ domain, outcome }) => [domain, outcome.case]), [
    ["a.example", "resolved"],
    ["b.example", "error"],
  ]);
  const records = Array.from({ length: REGISTER_ITEMS_MAX + 1 }, () => ({
    record: { case: "agent" as const, value: {} },
  }));
  assert.match(await face.refused(M.registerMany, { records }), /^8 records must be at most 512/);
  assert.match(await face.refused(M.registerMany, { records: [{}] }), /^3 records must each be/);
  assert.match(await face.refused(M.registerMany, {}), /^3 records must be given/);
});

test("a list is a stream of pages, each of which can be continued in another call", async () => {
  const { face } = await openRegistryGrpc();
  const ids = Array.from({ length: 7 }, (_, n) => ID.slice(0, -1) + n);
  await face.ask(M.registerMany, {
    records: ids.map((id) => ({ record: { case: "agent" as const, value: { id } } })),
  });
  const whole = await face.all(M.listAgents, { pageSize: 3 });
  const idsOf = (pages: typeof whole) =>
    pages.flatMap(({ agents }) => agents.map(({ agent }) => agent!.id));
  assert.equal(idsOf(whole).sort(), ids);
  assert.ok(whole.every(({ agents, receipts }) => agents.length <= 3 && receipts.length > 0));
  assert.is(whole.at(-1)!.nextPageToken.length, 0, "the last page");
  const first = await face.all(M.listAgents, { limit: 2 });
  assert.equal([first.length, idsOf(first).length], [1, 2]);
  const { nextPageToken: pageToken } = first[0]!;
  const rest = await face.all(M.listAgents, { pageToken });
  assert.equal([...idsOf(first), ...idsOf(rest)].sort(), ids);
  assert.equal(await face.all(M.listGateways, {}).then(([page]) => page?.gateways), []);
  assert.match(await face.refused(M.listAgents, { pageToken: Uint8Array.of(1) }), /^3 /);
});

test("pages that the caller does not take are not read", async () => {
  const { client, calls } = new FakeClient({
    listAgents: () =>
      Promise.resolve({ items: [], nextCursor: Uint8Array.of(calls.length), receipts: [] }),
  });
  const world = new SteppedWorld();
  const face = new RegistryGrpc(client, world);
  const stream = face.begin(M.listAgents, {});
  stream.hasRoom = false;
  await world.settle();
  assert.equal([stream.sent.length, calls.length], [1, 1]);
  stream.takeAll();
  await world.settle();
  assert.equal([stream.sent.length, calls.length], [2, 2]);
  stream.leave();
  await world.settle();
  assert.is(calls.length, 2, "It was left while the page waited");
  assert.equal(
    fromBinary(ListAgentsResponseSchema, stream.sent[0]!).nextPageToken,
    Uint8Array.of(1),
  );
});

test("bad fields are refused by their names", async () => {
  const { face } = await openRegistryGrpc();
  const refusals = [
    [await face.refused(M.registerAgent, {}), /^3 agent must be given/],
    [
      await face.refused(M.registerAgent, { agent: { state: 7 as never } }),
      /^3 state must be 1 to 2/,
    ],
    [await face.refused(M.registerAgent, { agent: { id: ID, ttlMs: 1 } }), /^3 .*ttl/i],
    [await face.refused(M.getAgent, { id: "x" }), /^3 /],
    [await face.refused(M.getAgent, { id: NOBODY, maxStalenessMs: 60_001 }), /^3 /],
    [await face.refused(M.renew, { items: [{ id: ID }] }), /^3 kind must be given/],
    [
      await face.refused(M.renew, { items: [{ id: ID, kind: RecordKind.AGENT }] }),
      /^3 incarnation must be given/,
    ],
    [
      await face.refused(M.renew, {
        items: [{ id: ID, kind: RecordKind.AGENT, incarnation: { index: 2n ** 60n } }],
      }),
      /^3 incarnation.index must be at most/,
    ],
    [await face.refused(M.resolveAgents, {}), /^3 domains must be given/],
    [await face.refused(M.resolveGateways, { limit: 257 }), /^3 /],
    [await face.refused(M.removeRecord, { id: ID }), /^3 kind must be given/],
  ] as const;
  for (const [found, wanted] of refusals) assert.match(found, wanted);
});

test("the node and the map of the cluster are told", async () => {
  const { face, harness } = await openRegistryGrpc();
  const status = await face.ask(M.getNodeStatus, {});
  assert.equal([status.nodeId, status.ready, status.partitionCount], [
    1n,
    true,
    harness.partitionCount,
  ]);
  const map = await face.ask(M.getRingMap, {});
  assert.is(map.partitionCount, harness.partitionCount);
});

test.run();
