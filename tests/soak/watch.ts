/**
 * Watchers of a cluster of three while its nodes are killed in turn: `deno task soak watch [watchers]
 * [rounds]`, by default 1,000 watchers and 2 rounds of three kills. All watchers begin before the
 * first write.
 *
 * A write that fails within its deadline may have taken effect or not, and is only counted. Holds if every watcher was told every change that concerns it once and in order, without a reset,
 * every acknowledged write among them, and ended with what a full list has; so did the views.
 */
import { toRegistryError } from "../../src/base/errors.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { WatchFleet } from "../support/watch_fleet.ts";
import type { SoakResult } from "./soak.ts";

/** Acknowledged writes before and after each kill. */
const WRITES = 200;
const WRITES_MS_MAX = 60_000;
const CHECK_MS_MAX = 60_000;

/** Runs the kills. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const watchers = Number(args[0] ?? 1_000);
  const rounds = Number(args[1] ?? 2);
  let figures: Record<string, unknown> = {};
  let trouble = "";
  await ThreeNodes.run(async (cluster) => {
    await cluster.start();
    await cluster.spread();
    const startMs = performance.now();
    const fleet = await WatchFleet.start(cluster.folder, { watchers });
    const begunMs = Math.round(performance.now() - startMs);
    let kills = 0;
    try {
      fleet.write();
      for (let round = 0; round < rounds; round++) {
        for (const number of [1, 2, 3]) {
          await fleet.acknowledges(WRITES, WRITES_MS_MAX);
          await cluster.kill(number);
          kills++;
          await fleet.acknowledges(WRITES, WRITES_MS_MAX);
          await cluster.restart(number);
          await cluster.whole();
        }
      }
      await fleet.endWrites();
      await fleet.check(CHECK_MS_MAX).catch((error) => trouble = toRegistryError(error).message);
      figures = {
        watchers,
        begunMs,
        kills,
        writes: fleet.acknowledged.length,
        failedWrites: fleet.failures.length,
        events: fleet.told,
        nodesHeard: fleet.nodes.size,
        trouble: trouble.slice(0, 2_000),
      };
    } finally {
      await fleet.end();
    }
  });
  return { figures, holds: trouble === "" };
}
