/**
 * One test file in one process of its own: its output in the order it came, an end for sure.
 *
 * The process leads a group, and the whole group is killed, so that the nodes a cluster test
 * started do not outlive it. A process that has printed uvu's totals and stays must have left
 * something open (a timer, a socket, a stream): it gets a grace and then counts as failed.
 */
import type { Ending } from "./totals.ts";
import { parseReport, parseTotals, stripAnsi } from "./totals.ts";

/** How a test file is run. */
export interface ProcessOptions {
  readonly file: string;
  readonly importMap: string;
  readonly reportPath: string;
  /** How long the whole file may take, ms. */
  readonly fileDeadlineMs: number;
  /** How long one test may take, ms. */
  readonly testDeadlineMs: number;
  /** How long the process may live on after its totals, ms. */
  readonly graceMs: number;
}

/** Output that is kept of one file; a loop that prints must not fill the memory. */
const OUTPUT_CHARS_MAX = 4 * 1024 * 1024;
/** For how long output is awaited once the process is gone; a grandchild may hold the pipe. */
const DRAIN_MS = 1_000;

const alive = new Set<number>();

/** Kills the groups of all test processes that still run. */
export function killAll(): void {
  for (const pid of alive) killGroup(pid);
}

function killGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch {
    // The group is gone already, which is what was wanted.
  }
}

/** Runs one test file to its end, its deadline or its grace, whichever comes first. */
export async function runFile(options: ProcessOptions): Promise<Ending> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `--import-map=${options.importMap}`, options.file],
    env: {
      CRS_TEST_DEADLINE_MS: String(options.testDeadlineMs),
      CRS_TEST_REPORT: options.reportPath,
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  alive.add(child.pid);
  let killed: string | undefined;
  const kill = (reason: string) => {
    killed ??= reason;
    killGroup(child.pid);
  };
  const deadline = setTimeout(
    () => kill(`It was ended after its deadline of ${options.fileDeadlineMs} ms`),
    options.fileDeadlineMs,
  );
  let grace: ReturnType<typeof setTimeout> | undefined;
  let output = "";
  const take = (text: string) => {
    output = (output + text).slice(-OUTPUT_CHARS_MAX);
    if (grace !== undefined || parseTotals(output.slice(-1_000)) === undefined) return;
    grace = setTimeout(
      () => kill(`It left something open: ${options.graceMs} ms after its tests it still lived`),
      options.graceMs,
    );
  };
  const streams = [readAll(child.stdout, take), readAll(child.stderr, take)];
  const status = await child.status;
  clearTimeout(deadline);
  clearTimeout(grace);
  await Promise.all(streams.map((stream) => stream.end(DRAIN_MS)));
  killGroup(child.pid);
  alive.delete(child.pid);
  const report = parseReport(await readOrEmpty(options.reportPath));
  return { output: stripAnsi(output), report, exitCode: status.code, killed };
}

function readAll(stream: ReadableStream<Uint8Array>, take: (text: string) => void) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const done = (async () => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
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
