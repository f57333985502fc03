/**
 * Runs the simulator of its own copy of the project over the given comma-separated seeds until one
 * has a finding, and prints the result as one line of JSON: the `Outcome` of `workshop.ts`.
 */
import { CHECKERS } from "../checkers/mod.ts";
import { runSeed } from "../runner.ts";

let caught: { seed: number; checker: string; message: string } | undefined;
let seedsRun = 0;
for (const seed of Deno.args[0]!.split(",").map(Number)) {
  const { finding } = await runSeed(seed, { checkers: CHECKERS });
  seedsRun++;
  if (finding === undefined) continue;
  caught = { seed, ...finding };
  break;
}
console.log(JSON.stringify({ caught, seedsRun }));
