/** The newest release of this program, out of the repository's history, for tests of versions side by side. */
import { existsSync } from "node:fs";
import type { Requirement } from "./requirement.ts";

/** The commit of a release that every clone of the whole history has, also one without tags: v0.1.0. */
const RECORDED = "6a0a6ae500ef0b116e10d6a96bb36d79abb2adff";
const ROOT = new URL("../..", import.meta.url).pathname;

/** The commit of the newest release. */
export const RELEASE: Requirement<string> = {
  found: releaseCommit(),
  advice:
    "a release is missing: it needs git (Debian's package git) and a clone with the whole history",
};

/** The source of a release, in a temporary folder; {@link Release.remove} must follow. */
export class Release {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Takes the source out of the history. It runs with the packages that are installed here. */
  static async open(commit: string): Promise<Release> {
    const folder = await Deno.makeTempDir();
    const archive = `${folder}.tar`;
    try {
      await run("git", ["-C", ROOT, "archive", `--output=${archive}`, commit]);
      await run("tar", ["-x", "-f", archive, "-C", folder]);
    } finally {
      await Deno.remove(archive);
    }
    await Deno.symlink(`${ROOT}/node_modules`, `${folder}/node_modules`);
    return new Release(folder);
  }

  /** Removes the source. */
  async remove(): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

function releaseCommit(): string | undefined {
  if (!existsSync(`${ROOT}/.git`)) return undefined;
  const tag = output(["describe", "--tags", "--abbrev=0", "--match", "v*"]);
  const names = tag === undefined ? [RECORDED] : [tag, RECORDED];
  for (const name of names) {
    const commit = output(["rev-parse", "--verify", "--quiet", `${name}^{commit}`]);
    if (commit !== undefined) return commit;
  }
  return undefined;
}

/** Returns what git prints; undefined if it fails or there is no git. */
function output(args: readonly string[]): string | undefined {
  try {
    const { success, stdout } = new Deno.Command("git", {
      args: ["-C", ROOT, ...args],
      stderr: "null",
    }).outputSync();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined;
  }
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
}
