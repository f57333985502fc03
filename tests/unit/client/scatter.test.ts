/**
 * Lists over the nodes of a cluster: complete, without duplicates, or refused naming the missing
 * parts.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareBytes } from "../../../src/base/bytes.ts";
import { CLIENT_NODE_IDLE_MS } from "../../../src/base/limits.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import { KIND_AGENT, KIND_GATEWAY } from "../../../src/record/key.ts";
import { encodeCursor } from "../../../src/store/listing.ts";
import { ageBoundMsOf } from "../../../src/client/receipts.ts";
import { decodeListCursor, encodeListCursor } from "../../../src/wire/list_cursor.ts";
import { FakeCluster, PARTITIONS } from "./fake_cluster.ts";
import {
  type FakeRequest,
  rejection,
  storedAgentBytes,
  storedGatewayBytes,
} from "./fake_registry.ts";

const KINDS = {
  listAgentsByRegion: KIND_AGENT,
  listGatewaysByRegion: KIND_GATEWAY,
  resolveGateways: KIND_GATEWAY,
} as const;

/** Returns `count` ids, in ascending order. */
function idsOf(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, number) => {
    const id = new Uint8Array(16).fill(7);
    new DataView(id.buffer).setUint32(0, number * 2_654_435_761 >>> 0);
    return id;
  }).sort(compareBytes);
}

/** Makes every node serve lists of the records `ids` in the partitions that it leads. */
function serveLists(cluster: FakeCluster, ids: readonly Uint8Array[]): void {
  for (const node of cluster.nodes) {
    const route = node.answer;
    node.answer = (request) => {
      const kind = KINDS[request.name as keyof typeof KINDS];
      if (kind === undefined) return route(request);
      cluster.asked.push(`${node.nodeId} ${request.name} ${request.body.limit}`);
      answerList(cluster, node.nodeId, kind, ids, request);
      return true;
    };
  }
}

function answerList(
  cluster: FakeCluster,
  nodeId: number,
  kind: number,
  ids: readonly Uint8Array[],
  request: FakeRequest,
): void {
  const cursor = decodeListCursor(request.body.cursor, PARTITIONS)!;
  const found: Uint8Array[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    if (cursor.finished.has(partition)) continue;
    const isProven = request.maxStalenessMs > 0 && cluster.provesAge(partition, nodeId);
    if (cluster.leaders[partition] !== nodeId && !isProven) {
      cursor.elsewhere.add(partition);
      continue;
    }
    const after = cursor.begun.get(partition) ?? new Uint8Array(16);
    const here = ids.filter((id) =>
      cluster.partitioner.partitionOf(kind, id, 0, 16) === partition && compareBytes(id, after) > 0
    );
    const taken = request.name === "resolveGateways"
      ? here
      : here.slice(0, request.body.limit - found.length);
    found.push(...taken);
    if (taken.length < here.length) {
      cursor.begun.set(partition, taken.at(-1) ?? after);
      break;
    }
    cursor.begun.delete(partition);
    cursor.finished.add(partition);
  }
  const items = found.map((id) => ({ record: storedOf(kind, id), remainingMs: 1 }));
  const nextCursor = cursor.finished.isFull ? new Uint8Array(0) : encodeListCursor(cursor);
  request.reply("listAgentsByRegion", { items, nextCursor });
}

function storedOf(kind: number, id: Uint8Array): Uint8Array {
  if (kind === KIND_AGENT) return storedAgentBytes({ id: formatUuid(id) });
  // The last digit of the number is the usage: the freest gateways end in 0.
  const used = { ...NOTHING, cpu: id[3]! % 10 };
  return storedGatewayBytes({ id: formatUuid(id), capacity: { ...NOTHING, cpu: 10 }, used });
}

const NOTHING = { cpu: 0, memoryMiB: 0, storageMiB: 0, bandwidthMbps: 0, connections: 0 };
const textOf = (ids: readonly Uint8Array[]) => ids.map((id) => formatUuid(id)).sort();

test("listAgents fills a page from all nodes, and pages have each record once", async () => {
  const cluster = new FakeCluster();
  const ids = idsOf(100);
  serveLists(cluster, ids);
  const client = await cluster.connect();
  const seen: string[] = [];
  let cursor: Uint8Array | undefined;
  const sizes: number[] = [];
  do {
    const page = await cluster.seed.wait(
      client.listAgents("eu", { limit: 30, ...(cursor === undefined ? {} : { cursor }) }),
    );
    seen.push(...page.items.map(({ agent }) => agent.id));
    sizes.push(page.items.length);
    cursor = page.nextCursor;
    // Between two pages every partition moves to another node.
    cluster.leaders.push(cluster.leaders.shift()!);
  } while (cursor !== undefined);
  assert.equal([...seen].sort(), textOf(ids));
  assert.equal(sizes, [30, 30, 30, 10]);
  await cluster.seed.wait(client.close());
});

test("allAgents lists everything though partitions move while it reads", async () => {
  const cluster = new FakeCluster();
  const ids = idsOf(300);
  serveLists(cluster, ids);
  const client = await cluster.connect();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const { agent } of client.allAgents("eu", { limit: 20 })) {
      seen.push(agent.id);
      if (seen.length % 20 === 0) {
        cluster.leaders[seen.length / 20 % PARTITIONS] = 1 + seen.length % 3;
      }
    }
  })();
  await cluster.seed.wait(reading);
  assert.is(seen.length, 300);
  assert.is(new Set(seen).size, 300);
  await cluster.seed.wait(client.close());
});

test("listAgents is refused, and names the partitions, where one has no leader", async () => {
  const cluster = new FakeCluster();
  const ids = idsOf(50);
  serveLists(cluster, ids);
  const client = await cluster.connect();
  cluster.leaders[5] = 0;
  // The other nodes' records are returned at once, and the cursor shows that the list is
  // incomplete.
  const { items, nextCursor } = await cluster.seed.wait(client.listAgents("eu"));
  const inFive = ids.filter((id) => cluster.partitioner.partitionOf(KIND_AGENT, id, 0, 16) === 5);
  assert.is(items.length, ids.length - inFive.length);
  const startMs = cluster.seed.time.nowMs();
  const rest = client.listAgents("eu", { cursor: nextCursor!, timeoutMs: 2_000 });
  const error = await rejection(cluster.seed, rest);
  assert.is(error.code, "not_replica");
  assert.equal(error.fields.partitions, [5]);
  assert.match(error.message, /1 of 8 partitions .*\(5\)/);
  assert.ok(cluster.seed.time.nowMs() - startMs <= 2_100);
  cluster.leaders[5] = 2;
  const last = await cluster.seed.wait(client.listAgents("eu", { cursor: nextCursor! }));
  assert.is(last.items.length, inFive.length);
  assert.is(last.nextCursor, undefined);

  // The best gateways cannot be known without all partitions.
  cluster.leaders[5] = 0;
  const best = await rejection(cluster.seed, client.resolveGateways("eu", { timeoutMs: 1_000 }));
  assert.equal(best.fields.partitions, [5]);
  await cluster.seed.wait(client.close());
});

test("listAgents names the partitions of a node that does not answer before the deadline", async () => {
  const cluster = new FakeCluster();
  serveLists(cluster, idsOf(20));
  cluster.node(2).answer = () => true;
  const client = await cluster.connect();
  const error = await rejection(cluster.seed, client.listAgents("eu", { timeoutMs: 200 }));
  assert.is(error.code, "deadline_exceeded");
  assert.equal(error.fields.partitions, [1, 4, 7]);
  assert.match(error.message, "3 of 8 partitions");
  await cluster.seed.wait(client.close());
});

test("listAgents goes to the others for what a killed node led", async () => {
  const cluster = new FakeCluster();
  const ids = idsOf(40);
  serveLists(cluster, ids);
  const client = await cluster.connect();
  cluster.node(2).alive = false;
  const answer = client.listAgents("eu");
  await cluster.seed.pass(100);
  cluster.leaders.forEach((leader, partition) => {
    if (leader === 2) cluster.leaders[partition] = 3;
  });
  const { items, nextCursor } = await cluster.seed.wait(answer);
  assert.equal(items.map(({ agent }) => agent.id).sort(), textOf(ids));
  assert.is(nextCursor, undefined);
  await cluster.seed.wait(client.close());
});

test("listAgents asks a node again that was down for long, though no other call dials it", async () => {
  const cluster = new FakeCluster();
  const ids = idsOf(40);
  serveLists(cluster, ids);
  const client = await cluster.connect();
  await cluster.seed.wait(client.listAgents("eu"));
  cluster.kill(2);
  const led = cluster.leaders.flatMap((leader, partition) => leader === 2 ? [partition] : []);
  for (const partition of led) cluster.leaders[partition] = 3;
  await cluster.seed.wait(client.listAgents("eu"));
  // The link to the node is dropped, and with it the attempts to connect.
  await cluster.seed.pass(2 * CLIENT_NODE_IDLE_MS);
  cluster.node(2).listen();
  for (const partition of led) cluster.leaders[partition] = 2;
  cluster.map = cluster.newMap(2);
  const { items } = await cluster.seed.wait(client.listAgents("eu"));
  assert.equal(items.map(({ agent }) => agent.id).sort(), textOf(ids));
  await cluster.seed.wait(client.close());
  assert.is(cluster.seed.time.timerCount, 0);
});

test("listAgents goes on from a page that a single node gave, and refuses another cursor", async () => {
  const cluster = new FakeCluster();
  const ids = idsOf(60);
  serveLists(cluster, ids);
  const client = await cluster.connect();
  const partitionOf = (id: Uint8Array) => cluster.partitioner.partitionOf(KIND_AGENT, id, 0, 16);
  const third = ids.filter((id) => partitionOf(id) === 3);
  const cursor = encodeCursor({ partition: 3, afterId: third[1]! });
  const { items } = await cluster.seed.wait(client.listAgents("eu", { cursor }));
  const expected = ids.filter((id) => partitionOf(id) > 3).concat(third.slice(2));
  assert.equal(items.map(({ agent }) => agent.id).sort(), textOf(expected));
  for (const bad of [new Uint8Array(3), new Uint8Array(20).fill(255), new Uint8Array([2, 0, 0])]) {
    const error = await rejection(cluster.seed, client.listAgents("eu", { cursor: bad }));
    assert.is(error.code, "invalid_argument");
  }
  const error = await rejection(cluster.seed, client.listAgents("eu", { limit: 2_900 }));
  assert.is(error.fields.field, "limit");
  await cluster.seed.wait(client.close());
});

test("bounded lists are read at the replica in the client's zone, and elsewhere what it cannot prove", async () => {
  const cluster = new FakeCluster();
  const ids = idsOf(100);
  serveLists(cluster, ids);
  cluster.node(3).receipt = { ...cluster.node(3).receipt, ageBoundMs: 70 };
  const client = await cluster.connect({}, undefined, {
    reads: { maxStalenessMs: 100, zone: "zone-3" },
  });
  // Served by the node that is connected, while the nearest is dialed.
  for (let round = 0; round < 2; round++) {
    await cluster.seed.wait(client.listAgents("eu"));
    await cluster.seed.pass(1_000);
  }
  const nodes = () =>
    cluster.asked.splice(0).filter((one) => !one.includes("status")).map((one) => one[0]);
  assert.equal(nodes(), ["1", "1"]);
  const all = await cluster.seed.wait(client.listAgents("eu"));
  assert.equal(all.items.map(({ agent }) => agent.id).sort(), textOf(ids));
  assert.is(ageBoundMsOf(all.receipts), 70);
  assert.equal(nodes(), ["3"]);
  const best = await cluster.seed.wait(client.resolveGateways("eu", { limit: 12 }));
  assert.is(best.items.length, 12);
  assert.equal(nodes(), ["3"]);

  cluster.provesAge = (partition, by) => by !== 3 || partition !== 4;
  const again = await cluster.seed.wait(client.listAgents("eu"));
  assert.equal(again.items.map(({ agent }) => agent.id).sort(), textOf(ids));
  assert.equal(nodes(), ["3", "2"]);
  assert.is(client.status.boundedReads.redirected, 1);
  // The partition is read elsewhere from the start, for a while.
  await cluster.seed.wait(client.resolveGateways("eu"));
  assert.is(nodes().length, 2);

  // Nobody can prove the age of one: it is named.
  cluster.provesAge = (partition) => partition !== 6;
  cluster.leaders[6] = 0;
  const error = await rejection(
    cluster.seed,
    client.resolveGateways("eu", { timeoutMs: 1_000 }),
  );
  assert.is(error.code, "too_stale");
  assert.equal(error.fields.partitions, [6]);
  nodes();

  // A linearizable list asks the leaders.
  cluster.leaders[6] = 1;
  await cluster.seed.wait(client.listAgents("eu", { maxStalenessMs: 0 }));
  assert.ok(nodes().length >= 3);
  await cluster.seed.wait(client.close());
});

test("resolveGateways merges the best of all nodes by their free capacity", async () => {
  const cluster = new FakeCluster();
  const ids = idsOf(90);
  serveLists(cluster, ids);
  const client = await cluster.connect();
  const { items, nextCursor } = await cluster.seed.wait(
    client.resolveGateways("eu", { limit: 12 }),
  );
  const use = (id: Uint8Array) => id[3]! % 10;
  const expected = [...ids]
    .sort((left, right) => use(left) - use(right) || compareBytes(left, right))
    .slice(0, 12);
  assert.equal(items.map(({ gateway }) => gateway.id), expected.map((id) => formatUuid(id)));
  assert.is(nextCursor, undefined);
  assert.equal(
    cluster.asked.filter((one) => one.includes("resolveGateways")).sort(),
    ["1 resolveGateways 12", "2 resolveGateways 12", "3 resolveGateways 12"],
  );
  await cluster.seed.wait(client.close());
});

test.run();
