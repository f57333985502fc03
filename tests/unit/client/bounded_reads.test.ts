/** Reads with `maxStalenessMs`: where they go, what happens when nodes refuse or hang. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  CLIENT_HEDGE_BURST,
  CLIENT_HEDGE_MS_MAX,
  CLIENT_HEDGE_SAMPLES_MIN,
  CLIENT_IDLE_MS,
  CLIENT_MEASURE_MS_MAX,
  CLIENT_MEASURE_TRIPS,
  CLIENT_NODE_IDLE_MS,
  CLIENT_NODE_SILENCE_MS,
  CLIENT_REFUSAL_MS_BASE,
  CLIENT_REMEASURE_MS,
  READ_STALENESS_MS_MAX,
} from "../../../src/base/limits.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import type { Client, ConnectionEvent } from "../../../src/client/types.ts";
import { FakeCluster, PARTITIONS } from "./fake_cluster.ts";
import { FakeRegistry, type FakeRequest, rejection } from "./fake_registry.ts";

/** A cluster whose nodes answer after a delay of their own, ms; Infinity for never. */
class SlowCluster extends FakeCluster {
  readonly delaysMs = [0, 0, 0, 0];
  /** Requests that no reply was sent to. */
  readonly held: FakeRequest[] = [];

  constructor() {
    super();
    for (const node of this.nodes) {
      const route = node.answer;
      node.answer = (request) => {
        if (route(request)) return true;
        const delayMs = this.delaysMs[node.nodeId]!;
        if (request.name !== "getAgent") return false;
        if (delayMs === Infinity) this.held.push(request);
        else if (delayMs === 0) request.replyAgent();
        else this.seed.time.after(delayMs, () => request.replyAgent());
        return true;
      };
    }
  }

  /** Gets an agent of `partition`. */
  get(client: Client, partition = 0, options: { maxStalenessMs?: number } = {}) {
    return this.seed.wait(client.getAgent(this.idIn(partition), options));
  }

  /** Gets agents so many times, one after the other, each in some ms of its own. */
  async gets(client: Client, count: number, partition = 0): Promise<void> {
    for (let round = 0; round < count; round++) {
      await this.get(client, partition);
      await this.seed.pass(1);
    }
  }

  /**
   * Reads until the replicas are connected and measured, so that none is due in the next second; the
   * first reads are served before.
   */
  async warm(client: Client, partition = 0): Promise<void> {
    for (let round = 0; round < 4; round++) {
      await this.get(client, partition);
      await this.seed.pass(round < 3 ? 1_000 : 1);
    }
  }

  /** Forgets what was asked. */
  clear(): void {
    this.asked.length = 0;
  }

  /** The nodes that got gets, in order. */
  get nodesAsked(): readonly number[] {
    return this.asked.filter((one) => one.endsWith("getAgent")).map((one) => Number(one[0]));
  }

  async end(client: Client): Promise<void> {
    await this.seed.wait(client.close());
    // The memory network keeps one for a crashed host's sessions until they are idle for too long.
    await this.seed.pass(CLIENT_IDLE_MS);
    assert.is(this.seed.time.timerCount, 0);
  }
}

const BOUNDED = { reads: { maxStalenessMs: 100, zone: "zone-3" } };

test("a bounded read goes to the replica in the client's zone, and the other replicas are kept connected", async () => {
  const cluster = new SlowCluster();
  const client = await cluster.connect({}, undefined, BOUNDED);
  await cluster.warm(client, 1);
  cluster.clear();
  for (let partition = 0; partition < PARTITIONS; partition++) await cluster.get(client, partition);
  assert.equal(new Set(cluster.nodesAsked), new Set([3]));
  const isReady = () => {
    return client.status.nodes.map(({ nodeId, state }) => `${nodeId} ${state}`).sort().join() ===
      "1 connected,2 connected,3 connected";
  };
  assert.ok(isReady());
  const { byFollowers, byLeader, redirected } = client.status.boundedReads;
  assert.equal([byFollowers, byLeader, redirected], [4 + 6, 2, 0]);
  // For as long as there are such reads, and no longer.
  for (let read = 0; read < 100; read++) {
    await cluster.get(client, 1);
    await cluster.seed.pass(2_000);
  }
  assert.ok(isReady());
  await cluster.seed.pass(2 * CLIENT_NODE_IDLE_MS);
  assert.equal(client.status.nodes.map(({ nodeId }) => nodeId), [1]);
  await cluster.end(client);
});

test("a connection that is kept ready is given up soon after its node died", async () => {
  const cluster = new SlowCluster();
  const events: string[] = [];
  const heard = ({ kind, endpoint }: ConnectionEvent) => events.push(`${kind} ${endpoint.host}`);
  const client = await cluster.connect({}, heard, BOUNDED);
  await cluster.warm(client);
  cluster.delaysMs[2] = Infinity;
  cluster.node(2).alive = false;
  events.length = 0;
  const untilMs = cluster.seed.time.nowMs() + CLIENT_REMEASURE_MS + 3 * CLIENT_NODE_SILENCE_MS;
  while (cluster.seed.time.nowMs() < untilMs) {
    await cluster.get(client);
    await cluster.seed.pass(20);
  }
  assert.is(events[0], "lost node2");
  assert.is(client.status.boundedReads.hedgesSent, 0);
  await cluster.end(client);
});

test("a call overrides the client's default: 0 asks the leader, and writes are not concerned", async () => {
  const cluster = new SlowCluster();
  const client = await cluster.connect({}, undefined, BOUNDED);
  await cluster.warm(client);
  cluster.clear();
  await cluster.get(client, 1, { maxStalenessMs: 0 });
  assert.equal(cluster.nodesAsked, [2]);
  const removed = client.deregisterAgent("11111111-1111-4111-8111-111111111111", {
    incarnation: { generation: 1, index: 1 },
  });
  removed.catch(() => {});
  await cluster.seed.settle();
  const request = cluster.nodes.flatMap(({ requests }) => requests).pop()!;
  assert.is(request.maxStalenessMs, 0);
  await cluster.seed.wait(client.close());
});

test("deregister reads the incarnation at the leader whatever the client's default is", async () => {
  const cluster = new SlowCluster();
  const client = await cluster.connect({}, undefined, BOUNDED);
  await cluster.warm(client);
  cluster.clear();
  const removed = client.deregisterAgent("11111111-1111-4111-8111-111111111111");
  removed.catch(() => {});
  await cluster.seed.settle();
  const [asked] = cluster.nodesAsked;
  assert.is(cluster.nodesAsked.length, 1);
  assert.is(asked, 1 + (Number(cluster.leaders.indexOf(asked!)) % 3));
  await cluster.seed.wait(client.close());
});

test("maxStalenessMs out of bounds is refused before anything is sent", async () => {
  const cluster = new SlowCluster();
  const client = await cluster.connect();
  const bad = [-1, 0.5, NaN, Infinity, READ_STALENESS_MS_MAX + 1, 2 ** 32, "100" as never];
  for (const maxStalenessMs of bad) {
    const reads = [
      () => client.getAgent(cluster.idIn(0), { maxStalenessMs }),
      () => client.resolveAgent("a.example", { maxStalenessMs }),
      () => client.resolveAgents(["a.example"], { maxStalenessMs }),
      () => client.resolveGateways("eu", { maxStalenessMs }),
      () => client.listAgents("eu", { maxStalenessMs }),
    ];
    for (const read of reads) {
      const error = await rejection(cluster.seed, read());
      assert.is(error.code, "invalid_argument");
      assert.is(error.fields.field, "maxStalenessMs");
      assert.match(error.message, `must be an integer in [0, ${READ_STALENESS_MS_MAX}]`);
    }
    const refused = cluster.connect({}, undefined, { reads: { maxStalenessMs } });
    assert.is(await refused.then(() => "accepted", ({ code }) => code), "invalid_argument");
  }
  assert.equal(cluster.asked, []);
  await cluster.end(client);
});

test("a bounded read that a replica refuses goes to the leader, and later ones do for a while", async () => {
  const cluster = new SlowCluster();
  const client = await cluster.connect({}, undefined, BOUNDED);
  await cluster.warm(client);
  cluster.provesAge = (_, by) => by !== 3;
  cluster.clear();
  const startMs = cluster.seed.time.nowMs();
  await cluster.get(client);
  assert.equal(cluster.nodesAsked, [3, 1]);
  assert.is(cluster.seed.time.nowMs(), startMs, "at once");
  await cluster.get(client);
  assert.is.not(cluster.nodesAsked[2], 3);
  assert.is(cluster.nodesAsked.length, 3);
  // The refusal says nothing about other partitions.
  cluster.clear();
  await cluster.get(client, 2);
  assert.equal(cluster.nodesAsked, [3]);
  cluster.provesAge = () => true;
  await cluster.seed.pass(CLIENT_REFUSAL_MS_BASE);
  cluster.clear();
  await cluster.get(client);
  assert.equal(cluster.nodesAsked, [3]);
  assert.is(client.status.boundedReads.redirected, 1);
  await cluster.end(client);
});

test("a bounded read is answered while no replica but one can prove its age", async () => {
  const cluster = new SlowCluster();
  const client = await cluster.connect({}, undefined, BOUNDED);
  await cluster.warm(client);
  for (const only of [1, 2, 3]) {
    cluster.leaders[0] = 0;
    cluster.provesAge = (_, by) => by === only;
    cluster.clear();
    await cluster.get(client);
    assert.is(cluster.nodesAsked.at(-1), only);
    await cluster.seed.pass(5_000);
  }
  await cluster.end(client);
});

test("a bounded read is refused as too stale where nobody can prove its age until its deadline", async () => {
  const cluster = new SlowCluster();
  const client = await cluster.connect({ timeoutMs: 1_000 }, undefined, BOUNDED);
  cluster.leaders[0] = 0;
  cluster.provesAge = () => false;
  const error = await rejection(cluster.seed, client.getAgent(cluster.idIn(0)));
  assert.is(error.code, "too_stale");
  assert.ok(cluster.nodesAsked.length < 60, `${cluster.nodesAsked.length}`);
  await cluster.end(client);
});

test("a follower's answer is not taken for the leader's", async () => {
  const cluster = new SlowCluster();
  const client = await cluster.connect({}, undefined, BOUNDED);
  await cluster.warm(client);
  // Nobody leads and node 3 refuses once: node 2 serves the read after a detour.
  cluster.leaders[0] = 0;
  cluster.provesAge = (_, by) => by === 2;
  await cluster.get(client);
  cluster.leaders[0] = 1;
  cluster.clear();
  await cluster.get(client, 0, { maxStalenessMs: 0 });
  assert.is(cluster.nodesAsked.length <= 2, true);
  assert.is(cluster.nodesAsked.at(-1), 1);
  await cluster.end(client);
});

test("a client of a node without the replica asks one that has it", async () => {
  const cluster = new SlowCluster();
  cluster.map = cluster.newMap(2, [2, 3]);
  cluster.leaders.fill(2);
  const client = await cluster.connect({}, undefined, { reads: { maxStalenessMs: 100 } });
  await cluster.gets(client, 4);
  assert.not.ok(cluster.nodesAsked.includes(1));
  // The map is behind: a node that it names has no replica any more, and says who has.
  const holder = cluster.node(3).answer;
  cluster.node(3).answer = (request) => {
    if (request.name !== "getAgent") return holder(request);
    cluster.asked.push("3 getAgent");
    request.refuse("not_replica", { leaderHint: 2, leaderTerm: 1 });
    return true;
  };
  const startMs = cluster.seed.time.nowMs();
  cluster.clear();
  for (let round = 0; round < 40; round++) await cluster.get(client);
  assert.is(cluster.seed.time.nowMs(), startMs);
  assert.is(cluster.nodesAsked.filter((node) => node === 3).length, 1);
  await cluster.end(client);
});

test("bounded reads of a lost node go to others, and come back", async () => {
  const cluster = new SlowCluster();
  const client = await cluster.connect({}, undefined, BOUNDED);
  await cluster.warm(client);
  cluster.delaysMs[3] = Infinity;
  const answers = Array.from({ length: 5 }, () => client.getAgent(cluster.idIn(0)));
  await cluster.seed.settle();
  assert.is(cluster.held.length, 5);
  cluster.kill(3);
  await cluster.seed.wait(Promise.all(answers));
  cluster.delaysMs[3] = 0;
  cluster.clear();
  await cluster.gets(client, 5);
  assert.not.ok(cluster.nodesAsked.includes(3));
  cluster.node(3).listen();
  await cluster.seed.pass(10_000);
  await cluster.warm(client);
  cluster.clear();
  await cluster.get(client);
  assert.equal(cluster.nodesAsked, [3]);
  await cluster.end(client);
});

test("a late bounded read is sent to a second replica, and the first answer counts", async () => {
  const cluster = new SlowCluster();
  const client = await cluster.connect({}, undefined, { reads: { maxStalenessMs: 100 } });
  // Links to all nodes: nothing is hedged before there are enough samples.
  cluster.delaysMs.fill(1);
  await cluster.gets(client, CLIENT_HEDGE_SAMPLES_MIN + 20, 0);
  await cluster.get(client, 1, { maxStalenessMs: 0 });
  await cluster.get(client, 2, { maxStalenessMs: 0 });
  await cluster.gets(client, 60);
  assert.is(client.status.boundedReads.hedgesSent, 0);

  cluster.delaysMs.fill(Infinity);
  const startMs = cluster.seed.time.nowMs();
  let endMs = 0;
  const answer = client.getAgent(cluster.idIn(0)).then(() => endMs = cluster.seed.time.nowMs());
  await cluster.seed.settle();
  assert.is(cluster.held.length, 1);
  cluster.delaysMs.fill(1);
  await cluster.seed.wait(answer);
  assert.ok(endMs - startMs <= CLIENT_HEDGE_MS_MAX + 2, `${endMs - startMs}`);
  const [first, second] = cluster.nodesAsked.slice(-2);
  assert.is.not(first, second);
  const { hedgesSent, hedgesWon } = client.status.boundedReads;
  assert.equal([hedgesSent, hedgesWon], [1, 1]);
  // The slow node is passed over until it answers; its answer comes too late and is ignored.
  cluster.clear();
  cluster.delaysMs[first!] = Infinity;
  await cluster.gets(client, 15);
  assert.not.ok(cluster.nodesAsked.includes(first!));
  cluster.delaysMs[first!] = 1;
  for (const request of cluster.held) request.replyAgent();
  await cluster.gets(client, 80);
  assert.ok(cluster.nodesAsked.includes(first!));
  assert.is(client.status.inFlight, 0);
  await cluster.end(client);
});

/** Returns a cluster and a client that sends second requests when a read takes too long. */
async function hedging(): Promise<{ cluster: SlowCluster; client: Client }> {
  const cluster = new SlowCluster();
  const client = await cluster.connect({}, undefined, { reads: { maxStalenessMs: 100 } });
  cluster.delaysMs.fill(1);
  await cluster.get(client, 1, { maxStalenessMs: 0 });
  await cluster.get(client, 2, { maxStalenessMs: 0 });
  await cluster.gets(client, 3 * CLIENT_HEDGE_SAMPLES_MIN);
  cluster.clear();
  return { cluster, client };
}

/** Starts a read whose first node does not answer; returns that node once it was asked. */
async function stuck(cluster: SlowCluster, client: Client) {
  cluster.delaysMs.fill(Infinity);
  const answer = client.getAgent(cluster.idIn(0));
  answer.catch(() => {});
  await cluster.seed.settle();
  return { answer, first: cluster.held.at(-1)! };
}

test("further requests are at most a twentieth of the bounded reads, where all nodes are slow", async () => {
  const { cluster, client } = await hedging();
  cluster.delaysMs.fill(120);
  for (let round = 0; round < 400; round++) await cluster.get(client);
  const { hedgesSent } = client.status.boundedReads;
  assert.ok(hedgesSent > CLIENT_HEDGE_BURST, `${hedgesSent}`);
  assert.ok(hedgesSent <= CLIENT_HEDGE_BURST + 0.05 * 400, `${hedgesSent}`);
  await cluster.end(client);
});

test("further requests that are refused change nothing for the first", async () => {
  const { cluster, client } = await hedging();
  const { answer, first } = await stuck(cluster, client);
  cluster.provesAge = () => false;
  cluster.leaders[0] = first.session.registry.nodeId;
  await cluster.seed.pass(CLIENT_HEDGE_MS_MAX + 5);
  assert.is(client.status.boundedReads.hedgesSent, 2);
  assert.equal([...cluster.nodesAsked].sort(), [1, 2, 3]);
  first.replyAgent();
  await cluster.seed.wait(answer);
  assert.is(client.status.boundedReads.hedgesWon, 0);
  await cluster.end(client);
});

test("a second request that proves that there is no record answers the read", async () => {
  const { cluster, client } = await hedging();
  const { answer } = await stuck(cluster, client);
  await cluster.seed.pass(CLIENT_HEDGE_MS_MAX + 5);
  cluster.held.at(-1)!.refuse("not_found", { cacheMs: 5 });
  assert.is((await rejection(cluster.seed, answer)).code, "not_found");
  assert.is(client.status.boundedReads.hedgesWon, 1);
  await cluster.end(client);
});

test("a node that dies while both requests are in flight leaves the answer to the other", async () => {
  for (const which of ["first", "second"]) {
    const { cluster, client } = await hedging();
    const { answer, first } = await stuck(cluster, client);
    await cluster.seed.pass(CLIENT_HEDGE_MS_MAX + 5);
    const second = cluster.held.at(-1)!;
    assert.is.not(first, second);
    const [dead, alive] = which === "first" ? [first, second] : [second, first];
    cluster.kill(dead.session.registry.nodeId);
    await cluster.seed.settle();
    // The first request may have been sent again, to any node.
    for (const request of cluster.held) if (request !== dead) request.replyAgent();
    await cluster.seed.wait(answer);
    assert.ok(alive.id > 0);
    cluster.delaysMs.fill(0);
    await cluster.gets(client, 3);
    await cluster.seed.pass(2 * CLIENT_MEASURE_MS_MAX);
    assert.is(client.status.inFlight, 0);
    await cluster.end(client);
  }
});

test("a ring map that changes while both requests are in flight harms neither", async () => {
  const { cluster, client } = await hedging();
  const { answer } = await stuck(cluster, client);
  await cluster.seed.pass(CLIENT_HEDGE_MS_MAX + 5);
  const second = cluster.held.at(-1)!;
  cluster.map = cluster.newMap(9, [second.session.registry.nodeId]);
  cluster.node(1).sessions[0]!.say({ kind: "ring_map", ringMap: cluster.map });
  await cluster.seed.settle();
  second.replyAgent();
  await cluster.seed.wait(answer);
  cluster.delaysMs.fill(0);
  cluster.clear();
  await cluster.gets(client, 5);
  assert.equal(new Set(cluster.nodesAsked), new Set([second.session.registry.nodeId]));
  await cluster.end(client);
});

test("a canceled read ends, though all of its requests are in flight", async () => {
  const { cluster, client } = await hedging();
  cluster.delaysMs.fill(Infinity);
  const controller = new AbortController();
  const answer = client.getAgent(cluster.idIn(0), { signal: controller.signal });
  answer.catch(() => {});
  await cluster.seed.pass(CLIENT_HEDGE_MS_MAX + 5);
  assert.is(cluster.held.length, 3);
  controller.abort();
  assert.is((await rejection(cluster.seed, answer)).code, "canceled");
  for (const request of cluster.held) request.replyAgent();
  await cluster.seed.settle();
  assert.is(client.status.inFlight, 0);
  await cluster.end(client);
});

test("a further request that waits for room is not sent once its read has ended", async () => {
  const cluster = new SlowCluster();
  const reads = { maxStalenessMs: 100, zone: "zone-3" };
  const client = await cluster.connect({ inFlightMax: 1 }, undefined, { reads });
  await cluster.warm(client);
  // The only places in flight to nodes 1 and 2 are taken.
  cluster.delaysMs.fill(Infinity);
  const others = [0, 1].map((partition) => cluster.get(client, partition, { maxStalenessMs: 0 }));
  await cluster.seed.settle();
  const controller = new AbortController();
  const answer = client.getAgent(cluster.idIn(0), { signal: controller.signal });
  await cluster.seed.pass(3 * CLIENT_HEDGE_MS_MAX);
  assert.is(client.status.boundedReads.hedgesSent, 2);
  controller.abort();
  assert.is((await rejection(cluster.seed, answer)).code, "canceled");
  cluster.clear();
  cluster.delaysMs.fill(0);
  for (const request of cluster.held) request.replyAgent();
  await Promise.all(others);
  await cluster.seed.settle();
  assert.equal(cluster.nodesAsked, []);
  await cluster.end(client);
});

test("a client that only lists measures nodes by their status", async () => {
  const { cluster, client } = await listing();
  cluster.statusMs = [0, 9, 2, 2];
  for (let round = 0; round < 6; round++) {
    await cluster.seed.wait(client.listAgents("eu"));
    await cluster.seed.pass(1_000);
  }
  cluster.clear();
  for (let list = 0; list < 8; list++) await cluster.seed.wait(client.listAgents("eu"));
  const asked = cluster.asked.filter((one) => one.endsWith("listAgentsByRegion"));
  assert.equal([...new Set(asked.map((one) => one[0]))].sort(), ["2", "3"]);
  await cluster.end(client);
});

/** A client without a zone of nodes that answer lists, and status requests after some ms each. */
async function listing() {
  const cluster = Object.assign(new SlowCluster(), { statusMs: [0, 0, 0, 0] });
  for (const node of cluster.nodes) {
    const route = node.answer;
    node.answer = (request) => {
      if (request.name === "status") {
        // A refusal takes the same way.
        const reply = () => request.refuse("not_found", {});
        cluster.seed.time.after(cluster.statusMs[node.nodeId]!, reply);
        return true;
      }
      if (request.name !== "listAgentsByRegion") return route(request);
      cluster.asked.push(`${node.nodeId} ${request.name}`);
      request.reply("listAgentsByRegion", { items: [], nextCursor: new Uint8Array(0) });
      return true;
    };
  }
  const client = await cluster.connect({}, undefined, { reads: { maxStalenessMs: 100 } });
  return { cluster, client };
}

test("the first read of one record after many lists measures each node once at most", async () => {
  const { cluster, client } = await listing();
  for (let round = 0; round < 20; round++) {
    await cluster.seed.wait(client.listAgents("eu"));
    await cluster.seed.pass(1_000);
  }
  cluster.clear();
  await cluster.get(client);
  await cluster.seed.pass(10);
  assert.ok(cluster.nodesAsked.length <= 1 + 3 * CLIENT_MEASURE_TRIPS);
  await cluster.end(client);
});

test("a late bounded read is sent to each replica in turn until one answers", async () => {
  for (const how of ["hangs", "refuses"]) {
    const { cluster, client } = await hedging();
    cluster.leaders[0] = 0;
    const { answer } = await stuck(cluster, client);
    // Whichever of the others is asked next does not answer; the last one does.
    let second = 0;
    cluster.provesAge = (_, by) => {
      if (second === 0) second = by;
      if (by === second) return how === "hangs";
      cluster.delaysMs[by] = 1;
      return true;
    };
    await cluster.seed.wait(answer);
    assert.is(client.status.boundedReads.hedgesSent, 2);
    assert.is(client.status.boundedReads.hedgesWon, 1);
    await cluster.end(client);
  }
});

test("a bounded read of a lost node is answered soon by a replica, though the leader hangs", async () => {
  const cluster = new SlowCluster();
  const client = await cluster.connect({}, undefined, BOUNDED);
  await cluster.warm(client);
  cluster.leaders[0] = 1;
  cluster.delaysMs[3] = cluster.delaysMs[1] = Infinity;
  let endMs = 0;
  const answer = client.getAgent(cluster.idIn(0)).then(() => endMs = cluster.seed.time.nowMs());
  await cluster.seed.settle();
  const startMs = cluster.seed.time.nowMs();
  cluster.kill(3);
  await cluster.seed.wait(answer);
  assert.ok(endMs - startMs <= 2 * CLIENT_HEDGE_MS_MAX, `${endMs - startMs}`);
  cluster.delaysMs.fill(0);
  await cluster.end(client);
});

test("both requests of a read that nobody answers end with its deadline", async () => {
  const { cluster, client } = await hedging();
  cluster.delaysMs.fill(Infinity);
  const answer = client.getAgent(cluster.idIn(0), { timeoutMs: 200 });
  assert.is((await rejection(cluster.seed, answer)).code, "deadline_exceeded");
  await cluster.seed.pass(2_000);
  assert.is(client.status.inFlight, 0);
  await cluster.end(client);
});

test("bounded reads end once each and leave nothing behind, whatever nodes do", async () => {
  for (const seed of [1, 2, 3, 4]) {
    const random = new SeededEntropy(seed);
    const pick = (count: number) => Math.floor(random.unit() * count);
    const cluster = new SlowCluster();
    const client = await cluster.connect({ timeoutMs: 1_500 }, undefined, {
      reads: { maxStalenessMs: 100, zone: ["", "zone-2"][seed % 2]! },
    });
    let settled = 0;
    let failed = 0;
    let epoch = 1;
    const dead = new Set<number>();
    const reads = 600;
    for (let read = 0; read < reads; read++) {
      const controller = new AbortController();
      const count = () => void settled++;
      client.getAgent(cluster.idIn(pick(PARTITIONS)), { signal: controller.signal })
        .then(count, ({ code }: { code: string }) => {
          count();
          if (code !== "canceled") failed++;
        });
      if (pick(20) === 0) cluster.seed.time.after(pick(60), () => controller.abort());
      const node = 1 + pick(3);
      switch (pick(60)) {
        case 0:
          cluster.delaysMs[node] = [0, 1, 3, 40, 200, Infinity][pick(6)]!;
          break;
        case 1: {
          const stale = pick(8);
          cluster.provesAge = (partition, by) => by !== node || partition % 4 !== stale;
          break;
        }
        case 2:
          cluster.leaders[pick(PARTITIONS)] = pick(4);
          break;
        case 3:
          cluster.map = cluster.newMap(++epoch, pick(2) === 0 ? [1, 2, 3] : [node, 1 + node % 3]);
          cluster.nodes.forEach(({ sessions }) =>
            sessions.at(-1)?.say({ kind: "ring_map", ringMap: cluster.map })
          );
          break;
        case 4:
          // One node at a time is dead.
          for (const back of dead) cluster.node(back).listen();
          dead.clear();
          if (pick(2) === 0) {
            cluster.kill(node);
            dead.add(node);
          }
          break;
      }
      await cluster.seed.pass(pick(12));
    }
    // All is well again.
    for (const back of dead) cluster.node(back).listen();
    cluster.leaders.forEach((_, partition) => cluster.leaders[partition] = 1 + partition % 3);
    cluster.provesAge = () => true;
    cluster.delaysMs.fill(1);
    cluster.map = cluster.newMap(++epoch);
    await cluster.seed.pass(5_000);
    assert.is(settled, reads, `seed ${seed}`);
    assert.ok(failed < reads / 10, `seed ${seed}: ${failed} failed`);
    assert.is(client.status.inFlight, 0, `seed ${seed}`);
    assert.is(client.status.waiting, 0, `seed ${seed}`);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const startMs = cluster.seed.time.nowMs();
      await cluster.get(client, partition);
      assert.ok(cluster.seed.time.nowMs() - startMs <= 700, `seed ${seed}`);
    }
    const { hedgesSent, hedgesWon } = client.status.boundedReads;
    assert.ok(hedgesWon <= hedgesSent, `seed ${seed}`);
    assert.ok(hedgesSent - hedgesWon <= CLIENT_HEDGE_BURST + 0.05 * reads, `seed ${seed}`);
    await cluster.end(client);
  }
});

test("bounded reads of a single node are sent to it, and count as the leader's", async () => {
  const registry = new FakeRegistry();
  registry.answer = (request) => request.name === "getAgent" && (request.replyAgent(), true);
  const client = await registry.connect();
  await registry.wait(client.getAgent(new Uint8Array(16).fill(1), { maxStalenessMs: 50 }));
  const { byLeader, byFollowers } = client.status.boundedReads;
  assert.equal([byLeader, byFollowers], [1, 0]);
  await registry.wait(client.close());
});

test("a list that was asked for before the client knew of several nodes is answered", async () => {
  const cluster = new FakeCluster();
  const several = cluster.map;
  cluster.map = { ...several, nodes: several.nodes.slice(0, 1) };
  const held: FakeRequest[] = [];
  cluster.node(1).answer = (request) =>
    request.name === "listAgentsByRegion" && !!held.push(request);
  const client = await cluster.connect({}, undefined, BOUNDED);
  const listed = client.listAgents("eu");
  await cluster.seed.settle();
  cluster.map = { ...several, epoch: { generation: 1, number: 2 } };
  cluster.node(1).sessions[0]!.say({ kind: "ring_map", ringMap: cluster.map });
  await cluster.seed.settle();
  held[0]!.reply("listAgentsByRegion", { items: [], nextCursor: new Uint8Array(0) });
  assert.equal((await cluster.seed.wait(listed)).items, []);
  const { byLeader, byFollowers } = client.status.boundedReads;
  assert.equal([byLeader, byFollowers], [0, 1]);
  await cluster.seed.wait(client.close());
});

test.run();
