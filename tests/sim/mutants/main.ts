/**
 * `deno task mutants`: plants each bug of the catalogue and replays the seed that caught it, or
 * runs the test file that catches it; every one must be caught again, by any checker, and the
 * unchanged source must pass those same seeds. (`deno task test` shows that it passes the test
 * files.)
 *
 * Any change to the code may change what happens under a seed. A mutant that its recorded seed no
 * longer catches is therefore searched among the first `MOVED_SEEDS_MAX` seeds that can show it: it
 * is reported as moved if one of them catches it, and fails otherwise.
 *
 * `deno task mutants --record [name…]`: records the seeds of those that moved.
 *
 * `deno task mutants --search [name…]`: searches for a seed that catches each (or those named, or,
 * with `--missing`, those without one), from 1 to `--seeds` (2,000), and records it. Options:
 * `--from`. `--jobs N`: how many run at once, by default one for each core.
 *
 * `--passed-groups N`, `--passed-placed N` and `--passed-regions N`: the unchanged source has passed the seeds up to N of
 * that simulator already, as in `.ci/run`, and need not run them again.
 */
import { MUTANTS } from "./catalogue/mod.ts";
import { type Mutant, showingSeeds, type Simulator, simulatorOf } from "./mutant.ts";
import { readmeShows, readResults, type Result, tableOf, writeResults } from "./results.ts";
import { type Caught, type Outcome, Workshop } from "./workshop.ts";

/** Maximum number of seeds within which each must be caught. */
const SEEDS_MAX = 2_000;
/**
 * Maximum number of seeds, of those that can show it, within which a mutant must be caught that its
 * recorded seed no longer catches: some minutes.
 */
const MOVED_SEEDS_MAX: Readonly<Record<Simulator, number>> = {
  groups: 400,
  // Seeds of whole nodes take longer.
  placed: 60,
  regions: 60,
};

interface Wishes {
  readonly isSearch: boolean;
  readonly isMissingOnly: boolean;
  /** Whether the seeds of those that moved are recorded. */
  readonly isRecording: boolean;
  readonly names: readonly string[];
  readonly from: number;
  readonly seeds: number;
  readonly jobs: number;
  /** By simulator: the unchanged source has passed the seeds up to this one. */
  readonly passed: Readonly<Record<Simulator, number>>;
}

function parseArguments(args: readonly string[]): Wishes {
  const numbers = {
    ...{ from: 1, seeds: SEEDS_MAX, jobs: navigator.hardwareConcurrency },
    ...{ "passed-groups": 0, "passed-placed": 0, "passed-regions": 0 },
  };
  const names: string[] = [];
  let isSearch = false;
  let isMissingOnly = false;
  let isRecording = false;
  for (let at = 0; at < args.length; at++) {
    const argument = args[at]!;
    const option = argument.slice(2);
    if (argument === "--search") isSearch = true;
    else if (argument === "--missing") isMissingOnly = true;
    else if (argument === "--record") isRecording = true;
    else if (argument.startsWith("--") && option in numbers) {
      const value = Number(args[++at]);
      if (!Number.isInteger(value) || value < 1) {
        throw new RangeError(`${argument} must be a whole number from 1: found ${args[at]}`);
      }
      numbers[option as keyof typeof numbers] = value;
    } else if (argument.startsWith("-")) throw new RangeError(`Unknown option: ${argument}`);
    else names.push(argument);
  }
  const { from, seeds, jobs } = numbers;
  const passed = {
    groups: numbers["passed-groups"],
    placed: numbers["passed-placed"],
    regions: numbers["passed-regions"],
  };
  return { isSearch, isMissingOnly, isRecording, names, from, seeds, jobs, passed };
}

/** Runs `work` on each item, some concurrently, each in a workshop that is not shared meanwhile. */
async function inWorkshops<T>(
  items: readonly T[],
  jobs: number,
  work: (workshop: Workshop, item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    const workshop = await Workshop.open();
    try {
      for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
        await work(workshop, item);
      }
    } finally {
      workshop.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, items.length) }, worker));
}

function say(verdict: string, name: string, detail: string): void {
  console.log(`${verdict.padEnd(6)} ${name.padEnd(40)} ${detail}`);
}

function describe({ caught, seedsRun }: Outcome): string {
  if (caught === undefined) return `nothing found in ${seedsRun} seeds`;
  return `seed ${caught.seed}, ${caught.checker}: ${caught.message.split("\n")[0]}`;
}

async function search(mutants: readonly Mutant[], wishes: Wishes): Promise<boolean> {
  let isComplete = true;
  await inWorkshops(mutants, wishes.jobs, async (workshop, mutant) => {
    const startMs = performance.now();
    const outcome = await firstCaught(workshop, mutant, wishes);
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(0);
    const { caught } = outcome;
    const verdict = caught === undefined ? "MISSED" : "caught";
    say(verdict, mutant.name, `${describe(outcome)} (${seconds} s)`);
    if (caught === undefined) {
      isComplete = false;
      return;
    }
    record(mutant, caught);
  });
  readmeShows(tableOf(MUTANTS, readResults()), { write: true });
  return isComplete;
}

function record({ name }: Mutant, { checker, seed }: Caught): void {
  // Others may have recorded results meanwhile.
  writeResults(MUTANTS, { ...readResults(), [name]: { checker, seed } });
}

/** Returns the first seed that catches the mutant and that the unchanged source passes. */
async function firstCaught(
  workshop: Workshop,
  mutant: Mutant,
  { from, seeds }: Pick<Wishes, "from" | "seeds">,
  countMax = Infinity,
): Promise<Outcome> {
  const showing = showingSeeds(mutant, { from, count: seeds }).slice(0, countMax);
  const simulator = simulatorOf(mutant);
  let next = 0;
  while (next < showing.length) {
    const { caught } = await workshop.run(mutant, showing.slice(next), simulator);
    if (caught === undefined) break;
    next = showing.indexOf(caught.seed) + 1;
    const control = await workshop.run(undefined, [caught.seed], simulator);
    if (control.caught === undefined) return { caught, seedsRun: next };
    say("NOTE", "the sound source", describe(control));
  }
  return { caught: undefined, seedsRun: showing.length };
}

async function replay(
  mutants: readonly Mutant[],
  { jobs, passed, isRecording }: Pick<Wishes, "jobs" | "passed" | "isRecording">,
): Promise<boolean> {
  const results = readResults();
  let isSound = true;
  const moved: string[] = [];
  const fail = (name: string, why: string) => {
    isSound = false;
    say("FAIL", name, why);
  };
  type Run = { mutant: Mutant | undefined; seeds: number[]; simulator: Simulator };
  const runs: Run[] = [];
  const seeds = {
    groups: new Set<number>(),
    placed: new Set<number>(),
    regions: new Set<number>(),
  };
  for (const mutant of mutants) {
    if (mutant.test !== undefined) {
      runs.push({ mutant, seeds: [], simulator: "groups" });
      continue;
    }
    const result: Result | undefined = results[mutant.name];
    if (result === undefined) {
      fail(mutant.name, `no seed is known that catches it: --search ${mutant.name}`);
      continue;
    }
    const simulator = simulatorOf(mutant);
    if (result.seed > passed[simulator]) seeds[simulator].add(result.seed);
    runs.push({ mutant, seeds: [result.seed], simulator });
  }
  // The finding must come from the mutant: the unchanged source passes the same seeds.
  for (const simulator of ["regions", "placed", "groups"] as const) {
    if (seeds[simulator].size === 0) continue;
    runs.unshift({ mutant: undefined, seeds: [...seeds[simulator]], simulator });
  }
  await inWorkshops(runs, jobs, async (workshop, { mutant, seeds, simulator }) => {
    if (mutant?.test !== undefined) {
      const failed = await workshop.test(mutant, mutant.test);
      if (failed === undefined) fail(mutant.name, `${mutant.test} finds nothing`);
      else say("caught", mutant.name, `${mutant.test}: ${failed}`);
      return;
    }
    const outcome = await workshop.run(mutant, seeds, simulator);
    if (mutant === undefined) {
      if (outcome.caught !== undefined) fail("the sound source", describe(outcome));
      return;
    }
    if (outcome.caught !== undefined) return say("caught", mutant.name, describe(outcome));
    const all = { from: 1, seeds: SEEDS_MAX };
    const again = await firstCaught(workshop, mutant, all, MOVED_SEEDS_MAX[simulator]);
    if (again.caught === undefined) {
      return fail(mutant.name, `${describe(again)}: --search ${mutant.name}`);
    }
    if (isRecording) record(mutant, again.caught);
    else moved.push(mutant.name);
    say("moved", mutant.name, describe(again));
  });
  if (moved.length > 0) {
    console.log(`${moved.length} are caught by other seeds now. Record these:`);
    console.log(`deno task mutants --record ${moved.join(" ")}`);
  }
  if (isRecording) readmeShows(tableOf(MUTANTS, readResults()), { write: true });
  else if (!readmeShows(tableOf(MUTANTS, results))) {
    fail("tests/sim/README.md", "its table is not that of results.json");
  }
  return isSound;
}

const wishes = parseArguments(Deno.args);
for (const name of wishes.names) {
  if (MUTANTS.some((mutant) => mutant.name === name)) continue;
  throw new RangeError(`No mutant is called ${name}`);
}
const known = readResults();
const wanted = MUTANTS.filter(({ name, test }) => {
  if (wishes.isSearch && test !== undefined) return false;
  if (wishes.isMissingOnly && known[name] !== undefined) return false;
  return wishes.names.length === 0 || wishes.names.includes(name);
});
const isWell = wishes.isSearch ? await search(wanted, wishes) : await replay(wanted, wishes);
if (!isWell) Deno.exit(1);
