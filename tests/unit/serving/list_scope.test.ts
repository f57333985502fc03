/** Lists whose partitions are on several nodes: complete, or naming the missing ones. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentCodec } from "../../../schemas/gen/record.ts";
import { requestCodec, responseCodec } from "../../../schemas/gen/wire.ts";
import { FrameWriter } from "../../../schemas/runtime/writer.ts";
import { developmentPeer } from "../../../identity/enrolment/development_peer.ts";
import { toHex } from "../../../src/base/bytes.ts";
import { RegistryError } from "../../../src/base/errors.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../../src/record/key.ts";
import { CredentialRedaction } from "../../../src/serving/credential_redaction.ts";
import type { ListSteps } from "../../../src/serving/list_job.ts";
import { ListPages } from "../../../src/serving/list_pages.ts";
import { ListPath } from "../../../src/serving/list_path.ts";
import { listScope } from "../../../src/serving/list_scope.ts";
import {
  type Partition,
  type PartitionPlace,
  PartitionTable,
} from "../../../src/serving/partitions.ts";
import { ReadPath } from "../../../src/serving/read_path.ts";
import { ReplyWriter } from "../../../src/serving/reply_writer.ts";
import {
  decodeListCursor,
  encodeListCursor,
  type ListCursor,
  newListCursor,
} from "../../../src/wire/list_cursor.ts";
import { OPERATIONS } from "../../../src/wire/operations/mod.ts";
import { requestFrame } from "../../support/raw_peer.ts";
import { agentRequest, gatewayRequest, RegistryHarness } from "../../support/registry_harness.ts";
import { codeOf } from "../../support/refusal.ts";
import { NO_HOMES } from "../../support/mirrors.ts";

const PEER = developmentPeer({ region: "eu", revoked: new AbortController().signal });
const AGENTS = 40;

/**
 * Returns a registry with records, and tables of nodes that hold or lead some of its partitions.
 */
async function scene() {
  const harness = await RegistryHarness.open();
  const { table } = harness.registry;
  const peer = await harness.peer();
  for (let number = 1; number <= AGENTS; number++) {
    await peer.must("registerAgent", agentRequest({ number, region: "eu" }));
  }
  for (let number = 101; number <= 110; number++) {
    await peer.must("registerGateway", gatewayRequest({ number, region: "eu" }));
  }
  const replaced = (replace: (partition: Partition) => PartitionPlace) =>
    new PartitionTable(table.partitioner, Array.from(table.here(), replace));
  return {
    count: harness.partitionCount,
    /** Returns the table of a node that holds the partitions for which `holds` is true. */
    holding: (holds: (id: number) => boolean) =>
      replaced((partition) => {
        const { id } = partition;
        return holds(id) ? partition : { isHere: false, id, nodes: [2], leader: 2 };
      }),
    /**
     * Returns the table of a node that proves an age of each partition, by one point of each, and the age
     * of that point when the list is answered.
     */
    aged: (ageOf: (id: number) => number, lateAgeOf = ageOf) =>
      replaced((partition) => {
        const { group, id } = partition;
        const provenAt = { monotonicMs: -ageOf(id), wallMs: -ageOf(id) };
        const point = { ...group.readPoint(0)!, ageBoundMs: ageOf(id), provenAt };
        const aged = { readPoint: () => point, ageNowMs: () => lateAgeOf(id) };
        return { ...partition, group: { ...aged, timeMs: () => group.timeMs() } } as never;
      }),
    /** Returns the table of a node that holds all and leads those for which `leads` is true. */
    leading: (leads: (id: number) => boolean) =>
      replaced((partition) =>
        leads(partition.id) ? partition : {
          ...partition,
          group: {
            readPoint: () => undefined,
            readElsewhere: () => new RegistryError("not_leader", "another leads"),
            readBarrier: () => Promise.resolve(new RegistryError("not_leader", "another leads")),
            timeMs: () => partition.group.timeMs(),
          },
        } as unknown as Partition
      ),
  };
}

/**
 * Returns the receipts of a page that followers serve, each partition with an age of its own when it is
 * read and when the page is answered.
 */
async function receiptsAt(
  region: string,
  ageOf: (partition: number) => number,
  lateAgeOf = ageOf,
) {
  const { count, aged } = await scene();
  const cursor = encodeListCursor(newListCursor(count));
  const table = aged(ageOf, lateAgeOf);
  const response = await asked(table, "listAgentsByRegion", cursor, { region, limit: 100 });
  return { count, receipts: response.receipts.toPlain() };
}

/** The age that requests accept, ms. */
const STALENESS_MS = 100;

type ListName = "listAgentsByRegion" | "resolveGateways";

/** Requests a page from a node. Throws the refusal. */
async function ask(table: PartitionTable, name: ListName, cursor: Uint8Array, limit = 7) {
  const response = await asked(table, name, cursor, { region: "eu", limit });
  return response.bodyInto(OPERATIONS[name].reply.newView()).toPlain();
}

async function asked(
  table: PartitionTable,
  name: ListName,
  cursor: Uint8Array,
  { region, limit }: { readonly region: string; readonly limit: number },
) {
  const body = { region, cursor, limit };
  const frame = requestFrame(5, name, body, { maxStalenessMs: STALENESS_MS });
  const request = requestCodec.newView().wrap(new DataView(frame.buffer), frame, 8, frame.length);
  const replies = new ReplyWriter(1);
  const redaction = new CredentialRedaction();
  const lists = new ListPath(
    table,
    new ReadPath(table, replies, redaction, NO_HOMES),
    replies,
    new ListPages(table, replies, redaction, NO_HOMES),
    NO_HOMES,
  );
  const out = new FrameWriter({ bytesMax: 1 << 20 });
  const steps: ListSteps = name === "resolveGateways"
    ? lists.resolveGateways(KIND_GATEWAY, request, () => out, PEER)
    : lists.list(KIND_AGENT, request, () => out, PEER);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) break;
    if (value === undefined) continue;
    steps.keep();
    const permitted = await value.readBarrier(0, 1_000);
    if (permitted instanceof RegistryError) throw permitted;
  }
  steps.answer();
  const bytes = out.written.slice();
  return responseCodec.newView().wrap(new DataView(bytes.buffer), bytes, 8, bytes.length);
}

const idsOf = (items: readonly { record: Uint8Array }[]) =>
  items.map(({ record }) => toHex(agentCodec.decode(record).id));

test("a list without a cursor of several nodes is refused where a partition is elsewhere", async () => {
  const { holding, leading } = await scene();
  const none = new Uint8Array(0);
  for (const name of ["listAgentsByRegion", "resolveGateways"] as const) {
    assert.is(await codeOf(ask(holding((id) => id !== 3), name, none, 200)), "not_replica", name);
    assert.is(await codeOf(ask(leading((id) => id !== 3), name, none, 200)), "not_leader", name);
    assert.is(await codeOf(ask(holding(() => true), name, none, 200)), "ok", name);
  }
});

test("a list over two nodes has each record once, though partitions move between pages", async () => {
  const { count, holding, leading } = await scene();
  for (const tableOf of [holding, leading]) {
    const seen: string[] = [];
    let cursor: ListCursor | undefined = newListCursor(count);
    let pages = 0;
    for (; cursor !== undefined && pages < 200; pages++) {
      // At every page the nodes hold other partitions, and the next node is asked.
      const here = (id: number) => (id + pages) % 3 !== 0;
      const page = await ask(tableOf(here), "listAgentsByRegion", encodeListCursor(cursor));
      assert.ok(page.items.length <= 7);
      seen.push(...idsOf(page.items));
      cursor = page.nextCursor.length === 0 ? undefined : decodeListCursor(page.nextCursor, count)!;
      if (cursor === undefined || page.items.length === 7) continue;
      // A page that ends early names every partition that is not finished.
      for (let id = 0; id < count; id++) {
        assert.is(cursor.elsewhere.has(id), !cursor.finished.has(id), `${id}`);
      }
    }
    assert.is(cursor, undefined);
    assert.is(seen.length, AGENTS);
    assert.is(new Set(seen).size, AGENTS);
  }
});

test("resolveGateways of a part names what is elsewhere, and the parts have all gateways", async () => {
  const { count, holding, leading } = await scene();
  for (const tableOf of [holding, leading]) {
    const seen: string[] = [];
    let cursor = newListCursor(count);
    for (const parity of [0, 1]) {
      const table = tableOf((id) => id % 2 === parity);
      const page = await ask(table, "resolveGateways", encodeListCursor(cursor), 100);
      seen.push(...idsOf(page.items));
      if (parity === 1) assert.is(page.nextCursor.length, 0);
      else cursor = decodeListCursor(page.nextCursor, count)!;
    }
    assert.is(cursor.elsewhere.count, count / 2);
    assert.is(new Set(seen).size, 10);
    assert.is(seen.length, 10);
  }
});

test("listScope refuses a cursor that is none of this cluster", () => {
  const bad = [
    encodeListCursor(newListCursor(8)),
    encodeListCursor(newListCursor(16)).subarray(1),
    new Uint8Array(20).fill(9),
  ];
  for (const cursor of bad) {
    assert.throws(
      () => listScope(cursor, 16),
      (error: unknown) => error instanceof RegistryError && error.code === "invalid_argument",
    );
  }
});

test("a list names the oldest partition that was read, even if it has no record of the region", async () => {
  const empty = await receiptsAt("nowhere", (id) => id === 3 ? 90 : 10);
  assert.equal(empty.receipts.map(({ partition, ageBoundMs }) => [partition, ageBoundMs]), [[
    3,
    90,
  ]]);
  const full = await receiptsAt("eu", (id) => id + 1);
  const oldest = Math.max(...full.receipts.map(({ ageBoundMs }) => ageBoundMs));
  assert.is(oldest, full.count, "the last partition is the oldest");
  const named = full.receipts.map(({ partition }) => partition);
  assert.is(new Set(named).size, named.length, "each partition is named once");
});

test("a list states the ages that its parts have when it is answered", async () => {
  const { receipts } = await receiptsAt("eu", () => 10, (id) => id === 3 ? STALENESS_MS : 20);
  assert.equal(new Set(receipts.map(({ ageBoundMs }) => ageBoundMs)), new Set([20, STALENESS_MS]));
  for (const { ageBoundMs, partition } of receipts) {
    assert.is(ageBoundMs, partition === 3 ? STALENESS_MS : 20);
  }
});

test("a list of which a part has become too old before it is answered is refused", async () => {
  for (const region of ["eu", "nowhere"]) {
    const late = receiptsAt(region, (id) => 10 + id, (id) => id === 3 ? STALENESS_MS + 1 : 20);
    assert.is(await codeOf(late), "too_stale", region);
  }
});

test("a list that leaders serve has no receipt of a partition without records", async () => {
  const { receipts } = await receiptsAt("nowhere", () => 0);
  assert.equal(receipts, []);
});

test.run();
