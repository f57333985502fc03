/**
 * Loaded into a node before its program: on SIGUSR2 it collects garbage and writes to the file of the
 * variable `HELD_MEMORY_FILE` how many bytes it holds, in the engine's heap and in buffers. Resident
 * memory moves by more than thousands of small objects need, and cannot tell what one of them costs.
 */
import process from "node:process";

/** The variable that names the file. */
export const HELD_MEMORY_FILE = "HELD_MEMORY_FILE";

const file = process.env[HELD_MEMORY_FILE];
if (file !== undefined) {
  Deno.addSignalListener("SIGUSR2", () => {
    const { gc } = globalThis as { gc?: () => void };
    if (gc === undefined) throw new Error("The node must run with --expose-gc");
    gc();
    const { heapUsed, external } = process.memoryUsage();
    // Renamed in place, so that a reader never sees a part of it.
    Deno.writeTextFileSync(`${file}.new`, String(heapUsed + external));
    Deno.renameSync(`${file}.new`, file);
  });
}
