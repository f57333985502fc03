/**
 * Measures the time from the start of the process to ready, without records: the first start and
 * later ones.
 */
import type { ResultFile } from "./harness.ts";
import { RegistryServer } from "./registry.ts";

const STARTS = 5;

/** Measures starts; the result is the median of a few. */
export async function benchStart(file: ResultFile): Promise<void> {
  const firstMs: number[] = [];
  const againMs: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    const folder = Deno.makeTempDirSync({ prefix: "crs-bench-" });
    try {
      for (const readyMs of [firstMs, againMs]) {
        const server = await RegistryServer.start({ folder });
        readyMs.push(server.readyMs);
        await server.stop("SIGTERM");
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  file.write({
    bench: "start",
    starts: STARTS,
    firstMs: median(firstMs),
    againMs: median(againMs),
  });
}

function median(values: readonly number[]): number {
  return Math.round(values.toSorted((left, right) => left - right)[values.length >> 1]!);
}
