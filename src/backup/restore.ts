/**
 * Restores a backup into an empty data folder: a new cluster of one node, of a higher generation, which
 * other nodes then join. The backup is checked as a whole before anything is written.
 */
import { assert } from "../base/assert.ts";
import { partitionOfGroup } from "../base/ids.ts";
import type { World } from "../base/world.ts";
import { logFolderOf, markFolderOf } from "../node/data_folder.ts";
import { writeClusterFile } from "../node/cluster_file.ts";
import {
  GovernanceMachine,
  type PartitionMachine,
  SystemMachine,
} from "../replication/machines.ts";
import { openFileStorage } from "../storage/file_storage.ts";
import { type BackupFolder, newMachine, offlineShared } from "./backup_folder.ts";
import { FolderWriter } from "./folder_writer.ts";
import { type ImagedCluster, rebuildCluster, type RebuiltCluster } from "./rebuilt_cluster.ts";
import { writeRebuiltLog } from "./rebuilt_log.ts";
import { giveGeneration } from "./given_generations.ts";

/** Options of a restore. */
export interface RestoreOptions {
  readonly backup: BackupFolder;
  /** The data folder to create. */
  readonly data: string;
  /** The generation of the new cluster; default: the next that this copy of the backup was not restored as. */
  readonly generation?: number;
  readonly world: World;
}

/** A backup that was restored. */
export interface Restored extends Pick<RebuiltCluster, "membership" | "claims"> {
  /** Live records and domains before domains were claimed again. */
  readonly records: number;
}

/**
 * Restores a backup. What an interrupted restore left is replaced.
 *
 * @throws RegistryError `invalid_argument` if the data folder holds something, or the generation is not
 * above that of the backup; `corrupt`, `unsupported_version` for the backup; `storage_unavailable`.
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { backup, data, world } = options;
  const writer = FolderWriter.begin(data);
  try {
    const cluster = loadCluster(backup);
    const generation = giveGeneration(backup, options.generation);
    const folderId = new Uint8Array(16);
    world.entropy.fill(folderId);
    const { groups, membership, claims } = rebuildCluster(cluster, {
      generation,
      node: { folderId },
      unixS: Math.floor(world.wall.unixMs() / 1_000),
      reason: "the cluster was restored from a backup",
    });
    const storage = openFileStorage(logFolderOf(writer.path));
    const markStorage = openFileStorage(markFolderOf(writer.path));
    await writeRebuiltLog(groups, { storage, markStorage, generation, world });
    writeClusterFile(writer.path, { folderId, membership });
    writer.finish();
    const records = backup.manifest.groups.reduce(
      (sum, { groupId: id, records }) => sum + (partitionOfGroup(id) === undefined ? 0 : records),
      0,
    );
    return { membership, claims, records };
  } catch (error) {
    writer.discard();
    throw error;
  }
}

/** Loads all images of a backup. @throws RegistryError `corrupt`, `unsupported_version`. */
function loadCluster(backup: BackupFolder): ImagedCluster {
  const shared = offlineShared();
  const partitions: PartitionMachine[] = [];
  let system: SystemMachine | undefined;
  let plane: GovernanceMachine | undefined;
  for (const group of backup.manifest.groups) {
    const machine = newMachine(group.groupId, shared);
    backup.load(group, machine);
    if (machine instanceof SystemMachine) system = machine;
    else if (machine instanceof GovernanceMachine) plane = machine;
    else partitions[group.groupId - 1] = machine;
  }
  assert(system !== undefined, "A backup has an image of group 0");
  return { system, partitions, plane };
}
