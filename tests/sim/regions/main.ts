/**
 * `deno task sim-regions`: runs regions that mirror each other, by default seeds 1 to 20, and stops at the
 * first that finds something.
 *
 * `--from F --seeds N`: the seeds [F, F + N). `--all`: goes on after a finding. `--seed N`: replays one
 * seed and tells every event. Exit code 1: something was found.
 */
import { runRegionsSeed } from "./runner.ts";

const SEEDS = 20;

function parseArguments(args: readonly string[]) {
  const numbers: Record<string, number> = { from: 1, seeds: SEEDS, seed: 0 };
  let isAll = false;
  for (let at = 0; at < args.length; at++) {
    const name = args[at]!.replace(/^--/, "");
    if (name === "all") isAll = true;
    else if (name in numbers) numbers[name] = Number(args[++at]);
    else throw new RangeError(`Unknown option: ${args[at]}`);
  }
  return { from: numbers.from!, seeds: numbers.seeds!, seed: numbers.seed!, isAll };
}

async function main(args: readonly string[]): Promise<number> {
  const { from, seeds, seed, isAll } = parseArguments(args);
  if (seed > 0) {
    const { finding, hash } = await runRegionsSeed(seed, { watch: (line) => console.log(line) });
    console.log(`\nSeed ${seed}, ${hash}: ${finding?.checker ?? "finds nothing"}`);
    if (finding !== undefined) console.log(finding.message);
    return finding === undefined ? 0 : 1;
  }
  let findings = 0;
  for (let one = from; one < from + seeds; one++) {
    const startedMs = performance.now();
    const run = await runRegionsSeed(one);
    const faults = Array.from(run.faults, ([kind, count]) => `${kind} ${count}`).join(", ");
    console.log(
      `seed ${one}: ${run.finding?.checker ?? "nothing"}, ${
        Math.round(run.simulatedMs)
      } ms simulated, ` +
        `${run.answered} writes, ${run.mirrored} mirrored, ${run.removed} removed, ` +
        `${run.swept} of them swept, ${run.accepted} accepted, ` +
        `${run.agesChecked} ages, ${
          ((performance.now() - startedMs) / 1_000).toFixed(1)
        } s; ${faults}`,
    );
    if (run.finding === undefined) continue;
    findings++;
    console.log(run.finding.message);
    if (!isAll) break;
  }
  return findings === 0 ? 0 : 1;
}

Deno.exit(await main(Deno.args));
