/**
 * Tables for people: columns and two spaces between them, no lines, so that they can be read in any
 * terminal and cut by other tools.
 */
import Table from "cli-table3";

const NO_LINES = {
  "top": "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  "bottom": "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  "left": "",
  "left-mid": "",
  "mid": "",
  "mid-mid": "",
  "right": "",
  "right-mid": "",
  "middle": "  ",
};

/** What may stand in a cell; numbers stand to the right. */
export type Cell = string | number;

/** What a table is told beside its cells. */
export interface TableOptions {
  /** Columns from this one on are numbers, though they are passed as text. */
  readonly numbersFrom?: number;
}

/** Rows under a head, with a newline at the end of each line. */
export function table(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  { numbersFrom = Infinity }: TableOptions = {},
): string {
  const isNumber = head.map((_, column) =>
    column >= numbersFrom ||
    (rows.length > 0 && rows.every((row) => typeof row[column] === "number"))
  );
  return render(rows, isNumber, head);
}

/** `name  value` lines without a head, indented. */
export function facts(rows: readonly (readonly [string, Cell])[]): string {
  return render(rows.map(([name, value]) => [`  ${name}`, String(value)]), [false, false]);
}

function render(
  rows: readonly (readonly Cell[])[],
  isNumber: readonly boolean[],
  head?: readonly string[],
): string {
  const made = new Table({
    chars: NO_LINES,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
    colAligns: isNumber.map((right) => right ? "right" as const : "left" as const),
    ...(head === undefined ? {} : { head: [...head] }),
  });
  for (const row of rows) made.push(row.map((cell) => printable(String(cell))));
  return made.toString().split("\n").map((line) => line.trimEnd()).join("\n") + "\n";
}

/** Text of others must not move the cursor or forge a line. */
// deno-lint-ignore no-control-regex -- control characters are what it looks for.
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** `text` with what commands a terminal made visible. */
export function printable(text: string): string {
  return text.replace(
    CONTROLS,
    (character) => "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}
