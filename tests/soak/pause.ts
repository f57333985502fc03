/**
 * Stops a node's process while owners keep leases at it: `deno task soak pause [seconds]`, by
 * default 60; 200 leases with a ttl of 10 s. The node is alone, and owners and readers connect by
 * QUIC.
 */
import { keepThrough, stopped } from "../support/outages.ts";
import type { SoakResult } from "./soak.ts";

const LEASES = 200;
const TTL_MS = 10_000;

/** Runs the outage; holds if no lease ended, and no reader was told that a record is gone. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const outage = stopped(Number(args[0] ?? 60) * 1_000);
  const folder = await Deno.makeTempDir();
  try {
    const dataFolder = `${folder}/data`;
    const figures = await keepThrough({ dataFolder, leases: LEASES, ttlMs: TTL_MS, outage });
    return {
      figures: { ...figures },
      holds: figures.leasesEnded === 0 && figures.provenNotFound === 0,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
