/**
 * Measures reads with a proven age at followers: beside reads of the same client that the leader
 * serves by its lease, in turns; and what the probes cost while the cluster is otherwise idle.
 */
import type { Client } from "../../src/client/mod.ts";
import { RECORDS_PER_GATEWAY, spreadId } from "../fleet.ts";
import type { ResultFile } from "../harness.ts";
import { LatencyHistogram } from "../latency.ts";
import { closedLoop } from "../load.ts";
import { ClusterServers } from "./servers.ts";

const RECORDS = 6_000;
const TTL_MS = 3_600_000;
const BOUND_MS = 100;
const ROUNDS = 5;
const SECONDS = 1;
/** Time for which idle nodes are measured, with probes and without, ms. */
const IDLE_MS = 12_000;
/** Pause between the reads that keep the probes going, ms. */
const WANTED_MS = 2_000;
/** Time after the last read after which no node probes any more, ms. */
const STOPPED_MS = 16_000;

/** Measures bounded reads and their probes, with 1,024 partitions. */
export async function benchClusterFollowers(file: ResultFile): Promise<void> {
  for (const partitions of [1_024]) await benchPartitions(file, partitions);
}

async function benchPartitions(file: ResultFile, partitions: number): Promise<void> {
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
    await benchReads(file, cluster, client, { partitions, followed, led });
    await benchProbes(file, cluster, { partitions, followed });
    await client.close();
  } finally {
    await cluster.stop();
  }
}

/** Reads of one node, which follows for some records and leads the others, one in flight. */
async function benchReads(
  file: ResultFile,
  cluster: ClusterServers,
  client: Client,
  { partitions, followed, led }: {
    readonly partitions: number;
    readonly followed: readonly string[];
    readonly led: readonly string[];
  },
): Promise<void> {
  const bounded = { maxStalenessMs: BOUND_MS };
  const sides = {
    follower: (call: number) => client.getAgent(followed[call % followed.length]!, bounded),
    lease: (call: number) => client.getAgent(led[call % led.length]!),
  };
  const histograms = { follower: new LatencyHistogram(), lease: new LatencyHistogram() };
  const one = { depth: 1, seconds: SECONDS };
  for (const ask of Object.values(sides)) await closedLoop(ask, one, new LatencyHistogram());
  const before = await sums(cluster);
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of ["follower", "lease"] as const) {
      await closedLoop(sides[name], one, histograms[name]);
    }
  }
  const after = await sums(cluster);
  const served = after.served - before.served;
  const missed = after.missed - before.missed;
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
    served,
    servedPercent: rounded(served / (served + missed) * 100),
  });
}

/** Idle nodes without probes, and with them. */
async function benchProbes(
  file: ResultFile,
  cluster: ClusterServers,
  { partitions, followed }: { readonly partitions: number; readonly followed: readonly string[] },
): Promise<void> {
  await pause(STOPPED_MS);
  const without = await measured(cluster, () => pause(IDLE_MS));
  // Every node probes while it is asked; a client reads at one node, so it asks each in turn.
  const clients = await Promise.all(
    cluster.nodeIds.map((node) => cluster.connect({ zone: `zone-${node}` })),
  );
  const asked = async () => {
    const untilMs = performance.now() + IDLE_MS;
    while (performance.now() < untilMs) {
      for (const one of clients) {
        for (const id of followed.slice(0, 3)) await one.getAgent(id, { maxStalenessMs: BOUND_MS });
      }
      await pause(WANTED_MS);
    }
  };
  const withProbes = await measured(cluster, asked);
  for (const one of clients) await one.close();
  file.write({
    bench: "follower probes",
    partitions,
    probeKilobytesPerSecondAndPair: rounded(withProbes.probeKilobytesPerSecondAndPair),
    probesPerSecondAndPair: rounded(withProbes.probesPerSecondAndPair),
    cpuPercentWithProbes: withProbes.cpuPercent.map(rounded),
    cpuPercentWithout: without.cpuPercent.map(rounded),
  });
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

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
