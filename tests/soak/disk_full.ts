/**
 * Fills the disk of a node while owners keep leases at it: `deno task soak disk_full [seconds]`, by
 * default 40; 200 leases with a ttl of 5 s. Needs the permission to mount a tmpfs.
 */
import { full, keepThrough, mountSmall } from "../support/outages.ts";
import type { SoakResult } from "./soak.ts";

const LEASES = 200;
const TTL_MS = 5_000;

/** Runs the outage; holds if no lease ended, and no reader was told that a record is gone. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const folder = await Deno.makeTempDir();
  const unmount = await mountSmall(`${folder}/small`);
  try {
    const outage = full(Number(args[0] ?? 40) * 1_000);
    const dataFolder = `${folder}/small/data`;
    const figures = await keepThrough({ dataFolder, leases: LEASES, ttlMs: TTL_MS, outage });
    return {
      figures: { ...figures },
      holds: figures.leasesEnded === 0 && figures.provenNotFound === 0,
    };
  } finally {
    await unmount();
    await Deno.remove(folder, { recursive: true });
  }
}
