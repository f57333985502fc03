/** Replies if some partitions are on other nodes, or their group must be asked first. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentCodec } from "../../../schemas/gen/record.ts";
import { requestCodec, type Response, responseCodec } from "../../../schemas/gen/wire.ts";
import { FrameWriter } from "../../../schemas/runtime/writer.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { CredentialRedaction } from "../../../src/serving/credential_redaction.ts";
import type { ListBarrier, ListSteps } from "../../../src/serving/list_job.ts";
import { ListPages } from "../../../src/serving/list_pages.ts";
import { ListPath } from "../../../src/serving/list_path.ts";
import {
  type Partition,
  type PartitionPlace,
  PartitionTable,
} from "../../../src/serving/partitions.ts";
import { TokenBucket } from "../../../src/base/token_bucket.ts";
import type { ReadAnswer } from "../../../src/serving/read_answer.ts";
import { ReadPath } from "../../../src/serving/read_path.ts";
import { ReplyWriter } from "../../../src/serving/reply_writer.ts";
import { domainBytes, KIND_AGENT, KIND_ALIAS, KIND_GATEWAY } from "../../../src/record/key.ts";
import { type OperationName, OPERATIONS } from "../../../src/wire/operations/mod.ts";
import { requestFrame } from "../../support/raw_peer.ts";
import { agentRequest, gatewayRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { idOf } from "../../support/store.ts";
import { NO_HOMES } from "../../support/mirrors.ts";

const DOMAIN = "a.example";
const PEER = developmentPeer({ region: "eu", revoked: new AbortController().signal });

/** Runs all steps of a list, or those up to the group that must be asked. */
function listed(steps: ListSteps): ReadAnswer | ListBarrier {
  for (;;) {
    const { done, value } = steps.next();
    if (value !== undefined) return value;
    if (done !== true) continue;
    steps.answer();
    return "ok";
  }
}

/** Runs a read with paths over `table`. */
// deno-lint-ignore no-explicit-any -- a test knows the types of its request and reply.
function read(table: PartitionTable, name: OperationName, body: any) {
  const frame = requestFrame(5, name, body);
  const request = requestCodec.newView().wrap(new DataView(frame.buffer), frame, 8, frame.length);
  const replies = new ReplyWriter(1);
  const redaction = new CredentialRedaction();
  const reads = new ReadPath(table, replies, redaction, NO_HOMES);
  const lists = new ListPath(
    table,
    reads,
    replies,
    new ListPages(table, replies, redaction, NO_HOMES),
    NO_HOMES,
  );
  const out = new FrameWriter({ bytesMax: 1 << 20 });
  const bucket = new TokenBucket({ ratePerSecond: 1e6, burst: 1e6, nowMs: 0 });
  const answer: ReadAnswer | ListBarrier = name === "resolveAgent"
    ? reads.resolve(request, out, PEER)
    : name === "resolveAgents"
    ? lists.resolveMany(request, out, { peer: PEER, bucket })
    : name === "listAgentsByRegion"
    ? listed(lists.list(KIND_AGENT, request, () => out, PEER))
    : reads.get(name === "getAgent" ? KIND_AGENT : KIND_GATEWAY, request, out, PEER);
  if (out.length === 0) return { answer, response: undefined, reply: undefined };
  const bytes = out.written.slice();
  const view = responseCodec.newView().wrap(new DataView(bytes.buffer), bytes, 8, bytes.length);
  const response: Response = view.toPlain();
  // deno-lint-ignore no-explicit-any -- as above.
  const reply: any = response.code === 0
    ? view.bodyInto(OPERATIONS[name].reply.newView()).toPlain()
    : undefined;
  return { answer, response, reply };
}

/**
 * Returns a registry with domain, agent and gateway in three partitions, and tables that lack some.
 */
async function apart() {
  const harness = await RegistryHarness.open();
  const { table } = harness.registry;
  const alias = table.of(KIND_ALIAS, domainBytes(DOMAIN)).id;
  let number = 1;
  const away = (kind: number, others: number[]) => {
    while (others.includes(table.of(kind, idOf(number)).id)) number++;
    return number++;
  };
  const agent = away(KIND_AGENT, [alias]);
  const agentPartition = table.of(KIND_AGENT, idOf(agent)).id;
  const gateway = away(KIND_GATEWAY, [alias, agentPartition]);
  const gatewayPartition = table.of(KIND_GATEWAY, idOf(gateway)).id;
  const peer = await harness.peer();
  await peer.must("registerGateway", gatewayRequest({ number: gateway }));
  await peer.must(
    "registerAgent",
    agentRequest({ number: agent, domain: DOMAIN, gatewayId: idOf(gateway) }),
  );
  const replaced = (replace: (partition: Partition) => PartitionPlace) =>
    new PartitionTable(table.partitioner, Array.from(table.here(), replace));
  return {
    agent: idOf(agent),
    gateway: idOf(gateway),
    places: { alias, agent: agentPartition, gateway: gatewayPartition },
    /** Returns the table without those partitions. */
    without: (...ids: number[]) =>
      replaced((partition) =>
        ids.includes(partition.id)
          ? { isHere: false, id: partition.id, nodes: [2, 3], leader: 3 }
          : partition
      ),
    /**
     * Returns the table in which that partition's group must be asked first, or is led by the node
     * that `refusal` names.
     */
    asking: (id: number, refusal?: RegistryError) =>
      replaced((partition) =>
        partition.id !== id ? partition : {
          ...partition,
          group: {
            readPoint: () => undefined,
            readElsewhere: () => refusal,
            readBarrier: () => Promise.resolve(new RegistryError("not_leader", "asked")),
            timeMs: () => partition.group.timeMs(),
          },
        } as unknown as Partition
      ),
  };
}

test("resolve includes both parts where all is here, with a receipt of each", async () => {
  const { without, agent, gateway, places } = await apart();
  const { answer, reply, response } = read(without(), "resolveAgent", { domain: DOMAIN });
  assert.is(answer, "ok");
  assert.is(reply.agentPart, 1);
  assert.is(reply.gatewayPart, 1);
  assert.equal([reply.agentId, reply.gatewayId], [agent, gateway]);
  assert.equal(
    response!.receipts.map(({ partition }) => partition),
    [places.alias, places.agent, places.gateway],
  );
});

test("resolve takes every spelling that a register takes, alone and among many", async () => {
  const harness = await RegistryHarness.open();
  const peer = await harness.peer();
  await peer.must("registerAgent", agentRequest({ number: 1, domain: "A.Example." }));
  for (const domain of ["a.example", "a.example.", "A.EXAMPLE."]) {
    assert.is((await peer.must("resolveAgent", { domain })).agentPart, 1, domain);
    const { items } = await peer.must("resolveAgents", { domains: [domain] });
    assert.is(items[0]!.code, 0, domain);
  }
  const { code, response } = await peer.ask("resolveAgent", { domain: "b\u00fccher.example" });
  assert.is(code, "invalid_argument");
  assert.ok(response.message.includes("b\u00fccher.example"), response.message);
});

test("resolve names an agent that is held elsewhere, with the claim that it must hold", async () => {
  const { without, agent, places } = await apart();
  const { answer, reply, response } = read(without(places.agent), "resolveAgent", {
    domain: DOMAIN,
  });
  assert.is(answer, "ok");
  assert.is(reply.agentPart, 3);
  assert.is(reply.gatewayPart, 0, "only the agent says which gateway");
  assert.equal(reply.agentId, agent);
  assert.ok(reply.claim.index > 0);
  assert.is(reply.agent.length, 0);
  assert.is(response!.receipts.length, 1);
});

test("resolve names a gateway that is held elsewhere", async () => {
  const { without, agent, gateway, places } = await apart();
  const { answer, reply, response } = read(without(places.gateway), "resolveAgent", {
    domain: DOMAIN,
  });
  assert.is(answer, "ok");
  assert.is(reply.agentPart, 1);
  assert.is(reply.gatewayPart, 3);
  assert.equal([reply.agentId, reply.gatewayId], [agent, gateway]);
  assert.is(reply.gateway.length, 0);
  assert.is(response!.receipts.length, 2);
});

test("a key whose partition is held elsewhere is refused with not_replica", async () => {
  const { without, agent, gateway, places } = await apart();
  const asked: [number, OperationName, unknown][] = [
    [places.alias, "resolveAgent", { domain: DOMAIN }],
    [places.agent, "getAgent", { id: agent }],
    [places.gateway, "getGateway", { id: gateway }],
  ];
  for (const [place, name, body] of asked) {
    assert.throws(
      () => read(without(place), name, body),
      (error: unknown) => error instanceof RegistryError && error.code === "not_replica",
    );
  }
});

test("resolveAgents tells not_replica of the domains that it concerns, and answers the others", async () => {
  const { without, places } = await apart();
  const here = "zz.example";
  const { reply } = read(without(places.alias), "resolveAgents", { domains: [DOMAIN, here] });
  assert.is(reply.items[0].code, 19);
  assert.ok([9, 19].includes(reply.items[1].code));
  const named = read(without(places.agent), "resolveAgents", { domains: [DOMAIN] }).reply;
  assert.is(named.items[0].code, 0);
  assert.is(named.items[0].reply.agentPart, 3);
});

test("a read that lacks permission writes nothing and names the group to ask", async () => {
  const { asking, agent, gateway, places } = await apart();
  const cases: [number, OperationName, unknown][] = [
    [places.alias, "resolveAgent", { domain: DOMAIN }],
    [places.agent, "resolveAgent", { domain: DOMAIN }],
    [places.gateway, "resolveAgent", { domain: DOMAIN }],
    [places.agent, "getAgent", { id: agent }],
    [places.gateway, "getGateway", { id: gateway }],
    [places.gateway, "resolveAgents", { domains: [DOMAIN] }],
    [places.agent, "listAgentsByRegion", { region: "global", cursor: new Uint8Array(0), limit: 5 }],
  ];
  for (const [place, name, body] of cases) {
    const { answer, response } = read(asking(place), name, body);
    assert.type(answer, "object", name);
    assert.is(response, undefined);
  }
});

test("a key whose partition another node leads is refused at once, with that node as the hint", async () => {
  const { asking, agent, gateway, places } = await apart();
  const hint = new RegistryError("not_leader", "led by 2", { leaderHint: 2, leaderTerm: 7 });
  const asked: [number, OperationName, unknown][] = [
    [places.alias, "resolveAgent", { domain: DOMAIN }],
    [places.agent, "getAgent", { id: agent }],
    [places.gateway, "getGateway", { id: gateway }],
    [places.agent, "listAgentsByRegion", { region: "global", cursor: new Uint8Array(0), limit: 5 }],
  ];
  for (const [place, name, body] of asked) {
    assert.throws(() => read(asking(place, hint), name, body), (error: unknown) => error === hint);
  }
  const { items } = read(asking(places.alias, hint), "resolveAgents", { domains: [DOMAIN] }).reply;
  assert.is(items[0].code, 18);
});

test("resolve names the parts that another node leads, as it does those held elsewhere", async () => {
  const { asking, agent, gateway, places } = await apart();
  const hint = new RegistryError("not_leader", "led by 2", { leaderHint: 2, leaderTerm: 7 });
  const first = read(asking(places.agent, hint), "resolveAgent", { domain: DOMAIN });
  assert.equal([first.answer, first.reply.agentPart, first.reply.agentId], ["ok", 3, agent]);
  assert.is(first.response!.receipts.length, 1);
  const second = read(asking(places.gateway, hint), "resolveAgent", { domain: DOMAIN });
  assert.equal([second.reply.agentPart, second.reply.gatewayPart], [1, 3]);
  assert.equal(second.reply.gatewayId, gateway);
});

test("a list whose steps are turns apart holds what it read, whatever becomes of the store", async () => {
  const harness = await RegistryHarness.open();
  const { world, registry: { table } } = harness;
  const peer = await harness.peer();
  const numbers = Array.from({ length: 40 }, (_, index) => index + 1);
  const write = async (port: number, sequence: number) => {
    const items = numbers.map((number) => ({
      ...agentRequest({ number, port, sequence, region: "x".repeat(port % 60) }),
      kind: 1,
    }));
    for (const { code } of (await peer.must("registerMany", { items })).items) assert.is(code, 0);
  };
  const list = (): ListSteps => {
    const body = { region: "x".repeat(1_001 % 60), cursor: new Uint8Array(0), limit: 100 };
    const frame = requestFrame(5, "listAgentsByRegion", body);
    const view = requestCodec.newView();
    const request = view.wrap(new DataView(frame.buffer), frame, 8, frame.length);
    out.reset();
    return lists.list(KIND_AGENT, request, () => out, PEER);
  };
  const agentsOf = (steps: ListSteps) => {
    steps.answer();
    const bytes = out.written.slice();
    const view = responseCodec.newView().wrap(new DataView(bytes.buffer), bytes, 8, bytes.length);
    return view.bodyInto(OPERATIONS.listAgentsByRegion.reply.newView()).toPlain().items
      .map(({ record }) => agentCodec.decode(record));
  };
  const out = new FrameWriter({ bytesMax: 1 << 20 });
  const replies = new ReplyWriter(1);
  const redaction = new CredentialRedaction();
  const lists = new ListPath(
    table,
    new ReadPath(table, replies, redaction, NO_HOMES),
    replies,
    new ListPages(table, replies, redaction, NO_HOMES),
    NO_HOMES,
  );
  await write(1_001, 1);
  const whole = list();
  while (whole.next().done !== true);
  const expected = agentsOf(whole);
  assert.is(expected.length, numbers.length);
  const sliced = list();
  for (let step = 0; step < harness.partitionCount / 2; step++) {
    sliced.next();
    sliced.keep();
  }
  // Other records replace those that were read, and some of them are longer.
  await write(1_059, 2);
  await write(1_003, 3);
  await world.settle();
  while (sliced.next().done !== true) sliced.keep();
  const agents = agentsOf(sliced);
  assert.ok(agents.length > 0 && agents.length < numbers.length, "Half of the partitions");
  assert.equal(agents, expected.slice(0, agents.length));
});

test.run();
