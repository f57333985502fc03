/**
 * Tables for people: columns separated by two spaces, without rules, so that they can be read in
 * any terminal and processed by other tools.
 */
import stringWidth from "string-width";

/** The content of a cell; numbers are right-aligned. */
export type Cell = string | number;

/** Options of a table. */
export interface TableOptions {
  /** Index of the first column that is numeric although passed as text. */
  readonly numbersFrom?: number;
  /** Maximum width, characters; cells of {@link shrinks} are cut to fit. Default: no limit. */
  readonly columns?: number;
  /** Indexes of the columns that may be cut. */
  readonly shrinks?: readonly number[];
}

const GAP = "  ";
const INDENT = "  ";
/** Minimum width to which a cell is cut. */
const CELL_WIDTH_MIN = 8;
const CUT = "…";

/** Formats rows under a header, one line each. Takes time linear in the number of rows. */
export function table(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  { numbersFrom = Infinity, columns = Infinity, shrinks = [] }: TableOptions = {},
): string {
  const isNumber = head.map((_, column) =>
    column >= numbersFrom ||
    (rows.length > 0 && rows.every((row) => typeof row[column] === "number"))
  );
  return render([head, ...rows], isNumber, { columns, shrinks });
}

/**
 * Formats rows as an indented {@link table}, or, if that is wider than `columns` even after cutting,
 * one below the other with a line for each cell.
 */
export function fitted(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  { columns, shrinks }: { readonly columns: number; readonly shrinks: readonly number[] },
): string {
  const whole = indented(table(head, rows, { columns: columns - INDENT.length, shrinks }));
  if (rows.length === 0 || widestLine(whole) <= columns) return whole;
  return rows.map((row) => facts(row.map((cell, at) => [head[at]!, cell]))).join("\n");
}

function widestLine(text: string): number {
  return text.split("\n").reduce((widest, line) => Math.max(widest, widthOf(line)), 0);
}

/** Indents every line that is not empty, like {@link facts}. */
export function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, INDENT);
}

/** Formats indented lines of `name  value`, without a header. */
export function facts(rows: readonly (readonly [string, Cell])[]): string {
  return render(rows.map(([name, value]) => [INDENT + name, String(value)]), [false, false]);
}

function render(
  rows: readonly (readonly Cell[])[],
  isNumber: readonly boolean[],
  { columns, shrinks }: Required<Pick<TableOptions, "columns" | "shrinks">> = {
    columns: Infinity,
    shrinks: [],
  },
): string {
  const cells = rows.map((row) => row.map((cell) => printable(String(cell))));
  const widths = isNumber.map((_, column) =>
    cells.reduce((widest, row) => Math.max(widest, widthOf(row[column] ?? "")), 0)
  );
  shrink(widths, columns, shrinks);
  return cells.map((row) =>
    row.map((text, column) => {
      const width = widths[column]!;
      const shown = cut(text, width);
      const padding = " ".repeat(width - widthOf(shown));
      return isNumber[column] ? padding + shown : shown + padding;
    }).join(GAP).trimEnd() + "\n"
  ).join("");
}

/** Narrows the widest column that may be cut, until all fit or none can be cut further. */
function shrink(widths: number[], columns: number, shrinks: readonly number[]): void {
  let over = widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1)) - columns;
  while (over > 0) {
    const widest = shrinks.reduce(
      (best, column) => (widths[column] ?? 0) > (widths[best] ?? 0) ? column : best,
      shrinks[0] ?? -1,
    );
    if ((widths[widest] ?? 0) <= CELL_WIDTH_MIN) return;
    widths[widest]!--;
    over--;
  }
}

/** Returns the terminal columns that `text` occupies. */
function widthOf(text: string): number {
  return /^[\x20-\x7e]*$/.test(text) ? text.length : stringWidth(text);
}

/** Returns `text` or, if it is wider than `width`, its beginning and an ellipsis. */
function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let shown = "";
  for (const character of text) {
    if (widthOf(shown + character) >= width) break;
    shown += character;
  }
  return shown + CUT;
}

/** Untrusted text must not move the cursor or forge a line. */
// deno-lint-ignore no-control-regex -- control characters are what it looks for.
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Returns `text` with control characters escaped. */
export function printable(text: string): string {
  return text.replace(
    CONTROLS,
    (character) => "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}
