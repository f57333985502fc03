/**
 * Makes the faults of machines and networks to a cluster of three real nodes, one after another, while
 * SDK clients read and write: `deno task soak cluster_faults [rounds]`, by default 1. A round kills each
 * node and starts it again, kills all at once, cuts the link between two nodes and those of one node to
 * both others, in each direction and in both, stops each node for 5 s, starts a node with a wall clock
 * that is 10 min ahead and then behind, fills a node's disk, and lets a node return with an empty folder.
 *
 * Holds if the recorded history is linearizable, and no call failed within its deadline of 5 s but
 * while all nodes were dead. Without the permission to mount a tmpfs, or Debian's package faketime, it
 * says so and leaves out the full disk, or the wrong clocks.
 */
import { nodeFolderOf } from "../../src/cli/local_nodes.ts";
import { allKilled, cut, emptied, killed, stopped } from "../support/cluster_faults.ts";
import { ClusterLoad, type Gaps } from "../support/cluster_load.ts";
import { fill, mountSmall } from "../support/outages.ts";
import { clockOff, FAKETIME } from "../support/faketime.ts";
import type { Requirement } from "../support/requirement.ts";
import { MOUNT } from "../support/small_disk.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";
import type { SoakResult } from "./soak.ts";

const NUMBERS = [1, 2, 3];
/** The node whose disk is small, whose clock is off, and which loses its folder. */
const THIRD = 3;
/** The time for which a node with a wrong clock, or a full disk, is left alone. */
const LEFT_MS = 10_000;

/** Room for the log of a run, which the fault fills. */
const DISK_MEBIBYTES = 1_024;

/** Runs the faults. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const rounds = Number(args[0] ?? 1);
  const gaps: Record<string, Gaps[]> = {};
  let figures: Record<string, unknown> = {};
  const cluster = await ThreeNodes.open(64);
  const folder = nodeFolderOf(cluster.folder, THIRD);
  const mayMount = isThere(MOUNT);
  const unmount = mayMount ? await mountSmall(folder, DISK_MEBIBYTES) : async () => {};
  try {
    await cluster.start();
    await cluster.whole();
    const load = await ClusterLoad.start(cluster.folder, { records: 24, pauseMs: 20 });
    const during = async (name: string, fault: Promise<Gaps>) => {
      (gaps[name] ??= []).push(await fault);
      for (const failure of load.failures.slice(failed)) console.error(`${name}: ${failure}`);
      failed = load.failures.length;
    };
    let failed = 0;
    for (let round = 0; round < rounds; round++) {
      await during("allKilled", allKilled(cluster, load));
      for (const number of NUMBERS) await during("killed", killed(cluster, load, number));
      for (const number of [2, 3] as const) {
        for (const lost of ["to", "from", "both"] as const) {
          await during(`cut_${lost}_${number}`, cut(cluster, load, number, lost));
        }
      }
      for (const number of NUMBERS) await during("stopped", stopped(cluster, load, number));
      for (const offset of isThere(FAKETIME) ? ["+10m", "-10m"] : []) {
        await during(`clock_${offset}`, wrongClock(cluster, load, offset));
      }
      if (mayMount) await during("fullDisk", fullDisk(cluster, load));
    }
    await during("emptied", emptied(cluster, load, THIRD));
    await load.end();
    load.check();
    figures = {
      operations: load.operations,
      calls: load.reads.calls + load.writes.calls,
      failed: load.failures.length,
    };
  } finally {
    await unmount();
    await cluster.end();
  }
  return { figures: { rounds, ...figures, gaps }, holds: figures["failed"] === 0 };
}

/** Reports whether a requirement is there; says what is missing if not. */
function isThere({ found, advice }: Requirement<string>): boolean {
  if (found === undefined) console.error(`skipped: ${advice}`);
  return found !== undefined;
}

/** Starts a node with a wrong wall clock, which the others do not take, and then with the right one. */
async function wrongClock(
  cluster: ThreeNodes,
  load: ClusterLoad,
  offset: string,
): Promise<Gaps> {
  await load.allSucceed("before the clock is off");
  load.newPhase();
  await cluster.kill(THIRD);
  await cluster.restart(THIRD, [], { env: await clockOff(offset) });
  await pause();
  await load.allSucceed("with a clock that is off");
  const { gaps } = load;
  await cluster.kill(THIRD);
  await cluster.restart(THIRD);
  await cluster.whole();
  await load.allSucceed("with the right clock");
  return gaps;
}

/** Fills the disk of a node that serves, and frees it again. */
async function fullDisk(cluster: ThreeNodes, load: ClusterLoad): Promise<Gaps> {
  await load.allSucceed("before the disk is full");
  load.newPhase();
  const filler = `${nodeFolderOf(cluster.folder, THIRD)}/filler`;
  await fill(filler);
  // The log has allocated some room ahead.
  const isFull = async () => (await cluster.readiness(THIRD)).includes("disk");
  await until("the node has no room left", isFull, 60_000);
  await pause();
  await load.allSucceed("with a full disk");
  await Deno.remove(filler);
  await cluster.whole();
  await load.allSucceed("after the disk was full");
  return load.gaps;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LEFT_MS));
}
