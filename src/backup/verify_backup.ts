/** Checks a backup without a cluster: every checksum, every record, every count. */
import { type RegistryError, toRegistryError } from "../base/errors.ts";
import { PartitionMachine } from "../replication/machines.ts";
import { type BackupFolder, newMachine, offlineShared } from "./backup_folder.ts";
import type { BackedUpGroup } from "./manifest.ts";

/** A group of a backup, and what is wrong with it if anything is. */
export interface VerifiedGroup {
  readonly group: BackedUpGroup;
  readonly error: RegistryError | undefined;
}

/** Reads every image of a backup, one after the other, and tells of each whether it can be restored. */
export function verifyBackup(folder: BackupFolder): VerifiedGroup[] {
  const shared = offlineShared();
  return folder.manifest.groups.map((group) => {
    const machine = newMachine(group.groupId, shared);
    try {
      folder.load(group, machine);
      return { group, error: undefined };
    } catch (error) {
      return { group, error: toRegistryError(error) };
    } finally {
      if (machine instanceof PartitionMachine) machine.store.release();
    }
  });
}
