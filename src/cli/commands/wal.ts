/** The command group `crs wal …`: inspects the log on disk, whether or not its node is running. */
import type { Command } from "commander";
import type { CommonOptions, RunAction, Shell } from "../shell.ts";
import { newCommand, newGroup } from "./options.ts";

/** Creates `crs wal`. */
export function walCommand(shell: Shell, run: RunAction): Command {
  return newGroup("wal", "Inspects the log on disk; changes nothing.", [
    newCommand(
      "dump",
      "Prints the records of one file of the log, a segment or an image, in order. A record with " +
        "a wrong checksum is marked; it may be the torn end of a log.",
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
      "Verifies a whole log as a start would, including images. The exit code is 1 if the log is " +
        "damaged; each damage is listed with file and offset.",
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
