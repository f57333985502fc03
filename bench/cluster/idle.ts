/**
 * Measures a cluster without load: the time from the start of the command to ready, and what three nodes
 * cost while nobody calls them: with 1,024 partitions, and with the most, all of them up or one killed. The
 * traffic is that of the loopback interface, packets' headers included, so nothing else may use it meanwhile.
 */
import type { ResultFile } from "../harness.ts";
import { ClusterServers } from "./servers.ts";

const PARTITIONS = 1_024;
const PARTITIONS_MOST = 8_192;
const STARTS = 3;
/** Time after the last change before the measurement, and its duration, ms. */
const SETTLED_MS = 10_000;
const MEASURED_MS = 30_000;
/** Time after a node was killed in which the others take over what it led, ms. */
const TAKEN_OVER_MS = 30_000;

/** Measures starts and idle nodes. */
export async function benchClusterIdle(file: ResultFile): Promise<void> {
  const readyMs: number[] = [];
  const replicatedMs: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    const cluster = await ClusterServers.start(PARTITIONS);
    try {
      readyMs.push(cluster.readyMs);
      replicatedMs.push(cluster.replicatedMs);
      if (start === STARTS - 1) await benchIdle(file, cluster);
    } finally {
      await cluster.stop();
    }
  }
  file.write({
    bench: "cluster start",
    starts: STARTS,
    readyMs: median(readyMs),
    replicatedMs: median(replicatedMs),
  });
}

/** Measures idle nodes with 8,192 partitions: first all three, then two, as the third is killed. */
export async function benchClusterIdleMost(file: ResultFile): Promise<void> {
  const cluster = await ClusterServers.start(PARTITIONS_MOST);
  try {
    const client = await cluster.connect();
    await cluster.leaders(client);
    await client.close();
    await benchIdle(file, cluster, PARTITIONS_MOST);
    cluster.kill();
    await pause(TAKEN_OVER_MS);
    await benchIdle(file, cluster, PARTITIONS_MOST);
  } finally {
    await cluster.stop();
  }
}

async function benchIdle(
  file: ResultFile,
  cluster: ClusterServers,
  partitions = PARTITIONS,
): Promise<void> {
  await pause(SETTLED_MS);
  const before = cluster.cpuMs();
  const bytesBefore = loopbackBytes();
  const startMs = performance.now();
  await pause(MEASURED_MS);
  const tookMs = performance.now() - startMs;
  const bytes = loopbackBytes() - bytesBefore;
  const cpuPercent = cluster.cpuMs().map((ms, at) => (ms - before[at]!) / tookMs * 100);
  file.write({
    bench: "cluster idle",
    partitions,
    nodesUp: before.length,
    cpuPercentMax: rounded(Math.max(...cpuPercent)),
    cpuPercent: cpuPercent.map(rounded),
    kilobytesPerSecondAndPair: rounded(bytes / tookMs / (before.length * (before.length - 1) / 2)),
  });
}

/** Returns the bytes that the loopback interface has received since the start of the machine. */
function loopbackBytes(): number {
  const line = Deno.readTextFileSync("/proc/net/dev").split("\n")
    .find((one) => one.trimStart().startsWith("lo:"));
  if (line === undefined) throw new Error("There is no loopback interface");
  return Number(line.trim().split(/\s+/)[1]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function median(values: readonly number[]): number {
  return Math.round(values.toSorted((left, right) => left - right)[values.length >> 1]!);
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
