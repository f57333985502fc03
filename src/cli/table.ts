/**
 * Tables for people: columns and two spaces between them, no lines, so that they can be read in any
 * terminal and cut by other tools.
 */
import stringWidth from "string-width";

/** What may stand in a cell; numbers stand to the right. */
export type Cell = string | number;

/** What a table is told beside its cells. */
export interface TableOptions {
  /** Columns from this one on are numbers, though they are passed as text. */
  readonly numbersFrom?: number;
  /** Width to fit into, characters: the cells of {@link shrinks} are cut for it. Default: no limit. */
  readonly columns?: number;
  /** Positions of the columns that may be cut. */
  readonly shrinks?: readonly number[];
}

const GAP = "  ";
/** No cell is cut to less than this. */
const CELL_WIDTH_MIN = 8;
const CUT = "…";

/** Rows under a head, with a newline at the end of each line. Takes time linear in their number. */
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

/** `name  value` lines without a head, indented. */
export function facts(rows: readonly (readonly [string, Cell])[]): string {
  return render(rows.map(([name, value]) => [`  ${name}`, String(value)]), [false, false]);
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

/** Narrows the widest of the columns that may be cut, until all fit or none may be cut further. */
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

/** Columns of a terminal that `text` takes. */
function widthOf(text: string): number {
  return /^[\x20-\x7e]*$/.test(text) ? text.length : stringWidth(text);
}

/** `text`, or its beginning and a sign that it goes on, where it is wider than that. */
function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let shown = "";
  for (const character of text) {
    if (widthOf(shown + character) >= width) break;
    shown += character;
  }
  return shown + CUT;
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
