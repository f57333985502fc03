/**
 * The published vectors, read where they lie: `VECTORS`, else `../shared/vectors` beside the project.
 * Runs on Deno and on Node.
 */
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** The folder of the vectors; `undefined` where there is none. */
export function vectorsFolder(): string | undefined {
  const folder = process.env.VECTORS ??
    fileURLToPath(new URL("../../../shared/vectors", import.meta.url));
  return existsSync(folder) ? folder : undefined;
}

/** One file of them, as text. */
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

/** What a verifier of ours said of one published test. */
export interface Verdict {
  readonly id: number;
  readonly expected: string;
  readonly accepted: boolean;
}

/** `accepted n of m valid, refused n of m invalid`, and the ids where we decide otherwise. */
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
