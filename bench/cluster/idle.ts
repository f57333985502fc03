/**
 * Measures a cluster without load: the time from the start of the command to ready, and what three
 * nodes with 1,024 partitions cost while nobody calls them. The traffic is that of the loopback
 * interface, packets' headers included, so nothing else may use it meanwhile.
 */
import type { ResultFile } from "../harness.ts";
import { ClusterServers } from "./servers.ts";

const PARTITIONS = 1_024;
const STARTS = 3;
/** Time after the last change before the measurement, and its duration, ms. */
const SETTLED_MS = 10_000;
const MEASURED_MS = 30_000;
/** Pairs of nodes. */
const PAIRS = 3;

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

async function benchIdle(file: ResultFile, cluster: ClusterServers): Promise<void> {
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
    partitions: PARTITIONS,
    cpuPercentMax: rounded(Math.max(...cpuPercent)),
    cpuPercent: cpuPercent.map(rounded),
    kilobytesPerSecondAndPair: rounded(bytes / tookMs / PAIRS),
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
