/**
 * Stalls one write of a node's log while owners keep leases at it and a reader reads: `deno task
 * soak stalled_write [seconds]`, by default 12; 200 leases with a ttl of 5 s. Needs gcc, which
 * compiles the library that stalls the write.
 */
import { keepThrough, stalled } from "../support/outages.ts";
import { WriteStaller } from "../support/stalled_write.ts";
import type { SoakResult } from "./soak.ts";

const LEASES = 200;
const TTL_MS = 5_000;
/** Goal for reads during the stall. */
const READ_MS_MAX = 5;

/** Runs the outage; holds if no lease ended, and reads were not delayed. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const folder = await Deno.makeTempDir();
  try {
    const staller = await WriteStaller.compile(folder);
    const { env } = staller;
    const outage = stalled(staller, Number(args[0] ?? 12) * 1_000);
    const dataFolder = `${folder}/data`;
    const figures = await keepThrough({ dataFolder, env, leases: LEASES, ttlMs: TTL_MS, outage });
    const { leasesEnded, provenNotFound, readMsP99InOutage, readsInOutage } = figures;
    return {
      figures: { ...figures },
      holds: leasesEnded === 0 && provenNotFound === 0 && readsInOutage > 0 &&
        readMsP99InOutage <= READ_MS_MAX,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
