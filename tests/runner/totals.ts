/**
 * uvu's output as counts. uvu ends a run with `Total`, `Passed` and `Skipped`; a test that never
 * ran (a hook that throws drops the rest silently, and the exit code stays 0) is missing from
 * `Passed`, so the number of failures is the difference, whatever the exit code is.
 */
import type { ReportLine } from "./uvu.ts";

/** The counts of one test file. */
export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const TOTALS =
  /^ *Total: +(\d+)\r?\n *Passed: +(\d+)\r?\n *Skipped: +(\d+)\r?\n *Duration: .*(?:\r?\n|$)/gm;

/** Returns `text` without terminal escape sequences. */
export function stripAnsi(text: string): string {
  // deno-lint-ignore no-control-regex -- an escape sequence begins with one.
  return text.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "");
}

/** The line in which a file states why it skips tests. */
export const SKIP_LINE = /^skipped: .+/m;

/**
 * Returns the last totals in `output`, because a test may have printed similar text above;
 * `undefined` while it runs.
 */
export function parseTotals(output: string): Totals | undefined {
  const last = [...stripAnsi(output).matchAll(TOTALS)].at(-1);
  if (last === undefined) return undefined;
  const [total, passed, skipped] = [Number(last[1]), Number(last[2]), Number(last[3])];
  return { passed, failed: Math.max(0, total - passed), skipped };
}

/** Returns the lines of a report file, without a line truncated by a kill. */
export function parseReport(text: string): ReportLine[] {
  const complete = text.slice(0, text.lastIndexOf("\n") + 1);
  return complete.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** Returns the name of the test that started last and has not ended. */
export function runningTest(report: readonly ReportLine[]): string | undefined {
  const last = report.at(-1);
  return last?.event === "start" ? last.name : undefined;
}

/** The end of a file. */
export interface Ending {
  readonly output: string;
  readonly report: readonly ReportLine[];
  /** That of its process; 0 if another file followed there. */
  readonly exitCode: number;
  /** The reason for which the runner killed it, if it did. */
  readonly killed: string | undefined;
  readonly tookMs: number;
}

const NO_TEST = "It ran no test: is test.run() missing at its end?";

/**
 * Returns the counts of a file, and the reasons for a failure beyond uvu's output; `reasons` is
 * empty if there is none.
 */
export function judge(
  ending: Ending,
  { noSkips }: { readonly noSkips: boolean },
): { totals: Totals; reasons: string[] } {
  const { output, report, exitCode, killed } = ending;
  const printed = parseTotals(output);
  const reasons: string[] = [];
  if (killed !== undefined) {
    const name = runningTest(report);
    reasons.push(name === undefined ? killed : `${killed} while "${name}" ran`);
  } else if (printed === undefined && exitCode === 0 && report.length === 0) {
    // uvu prints nothing at all if no test was queued.
    reasons.push(NO_TEST);
  } else if (printed === undefined) {
    const name = runningTest(report);
    reasons.push(
      `It ended with exit code ${exitCode} before its tests did` +
        (name === undefined ? "" : `, while "${name}" ran`),
    );
  } else if (printed.failed === 0 && exitCode !== 0) {
    reasons.push(`Its tests passed, but it ended with exit code ${exitCode}`);
  } else if (printed.passed + printed.failed + printed.skipped === 0) {
    reasons.push(NO_TEST);
  } else if (printed.skipped > 0 && !SKIP_LINE.test(output)) {
    reasons.push(
      `It skips ${printed.skipped} without saying what would bring them back: ` +
        "register them by testWith of tests/support/requirement.ts",
    );
  } else if (printed.skipped === 0 && SKIP_LINE.test(output)) {
    reasons.push(
      "It prints that it skips, but counts no test as skipped: " +
        "register them by testWith of tests/support/requirement.ts",
    );
  }
  const counted = printed ?? {
    passed: report.filter((line) => line.outcome === "passed").length,
    failed: report.filter((line) => line.outcome !== undefined && line.outcome !== "passed").length,
    skipped: 0,
  };
  // A file that failed as a whole counts as one failure more than its tests.
  const failed = counted.failed + (reasons.length > 0 ? 1 : 0);
  if (!noSkips || counted.skipped === 0) return { totals: { ...counted, failed }, reasons };
  reasons.push(`${counted.skipped} of its tests were skipped, and --no-skips allows none`);
  return { totals: { ...counted, failed: failed + counted.skipped, skipped: 0 }, reasons };
}
