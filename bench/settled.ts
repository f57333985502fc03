/** Resident memory after it has settled: collectors still return pages after a load has ended. */
import type { ServerProcess } from "./harness.ts";

const SAMPLE_MS = 500;
/** Memory has settled when it fell by less than this between two measurements. */
const STEP_BYTES = 512 * 1024;
const SETTLE_MS_MIN = 3_000;
const SETTLE_MS_MAX = 15_000;

/** Returns the settled resident memory of an idle process, bytes. */
export async function settledBytes(process: ServerProcess): Promise<number> {
  const startMs = performance.now();
  let last = process.residentBytes();
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    const now = process.residentBytes();
    const elapsedMs = performance.now() - startMs;
    const steady = Math.abs(now - last) < STEP_BYTES && elapsedMs > SETTLE_MS_MIN;
    if (steady || elapsedMs > SETTLE_MS_MAX) return now;
    last = now;
  }
}
