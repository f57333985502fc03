/**
 * Routing of calls in a cluster: the node that is asked, and the handling of a wrong or lost node.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CLIENT_NODE_IDLE_MS } from "../../../src/base/limits.ts";
import type { Trust } from "../../../transport/transport.ts";
import { FakeCluster, PARTITIONS } from "./fake_cluster.ts";
import { FakeRegistry, GATEWAY_ID, rejection } from "./fake_registry.ts";

/** Answers every get that reaches the leader of its partition. */
function serveGets(cluster: FakeCluster): void {
  for (const node of cluster.nodes) {
    const refuse = node.answer;
    node.answer = (request) => {
      if (refuse(request)) return true;
      if (request.name !== "getAgent") return false;
      request.replyAgent();
      return true;
    };
  }
}

const gets = (cluster: FakeCluster) => cluster.asked.filter((one) => one.endsWith("getAgent"));

test("Router sends a get to the leader of its key, and opens links only to nodes it needs", async () => {
  const cluster = new FakeCluster();
  serveGets(cluster);
  const client = await cluster.connect();
  assert.is(client.status.nodes.length, 1);
  for (const partition of [0, 3, 1, 4]) {
    await cluster.seed.wait(client.getAgent(cluster.idIn(partition)));
  }
  assert.equal(gets(cluster), ["1 getAgent", "1 getAgent", "2 getAgent", "2 getAgent"]);
  assert.equal(client.status.nodes.map(({ nodeId, state }) => `${nodeId} ${state}`), [
    "1 connected",
    "2 connected",
  ]);
  await cluster.seed.wait(client.close());
  assert.is(cluster.seed.time.timerCount, 0);
});

test("Router leaves everything to one connection where the ring map has one node", async () => {
  const registry = new FakeRegistry();
  const client = await registry.connect();
  const answer = client.getAgent(GATEWAY_ID);
  (await registry.next("getAgent")).refuse("not_leader", { leaderHint: 2 });
  await registry.pass(100);
  (await registry.next("getAgent")).replyAgent();
  await registry.wait(answer);
  assert.is(client.status.nodes.length, 1);
  await registry.wait(client.close());
});

test("Router follows a hint at once and remembers it", async () => {
  const cluster = new FakeCluster();
  serveGets(cluster);
  const client = await cluster.connect();
  cluster.leaders[0] = 3;
  const startMs = cluster.seed.time.nowMs();
  await cluster.seed.wait(client.getAgent(cluster.idIn(0)));
  assert.equal(gets(cluster), ["1 getAgent", "3 getAgent"]);
  assert.is(cluster.seed.time.nowMs(), startMs);
  await cluster.seed.wait(client.getAgent(cluster.idIn(0)));
  assert.equal(gets(cluster).slice(2), ["3 getAgent"]);
  await cluster.seed.wait(client.close());
});

test("Router prefers the hint of the higher term", async () => {
  const cluster = new FakeCluster();
  serveGets(cluster);
  const client = await cluster.connect();
  cluster.leaders[0] = 3;
  cluster.termOf = () => 7;
  await cluster.seed.wait(client.getAgent(cluster.idIn(0)));
  // Node 3 names node 2 with an older term: it remains the presumed leader.
  cluster.leaders[0] = 1;
  cluster.hintOf = () => 2;
  cluster.termOf = () => 8;
  cluster.asked.length = 0;
  const hops: string[] = [];
  cluster.node(2).answer = (request) => {
    hops.push(request.name);
    request.refuse("not_leader", { leaderHint: 3, leaderTerm: 5 });
    return true;
  };
  await cluster.seed.wait(client.getAgent(cluster.idIn(0)));
  assert.is(hops.length >= 1, true);
  assert.equal(gets(cluster).at(-1), "1 getAgent");
  await cluster.seed.wait(client.close());
});

test("Router does not believe a hint beyond the epoch in which it was given", async () => {
  const cluster = new FakeCluster();
  serveGets(cluster);
  const client = await cluster.connect();
  cluster.leaders[0] = 3;
  cluster.termOf = () => 99;
  await cluster.seed.wait(client.getAgent(cluster.idIn(0)));
  cluster.leaders[0] = 2;
  cluster.map = cluster.newMap(2);
  cluster.seed.sessions[0]!.say({ kind: "ring_map", ringMap: cluster.map });
  await cluster.seed.settle();
  cluster.asked.length = 0;
  await cluster.seed.wait(client.getAgent(cluster.idIn(0)));
  assert.equal(gets(cluster), ["2 getAgent"]);
  // An older map changes nothing any more.
  const { epoch, ...old } = cluster.newMap(1);
  cluster.seed.sessions[0]!.say({ kind: "ring_map", ringMap: { ...old, epoch } });
  await cluster.seed.settle();
  assert.is(client.lastRingMap?.epoch.number, 2);
  await cluster.seed.wait(client.close());
});

test("Router bounds the hops of nodes that name each other, pauses, and gives up in time", async () => {
  const cluster = new FakeCluster();
  const client = await cluster.connect();
  cluster.leaders[0] = 0;
  cluster.hintOf = (_, by) => 1 + by % 3;
  const startMs = cluster.seed.time.nowMs();
  const error = await rejection(
    cluster.seed,
    client.getAgent(cluster.idIn(0), { timeoutMs: 3_000 }),
  );
  assert.is(error.code, "not_leader");
  const count = gets(cluster).length;
  assert.ok(count > 5 && count < 5 * 80, `${count}`);
  assert.ok(cluster.seed.time.nowMs() - startMs <= 3_100);
  await cluster.seed.wait(client.close());
});

test("Router repeats calls within 110 ms of an election, however long it took", async () => {
  const cluster = new FakeCluster();
  serveGets(cluster);
  const client = await cluster.connect();
  cluster.leaders[0] = 0;
  let left = 16;
  const answers = Array.from({ length: left }, () => {
    return client.getAgent(cluster.idIn(0)).then(() => left--);
  });
  await cluster.seed.pass(2_000);
  assert.is(left, 16);
  const asked = gets(cluster).length;
  assert.ok(asked < 16 * 3 * 60, `${asked}`);
  cluster.leaders[0] = 2;
  // The pause, and half a tick of the timer.
  await cluster.seed.pass(110);
  assert.is(left, 0);
  await Promise.all(answers);
  await cluster.seed.wait(client.close());
});

test("Router follows the hint for a record whose id the registry chooses, and keeps no hint of it", async () => {
  const cluster = new FakeCluster();
  const client = await cluster.connect();
  const input = { region: "eu", domain: "g.example", address: "192.0.2.1", port: 1 };
  for (let round = 0; round < 2; round++) {
    const answer = client.registerGateway(input);
    (await cluster.seed.next("registerGateway")).refuse("not_leader", { leaderHint: 3 });
    await cluster.seed.settle();
    const request = cluster.node(3).requests.shift()!;
    request.replyRegistered();
    await cluster.seed.wait(answer);
  }
  await cluster.seed.wait(client.close());
});

test("Router fetches the ring map from one node after the other, as one may be cut off", async () => {
  const cluster = new FakeCluster();
  const client = await cluster.connect();
  cluster.leaders[0] = 0;
  cluster.hintOf = () => 0;
  await rejection(cluster.seed, client.getAgent(cluster.idIn(0), { timeoutMs: 4_000 }));
  const fetched = cluster.asked.filter((one) => one.endsWith("getRingMap"));
  assert.ok(fetched.length >= 3 && fetched.length <= 16, `${fetched.length}`);
  assert.is(new Set(fetched).size, 3);
  await cluster.seed.wait(client.close());
});

test("Router asks the other replicas where no leader is known", async () => {
  const cluster = new FakeCluster();
  serveGets(cluster);
  cluster.hintOf = () => 0;
  const client = await cluster.connect();
  cluster.leaders[0] = 3;
  await cluster.seed.wait(client.getAgent(cluster.idIn(0)));
  assert.is(gets(cluster)[0], "1 getAgent");
  assert.is(gets(cluster).at(-1), "3 getAgent");
  assert.ok(gets(cluster).length <= 3);
  cluster.asked.length = 0;
  await cluster.seed.wait(client.getAgent(cluster.idIn(0)));
  assert.equal(gets(cluster), ["3 getAgent"]);
  await cluster.seed.wait(client.close());
});

test("Router sends the calls of a killed node to others, inside their deadline", async () => {
  const cluster = new FakeCluster();
  const client = await cluster.connect();
  const id = cluster.idIn(1);
  const answers = [client.getAgent(id), client.getAgent(id)];
  await cluster.node(2).next("getAgent");
  cluster.kill(2);
  cluster.leaders[1] = 3;
  serveGets(cluster);
  const startMs = cluster.seed.time.nowMs();
  await cluster.seed.wait(Promise.all(answers));
  assert.ok(cluster.seed.time.nowMs() - startMs <= 1_500);
  await cluster.seed.wait(client.close());
});

test("Router gives a silent node up after 600 ms and answers what may not be repeated", async () => {
  const cluster = new FakeCluster();
  const client = await cluster.connect();
  const id = cluster.idIn(1);
  const answer = client.getAgent(id);
  await cluster.node(2).next("getAgent");
  cluster.node(2).alive = false;
  cluster.leaders[1] = 1;
  serveGets(cluster);
  const startMs = cluster.seed.time.nowMs();
  let endMs = 0;
  answer.then(() => endMs = cluster.seed.time.nowMs());
  await cluster.seed.pass(900);
  await answer;
  assert.ok(endMs - startMs >= 590 && endMs - startMs <= 700, `${endMs - startMs}`);

  const order = { subject: "x", domains: [], gateways: [] };
  const token = client.identities.createJoinToken("x", order);
  const request = await cluster.seed.next("createJoinToken");
  request.session.drop();
  assert.is((await rejection(cluster.seed, token)).code, "connection_lost");
  await cluster.seed.wait(client.close());
});

test("Router does not wait long for a node that it cannot connect to", async () => {
  const cluster = new FakeCluster();
  serveGets(cluster);
  cluster.seed.network.cut("client", "node2");
  const client = await cluster.connect();
  cluster.leaders[1] = 3;
  const startMs = cluster.seed.time.nowMs();
  let endMs = 0;
  const answer = client.getAgent(cluster.idIn(1)).then(() => endMs = cluster.seed.time.nowMs());
  await cluster.seed.wait(answer);
  assert.ok(endMs - startMs <= 800, `${endMs - startMs}`);
  // The node is now known to be down: no call waits for it.
  cluster.asked.length = 0;
  await cluster.seed.wait(client.getAgent(cluster.idIn(1)));
  assert.is(gets(cluster).length, 1);
  await cluster.seed.wait(client.close());
});

test("Router sends calls without a key to any node when the given endpoint is gone", async () => {
  const cluster = new FakeCluster();
  const client = await cluster.connect();
  const first = rejection(cluster.seed, client.nodeStatus());
  await cluster.seed.next("status");
  cluster.kill(1);
  await cluster.seed.pass(700);
  const taken = cluster.node(2).requests.length + cluster.node(3).requests.length;
  assert.is(taken, 1);
  assert.is(client.status.state, "connected");
  await cluster.seed.wait(client.close());
  assert.is((await first).code, "shutting_down");
});

test("Router closes a link that was idle for a minute, and not before", async () => {
  const cluster = new FakeCluster();
  serveGets(cluster);
  const client = await cluster.connect();
  await cluster.seed.wait(client.getAgent(cluster.idIn(1)));
  await cluster.seed.pass(CLIENT_NODE_IDLE_MS - 1_000);
  assert.is(client.status.nodes.length, 2);
  await cluster.seed.pass(CLIENT_NODE_IDLE_MS);
  assert.is(client.status.nodes.length, 1);
  assert.is(client.status.connections, 2);
  await cluster.seed.wait(client.getAgent(cluster.idIn(1)));
  assert.is(client.status.connections, 3);
  await cluster.seed.wait(client.close());
});

test("Router sends a call without a key elsewhere once the link of the last one is closed", async () => {
  const cluster = new FakeCluster();
  serveGets(cluster);
  const client = await cluster.connect();
  await cluster.seed.wait(client.getAgent(cluster.idIn(1)));
  cluster.kill(1);
  // The first call finds that the node is gone; the second goes to the other one at once.
  await cluster.seed.wait(client.ringMap());
  await cluster.seed.wait(client.ringMap());
  assert.is(cluster.asked.at(-1), "2 getRingMap");
  cluster.seed.listen();
  await cluster.seed.pass(2 * CLIENT_NODE_IDLE_MS);
  assert.equal(client.status.nodes.map(({ nodeId }) => nodeId), [1]);
  await cluster.seed.wait(client.ringMap());
  assert.is(cluster.asked.at(-1), "1 getRingMap");
  await cluster.seed.wait(client.close());
  assert.is(cluster.seed.time.timerCount, 0);
});

test("Router refuses a node that is not the one at its address, and one of another cluster", async () => {
  const cluster = new FakeCluster();
  serveGets(cluster);
  cluster.node(2).nodeId = 7;
  const errors: string[] = [];
  const client = await cluster.connect({}, (event) => {
    if (event.kind === "attempt_failed") errors.push(event.error.message);
  });
  cluster.leaders[1] = 3;
  await cluster.seed.wait(client.getAgent(cluster.idIn(1)));
  assert.match(errors[0] ?? "", /Node 2 must answer .* node 7 does/);
  await cluster.seed.wait(client.getAgent(cluster.idIn(2)));
  const [hello] = cluster.node(3).sessions[0]!.heard;
  assert.ok(hello?.kind === "hello");
  assert.equal(hello.hello.clusterId, cluster.seed.clusterId);
  await cluster.seed.wait(client.close());
});

test("Router pins a node by the ring map, beside the caller's pins or before its CA", async () => {
  const given = new Uint8Array(32).fill(1);
  const current = new Uint8Array(32).fill(2);
  const next = new Uint8Array(32).fill(3);
  const pins = { kind: "pins", sha256: [given] } as const;
  const ca = { kind: "ca", pem: ["a CA"] } as const;
  for (const trust of [pins, ca]) {
    const cluster = new FakeCluster();
    serveGets(cluster);
    cluster.map = {
      ...cluster.map,
      nodes: cluster.map.nodes.map((node) => ({ ...node, currentPin: current, nextPin: next })),
    };
    const dialed: { host: string; trust: Trust }[] = [];
    const client = await cluster.connect({}, () => {}, { trust, dialed });
    await cluster.seed.wait(client.getAgent(cluster.idIn(1)));
    assert.equal(dialed[0]?.trust, trust);
    const known = trust === ca ? [current, next] : [current, next, given];
    assert.equal(dialed[1], { host: "node2", trust: { kind: "pins", sha256: known } });
    await cluster.seed.wait(client.close());
  }
});

test("Router spreads a thousand gets over all partitions' leaders without a wrong guess", async () => {
  const cluster = new FakeCluster();
  serveGets(cluster);
  const client = await cluster.connect();
  const ids = Array.from({ length: PARTITIONS }, (_, partition) => cluster.idIn(partition));
  const answers = Array.from({ length: 1_000 }, (_, n) => client.getAgent(ids[n % PARTITIONS]!));
  await cluster.seed.wait(Promise.all(answers));
  assert.is(gets(cluster).length, 1_000);
  assert.is(client.status.retries, 0);
  await cluster.seed.wait(client.close());
});

test.run();
