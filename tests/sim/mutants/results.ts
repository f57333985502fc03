/**
 * Results of the last search: for each mutant the checker that caught it and the seed, stored in
 * `results.json` beside this file, and the table of them in `tests/sim/README.md`.
 */
import { type Mutant, simulatorOf } from "./mutant.ts";

/** The result of one mutant. */
export interface Result {
  readonly checker: string;
  readonly seed: number;
}

/** Results by name of the mutant. */
export type Results = Readonly<Record<string, Result>>;

const RESULTS = new URL("results.json", import.meta.url);
const README = new URL("../README.md", import.meta.url);
/** The line before the table. */
const BEGIN = "<!-- mutants: made by `deno task mutants`, from results.json -->";
const END = "<!-- end of mutants -->";

/** Reads the stored results. */
export function readResults(): Results {
  return JSON.parse(Deno.readTextFileSync(RESULTS));
}

/** Replaces the stored results; their lines are in the order of `mutants`. */
export function writeResults(mutants: readonly Mutant[], results: Results): void {
  const known = mutants.flatMap(({ name }) =>
    results[name] === undefined ? [] : [[name, results[name]]]
  );
  Deno.writeTextFileSync(RESULTS, JSON.stringify(Object.fromEntries(known), null, 2) + "\n");
}

/** Returns the table of all mutants: the broken rule, the checker that caught it, and the seed. */
export function tableOf(mutants: readonly Mutant[], results: Results): string {
  const rows = mutants.map((mutant) => {
    const { name, breaks, test } = mutant;
    const result = results[name];
    const catcher = test === undefined ? result?.checker : `\`${test.split("/").at(-1)}\``;
    const simulator = simulatorOf(mutant);
    const seed = simulator === "groups" ? result?.seed : `${simulator} ${result?.seed}`;
    return [`\`${name}\``, breaks, catcher ?? "not caught", `${seed ?? ""}`];
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

/** Returns the README with `table` in its place; undefined if it has no place for one. */
function withTable(readme: string, table: string): string | undefined {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin === -1 || end < begin) return undefined;
  return `${readme.slice(0, begin)}${BEGIN}\n\n${table}\n\n${readme.slice(end)}`;
}

/** Reports whether the README shows the results; with `write`, updates it. */
export function readmeShows(table: string, { write = false } = {}): boolean {
  const readme = Deno.readTextFileSync(README);
  const wanted = withTable(readme, table);
  if (wanted === undefined) throw new RangeError(`tests/sim/README.md must hold a line ${BEGIN}`);
  if (write && wanted !== readme) Deno.writeTextFileSync(README, wanted);
  return write || wanted === readme;
}
