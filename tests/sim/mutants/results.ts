/**
 * What the last search found: for each mutant the checker that caught it and the seed, kept in
 * `results.json` beside this file, and the table that `tests/sim/README.md` shows of it.
 */
import type { Mutant } from "./mutant.ts";

/** One line of the record. */
export interface Result {
  readonly checker: string;
  readonly seed: number;
}

/** By name of the mutant. */
export type Results = Readonly<Record<string, Result>>;

const RESULTS = new URL("results.json", import.meta.url);
const README = new URL("../README.md", import.meta.url);
/** The table stands between these lines. */
const BEGIN = "<!-- mutants: made by `deno task mutants`, from results.json -->";
const END = "<!-- end of mutants -->";

/** The record as it is. */
export function readResults(): Results {
  return JSON.parse(Deno.readTextFileSync(RESULTS));
}

/** Replaces the record; its lines stand in the order of `mutants`. */
export function writeResults(mutants: readonly Mutant[], results: Results): void {
  const known = mutants.flatMap(({ name }) =>
    results[name] === undefined ? [] : [[name, results[name]]]
  );
  Deno.writeTextFileSync(RESULTS, JSON.stringify(Object.fromEntries(known), null, 2) + "\n");
}

/** The table of all mutants: what each breaks, who caught it, and with which seed. */
export function tableOf(mutants: readonly Mutant[], results: Results): string {
  const rows = mutants.map(({ name, breaks, test }) => {
    const result = results[name];
    const catcher = test === undefined ? result?.checker : `\`${test.split("/").at(-1)}\``;
    return [`\`${name}\``, breaks, catcher ?? "not caught", `${result?.seed ?? ""}`];
  });
  const header = ["mutant", "breaks", "caught by", "seed"];
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length))
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  const rule = line(widths.map((width) => "-".repeat(width)));
  return [line(header), rule, ...rows.map(line)].join("\n");
}

/** The README with `table` in its place; undefined where it has no place for one. */
function withTable(readme: string, table: string): string | undefined {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin === -1 || end < begin) return undefined;
  return `${readme.slice(0, begin)}${BEGIN}\n\n${table}\n\n${readme.slice(end)}`;
}

/** Whether the README shows the record; `write`: and makes it so. */
export function readmeShows(table: string, { write = false } = {}): boolean {
  const readme = Deno.readTextFileSync(README);
  const wanted = withTable(readme, table);
  if (wanted === undefined) throw new RangeError(`tests/sim/README.md must hold a line ${BEGIN}`);
  if (write && wanted !== readme) Deno.writeTextFileSync(README, wanted);
  return write || wanted === readme;
}
