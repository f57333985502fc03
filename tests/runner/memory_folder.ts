/**
 * A folder in memory for the temporary files of tests: half of the time of some of them is spent on waiting
 * for a disk to sync, though no test can cut the power.
 */
import { statfsSync } from "node:fs";

const FOLDER = "/dev/shm";
/** The type of a tmpfs, as statfs(2) has it. */
const TMPFS = 0x01021994;
/** Room that the temporary files of all tests never fill; containers have far less by default. */
const FREE_BYTES_MIN = 1024 ** 3;

/** Returns the folder if there is one with enough room, and the user has not chosen another one. */
export function memoryFolder(): string | undefined {
  if (Deno.env.has("TMPDIR")) return undefined;
  try {
    const { type, bavail, bsize } = statfsSync(FOLDER);
    return type === TMPFS && bavail * bsize >= FREE_BYTES_MIN ? FOLDER : undefined;
  } catch {
    // This system has no such folder.
    return undefined;
  }
}
