/**
 * Measures reads with a proven age at followers: beside reads of the same client that the leader
 * serves by its lease, in turns; spread over all replicas beside one of them; their real age while
 * records change; and what the probes cost, while nodes are idle and under writes.
 */
import type { Client } from "../../src/client/mod.ts";
import { BoundedLoad, percentile } from "./bounded_load.ts";
import { agentInput, RECORDS_PER_GATEWAY, spreadId } from "../fleet.ts";
import type { ResultFile } from "../harness.ts";
import { LatencyHistogram } from "../latency.ts";
import { closedLoop } from "../load.ts";
import { ClusterServers } from "./servers.ts";

const RECORDS = 6_000;
const TTL_MS = 3_600_000;
const BOUND_MS = 100;
const ROUNDS = 5;
const SECONDS = 1;
/** Reads that are sent together to each node, while the CPU of a read is measured. */
const BURST = 64;
/** Time for which nodes are measured, with probes and without, ms. */
const PROBES_MS = 12_000;
/** Pause between the reads that keep the probes going, ms. */
const WANTED_MS = 2_000;
/** Time after the last read after which no node probes any more, ms. */
const STOPPED_MS = 11_000;
const WRITES_PER_SECOND = 1_000;
/** Interval in which writes are started, ms. */
const WRITES_MS = 10;
/** Time for which real ages are measured, ms. */
const AGES_MS = 12_000;

/** The cluster of a bench, its client in the first node's zone, and records by who leads them. */
interface Bench {
  readonly file: ResultFile;
  readonly cluster: ClusterServers;
  readonly client: Client;
  readonly partitions: number;
  readonly ids: readonly string[];
  readonly followed: readonly string[];
  readonly led: readonly string[];
}

/** Measures bounded reads and their probes, with 1,024 partitions. */
export async function benchClusterFollowers(file: ResultFile): Promise<void> {
  await withCluster(file, 1_024, async (bench) => {
    await benchReads(bench);
    await benchSpread(bench);
    await benchAges(bench);
    await benchProbes(bench);
  });
}

/** Measures the probes with 8,192 partitions, the most that there may be. */
export async function benchClusterFollowersMost(file: ResultFile): Promise<void> {
  await withCluster(file, 8_192, async (bench) => {
    await benchReads(bench);
    await benchProbes(bench);
  });
}

async function withCluster(
  file: ResultFile,
  partitions: number,
  measure: (bench: Bench) => Promise<void>,
): Promise<void> {
  const cluster = await ClusterServers.start(partitions);
  try {
    const client = await cluster.connect({ zone: "zone-1" });
    const leaderOf = await cluster.leaders(client);
    await cluster.register(client, RECORDS, TTL_MS);
    const ids = Array.from({ length: RECORDS }, (_, number) => number)
      .filter((number) => number % RECORDS_PER_GATEWAY !== 0)
      .map((number) => spreadId(1, number));
    const near = cluster.nodeIds[0]!;
    const followed = ids.filter((id) => leaderOf(id) !== near);
    const led = ids.filter((id) => leaderOf(id) === near);
    await measure({ file, cluster, client, partitions, ids, followed, led });
    await client.close();
  } finally {
    await cluster.stop();
  }
}

/** Reads of one node, which follows for some records and leads the others, one in flight. */
async function benchReads({ file, cluster, client, partitions, followed, led }: Bench) {
  const bounded = { maxStalenessMs: BOUND_MS };
  const sides = {
    follower: (call: number) => client.getAgent(followed[call % followed.length]!, bounded),
    lease: (call: number) => client.getAgent(led[call % led.length]!),
  };
  const histograms = { follower: new LatencyHistogram(), lease: new LatencyHistogram() };
  const one = { depth: 1, seconds: SECONDS };
  // Until the replica in the zone is connected.
  for (const ask of Object.values(sides)) {
    await closedLoop(ask, { depth: 1, seconds: 2 * SECONDS }, new LatencyHistogram());
  }
  const before = await sums(cluster);
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of ["follower", "lease"] as const) {
      await closedLoop(sides[name], one, histograms[name]);
    }
  }
  const after = await sums(cluster);
  const [follower, lease] = [histograms.follower.summary(), histograms.lease.summary()];
  file.write({
    bench: "follower read",
    depth: 1,
    partitions,
    followerP50Us: follower.p50Us,
    followerP99Us: follower.p99Us,
    leaseP50Us: lease.p50Us,
    leaseP99Us: lease.p99Us,
    p50Ratio: rounded(follower.p50Us / lease.p50Us),
    ...servedBetween(before, after),
  });
}

/**
 * One client over three replicas beside one over the replica in its zone. Every node that serves gets
 * the same number of reads at a time, because a node's cost is for each time it wakes up.
 */
async function benchSpread({ file, cluster, client, partitions, ids }: Bench) {
  const spread = await cluster.connect();
  const sides = [
    { name: "One", client, burst: BURST },
    { name: "Three", client: spread, burst: BURST * cluster.nodes.length },
  ];
  const cpuUs = new Map(sides.map(({ name }) => [name, [] as number[]]));
  const perSecond = new Map(sides.map(({ name }) => [name, [] as number[]]));
  for (const side of sides) await burst(side.client, ids, side.burst, 4 * SECONDS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const side of sides) {
      const [before, startMs] = [cluster.cpuMs(), performance.now()];
      const reads = await burst(side.client, ids, side.burst, 2 * SECONDS);
      const tookMs = performance.now() - startMs;
      const usedMs = cluster.cpuMs().reduce((sum, ms, at) => sum + ms - before[at]!, 0);
      cpuUs.get(side.name)!.push(usedMs * 1_000 / reads);
      perSecond.get(side.name)!.push(reads / tookMs * 1_000);
    }
  }
  const { byLeader, byFollowers } = spread.status.boundedReads;
  await spread.close();
  const [one, three] = [median(cpuUs.get("One")!), median(cpuUs.get("Three")!)];
  file.write({
    bench: "follower spread",
    partitions,
    readsTogether: BURST,
    cpuUsOne: rounded(one),
    cpuUsThree: rounded(three),
    cpuRatio: rounded(three / one),
    perSecondOne: Math.round(median(perSecond.get("One")!)),
    perSecondThree: Math.round(median(perSecond.get("Three")!)),
    byLeaderPercent: rounded(byLeader / (byLeader + byFollowers) * 100),
  });
}

/** Sends reads in bursts for a time; returns their number. */
async function burst(
  client: Client,
  ids: readonly string[],
  count: number,
  seconds: number,
): Promise<number> {
  const endMs = performance.now() + seconds * 1_000;
  let reads = 0;
  while (performance.now() < endMs) {
    const next = Array.from({ length: count }, (_, at) => ids[(reads + at) % ids.length]!);
    await Promise.all(next.map((id) => client.getAgent(id, { maxStalenessMs: BOUND_MS })));
    reads += count;
  }
  return reads;
}

/** Real ages, by a log of the acknowledged writes in one clock. */
async function benchAges({ file, cluster, partitions }: Bench) {
  const load = await BoundedLoad.start(cluster.folder, { boundsMs: [BOUND_MS] });
  await pause(2_000);
  const before = await sums(cluster);
  const figures = load.figures.get(BOUND_MS)!;
  const writes = load.writes;
  figures.realMs.length = figures.statedMs.length = 0;
  await pause(AGES_MS);
  const after = await sums(cluster);
  await load.end();
  file.write({
    bench: "follower ages",
    partitions,
    boundMs: BOUND_MS,
    writesPerSecond: Math.round((load.writes - writes) / AGES_MS * 1_000),
    reads: figures.realMs.length,
    failed: figures.failed,
    olderThanReceipt: figures.older,
    realMsP50: rounded(percentile(figures.realMs, 0.5)),
    realMsP99: rounded(percentile(figures.realMs, 0.99)),
    statedMsP50: percentile(figures.statedMs, 0.5),
    statedMsP99: percentile(figures.statedMs, 0.99),
    ...servedBetween(before, after),
  });
}

/** Nodes without probes and with them, idle and under writes. */
async function benchProbes({ file, cluster, client, partitions, followed }: Bench) {
  await pause(STOPPED_MS);
  const without = await measured(cluster, () => pause(PROBES_MS));
  // Every node probes while it is asked; a client reads at one node, so it asks each in turn.
  const clients = await Promise.all(
    cluster.nodeIds.map((node) => cluster.connect({ zone: `zone-${node}` })),
  );
  const asked = async () => {
    const untilMs = performance.now() + PROBES_MS;
    while (performance.now() < untilMs) {
      for (const one of clients) {
        for (const id of followed.slice(0, 3)) await one.getAgent(id, { maxStalenessMs: BOUND_MS });
      }
      await pause(WANTED_MS);
    }
  };
  await asked();
  const idle = await measured(cluster, asked);
  let writes = 0;
  const writing = await measured(cluster, async () => {
    [, writes] = await Promise.all([asked(), written(client)]);
  });
  for (const one of clients) await one.close();
  file.write({
    bench: "follower probes",
    partitions,
    boundMs: BOUND_MS,
    kilobytesPerSecondAndPair: rounded(idle.probeKilobytesPerSecondAndPair),
    framesPerSecondAndPair: rounded(idle.probesPerSecondAndPair),
    cpuPercentWithProbes: idle.cpuPercent.map(rounded),
    cpuPercentWithout: without.cpuPercent.map(rounded),
    cpuPercentOfProbes: rounded(
      Math.max(...idle.cpuPercent.map((percent, at) => percent - without.cpuPercent[at]!)),
    ),
    writesPerSecond: Math.round(writes / PROBES_MS * 1_000),
    kilobytesPerSecondAndPairWriting: rounded(writing.probeKilobytesPerSecondAndPair),
  });
}

/** Starts writes at a fixed rate; returns how many were acknowledged. */
async function written(client: Client): Promise<number> {
  const untilMs = performance.now() + PROBES_MS;
  const perTurn = WRITES_PER_SECOND * WRITES_MS / 1_000;
  const open: Promise<unknown>[] = [];
  let count = 0;
  let acknowledged = 0;
  for (let dueMs = performance.now(); dueMs < untilMs; dueMs += WRITES_MS) {
    for (let at = 0; at < perTurn; at++) {
      const input = agentInput(count++ % RECORDS, TTL_MS, false);
      open.push(client.registerAgent(input).then(() => acknowledged++));
    }
    await pause(Math.max(0, dueMs + WRITES_MS - performance.now()));
  }
  await Promise.all(open);
  return acknowledged;
}

interface Measured {
  readonly cpuPercent: readonly number[];
  readonly probeKilobytesPerSecondAndPair: number;
  readonly probesPerSecondAndPair: number;
}

async function measured(cluster: ClusterServers, run: () => Promise<unknown>): Promise<Measured> {
  const [before, cpuBefore, startMs] = [await sums(cluster), cluster.cpuMs(), performance.now()];
  await run();
  const tookMs = performance.now() - startMs;
  const cpuPercent = cluster.cpuMs().map((ms, at) => (ms - cpuBefore[at]!) / tookMs * 100);
  const after = await sums(cluster);
  const pairs = cluster.nodes.length * (cluster.nodes.length - 1) / 2;
  return {
    cpuPercent,
    probeKilobytesPerSecondAndPair: (after.probeBytes - before.probeBytes) / tookMs / pairs,
    probesPerSecondAndPair: (after.probes - before.probes) / tookMs * 1_000 / pairs,
  };
}

type Sums = Awaited<ReturnType<typeof sums>>;

/** Sums over all nodes of what they sent and served, from their metrics. */
async function sums(cluster: ClusterServers) {
  const texts = await Promise.all(cluster.nodes.map(async ({ ops: { host, port } }) => {
    return await (await fetch(`http://${host}:${port}/metrics`)).text();
  }));
  const lines = texts.flatMap((text) => text.split("\n"));
  const sum = (name: string, label = "") =>
    lines.filter((line) => line.startsWith(name) && line.includes(label))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" "))), 0);
  return {
    served: sum("crs_follower_read_age_seconds_count"),
    missed: sum("crs_follower_reads_missed_total"),
    probes: sum("crs_peer_probes_total", 'direction="out"'),
    probeBytes: sum("crs_peer_probe_bytes_total", 'direction="out"'),
  };
}

/** Returns how many reads followers served, and their share of those that followers were asked for. */
function servedBetween(before: Sums, after: Sums) {
  const served = after.served - before.served;
  const missed = after.missed - before.missed;
  return { served, servedPercent: rounded(served / (served + missed) * 100) };
}

function median(numbers: readonly number[]): number {
  return percentile(numbers, 0.5);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
