/**
 * The published vectors, read from their folder: `VECTORS`, or `../shared/vectors` beside the
 * project. Runs on Deno and on Node.
 */
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** Returns the folder of the vectors; `undefined` if there is none. */
export function vectorsFolder(): string | undefined {
  const folder = process.env.VECTORS ??
    fileURLToPath(new URL("../../../shared/vectors", import.meta.url));
  return existsSync(folder) ? folder : undefined;
}

/** Returns one of the files as text. */
export function readVectors(folder: string, name: string): string {
  return readFileSync(`${folder}/${name}`, "utf8");
}

/** A file of Project Wycheproof: groups of tests, each with an expected result. */
export interface Wycheproof<Group, Test> {
  readonly testGroups: readonly (Group & {
    readonly comment?: string;
    readonly tests: readonly (Test & {
      readonly tcId: number;
      readonly comment: string;
      readonly flags?: readonly string[];
      readonly result: "valid" | "invalid" | "acceptable";
    })[];
  })[];
}

/** The verdict of one of our verifiers on a published test. */
export interface Verdict {
  readonly id: number;
  readonly expected: string;
  readonly accepted: boolean;
}

/**
 * Returns `accepted n of m valid, refused n of m invalid`, and the ids that we decide differently.
 */
export function tally(verdicts: readonly Verdict[]): {
  readonly text: string;
  readonly exceptions: number[];
} {
  const count = (expected: string, accepted: boolean) =>
    verdicts.filter((one) => one.expected === expected && one.accepted === accepted).length;
  const parts: string[] = [];
  for (const expected of new Set(verdicts.map((one) => one.expected))) {
    parts.push(`${expected}: ${count(expected, true)} accepted, ${count(expected, false)} refused`);
  }
  const exceptions = verdicts
    .filter(({ expected, accepted }) => (expected === "invalid") === accepted)
    .map(({ id }) => id);
  return { text: parts.sort().reverse().join("; "), exceptions };
}
