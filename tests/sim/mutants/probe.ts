/**
 * Runs a simulator of its own copy of the project, that of `groups` or of `placed` clusters, over the
 * given comma-separated seeds until one has a finding, and prints the result as one line of JSON: the
 * `Outcome` of `workshop.ts`.
 */
import { CHECKERS } from "../checkers/mod.ts";
import { runPlacedSeed } from "../placed/runner.ts";
import { runSeed } from "../runner.ts";

let caught: { seed: number; checker: string; message: string } | undefined;
let seedsRun = 0;
const [seeds, simulator] = Deno.args as [string, string];
const run = (seed: number) =>
  simulator === "placed" ? runPlacedSeed(seed) : runSeed(seed, { checkers: CHECKERS });
for (const seed of seeds.split(",").map(Number)) {
  const { finding } = await run(seed);
  seedsRun++;
  if (finding === undefined) continue;
  caught = { seed, ...finding };
  break;
}
console.log(JSON.stringify({ caught, seedsRun }));
