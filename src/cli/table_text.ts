/** The text of a reply with a table, for replies that load the code of tables only when they are shown. */
import type { Cell } from "./table.ts";

/** Description of a table. */
export interface TableText {
  /** The line shown instead of a table without rows; ends with a newline. */
  readonly none: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** Width of the terminal, characters. */
  readonly columns: number;
  /** Indexes of the columns that may be cut. */
  readonly shrinks: readonly number[];
}

/** Returns the table, or the line shown instead. */
export async function tableText(
  { none, head, rows, columns, shrinks }: TableText,
): Promise<string> {
  if (rows.length === 0) return none;
  const { table } = await import("./table.ts");
  return table(head, rows, { columns, shrinks });
}
