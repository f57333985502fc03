/**
 * Measures reads and writes on three nodes: beside a single node, and beside etcd with three members,
 * each in turns with the cluster in the same run. Load, nodes and etcd share the machine.
 */
import type { Client } from "../../src/client/mod.ts";
import { agentInput, RECORDS_PER_GATEWAY, registerFleet, spreadId } from "../fleet.ts";
import type { ResultFile } from "../harness.ts";
import { LatencyHistogram } from "../latency.ts";
import { type Ask, closedLoop } from "../load.ts";
import { RegistryServer } from "../registry.ts";
import { Etcd, etcdMissing } from "./etcd.ts";
import { ClusterServers } from "./servers.ts";

const RECORDS = 10_000;
const TTL_MS = 3_600_000;
/** Bytes of a value in etcd: those of an average record. */
const VALUE_BYTES = 180;
const STRIDE = 7_919;
const ROUNDS = 5;
const SECONDS = 1;
/** Reads that are sent together to each node, while the CPU of a read is measured. */
const BURST = 64;

interface Side {
  readonly name: string;
  readonly ask: Ask;
}

/** Measures the cluster under load. */
export async function benchClusterLoad(file: ResultFile): Promise<void> {
  const cluster = await ClusterServers.start();
  try {
    const client = await cluster.connect();
    const leaderOf = await cluster.leaders(client);
    await cluster.register(client, RECORDS, TTL_MS);
    const ids = Array.from({ length: RECORDS }, (_, at) => at * STRIDE % RECORDS)
      .filter((number) => number % RECORDS_PER_GATEWAY !== 0)
      .map((number) => spreadId(1, number));
    const idsAt = cluster.nodeIds.map((node) => ids.filter((id) => leaderOf(id) === node));
    await benchSequential(file, client, idsAt);
    await benchCpu(file, cluster, client, idsAt);
    await benchEtcd(file, client, ids);
    await client.close();
  } finally {
    await cluster.stop();
  }
}

const get = (client: Client, ids: readonly string[]): Ask => (call) =>
  client.getAgent(ids[call % ids.length]!);

/** Returns calls that each register a new agent. */
function register(client: Client, kind: number): Ask {
  let next = 0;
  return () =>
    client.registerAgent({ ...agentInput(next, TTL_MS, false), id: spreadId(kind, next++) });
}

/** One call in flight, in turns with a single node that is started for it. */
async function benchSequential(
  file: ResultFile,
  client: Client,
  idsAt: readonly (readonly string[])[],
): Promise<void> {
  const single = await RegistryServer.start();
  try {
    const owner = await single.connect();
    await registerFleet(owner, { start: 0, end: RECORDS, ttlMs: TTL_MS });
    const [led = []] = idsAt;
    const reads = await inTurns(1, [
      { name: "cluster", ask: get(client, led) },
      { name: "single", ask: get(owner, led) },
      { name: "anyLeader", ask: get(client, idsAt.flat()) },
    ]);
    file.write({
      bench: "cluster read",
      depth: 1,
      ...figures(reads, "cluster"),
      singleP50Us: reads["single"]!.summary().p50Us,
      singleP99Us: reads["single"]!.summary().p99Us,
      anyLeaderP50Us: reads["anyLeader"]!.summary().p50Us,
      p50Ratio: ratio(reads["cluster"]!.summary().p50Us, reads["single"]!.summary().p50Us),
    });
    const writes = await inTurns(1, [
      { name: "cluster", ask: register(client, 3) },
      { name: "single", ask: register(owner, 3) },
    ]);
    file.write({
      bench: "cluster write",
      depth: 1,
      ...figures(writes, "cluster"),
      singleP50Us: writes["single"]!.summary().p50Us,
      singleP99Us: writes["single"]!.summary().p99Us,
    });
    await owner.close();
  } finally {
    await single.stop();
  }
}

/**
 * The CPU time of a read while one, two and three nodes serve. Every serving node gets the same
 * number of reads at a time, because a node's cost is for each time it wakes up.
 */
async function benchCpu(
  file: ResultFile,
  cluster: ClusterServers,
  client: Client,
  idsAt: readonly (readonly string[])[],
): Promise<void> {
  const cpuUs: number[][] = idsAt.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (let serving = 1; serving <= idsAt.length; serving++) {
      // Which nodes serve differs from round to round.
      const chosen = Array.from({ length: serving }, (_, at) => (at + round) % idsAt.length);
      await burst(client, chosen.map((node) => idsAt[node]!), SECONDS / 5);
      const before = cluster.cpuMs();
      const reads = await burst(client, chosen.map((node) => idsAt[node]!), SECONDS * 2);
      const after = cluster.cpuMs();
      const usedMs = chosen.reduce((sum, node) => sum + after[node]! - before[node]!, 0);
      cpuUs[serving - 1]!.push(usedMs * 1_000 / reads);
    }
  }
  const [one, two, three] = cpuUs.map(median);
  const each = [one!, two!, three!];
  file.write({
    bench: "cluster cpu",
    readsTogether: BURST,
    cpuUsOne: rounded(one!),
    cpuUsTwo: rounded(two!),
    cpuUsThree: rounded(three!),
    spreadPercent: rounded((Math.max(...each) / Math.min(...each) - 1) * 100),
  });
}

/** Sends bursts to each of several nodes for a time; returns the number of reads. */
async function burst(
  client: Client,
  idsOfNodes: readonly (readonly string[])[],
  seconds: number,
): Promise<number> {
  const endMs = performance.now() + seconds * 1_000;
  const caller = async (ids: readonly string[]) => {
    let reads = 0;
    while (performance.now() < endMs) {
      const next = Array.from({ length: BURST }, (_, at) => ids[(reads + at) % ids.length]!);
      await Promise.all(next.map((id) => client.getAgent(id)));
      reads += BURST;
    }
    return reads;
  };
  const counts = await Promise.all(idsOfNodes.map(caller));
  return counts.reduce((sum, reads) => sum + reads, 0);
}

/** 64 calls in flight, in turns with etcd. */
async function benchEtcd(file: ResultFile, client: Client, ids: readonly string[]): Promise<void> {
  const missing = await etcdMissing();
  if (missing !== undefined) {
    console.log(`skipped: the comparison with etcd; ${missing}`);
    return;
  }
  const etcd = await Etcd.start(RECORDS, VALUE_BYTES);
  try {
    for (
      const { bench, operation, ask } of [
        { bench: "cluster reads", operation: "range", ask: get(client, ids) },
        { bench: "cluster registers", operation: "put", ask: register(client, 4) },
      ] as const
    ) {
      const ours: Turn[] = [];
      const theirs: Turn[] = [];
      await turn(ask, 64);
      for (let round = 0; round < ROUNDS; round++) {
        theirs.push(await etcd.measure({ operation, depth: 64, seconds: SECONDS }));
        ours.push(await turn(ask, 64));
      }
      const of = (turns: readonly Turn[], field: keyof Turn) =>
        median(turns.map((one) => one[field]));
      file.write({
        bench,
        depth: 64,
        perSecond: of(ours, "perSecond"),
        p50Us: of(ours, "p50Us"),
        p99Us: of(ours, "p99Us"),
        etcdPerSecond: of(theirs, "perSecond"),
        etcdP50Us: of(theirs, "p50Us"),
        etcdP99Us: of(theirs, "p99Us"),
        rateRatio: ratio(of(ours, "perSecond"), of(theirs, "perSecond")),
      });
    }
  } finally {
    await etcd.stop();
  }
}

interface Turn {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

async function turn(ask: Ask, depth: number): Promise<Turn> {
  const histogram = new LatencyHistogram();
  const { operations, seconds } = await closedLoop(ask, { depth, seconds: SECONDS }, histogram);
  const { p50Us, p99Us } = histogram.summary();
  return { perSecond: Math.round(operations / seconds), p50Us, p99Us };
}

/** Runs each side in turns; returns all latencies of each. */
async function inTurns(
  depth: number,
  sides: readonly Side[],
): Promise<Record<string, LatencyHistogram>> {
  const histograms = Object.fromEntries(
    sides.map(({ name }) => [name, new LatencyHistogram()] as const),
  );
  for (const { ask } of sides) {
    await closedLoop(ask, { depth, seconds: SECONDS / 2 }, new LatencyHistogram());
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, ask } of sides) {
      await closedLoop(ask, { depth, seconds: SECONDS }, histograms[name]!);
    }
  }
  return histograms;
}

function figures(histograms: Record<string, LatencyHistogram>, name: string) {
  const histogram = histograms[name]!;
  const { p50Us, p99Us, maxUs } = histogram.summary();
  return { perSecond: Math.round(histogram.count / (SECONDS * ROUNDS)), p50Us, p99Us, maxUs };
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1]!;
}

function ratio(left: number, right: number): number {
  return Math.round(left / right * 1_000) / 1_000;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
