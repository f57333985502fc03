/**
 * Test files in one process of their own (`batch.ts`): the output of each in the order of arrival,
 * and an end in all cases.
 *
 * The process leads a group, and the whole group is killed, so that nodes started by a cluster test
 * do not outlive it. A file whose tests have ended while its process still has something to do must
 * have left something open (a timer, a socket, a stream): it gets a grace period and then counts as
 * failed.
 */
import { pathToFileURL } from "node:url";
import type { BatchWork } from "./batch.ts";
import type { Ending } from "./totals.ts";
import { parseReport, stripAnsi } from "./totals.ts";
import { DENO_RUN } from "../support/deno_run.ts";

/** Options of the run of some test files. */
export interface ProcessOptions {
  readonly files: readonly string[];
  readonly importMap: string;
  readonly reportPath: string;
  /** Deadline of a file, ms. */
  readonly fileDeadlineMs: number;
  /** Deadline of one test, ms. */
  readonly testDeadlineMs: number;
  /** Time that a file may continue after its tests, ms. */
  readonly graceMs: number;
  /** Variables besides those of the runner. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Maximum output kept of one file; a loop that prints must not fill the memory. */
const OUTPUT_CHARS_MAX = 4 * 1024 * 1024;
/** Time for which output is awaited after the process has ended; a grandchild may hold the pipe. */
const DRAIN_MS = 1_000;
const BATCH = new URL("batch.ts", import.meta.url).href;

const alive = new Set<number>();

/** Kills the groups of all running test processes. */
export function killAll(): void {
  for (const pid of alive) killGroup(pid);
}

function killGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch {
    // The group has ended already, as intended.
  }
}

/** A file's turn, as far as the runner has seen it. */
interface Turn {
  readonly startMs: number;
  output: string;
}

/**
 * Runs test files one after the other, each to its end, its deadline or its grace, whichever comes
 * first. Returns the endings of those that ran, in order: at least one, and all if each ended as it
 * should. The others need another process.
 */
export async function runFiles(options: ProcessOptions): Promise<Ending[]> {
  const mark = crypto.randomUUID();
  const child = spawn(options, mark);
  alive.add(child.pid);
  const turns: Turn[] = [];
  let killed: string | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const within = (ms: number, reason: string) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      killed = reason;
      killGroup(child.pid);
    }, ms);
  };
  const begin = () => {
    turns.push({ startMs: performance.now(), output: "" });
    const { fileDeadlineMs } = options;
    within(fileDeadlineMs, `It was ended after its deadline of ${fileDeadlineMs} ms`);
  };
  const take = (index: number, text: string) => {
    // A mark may come through one stream before it comes through the other.
    while (turns.length <= index) begin();
    const turn = turns[index]!;
    turn.output = (turn.output + text).slice(-OUTPUT_CHARS_MAX);
  };
  const ended = () => {
    const { graceMs } = options;
    within(graceMs, `It left something open: ${graceMs} ms after its tests it still lived`);
  };
  begin();
  const streams = [child.stdout, child.stderr].map((stream) =>
    readAll(stream, markedText(mark, { take, ended }))
  );
  const status = await child.status;
  clearTimeout(timer);
  await Promise.all(streams.map((stream) => stream.end(DRAIN_MS)));
  killGroup(child.pid);
  alive.delete(child.pid);
  const endMs = performance.now();
  const report = parseReport(await readOrEmpty(options.reportPath));
  return turns.map(({ startMs, output }, index) => {
    const next = turns[index + 1];
    return {
      output: stripAnsi(output),
      report: report.filter(({ file }) => file === index),
      // Only a file that ended as it should is followed by another one.
      exitCode: next === undefined ? status.code : 0,
      killed: next === undefined ? killed : undefined,
      tookMs: (next?.startMs ?? endMs) - startMs,
    };
  });
}

function spawn(options: ProcessOptions, mark: string): Deno.ChildProcess {
  const { files, importMap, reportPath, testDeadlineMs, environment } = options;
  const work: BatchWork = { files: files.map((file) => pathToFileURL(file).href), mark };
  return new Deno.Command(Deno.execPath(), {
    args: [...DENO_RUN, `--import-map=${importMap}`, BATCH],
    env: {
      ...environment,
      CRS_TEST_BATCH: JSON.stringify(work),
      CRS_TEST_DEADLINE_MS: String(testDeadlineMs),
      CRS_TEST_REPORT: reportPath,
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
}

/** Called with what a stream brings. */
interface Marked {
  /** Text of the file with this index. */
  take(index: number, text: string): void;
  /** The tests of a file have ended. */
  ended(): void;
}

/**
 * Returns a function that takes the text of a stream, and looks for marks in it. Lines are passed on
 * when they are complete, so that no mark is missed.
 */
function markedText(mark: string, { take, ended }: Marked): (text: string) => void {
  let index = 0;
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const at = line.indexOf(mark);
      if (at === -1) take(index, `${line}\n`);
      else take(index, line.slice(0, at));
      if (at !== -1 && line.endsWith("next")) take(++index, "");
      if (at !== -1 && line.endsWith("ended")) ended();
    }
  };
}

function readAll(stream: ReadableStream<Uint8Array>, take: (text: string) => void) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const done = (async () => {
    for (;;) {
      const { value, done } = await reader.read();
      // The line that was being written when the process ended is complete now.
      if (done) return take("\n");
      take(decoder.decode(value, { stream: true }));
    }
  })();
  return {
    async end(waitMs: number): Promise<void> {
      const timer = setTimeout(() => void reader.cancel(), waitMs);
      await done;
      clearTimeout(timer);
    },
  };
}

async function readOrEmpty(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
