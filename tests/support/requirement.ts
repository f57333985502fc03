/**
 * Things that a test needs from outside the project (a program, a folder of published files), and
 * the only way in which a test may skip.
 *
 * `const capnpTest = testWith(CAPNP)` registers tests as uvu's `test` does if the program exists.
 * Otherwise each counts as skipped, and the file prints once which package provides the program:
 * `skipped: the program capnp is missing; Debian's package capnproto brings it`. The runner fails a
 * file that skips without such a line, or prints one without a skip; `--no-skips` fails every skip.
 *
 * A new program gets a constant here and its Debian package in `.ci/run`.
 */
import { existsSync, statSync } from "node:fs";
import { test } from "uvu";
import { vectorsFolder } from "../vectors/published.ts";

/** A requirement from outside the project. */
export interface Requirement<Found> {
  /** The value found; `undefined` if it is missing. */
  readonly found: Found | undefined;
  /** The missing thing and its package, without a full stop. */
  readonly advice: string;
}

/** Registers a test; its handler gets the value that the requirement found. */
export type TestWith<Found> = (
  name: string,
  handler: (found: Found) => Promise<void> | void,
) => void;

/** Cap'n Proto's own tool. */
export const CAPNP: Requirement<string> = program("capnp", "capnproto");
/** A browser that supports WebTransport. */
export const CHROMIUM: Requirement<string> = program("chromium", "chromium");
/** A client of HTTP that users have. */
export const CURL: Requirement<string> = program("curl", "curl");
/** A compiler, for libraries that are preloaded into a process. */
export const GCC: Requirement<string> = program("gcc", "gcc");
/** A client of gRPC that users have. */
export const GRPCURL: Requirement<string> = {
  found: program("grpcurl", "").found,
  advice:
    "the program grpcurl is missing; go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3 brings it",
};
/** The project's other runtime. */
export const NODE: Requirement<string> = program("node", "nodejs");
/** The process information of Linux. */
export const PROC: Requirement<string> = {
  found: existsSync("/proc/self/net/tcp") ? "/proc" : undefined,
  advice: "the folder /proc is missing; Linux has it",
};
/** The checker of alert rules. */
export const PROMTOOL: Requirement<string> = program("promtool", "prometheus");
/** A backend of the relay registry. */
export const ETCD: Requirement<string> = program("etcd", "etcd-server");
/** Another one. */
export const REDIS_SERVER: Requirement<string> = program("redis-server", "redis-server");
/** The published vectors' folder. */
export const VECTORS: Requirement<string> = {
  found: vectorsFolder(),
  advice: "the published vectors are missing; set VECTORS to their folder",
};

/** Returns the requirement of a program in Debian's package `debianPackage`. */
export function program(name: string, debianPackage: string): Requirement<string> {
  const folders = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  const found = folders.map((folder) => `${folder}/${name}`).find(isExecutable);
  const advice = `the program ${name} is missing; Debian's package ${debianPackage} brings it`;
  return { found, advice };
}

function isExecutable(path: string): boolean {
  if (!existsSync(path)) return false;
  const status = statSync(path);
  return status.isFile() && (status.mode & 0o111) !== 0;
}

/**
 * Returns the combined requirement of `first` and all `others`; the value found is that of `first`.
 */
export function allOf<Found>(
  first: Requirement<Found>,
  ...others: readonly Requirement<unknown>[]
): Requirement<Found> {
  const missing = [first, ...others].find(({ found }) => found === undefined);
  return missing === undefined ? first : { found: undefined, advice: missing.advice };
}

/** The advice that was printed, by the test function of a file: several files may share a process. */
const saidBy = new WeakMap<typeof test, Set<string>>();

/** Returns uvu's `test` if the requirement is met, otherwise a function that skips its tests. */
export function testWith<Found>({ found, advice }: Requirement<Found>): TestWith<Found> {
  if (found !== undefined) return (name, handler) => test(name, () => handler(found));
  return (name) => {
    const said = saidBy.get(test) ?? new Set();
    if (!said.has(advice)) console.log(`skipped: ${advice}`);
    saidBy.set(test, said.add(advice));
    test.skip(name);
  };
}
