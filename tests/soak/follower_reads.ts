/**
 * Bounded reads at each of three real nodes, under writes, while nodes are killed and stopped: `deno
 * task soak follower_reads [seconds] [partitions]`, by default 600 s and 64 partitions. In turn a node
 * is killed by SIGKILL and started again, or stopped by SIGSTOP for some seconds.
 *
 * A gap is the longest time in which one of the clients, each of which starts a read of each bound every
 * 10 ms, got no answer. Neither it nor the longest read is known more exactly than the load's own process
 * runs (`stallMsMax`).
 *
 * Holds if no read was older than its receipt or its bound, and no read with a bound of 4 s failed.
 */
import { BoundedLoad, percentile } from "../../bench/cluster/bounded_load.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";
import type { SoakResult } from "./soak.ts";

const BOUNDS_MS = [100, 4_000];
/** Lengths of the stops, ms: shorter and longer than support between nodes lasts. */
const STOPS_MS = [400, 1_500, 5_000];
/** Time without a fault before each, ms. */
const CALM_MS = 6_000;

/** Runs the soak. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const seconds = Number(args[0] ?? 600);
  const partitions = Number(args[1] ?? 64);
  let figures: Record<string, unknown> = {};
  let holds = false;
  await ThreeNodes.run(async (cluster) => {
    await cluster.start();
    await cluster.spread();
    const load = await BoundedLoad.start(cluster.folder, { boundsMs: BOUNDS_MS });
    const untilMs = performance.now() + seconds * 1_000;
    let kills = 0;
    let stops = 0;
    try {
      while (performance.now() < untilMs) {
        await wait(CALM_MS);
        const number = 1 + (kills + stops) % 3;
        if ((kills + stops) % 2 === 0) {
          await cluster.kill(number);
          kills++;
          await cluster.restart(number);
          await cluster.whole();
        } else {
          cluster.signal(number, "SIGSTOP");
          await wait(STOPS_MS[stops++ % STOPS_MS.length]!);
          cluster.signal(number, "SIGCONT");
        }
      }
      await until("reads of all bounds", () => [...load.figures.values()].every(isUsed));
    } finally {
      await load.end();
    }
    for (const finding of load.findings) console.error(finding);
    for (const failure of load.failures.slice(0, 20)) console.error(failure);
    const byBound = [...load.figures].map(([boundMs, of]) => ({
      boundMs,
      reads: of.reads,
      followed: of.followed,
      failed: of.failed,
      older: of.older,
      gapMsMax: Math.round(of.gapMsMax),
      readMsMax: Math.round(of.readMsMax),
      statedMsP50: percentile(of.statedMs, 0.5),
      statedMsP99: percentile(of.statedMs, 0.99),
      realMsP50: Math.round(percentile(of.realMs, 0.5)),
      realMsP99: Math.round(percentile(of.realMs, 0.99)),
    }));
    const stallMsMax = Math.round(load.stallMsMax);
    figures = { seconds, partitions, kills, stops, writes: load.writes, stallMsMax, byBound };
    holds = byBound.every(({ older }) => older === 0) && byBound.at(-1)!.failed === 0;
  }, partitions);
  return { figures, holds };
}

function isUsed({ reads }: { readonly reads: number }): boolean {
  return reads > 0;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
