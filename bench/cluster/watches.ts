/**
 * Measures watches of three nodes: the time from the answer to a write until its event is at a watcher
 * of a node that follows, and a hundred watchers of the same records beside as many of etcd, in turns.
 */
import type { Client, Watch } from "../../src/client/mod.ts";
import { agentInput, spreadId } from "../fleet.ts";
import type { ResultFile } from "../harness.ts";
import { LatencyHistogram } from "../latency.ts";
import { closedLoop } from "../load.ts";
import { Etcd, etcdMissing } from "./etcd.ts";
import { until } from "./polling.ts";
import { ClusterServers } from "./servers.ts";

const TTL_MS = 3_600_000;
const WRITES = 1_500;
/** Pause between two writes whose events are timed, ms. */
const PAUSE_MS = 2;
const EVENTS_MS_MAX = 20_000;
const WATCHERS = 100;
const REGION = "watched";
const ROUNDS = 3;
const SECONDS = 1;
const DEPTH = 64;
/** Keys that etcd has before, and bytes of a value: those of an average record. */
const KEYS = 1_000;
const VALUE_BYTES = 180;

/** Measures watches of a cluster, and of etcd. */
export async function benchClusterWatches(file: ResultFile): Promise<void> {
  const cluster = await ClusterServers.start();
  try {
    const client = await cluster.connect();
    const leaderOf = await cluster.leaders(client);
    await benchLatency(file, cluster, client, leaderOf);
    await benchEtcd(file, client);
    await client.close();
  } finally {
    await cluster.stop();
  }
}

/** Times one event after the other, at a watcher of a node that does not lead what is written. */
async function benchLatency(
  file: ResultFile,
  cluster: ClusterServers,
  client: Client,
  leaderOf: (id: string) => number,
): Promise<void> {
  const near = cluster.nodeIds[0]!;
  const reader = await connectedTo(cluster, near);
  const watch = reader.watch({ kind: "agent" });
  const arrived = new Map<string, { readonly atMs: number; readonly node: number }>();
  const reading = (async () => {
    for await (const event of watch) {
      if (!("record" in event)) continue;
      arrived.set(event.record.id, { atMs: performance.now(), node: event.receipt.node });
    }
  })();
  await watch.begun;
  const ids = Array.from({ length: 3 * WRITES }, (_, number) => spreadId(5, number))
    .filter((id) => leaderOf(id) !== near)
    .slice(0, WRITES);
  const answered = new Map<string, { readonly sentMs: number; readonly atMs: number }>();
  for (const [number, id] of ids.entries()) {
    const sentMs = performance.now();
    await client.registerAgent({ ...agentInput(number, TTL_MS, false), id });
    answered.set(id, { sentMs, atMs: performance.now() });
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  await until("all events", () => Promise.resolve(arrived.size >= ids.length), EVENTS_MS_MAX);
  const afterAnswer = new LatencyHistogram();
  const afterSend = new LatencyHistogram();
  for (const id of ids) {
    const { atMs, node } = arrived.get(id)!;
    const write = answered.get(id)!;
    // It has moved if the machine was too busy.
    if (node === leaderOf(id)) continue;
    afterAnswer.record((atMs - write.atMs) * 1_000);
    afterSend.record((atMs - write.sentMs) * 1_000);
  }
  const [answer, sent] = [afterAnswer.summary(), afterSend.summary()];
  file.write({
    bench: "watch latency",
    events: afterAnswer.count,
    afterAnswerP50Ms: rounded(answer.p50Us / 1_000),
    afterAnswerP99Ms: rounded(answer.p99Us / 1_000),
    afterSendP50Ms: rounded(sent.p50Us / 1_000),
    afterSendP99Ms: rounded(sent.p99Us / 1_000),
  });
  watch.close();
  await reading;
  await reader.close();
}

/** Connects a client whose first connection is to that node, which then serves its watches. */
async function connectedTo(cluster: ClusterServers, nodeId: number): Promise<Client> {
  for (;;) {
    const client = await cluster.connect({ zone: `zone-${nodeId}` });
    if (client.status.nodes[0]?.nodeId === nodeId) return client;
    await client.close();
  }
}

interface Turn {
  readonly perSecond: number;
  readonly eventsPerSecond: number;
}

/** A hundred watchers of all that is written, in turns with etcd. */
async function benchEtcd(file: ResultFile, client: Client): Promise<void> {
  const missing = await etcdMissing();
  if (missing !== undefined) {
    console.log(`skipped: the comparison of watches with etcd; ${missing}`);
    return;
  }
  const etcd = await Etcd.start(KEYS, VALUE_BYTES);
  try {
    const order = {
      operation: "watch",
      watchers: WATCHERS,
      depth: DEPTH,
      seconds: SECONDS,
    } as const;
    const ours: Turn[] = [];
    const theirs: Turn[] = [];
    await watchedWrites(client, 0);
    for (let round = 0; round < ROUNDS; round++) {
      const { perSecond, eventsPerSecond = 0 } = await etcd.measure(order);
      theirs.push({ perSecond, eventsPerSecond });
      ours.push(await watchedWrites(client, (round + 1) * 1_000_000));
    }
    const of = (turns: readonly Turn[], field: keyof Turn) =>
      median(turns.map((one) => one[field]));
    file.write({
      bench: "watch beside etcd",
      watchers: WATCHERS,
      depth: DEPTH,
      eventsPerSecond: of(ours, "eventsPerSecond"),
      writesPerSecond: of(ours, "perSecond"),
      etcdEventsPerSecond: of(theirs, "eventsPerSecond"),
      etcdWritesPerSecond: of(theirs, "perSecond"),
      rateRatio: rounded(of(ours, "eventsPerSecond") / of(theirs, "eventsPerSecond")),
    });
  } finally {
    await etcd.stop();
  }
}

/** Registers agents of one region under watchers of it, from `start` on. */
async function watchedWrites(client: Client, start: number): Promise<Turn> {
  let next = start;
  let events = 0;
  const watches = Array.from(
    { length: WATCHERS },
    () => client.watch({ kind: "agent", region: REGION }),
  );
  const read = async (watch: Watch) => {
    for await (const { type } of watch) if (type === "put") events++;
  };
  const reading = watches.map(read);
  await Promise.all(watches.map(({ begun }) => begun));
  const startMs = performance.now();
  const { operations, seconds } = await closedLoop(
    () =>
      client.registerAgent({
        ...agentInput(next, TTL_MS, false),
        region: REGION,
        id: spreadId(6, next++),
      }),
    { depth: DEPTH, seconds: SECONDS },
    new LatencyHistogram(),
  );
  const eventsPerSecond = Math.round(events / (performance.now() - startMs) * 1_000);
  for (const watch of watches) watch.close();
  await Promise.all(reading);
  return { perSecond: Math.round(operations / seconds), eventsPerSecond };
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1]!;
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
