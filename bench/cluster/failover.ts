/**
 * Measures how long reads and writes pause after a node was killed, and how often nodes lose each
 * other's support while they are merely busy, for several support times. No setting changes that
 * time, on which all nodes must agree: for each value the soak `cluster_kills` runs in a copy of the
 * sources in which the constant is another one.
 */
import { copy } from "./copy.ts";
import type { ResultFile } from "../harness.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const COPIED = ["bench", "identity", "schemas", "src", "tests", "transport"];
const COPIED_FILES = ["deno.json", "deno.lock", "mod.ts", "package.json"];
const LIMITS = "src/base/limits/liveness.ts";
const CONSTANT = /^export const SUPPORT_MS = .*;$/m;
const SUPPORT_TIMES_MS = [2_000, 1_200, 800];
/** Rounds of three kills, partitions, and seconds of load without faults. */
const SOAK_ARGUMENTS = ["2", "64", "20"];

/** The figures of the soak that are compared. */
interface Kills {
  readonly soak: string;
  readonly kills: number;
  readonly readGapsMs: readonly number[];
  readonly writeGapsMs: readonly number[];
  readonly failed: number;
  readonly busy: { readonly seconds: number; readonly calls: number; readonly supportLost: number };
}

/** Measures the support times; writes a line of results for each. */
export async function benchClusterFailover(file: ResultFile): Promise<void> {
  for (const supportMs of SUPPORT_TIMES_MS) {
    const { kills, readGapsMs, writeGapsMs, failed, busy } = await runSoak(supportMs);
    file.write({
      bench: "cluster failover",
      supportMs,
      kills,
      failed,
      readGapMsMedian: median(readGapsMs),
      readGapMsMax: Math.max(...readGapsMs),
      writeGapMsMedian: median(writeGapsMs),
      writeGapMsMax: Math.max(...writeGapsMs),
      busySeconds: busy.seconds,
      busyCalls: busy.calls,
      supportLost: busy.supportLost,
    });
  }
}

async function runSoak(supportMs: number): Promise<Kills> {
  const folder = await Deno.makeTempDir({ prefix: "crs-bench-" });
  try {
    for (const name of COPIED) await copy(`${ROOT}${name}`, `${folder}/${name}`);
    for (const name of COPIED_FILES) await Deno.copyFile(`${ROOT}${name}`, `${folder}/${name}`);
    await Deno.symlink(`${ROOT}node_modules`, `${folder}/node_modules`);
    const limits = await Deno.readTextFile(`${folder}/${LIMITS}`);
    if (!CONSTANT.test(limits)) throw new Error(`${LIMITS} has no SUPPORT_MS`);
    const changed = limits.replace(CONSTANT, `export const SUPPORT_MS = ${supportMs};`);
    await Deno.writeTextFile(`${folder}/${LIMITS}`, changed);
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "tests/soak/main.ts", "cluster_kills", ...SOAK_ARGUMENTS],
      cwd: folder,
      stdin: "null",
      stderr: "inherit",
    }).output();
    const line = new TextDecoder().decode(stdout).split("\n").find((one) => one.startsWith("{"));
    // A goal that a support time misses is a result too.
    if (line === undefined) throw new Error("The soak printed no figures");
    return JSON.parse(line) as Kills;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1]!;
}
