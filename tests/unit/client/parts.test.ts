/** Calls of many items in a cluster: split by leader, sent in parallel, joined in order. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { agentCodec } from "../../../schemas/gen/record.ts";
import { formatUuid } from "../../../src/base/uuid.ts";
import { type ErrorCode, errorCodeToWire } from "../../../src/base/errors.ts";
import { NO_POSITION } from "../../../src/base/position.ts";
import { ageBoundMsOf } from "../../../src/client/receipts.ts";
import type { RegisterItem, Renewed, RenewItem } from "../../../src/client/types.ts";
import { FakeCluster, PARTITIONS } from "./fake_cluster.ts";
import {
  type FakeRequest,
  rejection,
  storedAgentBytes,
  storedGatewayBytes,
} from "./fake_registry.ts";

const INCARNATION = { generation: 1, index: 1 };

/** Renews the items that the node leads, and refuses the others individually. */
function serveRenewals(cluster: FakeCluster): { sizes: Map<number, number[]> } {
  const sizes = new Map<number, number[]>();
  for (const node of cluster.nodes) {
    const route = node.answer;
    node.answer = (request) => {
      if (request.name !== "renew") return route(request);
      const items = request.body.items as { id: Uint8Array; kind: number }[];
      sizes.set(node.nodeId, [...sizes.get(node.nodeId) ?? [], items.length]);
      const failures = items.flatMap(({ id, kind }, position) => {
        const partition = cluster.partitioner.partitionOf(kind, id, 0, 16);
        const isHere = cluster.leaders[partition] === node.nodeId;
        return isHere ? [] : [{ position, code: "not_leader" as ErrorCode }];
      });
      request.replyRenewed(failures, 1_000 * node.nodeId);
      return true;
    };
  }
  return { sizes };
}

const itemsOf = (cluster: FakeCluster): RenewItem[] =>
  Array.from({ length: PARTITIONS }, (_, partition) => ({
    kind: "agent",
    id: formatUuid(cluster.idIn(partition)),
    incarnation: INCARNATION,
  }));

test("renew is split by the nodes that lead, and takes the shortest interval of all", async () => {
  const cluster = new FakeCluster();
  const { sizes } = serveRenewals(cluster);
  const client = await cluster.connect();
  const { renewed, renewAfterMs, failures } = await cluster.seed.wait(
    client.renew(itemsOf(cluster)),
  );
  assert.is(renewed, PARTITIONS);
  assert.is(renewAfterMs, 1_000);
  assert.equal(failures, []);
  assert.equal([...sizes].sort(), [[1, [3]], [2, [3]], [3, [2]]]);
  await cluster.seed.wait(client.close());
});

test("renew asks again, where they belong now, for items that a node does not lead any more", async () => {
  const cluster = new FakeCluster();
  serveRenewals(cluster);
  const client = await cluster.connect();
  cluster.leaders[0] = 3;
  cluster.leaders[4] = 1;
  const { renewed, failures } = await cluster.seed.wait(client.renew(itemsOf(cluster)));
  assert.is(renewed, PARTITIONS);
  assert.equal(failures, []);
  await cluster.seed.wait(client.close());
});

test("renew tells the failure of one node for its items, and loses no other", async () => {
  const cluster = new FakeCluster();
  serveRenewals(cluster);
  cluster.node(2).answer = (request) => {
    request.refuse("permission_denied");
    return true;
  };
  const client = await cluster.connect();
  const { renewed, failures } = await cluster.seed.wait(client.renew(itemsOf(cluster)));
  assert.is(renewed, PARTITIONS - 3);
  assert.equal(failures.map(({ position, error }) => [position, error.code]), [
    [1, "permission_denied"],
    [4, "permission_denied"],
    [7, "permission_denied"],
  ]);
  await cluster.seed.wait(client.close());
});

test("renew sends the items of a killed node to the others", async () => {
  const cluster = new FakeCluster();
  serveRenewals(cluster);
  const silent = cluster.node(2);
  silent.alive = false;
  const client = await cluster.connect();
  const answer = client.renew(itemsOf(cluster));
  await cluster.seed.pass(300);
  cluster.kill(2);
  for (const partition of [1, 4, 7]) cluster.leaders[partition] = 3;
  const { renewed, failures } = await cluster.seed.wait(answer);
  assert.is(renewed, PARTITIONS);
  assert.equal(failures, []);
  assert.ok(client.status.retries > 0, "the part of the killed node is counted as repeated");
  await cluster.seed.wait(client.close());
});

test("renew ends at its deadline with the items that nobody leads", async () => {
  const cluster = new FakeCluster();
  serveRenewals(cluster);
  const client = await cluster.connect();
  cluster.leaders[5] = 0;
  const startMs = cluster.seed.time.nowMs();
  const { renewed, failures } = await cluster.seed.wait(
    client.renew(itemsOf(cluster), { timeoutMs: 2_000 }),
  );
  assert.is(renewed, PARTITIONS - 1);
  assert.equal(failures.map(({ position, error }) => [position, error.code]), [[5, "not_leader"]]);
  assert.ok(cluster.seed.time.nowMs() - startMs <= 2_100);
  await cluster.seed.wait(client.close());
});

test("renew ends at once when its caller or the client ends, though it pauses", async () => {
  const cluster = new FakeCluster();
  serveRenewals(cluster);
  const client = await cluster.connect();
  cluster.leaders[5] = 0;
  const nowMs = () => cluster.seed.time.nowMs();
  const canceled = new AbortController();
  const first = client.renew(itemsOf(cluster), { timeoutMs: 60_000, signal: canceled.signal });
  let endMs = 0;
  first.then(() => endMs = nowMs());
  await cluster.seed.pass(20_000);
  const startMs = nowMs();
  canceled.abort();
  const codesOf = ({ failures }: Renewed) => failures.map(({ error }) => error.code);
  assert.equal(codesOf(await cluster.seed.wait(first)), ["canceled"]);
  assert.is(endMs, startMs);

  const second = client.renew(itemsOf(cluster), { timeoutMs: 60_000 });
  await cluster.seed.pass(20_000);
  await cluster.seed.wait(client.close());
  assert.is(cluster.seed.time.timerCount, 0);
  assert.equal(codesOf(await second), ["shutting_down"]);
});

test("renew refuses a timeout out of bounds by its code, as on a single node", async () => {
  const cluster = new FakeCluster();
  serveRenewals(cluster);
  const client = await cluster.connect();
  for (const timeoutMs of [0, -1, NaN, 1e9]) {
    const { failures } = await cluster.seed.wait(client.renew(itemsOf(cluster), { timeoutMs }));
    assert.is(failures.length, PARTITIONS, String(timeoutMs));
    for (const { error } of failures) assert.is(error.code, "invalid_argument");
  }
  await cluster.seed.wait(client.close());
});

test("registerMany keeps the order of items over several nodes", async () => {
  const cluster = new FakeCluster();
  for (const node of cluster.nodes) {
    const route = node.answer;
    node.answer = (request) => {
      if (request.name !== "registerMany") return route(request);
      const items = request.body.items as { record: Uint8Array }[];
      request.reply("registerMany", {
        items: items.map(({ record }) => ({
          id: record.subarray(8, 24),
          incarnation: { generation: 1, index: node.nodeId },
          revision: NO_POSITION,
          remainingMs: 1,
          renewAfterMs: 1,
          created: true,
          code: 0,
          message: "",
        })),
      });
      return true;
    };
  }
  const client = await cluster.connect();
  const items = itemsOf(cluster).map(({ id }): RegisterItem => ({
    kind: "agent",
    agent: { id, region: "global" },
  }));
  items.push({ kind: "agent", agent: { region: "global", port: -1 } });
  const outcomes = await cluster.seed.wait(client.registerMany(items));
  assert.equal(
    outcomes.slice(0, PARTITIONS).map(({ registered }) => registered?.id),
    itemsOf(cluster).map(({ id }) => id),
  );
  assert.equal(
    outcomes.slice(0, PARTITIONS).map(({ registered }) => registered?.incarnation.index),
    cluster.leaders,
  );
  assert.is(outcomes[PARTITIONS]?.error?.code, "invalid_argument");
  await cluster.seed.wait(client.close());
});

test("leases on several nodes are renewed by each, and outlive the loss of one", async () => {
  const cluster = new FakeCluster();
  const { sizes } = serveRenewals(cluster);
  for (const node of cluster.nodes) {
    const route = node.answer;
    node.answer = (request) => {
      if (route(request)) return true;
      if (request.name !== "registerGateway") return false;
      request.replyRegistered({ index: 1, ttlMs: 8_000, renewAfterMs: 2_000 });
      return true;
    };
  }
  const client = await cluster.connect();
  const leases = await cluster.seed.wait(Promise.all(
    Array.from({ length: PARTITIONS }, (_, partition) =>
      client.keepGateway({
        id: formatUuid(cluster.idIn(partition, 2)),
        region: "eu",
        address: "192.0.2.1",
        port: 1,
        ttlMs: 8_000,
      })),
  ));
  await cluster.seed.pass(3_000);
  assert.equal([...sizes.keys()].sort(), [1, 2, 3]);
  cluster.kill(2);
  await cluster.seed.pass(2_000);
  for (const partition of [1, 4, 7]) cluster.leaders[partition] = 1;
  await cluster.seed.pass(20_000);
  assert.equal(leases.map(({ state }) => state), leases.map(() => "active"));
  assert.ok(leases.every(({ remainingMs }) => remainingMs > 3_000));
  await cluster.seed.wait(client.close());
});

/** Resolves domains at the node that serves their alias; agent and gateway are on other nodes. */
function serveComposites(
  cluster: FakeCluster,
  agentId: Uint8Array,
  gatewayId: Uint8Array,
  codeOf: (domain: string, request: FakeRequest) => number = () => 0,
) {
  const asked: string[] = [];
  const claim = { generation: 1, index: 6 };
  const reply = (code = 0) => ({
    reply: {
      agent: new Uint8Array(0),
      gateway: new Uint8Array(0),
      agentId,
      gatewayId: new Uint8Array(16),
      agentRemainingMs: 0,
      gatewayRemainingMs: 0,
      agentPart: 3,
      gatewayPart: 0,
      claim,
    },
    code,
    cacheMs: 0,
    receipts: [],
  });
  const serve = (request: FakeRequest): boolean => {
    asked.push(request.name);
    if (request.name === "getAgent") {
      const record = storedAgentBytes({
        id: formatUuid(agentId),
        gatewayId: formatUuid(gatewayId),
      });
      request.reply("getAgent", { record: withClaim(record, claim), remainingMs: 5 });
    } else if (request.name === "getGateway") {
      request.reply("getGateway", { record: storedGatewayBytes(), remainingMs: 5 });
    } else if (request.name === "resolveAgent") {
      request.reply("resolveAgent", reply().reply);
    } else if (request.name === "resolveAgents") {
      request.reply("resolveAgents", {
        items: request.body.domains.map((domain: string) => reply(codeOf(domain, request))),
      });
    } else return false;
    return true;
  };
  for (const node of cluster.nodes) {
    const route = node.answer;
    node.answer = (request) => request.name !== "resolveAgents" && route(request) || serve(request);
  }
  return asked;
}

/** Returns the stored form of an agent with another claim. */
function withClaim(record: Uint8Array, claim: { generation: number; index: number }): Uint8Array {
  return agentCodec.encode({ ...agentCodec.decode(record), claim });
}

test("resolveAgent completes parts that other nodes lead, with the receipts of all", async () => {
  const cluster = new FakeCluster();
  const asked = serveComposites(cluster, cluster.idIn(1), cluster.idIn(2, 2));
  const client = await cluster.connect();
  const found = await cluster.seed.wait(client.resolveAgent(cluster.domainIn(0)));
  assert.is(found.agent.id, formatUuid(cluster.idIn(1)));
  assert.ok(found.gateway);
  assert.is(found.receipts.length, 3);
  assert.equal(asked, ["resolveAgent", "getAgent", "getGateway"]);
  await cluster.seed.wait(client.close());
});

test("resolveAgent ends within its timeout, also if the cluster was unknown when it began", async () => {
  const cluster = new FakeCluster(1);
  serveComposites(cluster, cluster.idIn(1), cluster.idIn(2, 2));
  const { seed } = cluster;
  const serve = seed.answer;
  let first: FakeRequest | undefined;
  seed.answer = (request) => {
    if (request.name === "resolveAgent") first = request;
    return request.name === "resolveAgent" || request.name === "getAgent" || serve(request);
  };
  const client = await cluster.connect();
  assert.is(client.status.nodes.length, 1);
  const startMs = seed.time.nowMs();
  const resolution = client.resolveAgent(cluster.domainIn(0), { timeoutMs: 1_000 });
  await seed.pass(600);
  serve(first!);
  assert.is((await rejection(seed, resolution)).code, "deadline_exceeded");
  assert.ok(seed.time.nowMs() - startMs < 1_300, `${seed.time.nowMs() - startMs} ms`);
  await seed.wait(client.close());
});

test("resolveAgents is split by alias, and fetches a shared gateway once a request", async () => {
  const cluster = new FakeCluster();
  const asked = serveComposites(cluster, cluster.idIn(1), cluster.idIn(2, 2));
  const client = await cluster.connect();
  const domains = Array.from({ length: PARTITIONS }, (_, partition) => cluster.domainIn(partition));
  const outcomes = await cluster.seed.wait(client.resolveAgents(domains));
  assert.equal(outcomes.map(({ domain }) => domain), domains);
  assert.ok(outcomes.every(({ found }) => found?.gateway !== undefined));
  const count = (name: string) => asked.filter((one) => one === name).length;
  assert.is(count("resolveAgents"), 3);
  assert.is(count("getAgent"), PARTITIONS);
  assert.is(count("getGateway"), 3);
  await cluster.seed.wait(client.close());
});

const BOUNDED = { reads: { maxStalenessMs: 100, zone: "zone-3" } };

test("a bounded resolveAgent has the age of its oldest part, whoever served the parts", async () => {
  const cluster = new FakeCluster();
  serveComposites(cluster, cluster.idIn(1), cluster.idIn(2, 2));
  for (const node of cluster.nodes) {
    node.receipt = { ...node.receipt, node: node.nodeId, ageBoundMs: 20 * node.nodeId };
  }
  const client = await cluster.connect({}, undefined, BOUNDED);
  for (let round = 0; round < 2; round++) {
    await cluster.seed.wait(client.resolveAgent(cluster.domainIn(0)));
    await cluster.seed.pass(1_000);
  }
  // Node 3 proves the age of the alias and of the gateway; the agent's leader is node 2.
  cluster.provesAge = (partition, by) => by === 3 && partition !== 1;
  const { receipts } = await cluster.seed.wait(client.resolveAgent(cluster.domainIn(0)));
  assert.equal(receipts.map(({ node }) => node), [3, 2, 3]);
  assert.is(ageBoundMsOf(receipts), 60);
  await cluster.seed.wait(client.close());
});

test("bounded resolveAgents asks the nearest replica once, and the leader for what it refuses", async () => {
  const cluster = new FakeCluster();
  const refused = cluster.domainIn(4);
  const asked: string[] = [];
  const tooStale = errorCodeToWire("too_stale");
  serveComposites(cluster, cluster.idIn(1), cluster.idIn(2, 2), (domain, { session }) => {
    const { nodeId } = session.registry;
    asked.push(`${nodeId} ${cluster.domainIn(4) === domain ? "refused" : "served"}`);
    return domain === refused && nodeId === 3 ? tooStale : 0;
  });
  const client = await cluster.connect({}, undefined, BOUNDED);
  const domains = Array.from({ length: PARTITIONS }, (_, partition) => cluster.domainIn(partition));
  for (let round = 0; round < 2; round++) {
    await cluster.seed.wait(client.resolveAgents(domains));
    await cluster.seed.pass(1_000);
  }
  asked.length = 0;
  const outcomes = await cluster.seed.wait(client.resolveAgents(domains));
  assert.ok(outcomes.every(({ found }) => found?.gateway !== undefined));
  assert.is(asked.filter((one) => one === "3 served").length, PARTITIONS - 1);
  assert.equal(asked.filter((one) => one.endsWith("refused")), ["3 refused", "2 refused"]);
  assert.is(asked.length, PARTITIONS + 1);
  // A follower that cannot prove the age says nothing about who leads.
  assert.not.ok(cluster.asked.some((one) => one.endsWith("getRingMap")));
  await cluster.seed.wait(client.close());
});

test("resolveAgents asks for each partition alone after a node refused all of a request", async () => {
  const cluster = new FakeCluster();
  const asked = serveComposites(cluster, cluster.idIn(1), cluster.idIn(2, 2));
  const serve = cluster.node(1).answer;
  const sizes: number[] = [];
  cluster.node(1).answer = (request) => {
    if (request.name !== "resolveAgents") return serve(request);
    sizes.push(request.body.domains.length);
    if (request.body.domains.includes(cluster.domainIn(3))) {
      request.refuse("not_leader", { leaderHint: 2, leaderTerm: 9 });
      return true;
    }
    return serve(request);
  };
  const client = await cluster.connect();
  const domains = Array.from({ length: PARTITIONS }, (_, partition) => cluster.domainIn(partition));
  const outcomes = await cluster.seed.wait(client.resolveAgents(domains));
  assert.ok(outcomes.every(({ found }) => found !== undefined));
  assert.is(sizes[0], 3);
  assert.ok(sizes.slice(1).every((size) => size === 1), `${sizes}`);
  assert.ok(asked.length > 0);
  await cluster.seed.wait(client.close());
});

test.run();
