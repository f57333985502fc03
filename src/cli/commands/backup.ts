/** The commands `crs backup` and `crs restore`. */
import type { BackupFlags } from "../actions/backup.ts";
import type { RestoreFlags } from "../actions/restore.ts";
import { type MakeCommand, newCommand, newServerCommand } from "./options.ts";

/** Creates `crs backup`. */
export const backupCommand: MakeCommand = (shell, run) =>
  newServerCommand(
    "backup",
    "Writes a backup of a cluster while it serves: one image of each group, with everything that was " +
      "acknowledged before the command began. It holds no private keys and no tokens. A backup that is " +
      "interrupted is not used, and is taken again.",
    ["backup /backups/monday", "backup /backups/monday --verify"],
  )
    .argument("<folder>", "folder to create; it must be empty or absent")
    .option(
      "--verify",
      "reads a backup again, without a cluster: every checksum, record and count",
    )
    .option("--rate <number>", "MiB per second that are read from the nodes (default: 32)")
    .action(async (folder: string, flags: BackupFlags) => {
      await run(async () => {
        const { backup } = await import("../actions/backup.ts");
        return await backup(folder, flags, shell);
      });
    });

/** Creates `crs restore`. */
export const restoreCommand: MakeCommand = (shell, run) =>
  newCommand(
    "restore",
    "Makes a data folder of a backup, for the first node of a new cluster: the records, identities, bans and " +
      "descriptors of the backup, under a higher generation, so that clients notice. The nodes of the " +
      "former cluster must not run any more; other nodes join with empty folders.",
    ["restore /backups/monday --found", "restore /backups/monday --found --data /var/lib/registry"],
  )
    .argument("<folder>", "folder of the backup")
    .option("--found", "founds a cluster of one node, which is what a restore does")
    .option("--data <folder>", "data folder to create (default: ./data, env: CRS_DATA)")
    .option(
      "--generation <number>",
      "generation of the new cluster (default: the next multiple of 8 that this backup was not restored as)",
    )
    .action(async (folder: string, flags: RestoreFlags) => {
      await run(async () => {
        const { restore } = await import("../actions/restore.ts");
        return await restore(folder, flags, shell.terminal);
      });
    });
