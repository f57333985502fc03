/**
 * uvu with a deadline for each test and hook, for one test file after the other. The runner's import
 * map replaces uvu by this module, so test files stay plain uvu files and also run without it.
 *
 * A test that exceeds its deadline fails by name and the next one runs. Starts and ends are written
 * to a report file as one JSON line each, so that the runner can name the test that was running
 * when a file had to be killed (an endless loop prevents timers). uvu drops errors of `before` and
 * `after`; here they are printed, and the runner sees from uvu's totals that tests are missing.
 */
import * as uvu from "uvu";

type Handler = (context: Record<string, unknown>) => Promise<void> | void;
type Register = (name: string, handler: Handler) => void;

const deadlineMs = Number(Deno.env.get("CRS_TEST_DEADLINE_MS") ?? 30_000);
const reportPath = Deno.env.get("CRS_TEST_REPORT");
// Taken before any test can replace them.
const { setTimeout, clearTimeout, console, performance } = globalThis;
const { writeTextFileSync } = Deno;
/** The number of the file whose turn it is, from 0. */
let file = 0;

/** One line of the report file. */
export interface ReportLine {
  readonly file: number;
  readonly event: "start" | "end";
  readonly name: string;
  readonly outcome?: "passed" | "failed" | "late";
  readonly ms?: number;
}

function report(line: Omit<ReportLine, "file">): void {
  if (reportPath === undefined) return;
  writeTextFileSync(reportPath, JSON.stringify({ file, ...line }) + "\n", { append: true });
}

class LateError extends Error {
  override readonly name = "LateError";
}

/** Runs `handler` with the deadline, which cannot stop it, only fail it. */
async function bounded(name: string, handler: Handler, context: Record<string, unknown>) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const running = handler(context);
    if (running === undefined) return;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new LateError(`"${name}" did not end within ${deadlineMs} ms`)),
        deadlineMs,
      );
    });
    await Promise.race([running, late]);
  } finally {
    clearTimeout(timer);
  }
}

function guardTest(name: string, handler: Handler): Handler {
  return async (context) => {
    report({ event: "start", name });
    const startMs = performance.now();
    let outcome: ReportLine["outcome"] = "failed";
    try {
      await bounded(name, handler, context);
      outcome = "passed";
    } catch (error) {
      if (error instanceof LateError) outcome = "late";
      // uvu formats `error.name` and `error.message`, and fails for values without them.
      throw error instanceof Error ? error : new Error(`Thrown value: ${String(error)}`);
    } finally {
      report({ event: "end", name, outcome, ms: performance.now() - startMs });
    }
  };
}

function guardHook(kind: string, handler: Handler): Handler {
  return async (context) => {
    try {
      await bounded(`${kind} hook`, handler, context);
    } catch (error) {
      console.error(`The ${kind} hook failed:`, error);
      throw error;
    }
  };
}

/** Returns the same test function with a deadline for every handler given to it. */
function guard(real: uvu.Test): uvu.Test {
  const register = (add: Register): Register => (name, handler) =>
    add(name, guardTest(name, handler));
  const hook = (kind: string, add: (handler: Handler) => void) => (handler: Handler) =>
    add(guardHook(kind, handler));
  const guarded = Object.assign(register(real as Register), {
    only: register(real.only as Register),
    skip: real.skip,
    run: real.run,
    before: Object.assign(hook("before", real.before as (handler: Handler) => void), {
      each: hook("before.each", real.before.each as (handler: Handler) => void),
    }),
    after: Object.assign(hook("after", real.after as (handler: Handler) => void), {
      each: hook("after.each", real.after.each as (handler: Handler) => void),
    }),
  });
  return guarded as unknown as uvu.Test;
}

/** uvu's `test`, with deadlines; each file has its own. */
export let test: uvu.Test = guard(uvu.test);

/** Starts the turn of a file: tests that earlier ones registered and did not run are forgotten. */
export function begin(number: number): void {
  file = number;
  test = suite();
}

/** uvu's `suite`, with deadlines. */
export function suite(name?: string, context?: Record<string, unknown>): uvu.Test {
  return guard(uvu.suite(name, context) as uvu.Test);
}

/** uvu's `exec`, unchanged. */
export const exec: typeof uvu.exec = uvu.exec;
