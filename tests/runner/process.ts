/**
 * One test file in one process of its own: its output in the order of arrival, and an end in all
 * cases.
 *
 * The process leads a group, and the whole group is killed, so that nodes started by a cluster test
 * do not outlive it. A process that has printed uvu's totals and does not exit must have left
 * something open (a timer, a socket, a stream): it gets a grace period and then counts as failed.
 */
import type { Ending } from "./totals.ts";
import { parseReport, parseTotals, stripAnsi } from "./totals.ts";

/** Options of a test file's run. */
export interface ProcessOptions {
  readonly file: string;
  readonly importMap: string;
  readonly reportPath: string;
  /** Deadline of the whole file, ms. */
  readonly fileDeadlineMs: number;
  /** Deadline of one test, ms. */
  readonly testDeadlineMs: number;
  /** Time that the process may continue after its totals, ms. */
  readonly graceMs: number;
}

/** Maximum output kept of one file; a loop that prints must not fill the memory. */
const OUTPUT_CHARS_MAX = 4 * 1024 * 1024;
/** Time for which output is awaited after the process has ended; a grandchild may hold the pipe. */
const DRAIN_MS = 1_000;

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
