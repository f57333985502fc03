/** `crs wal …`: looks at the log on disk, of a node that runs or not. */
import type { Command } from "commander";
import type { CommonOptions, Run, Shell } from "../shell.ts";
import { newCommand, newGroup } from "./options.ts";

/** `crs wal`. */
export function walCommand(shell: Shell, run: Run): Command {
  return newGroup("wal", "Looks at the log on disk; changes nothing.", [
    newCommand(
      "dump",
      "Prints the records of one file of the log, a segment or an image, in order. A record whose " +
        "checksum is wrong is shown as such; it may be the torn end of a log that was cut off.",
      ["wal dump data/log/<file>", "wal dump data/log/<file> --json"],
    ).argument("<file>", "segment or image")
      .action(async (file: string, flags: CommonOptions) => {
        await run(async () => {
          const { dump } = await import("../actions/wal.ts");
          return await dump(file, flags, shell.terminal);
        });
      }),
    newCommand(
      "verify",
      "Checks a whole log as a start would, images included. Damage ends with exit code 1, and " +
        "each place is named by file and offset.",
      ["wal verify", "wal verify /var/lib/registry/log"],
    ).argument("[folder]", "folder of the log, or the data folder (default: that of CRS_DATA)")
      .action(async (folder: string | undefined, flags: CommonOptions) => {
        await run(async () => {
          const { verify } = await import("../actions/wal.ts");
          return await verify(folder, flags, shell.terminal);
        });
      }),
  ]);
}
