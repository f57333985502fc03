/**
 * The test runner: `deno task test` runs the `*.test.ts` under tests/ but those that take long
 * (runner/sessions.ts), and tries a part of the cases of property tests (support/cases.ts). `--all`
 * omits nothing; nor do patterns, `deno task test pattern…`, which run each file whose path contains
 * one of them.
 *
 * Most files of a folder share a process, in which they run one after the other (runner/batch.ts);
 * the longest ones have a process of their own. Two processes run at a time. Files under tests/cluster/
 * and tests/interop/ start processes themselves and mostly wait for them, so two of those run beside
 * the two.
 *
 * Each test and each file has a deadline (uvu has none). A file that skips tests states in one line
 * which package would enable them; with `--no-skips` each skipped test counts as failed. The last
 * line is `N passed, N failed[, N skipped]`; the exit code is 1 if something failed or no test was
 * found.
 *
 * `--record=<file>` writes which test files passed without a skip. A run of the same sources in an
 * environment that has more takes that file as `--recorded=<file>`: nothing that such a test file asks
 * for was missing, so it is counted as it was recorded, and not run again. A file of property tests is
 * recorded only if all cases were tried.
 */
import { killAll, runFiles } from "./runner/process.ts";
import { memoryFolder } from "./runner/memory_folder.ts";
import { OMITTED } from "./runner/sessions.ts";
import { uvuReplacedBy } from "./runner/uvu_map.ts";
import type { Ending, Totals } from "./runner/totals.ts";
import { judge, SKIP_LINE } from "./runner/totals.ts";

/** Deadlines in ms: of a test, of a file, and of a process whose tests have ended. */
interface Deadlines {
  readonly testMs: number;
  readonly fileMs: number;
  readonly graceMs: number;
}

const DEADLINES: Deadlines = { testMs: 30_000, fileMs: 120_000, graceMs: 10_000 };
const CLUSTER_DEADLINES: Deadlines = { testMs: 120_000, fileMs: 300_000, graceMs: 10_000 };
/** More than two would only slow each other down, and run into deadlines, on a small machine. */
const PARALLEL_FILES_MAX = 2;

/**
 * Files that share a process: a process of its own costs each of them up to 1.5 s of processor time for
 * modules and compilation. Few enough that the lanes end at about the same time.
 */
const FILES_PER_PROCESS_MAX = 40;
/** The same for files that start processes, each of which takes longer. */
const CLUSTER_FILES_PER_PROCESS_MAX = 5;

/** The test files that take longest; they start first, so that none of them runs alone at the end. */
export const LONGEST: readonly string[] = [
  "tests/cluster/readme.test.ts",
  "tests/cluster/regions.test.ts",
  "tests/cluster/mass_silence.test.ts",
  "tests/cluster/three_nodes.test.ts",
  "tests/cluster/relays.test.ts",
  "tests/cluster/reshaping.test.ts",
  "tests/cluster/runner_kill.test.ts",
  "tests/cluster/three_nodes_killed.test.ts",
  "tests/cluster/cli_session.test.ts",
  "tests/cluster/certified_cluster.test.ts",
  "tests/cluster/certified_regions.test.ts",
  "tests/cluster/outages.test.ts",
  "tests/cluster/identity_session.test.ts",
  "tests/cluster/front_service.test.ts",
  "tests/cluster/long_downtime.test.ts",
  "tests/cluster/descriptors.test.ts",
  "tests/sim/simulator.test.ts",
  "tests/interop/node.test.ts",
  "tests/unit/tests/run.test.ts",
  "tests/unit/node/certified_node_identity.test.ts",
  "tests/attack/relay_backends.test.ts",
  "tests/layering.test.ts",
  "tests/sim/placed/placed.test.ts",
  "tests/unit/transport/adapters.test.ts",
];

const root = new URL("../", import.meta.url);

interface Settings {
  /** The folder that is searched for test files. */
  readonly folder: string;
  readonly patterns: readonly string[];
  /** True if no file is omitted because it takes long, and all cases are tried. */
  readonly isWhole: boolean;
  /** True if a skipped test counts as failed. */
  readonly noSkips: boolean;
  /** Path of the file that says which test files passed without a skip. */
  readonly recordTo: string | undefined;
  /** Path of such a file of an earlier run. */
  readonly recordedIn: string | undefined;
  /** Set only by the tests of the runner. */
  readonly deadlines: Partial<Deadlines>;
}

/** Counts of passed tests, by the path of their file within the folder of tests. */
type Passed = Readonly<Record<string, number>>;

function parseArguments(args: readonly string[]): Settings {
  const patterns: string[] = [];
  let folder = "tests";
  let isAll = false;
  let noSkips = false;
  let recordTo: string | undefined;
  let recordedIn: string | undefined;
  const deadlines: { testMs?: number; fileMs?: number; graceMs?: number } = {};
  for (const argument of args) {
    const [, name, value] = /^--([a-z-]+)=(.*)$/.exec(argument) ?? [];
    if (name === "folder") folder = value!;
    else if (name === "record") recordTo = value!;
    else if (name === "recorded") recordedIn = value!;
    else if (name === "test-ms") deadlines.testMs = Number(value);
    else if (name === "file-ms") deadlines.fileMs = Number(value);
    else if (name === "grace-ms") deadlines.graceMs = Number(value);
    else if (argument === "--all") isAll = true;
    else if (argument === "--no-skips") noSkips = true;
    else if (argument.startsWith("-")) throw new RangeError(`Unknown option: ${argument}`);
    else patterns.push(argument);
  }
  const isWhole = isAll || patterns.length > 0;
  return { folder, patterns, isWhole, noSkips, recordTo, recordedIn, deadlines };
}

async function findTests(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) found.push(...await findTests(path));
    else if (entry.name.endsWith(".test.ts")) found.push(path);
  }
  return found;
}

/** Sorts files by path, after the longest. */
function inOrder(files: readonly string[]): string[] {
  const sorted = files.toSorted();
  const isLong = (file: string) => sorted.includes(file);
  return [...new Set([...LONGEST.filter(isLong), ...sorted])];
}

/** Groups files that share a process: neighbours below the same folder of tests. */
function inBatches(files: readonly string[], folder: string): string[][] {
  const roomOf = (file: string) => {
    if (LONGEST.includes(file)) return file;
    if (isCluster(file, folder)) return "cluster";
    return within(folder, file).split("/").slice(0, -1)[0];
  };
  const filesMax = (file: string) => {
    return isCluster(file, folder) ? CLUSTER_FILES_PER_PROCESS_MAX : FILES_PER_PROCESS_MAX;
  };
  const batches: string[][] = [];
  for (const file of files) {
    const last = batches.at(-1);
    const isNeighbour = last !== undefined && roomOf(last[0]!) === roomOf(file);
    if (isNeighbour && last.length < filesMax(file)) last.push(file);
    else batches.push([file]);
  }
  return batches;
}

function isCluster(file: string, folder: string): boolean {
  return file.startsWith(`${folder}/cluster/`) || file.startsWith(`${folder}/interop/`);
}

function within(folder: string, file: string): string {
  return file.slice(folder.length + 1);
}

/** Reports whether the properties in a file are tried with fewer cases in a run that is not whole. */
function hasCases(file: string, folder: string): boolean {
  return file.startsWith(`${folder}/fuzz/`);
}

function matches(file: string, patterns: readonly string[]): boolean {
  return patterns.length === 0 || patterns.some((pattern) => file.includes(pattern));
}

/** Installs the packages of package.json once, so that no test's deadline includes it. */
async function install(): Promise<void> {
  const { code } = await new Deno.Command(Deno.execPath(), { args: ["install", "--quiet"] })
    .spawn().status;
  if (code !== 0) throw new Error(`Cannot fetch the dependencies: deno install gave ${code}`);
}

/** Replaces uvu by runner/uvu.ts. */
async function importMap(): Promise<string> {
  const manifest = JSON.parse(await Deno.readTextFile(new URL("package.json", root)));
  return uvuReplacedBy(new URL("tests/runner/uvu.ts", root).href, manifest);
}

class Run {
  passed = 0;
  failed = 0;
  skipped = 0;
  readonly failedFiles: string[] = [];
  /** Test files that passed without a skip. */
  readonly complete: Record<string, number> = {};
  readonly #settings: Settings;
  readonly #importMap: string;
  /** A folder of this run; also that of the temporary files of tests if it is in memory. */
  readonly #reports: string;
  readonly #isInMemory: boolean;

  constructor(settings: Settings, map: string, reports: string, isInMemory: boolean) {
    this.#settings = settings;
    this.#importMap = map;
    this.#reports = reports;
    this.#isInMemory = isInMemory;
  }

  /** Counts files that an earlier run recorded; returns the others. */
  withoutRecorded(files: readonly string[], recorded: Passed): string[] {
    const others: string[] = [];
    for (const file of files) {
      const passed = recorded[within(this.#settings.folder, file)];
      if (passed === undefined) others.push(file);
      else this.passed += passed;
    }
    if (this.passed > 0) {
      console.log(`ok   ${this.passed} passed before in ${files.length - others.length} files`);
    }
    return others;
  }

  /** Runs all files, `parallel` processes at once and as many that start processes beside them. */
  async all(files: readonly string[], parallel: number): Promise<void> {
    const { folder } = this.#settings;
    const batches = inBatches(files, folder);
    const clusterFiles = batches.filter(([file]) => isCluster(file!, folder));
    const others = batches.filter(([file]) => !isCluster(file!, folder));
    const lane = async (...queues: string[][][]) => {
      for (const queue of queues) {
        for (let batch = queue.shift(); batch !== undefined; batch = queue.shift()) {
          const deadlines = isCluster(batch[0]!, folder) ? CLUSTER_DEADLINES : DEADLINES;
          await this.#batch(batch, { ...deadlines, ...this.#settings.deadlines });
        }
      }
    };
    await Promise.all(
      Array.from({ length: parallel }, () => [
        lane(clusterFiles, others),
        lane(others, clusterFiles),
      ]).flat(),
    );
  }

  /** Runs files in one process, or in more if it ends before all have run. */
  async #batch(files: readonly string[], deadlines: Deadlines): Promise<void> {
    const { folder } = this.#settings;
    for (let waiting = files; waiting.length > 0;) {
      const endings = await runFiles({
        files: waiting,
        importMap: this.#importMap,
        reportPath: `${this.#reports}/${waiting[0]!.replaceAll(/[^\w.-]/g, "_")}.ndjson`,
        fileDeadlineMs: deadlines.fileMs,
        testDeadlineMs: deadlines.testMs,
        graceMs: deadlines.graceMs,
        environment: {
          CRS_TEST_CASES: this.#settings.isWhole ? "all" : "some",
          // Nodes as processes get a disk.
          ...(this.#isInMemory && !isCluster(waiting[0]!, folder) ? { TMPDIR: this.#reports } : {}),
        },
      });
      for (const [index, ending] of endings.entries()) this.#tell(waiting[index]!, ending);
      waiting = waiting.slice(endings.length);
    }
  }

  #tell(file: string, ending: Ending): void {
    const { totals, reasons } = judge(ending, { noSkips: this.#settings.noSkips });
    this.passed += totals.passed;
    this.failed += totals.failed;
    this.skipped += totals.skipped;
    const { folder, isWhole } = this.#settings;
    const isComplete = totals.failed + totals.skipped === 0 && (isWhole || !hasCases(file, folder));
    if (isComplete) this.complete[within(folder, file)] = totals.passed;
    const verdict = totals.failed > 0 ? "FAIL" : "ok  ";
    console.log(`${verdict} ${file}  ${describe(totals)}  ${Math.round(ending.tookMs)} ms`);
    if (totals.failed > 0) {
      this.failedFiles.push(file);
      console.log(ending.output.replaceAll(/^(?=.)/gm, "     ").trimEnd());
      for (const reason of reasons) console.log(`     ${reason}.`);
      return;
    }
    for (const line of ending.output.split("\n")) {
      if (SKIP_LINE.test(line)) console.log(`     ${line}`);
    }
  }
}

function describe({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed` + (skipped > 0 ? `, ${skipped} skipped` : "");
}

async function main(args: readonly string[]): Promise<number> {
  const settings = parseArguments(args);
  Deno.chdir(root);
  await install();
  const { folder, patterns, isWhole } = settings;
  const matching = inOrder(await findTests(folder)).filter((file) => matches(file, patterns));
  const found = matching.filter((file) => isWhole || !(within(folder, file) in OMITTED));
  const memory = memoryFolder();
  const dir = memory === undefined ? {} : { dir: memory };
  const reports = await Deno.makeTempDir({ ...dir, prefix: "crs-test-" });
  const run = new Run(settings, await importMap(), reports, memory !== undefined);
  const { recordTo, recordedIn } = settings;
  const recorded: Passed = recordedIn === undefined
    ? {}
    : JSON.parse(await Deno.readTextFile(recordedIn));
  try {
    await run.all(
      run.withoutRecorded(found, recorded),
      Math.min(PARALLEL_FILES_MAX, navigator.hardwareConcurrency),
    );
  } finally {
    await Deno.remove(reports, { recursive: true });
  }
  if (recordTo !== undefined) await Deno.writeTextFile(recordTo, JSON.stringify(run.complete));
  if (found.length === 0) {
    console.log(`No test file matches ${patterns.join(" ") || folder}.`);
  }
  const omitted = matching.length - found.length;
  if (omitted > 0) console.log(`\n${omitted} files that take long were omitted: --all runs them.`);
  if (run.failedFiles.length > 0) console.log(`\nFailed: ${run.failedFiles.join(", ")}`);
  console.log(`\n${describe(run)}`);
  return run.failed > 0 || run.passed + run.skipped === 0 ? 1 : 0;
}

if (import.meta.main) {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      killAll();
      Deno.exit(130);
    });
  }
  Deno.exit(await main(Deno.args));
}
