/**
 * The degree to which the output of a stanza agrees with the expected one.
 *
 * Tier 1: states, progress, logs and errors. Tier 2: also configuration switches, each Ready and
 * each message, in order. Tier 3: the exact text without the model's log lines. Tier 0: less.
 */
import type { Stanza } from "./stanza.ts";

/** A tier. */
export type Tier = 0 | 1 | 2 | 3;

const LOG_LINE = /^\s*(?:DEBUG|INFO|WARN|ERROR|FATAL)\s/;
const SWITCH_LINE = / switched to configuration /;
const HEADLINE = /^(?:> \d+ .*|Processing:|Responses:|no messages|ok|<empty Ready>)$/;
const ERROR_LINE = /^(?:raft[: ]|requested |unknown |refused|can't |index must|v1 conf|invalid )/;
const STATE_COMMANDS = new Set([
  "raft-state",
  "status",
  "raft-log",
  "compact",
  "simple",
  "enter-joint",
  "leave-joint",
  "committed",
  "vote",
]);

/** Returns the lines that count at tier 3. */
function exactLines(text: string): string[] {
  const lines = text.replace(/\n+$/, "").split("\n").map((line) => line.trimEnd());
  return lines.filter((line) => !LOG_LINE.test(line) || SWITCH_LINE.test(line));
}

function isAlike(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((line, at) => line === right[at]);
}

/** Returns the lines without log lines and `ok`, which both mean that nothing else happened. */
function said(text: string): string[] {
  const lines = exactLines(text);
  return lines.length === 0 || (lines.length === 1 && lines[0] === "") ? ["ok"] : lines;
}

/** Returns the tier that `actual` reaches. */
export function tierOf(stanza: Stanza, actual: string): Tier {
  const expectedLines = said(stanza.expected);
  const actualLines = said(actual);
  if (isAlike(expectedLines, actualLines)) return 3;
  const content = (lines: readonly string[]) =>
    lines.map((line) => line.trim()).filter((line) => !HEADLINE.test(line));
  if (isAlike(content(expectedLines), content(actualLines))) return 2;
  if (STATE_COMMANDS.has(stanza.command)) return 0;
  const errors = (lines: readonly string[]) =>
    content(lines).filter((line) => ERROR_LINE.test(line));
  return isAlike(errors(expectedLines), errors(actualLines)) ? 1 : 0;
}
