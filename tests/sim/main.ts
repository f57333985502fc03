/**
 * `deno task sim`: runs seeds, by default 1 to 100, and stops at the first finding, with the
 * command that replays it and the last events before it.
 *
 * `--from F --seeds N`: the seeds [F, F + N). `--jobs N`: in so many processes at once. `--all`:
 * continues after a finding, and reports all of them at the end. `--seed N`: replays one seed, and
 * prints every event as it happens; `--twice`: runs it once more, and compares. Exit code 1: there
 * was a finding.
 */
import { fileURLToPath } from "node:url";
import { CHECKERS } from "./checkers/mod.ts";
import { runSeed } from "./runner.ts";
import type { RunResult } from "./runner.ts";
import { DENO_RUN } from "../support/deno_run.ts";

/** The parsed command line. */
interface Wishes {
  readonly from: number;
  readonly seeds: number;
  readonly jobs: number;
  /** Undefined: a range of seeds. */
  readonly seed: number | undefined;
  readonly isAll: boolean;
  readonly isTwice: boolean;
}

/** The results of a range of seeds; one line of JSON from a process of its own. */
interface Tally {
  seedsRun: number;
  simulatedMs: number;
  steps: number;
  operations: number;
  answered: number;
  changes: number;
  readonly faults: Record<string, number>;
  readonly failures: Pick<RunResult, "seed" | "finding" | "lines">[];
}

const SEEDS = 100;

function parseArguments(args: readonly string[]): Wishes {
  const numbers: Record<string, number | undefined> = {
    from: undefined,
    seeds: undefined,
    jobs: undefined,
    seed: undefined,
  };
  const flags = { all: false, twice: false };
  for (let at = 0; at < args.length; at++) {
    const name = args[at]!.slice(2);
    if (args[at]!.startsWith("--") && name in numbers) {
      const value = Number(args[++at]);
      if (!Number.isInteger(value) || value < 1) {
        throw new RangeError(`--${name} must be a whole number from 1: found ${args[at]}`);
      }
      numbers[name] = value;
    } else if (args[at]!.startsWith("--") && name in flags) {
      flags[name as keyof typeof flags] = true;
    } else throw new RangeError(`Unknown option: ${args[at]}`);
  }
  const { from = 1, jobs = 1, seed, seeds = SEEDS } = numbers;
  return { from, seeds, jobs, seed, isAll: flags.all, isTwice: flags.twice };
}

function newTally(): Tally {
  return {
    seedsRun: 0,
    simulatedMs: 0,
    steps: 0,
    operations: 0,
    answered: 0,
    changes: 0,
    faults: {},
    failures: [],
  };
}

function count(tally: Tally, result: RunResult): void {
  tally.seedsRun++;
  for (const key of ["simulatedMs", "steps", "operations", "answered", "changes"] as const) {
    tally[key] += result[key];
  }
  for (const [kind, times] of result.faults) {
    tally.faults[kind] = (tally.faults[kind] ?? 0) + times;
  }
  const { finding, lines, seed } = result;
  if (finding !== undefined) tally.failures.push({ seed, finding, lines });
}

function add(tally: Tally, other: Tally): void {
  for (
    const key of ["seedsRun", "simulatedMs", "steps", "operations", "answered", "changes"] as const
  ) {
    tally[key] += other[key];
  }
  for (const [kind, times] of Object.entries(other.faults)) {
    tally.faults[kind] = (tally.faults[kind] ?? 0) + times;
  }
  tally.failures.push(...other.failures);
}

/** Runs seeds that are `step` apart in this process. */
async function runHere({ from, isAll, seeds }: Wishes, first = 0, step = 1): Promise<Tally> {
  const tally = newTally();
  for (let at = first; at < seeds; at += step) {
    count(tally, await runSeed(from + at, { checkers: CHECKERS }));
    if (tally.failures.length > 0 && !isAll) break;
  }
  return tally;
}

/** Runs seeds in several processes, each of which takes every `jobs`-th seed. */
async function runInJobs(wishes: Wishes): Promise<Tally> {
  const { from, isAll, jobs, seeds } = wishes;
  const parts = await Promise.all(Array.from({ length: jobs }, async (_, part) => {
    const own = ["--part", `${part}`, "--from", `${from}`, "--seeds", `${seeds}`];
    const command = new Deno.Command(Deno.execPath(), {
      args: [...DENO_RUN, fileURLToPath(import.meta.url), ...own]
        .concat(["--jobs", `${jobs}`], isAll ? ["--all"] : []),
      stdin: "null",
      stderr: "inherit",
    });
    const { stdout } = await command.output();
    const line = new TextDecoder().decode(stdout).trimEnd().split("\n").at(-1)!;
    return JSON.parse(line) as Tally;
  }));
  const tally = newTally();
  for (const part of parts) add(tally, part);
  tally.failures.sort((left, right) => left.seed - right.seed);
  return tally;
}

async function commit(): Promise<string> {
  try {
    const { stdout } = await new Deno.Command("git", {
      args: ["describe", "--always", "--dirty", "--abbrev=12"],
      stderr: "null",
    }).output();
    return new TextDecoder().decode(stdout).trim();
  } catch {
    return "of an unknown commit";
  }
}

async function tellFailure({ seed, finding, lines }: Tally["failures"][number]): Promise<void> {
  console.log(lines.join("\n"));
  console.log(`\nSeed ${seed} found something (${finding!.checker}), commit ${await commit()}:`);
  console.log(`  ${finding!.message}`);
  console.log(`Replay it: deno task sim --seed ${seed}`);
}

async function tell(tally: Tally, tookMs: number): Promise<void> {
  const [first] = tally.failures;
  if (first !== undefined) await tellFailure(first);
  for (const { seed, finding } of tally.failures.slice(1)) {
    console.log(`Seed ${seed}, ${finding!.checker}: ${finding!.message.split("\n")[0]}`);
  }
  const { answered, changes, faults, operations, seedsRun, simulatedMs, steps } = tally;
  const each = (sum: number) => Math.round(sum / Math.max(1, seedsRun));
  const kinds = Object.entries(faults).map(([kind, times]) => `${kind} ${times}`).sort();
  console.log(
    `\n${seedsRun} seeds, ${tally.failures.length} with a finding; each ${each(simulatedMs)} ms ` +
      `simulated, ${each(operations)} operations (${each(answered)} answered), ` +
      `${each(steps)} steps; ${changes} changes of configuration`,
  );
  console.log(`Faults: ${kinds.join(", ")}`);
  console.log(
    `${Math.round(seedsRun * 60_000 / tookMs)} seeds a minute (${(tookMs / 1_000).toFixed(1)} s)`,
  );
}

async function replay(seed: number, isTwice: boolean): Promise<boolean> {
  const watch = (line: string) => console.log(line);
  const result = await runSeed(seed, { checkers: CHECKERS, watch });
  const { finding, hash, lines, operations, simulatedMs } = result;
  console.log(`\nSeed ${seed}: ${Math.round(simulatedMs)} ms, ${operations} operations, ${hash}`);
  if (finding !== undefined) await tellFailure({ seed, finding, lines: lines.slice(0, 0) });
  if (!isTwice) return finding === undefined;
  const { hash: again } = await runSeed(seed, { checkers: CHECKERS });
  console.log(again === hash ? "Once more: the same" : `Once more: ${again}, which must not be`);
  return finding === undefined && again === hash;
}

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === "--part") {
    const wishes = parseArguments(args.slice(2));
    console.log(JSON.stringify(await runHere(wishes, Number(args[1]), wishes.jobs)));
    return 0;
  }
  const wishes = parseArguments(args);
  if (wishes.seed !== undefined) return await replay(wishes.seed, wishes.isTwice) ? 0 : 1;
  const startedMs = performance.now();
  const tally = await (wishes.jobs > 1 ? runInJobs(wishes) : runHere(wishes));
  await tell(tally, performance.now() - startedMs);
  return tally.failures.length > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
