/** A Node that runs the project's TypeScript files without a build: 22.18 or newer. */
import type { Requirement } from "./requirement.ts";

const VERSION_MIN = [22, 18] as const;
/**
 * The package that `npx` fetches if the installed Node is older: the program itself. The package `node` has it
 * brought by a script at its installation, which npm 12 does not run.
 */
const PACKAGE = `node-${Deno.build.os}-${Deno.build.arch === "aarch64" ? "arm64" : "x64"}@24`;
const ADVICE = `a Node of ${
  VERSION_MIN.join(".")
} or newer is missing; npx -y -p ${PACKAGE} node brings it`;

/**
 * Returns the requirement of such a Node: the installed one if it is new enough, otherwise npm's.
 */
export async function modernNode(): Promise<Requirement<string>> {
  const found = await pathOf("node", []) ?? await pathOf("npx", ["-y", "-p", PACKAGE, "node"]);
  return { found, advice: ADVICE };
}

/** Returns the executable that a command starts; `undefined` if it is missing or too old. */
async function pathOf(command: string, args: readonly string[]): Promise<string | undefined> {
  const script = "console.log(JSON.stringify([process.execPath, process.versions.node]))";
  try {
    const { success, stdout } = await new Deno.Command(command, {
      args: [...args, "-e", script],
      stdin: "null",
      stderr: "null",
    }).output();
    if (!success) return undefined;
    const [path, version] = JSON.parse(new TextDecoder().decode(stdout)) as [string, string];
    const [major = 0, minor = 0] = version.split(".").map(Number);
    const isModern = major > VERSION_MIN[0] ||
      (major === VERSION_MIN[0] && minor >= VERSION_MIN[1]);
    return isModern ? path : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
