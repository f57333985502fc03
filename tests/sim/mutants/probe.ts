/**
 * Runs a simulator of its own copy of the project, that of `groups`, of `placed` clusters or of
 * `regions`, over the given comma-separated seeds until one has a finding, and prints the result as one line of JSON: the
 * `Outcome` of `workshop.ts`.
 */
import { CHECKERS } from "../checkers/mod.ts";
import { runPlacedSeed } from "../placed/runner.ts";
import { runRegionsSeed } from "../regions/runner.ts";
import { type RunResult, runSeed } from "../runner.ts";
import type { Simulator } from "./mutant.ts";

let caught: { seed: number; checker: string; message: string } | undefined;
let seedsRun = 0;
const [seeds, simulator] = Deno.args as [string, Simulator];
const RUNS: Readonly<Record<Simulator, (seed: number) => Promise<RunResult>>> = {
  groups: (seed) => runSeed(seed, { checkers: CHECKERS }),
  placed: runPlacedSeed,
  regions: runRegionsSeed,
};
for (const seed of seeds.split(",").map(Number)) {
  const { finding } = await RUNS[simulator](seed);
  seedsRun++;
  if (finding === undefined) continue;
  caught = { seed, ...finding };
  break;
}
console.log(JSON.stringify({ caught, seedsRun }));
