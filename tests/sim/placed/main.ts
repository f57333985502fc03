/**
 * `deno task sim-placed`: runs clusters that grow, by default seeds 1 to 40, and stops at the first that
 * finds something.
 *
 * `--from F --seeds N`: the seeds [F, F + N). `--all`: goes on after a finding. `--seed N`: replays one
 * seed and tells every event. Exit code 1: something was found.
 */
import { runPlacedSeed } from "./runner.ts";

const SEEDS = 40;
const PROGRESS_SEEDS = 100;

function parseArguments(args: readonly string[]) {
  const numbers: Record<string, number> = { from: 1, seeds: SEEDS, seed: 0 };
  let isAll = false;
  for (let at = 0; at < args.length; at++) {
    const name = args[at]!.replace(/^--/, "");
    if (name === "all") isAll = true;
    else if (name in numbers) {
      const value = Number(args[++at]);
      if (!Number.isInteger(value) || value < 1) {
        throw new RangeError(`--${name} must be a whole number from 1: found ${args[at]}`);
      }
      numbers[name] = value;
    } else throw new RangeError(`Unknown option: ${args[at]}`);
  }
  return { from: numbers.from!, seeds: numbers.seeds!, seed: numbers.seed!, isAll };
}

async function main(args: readonly string[]): Promise<number> {
  const { from, seeds, seed, isAll } = parseArguments(args);
  if (seed > 0) {
    const { finding, hash } = await runPlacedSeed(seed, { watch: (line) => console.log(line) });
    console.log(`\nSeed ${seed}, ${hash}: ${finding?.checker ?? "finds nothing"}`);
    if (finding !== undefined) console.log(finding.message);
    return finding === undefined ? 0 : 1;
  }
  const startedMs = performance.now();
  const sums = { seeds: 0, simulatedMs: 0, steps: 0, operations: 0, answered: 0 };
  const faults = new Map<string, number>();
  let found = 0;
  for (let at = from; at < from + seeds && (found === 0 || isAll); at++) {
    const result = await runPlacedSeed(at);
    sums.seeds++;
    for (const key of ["simulatedMs", "steps", "operations", "answered"] as const) {
      sums[key] += result[key];
    }
    for (const [kind, times] of result.faults) faults.set(kind, (faults.get(kind) ?? 0) + times);
    const { finding, lines } = result;
    if (sums.seeds % PROGRESS_SEEDS === 0) {
      console.log(`${sums.seeds} seeds, ${found} with a finding before this one`);
    }
    if (finding === undefined) continue;
    if (found++ === 0 && !isAll) console.log(lines.join("\n"));
    console.log(`Seed ${at}, ${finding.checker}: ${finding.message}`);
    console.log(`Replay it: deno task sim-placed --seed ${at}`);
  }
  const each = (sum: number) => Math.round(sum / Math.max(1, sums.seeds));
  console.log(
    `\n${sums.seeds} seeds, ${found} with a finding; each ${
      each(sums.simulatedMs)
    } ms simulated, ` +
      `${each(sums.operations)} calls (${each(sums.answered)} answered), ` +
      `${each(sums.steps)} steps; ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`,
  );
  console.log(
    `Faults: ${[...faults].map(([kind, times]) => `${kind} ${times}`).sort().join(", ")}`,
  );
  return found > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
