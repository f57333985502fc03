/**
 * Truncates the newest segment of a node's log at many places after a clean stop and after kill -9,
 * and starts a node on each: `deno task soak truncations [cuts]`, by default 100 of each; takes
 * some minutes.
 */
import { type Ending, startsOnCuts, type Verdicts, writtenFolder } from "../support/truncations.ts";
import type { SoakResult } from "./soak.ts";

const RECORDS = 200;

/**
 * Runs both cases. Holds if after a clean stop every cut is refused, and after kill -9 every cut is
 * refused, or omits only what the log's mark did not cover, and reports it.
 */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const cuts = Number(args[0] ?? 100);
  const stopped = await verdictsAfter("SIGTERM", cuts);
  const killed = await verdictsAfter("SIGKILL", cuts);
  const agree = stopped.disagreements === 0 && killed.disagreements === 0;
  const holds = agree && stopped.refused + stopped.whole === cuts && stopped.silent === 0 &&
    killed.silent === 0;
  return { figures: { stopped, killed }, holds };
}

async function verdictsAfter(ending: Ending, cuts: number): Promise<Verdicts> {
  const root = await Deno.makeTempDir();
  try {
    const data = await writtenFolder(root, { records: RECORDS, ending });
    return await startsOnCuts(root, data, { cuts, records: RECORDS, seed: 1 });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}
