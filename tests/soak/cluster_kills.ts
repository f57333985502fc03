/**
 * Kills the nodes of a cluster of three in turn, while the SDK reads and writes: `deno task soak
 * cluster_kills [rounds] [partitions] [busy seconds]`, by default 7 rounds, 64 partitions and 20 s.
 * First the cluster gets as many calls as it takes, and the support that nodes lose is counted. Each
 * round kills each node by SIGKILL and starts it again; then one node is stopped by SIGSTOP for 5 s,
 * and then all three are killed and started again.
 *
 * Holds if no call failed within its deadline of 5 s, the recorded history is linearizable, and the
 * longest gap of a record after a kill stays below its goal.
 */
import { SUPPORT_MS } from "../../src/base/limits.ts";
import { busyCluster } from "../support/busy_cluster.ts";
import { ClusterLoad } from "../support/cluster_load.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import type { SoakResult } from "./soak.ts";

const NUMBERS = [1, 2, 3];
const STOPPED_MS = 5_000;
/** Goals after a kill, ms. */
const READ_GAP_MS_MAX = 3_000;
const WRITE_GAP_MS_MAX = 3_500;

/** Runs the kills. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const rounds = Number(args[0] ?? 7);
  const partitions = Number(args[1] ?? 64);
  const busySeconds = Number(args[2] ?? 20);
  const readGapsMs: number[] = [];
  const writeGapsMs: number[] = [];
  let figures: Record<string, unknown> = {};
  let failed = 0;
  await ThreeNodes.run(async (cluster) => {
    const started = await cluster.start();
    const processes = new Map(started.nodes.map(({ processId }, at) => [at + 1, processId]));
    await cluster.whole();
    const busy = await busyCluster(cluster.folder, started.nodes, busySeconds);
    const load = await ClusterLoad.start(cluster.folder);
    const restart = async (number: number) => {
      await cluster.restart(number);
      processes.set(number, cluster.processIdOf(number));
    };
    try {
      for (let round = 0; round < rounds; round++) {
        for (const number of NUMBERS) {
          await load.allSucceed("before");
          load.newPhase();
          Deno.kill(processes.get(number)!, "SIGKILL");
          await load.allSucceed(`after the kill of node ${number}`);
          readGapsMs.push(Math.round(load.reads.gapMsMax));
          writeGapsMs.push(Math.round(load.writes.gapMsMax));
          await restart(number);
          await cluster.whole();
        }
      }
      load.newPhase();
      Deno.kill(processes.get(2)!, "SIGSTOP");
      await new Promise((resolve) => setTimeout(resolve, STOPPED_MS));
      Deno.kill(processes.get(2)!, "SIGCONT");
      await load.allSucceed("after the pause");
      await cluster.whole();
      const paused = load.gaps;
      failed = load.failures.length;
      for (const failure of load.failures) console.error(failure);
      // No node can answer now, so calls may fail; no acknowledged write may be lost.
      for (const processId of processes.values()) Deno.kill(processId, "SIGKILL");
      await Promise.all(NUMBERS.map(restart));
      await load.allSucceed("after the restart of all", 30_000);
      figures = {
        calls: load.reads.calls + load.writes.calls,
        failed,
        busy,
        supportMs: SUPPORT_MS,
        pausedMs: STOPPED_MS,
        pausedReadGapMs: paused.readMs,
        pausedWriteGapMs: paused.writeMs,
      };
    } finally {
      await load.end();
    }
    load.check();
    figures = { ...figures, operations: load.operations };
  }, partitions);
  const readGapMsMax = Math.max(...readGapsMs);
  const writeGapMsMax = Math.max(...writeGapsMs);
  const holds = failed === 0 && readGapMsMax < READ_GAP_MS_MAX &&
    writeGapMsMax < WRITE_GAP_MS_MAX;
  const kills = readGapsMs.length;
  return {
    figures: {
      partitions,
      kills,
      readGapMsMax,
      writeGapMsMax,
      readGapsMs,
      writeGapsMs,
      ...figures,
    },
    holds,
  };
}
