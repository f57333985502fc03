/**
 * Leases kept by their owners survive outages of a node that are longer than the leases: its
 * process is stopped, or a write of its log stalls. No record expires, and no reader is told that
 * one is gone.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TTL_MS_MIN } from "../../src/base/limits.ts";
import { type KeepPlan, keepThrough, stalled, stopped } from "../support/outages.ts";
import { GCC, testWith } from "../support/requirement.ts";
import { WriteStaller } from "../support/stalled_write.ts";
import { inTemporaryFolder } from "../support/temporary_folder.ts";

const LEASES = 20;
const OUTAGE_MS = TTL_MS_MIN + 2_000;

async function survives(plan: Pick<KeepPlan, "dataFolder" | "env" | "outage">): Promise<void> {
  const figures = await keepThrough({ ...plan, leases: LEASES, ttlMs: TTL_MS_MIN });
  const words = JSON.stringify(figures);
  assert.ok(figures.outageMs > TTL_MS_MIN && figures.reads > 0, words);
  assert.is(figures.leasesEnded, 0, words);
  assert.is(figures.provenNotFound, 0, words);
}

test("kept leases survive a node that is stopped for longer than they last", () =>
  inTemporaryFolder((folder) =>
    survives({ dataFolder: `${folder}/data`, outage: stopped(OUTAGE_MS) })
  ));

testWith(GCC)(
  "kept leases survive a write of the log that stalls for longer than they last",
  () =>
    inTemporaryFolder(async (folder) => {
      const staller = await WriteStaller.compile(folder);
      const { env } = staller;
      const outage = stalled(staller, OUTAGE_MS);
      await survives({ dataFolder: `${folder}/data`, env, outage });
    }),
);

test.run();
