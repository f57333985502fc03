/**
 * The node's data folder: `log/` holds the log, and `log-mark/` records how much of it is durable, so
 * that the loss of one is detected by the other.
 */
import { existsSync, readdirSync } from "node:fs";
import { RegistryError } from "../base/errors.ts";
import type { Scheduler } from "../base/world.ts";
import { openFileStorage } from "../storage/file_storage.ts";
import type { Storage } from "../storage/storage.ts";
import { identityFolder } from "../../identity/trust/credentials.ts";

const LOG_FOLDER = "log";
const LOCK_FILE = "lock";
const MARK_FOLDER = "log-mark";

/** Returns the path of the log in a data folder. */
export function logFolderOf(data: string): string {
  return `${data}/${LOG_FOLDER}`;
}

/** Returns the path at which an unsafe recovery writes the log or the mark that takes the place of another. */
export function recoveredPathOf(path: string): string {
  return `${path}.recovered`;
}

/** Returns the path of the log's mark in a data folder. */
export function markFolderOf(data: string): string {
  return `${data}/${MARK_FOLDER}`;
}

/** Reports whether the data folder holds a log with something in it. */
export function hasLogFiles(data: string): boolean {
  const folder = logFolderOf(data);
  return existsSync(folder) && readdirSync(folder).some((name) => name !== LOCK_FILE);
}

/** The storages of the log; the receiver closes both. */
export interface LogStorages {
  readonly storage: Storage;
  readonly markStorage: Storage;
}

/**
 * Opens and locks the folders of the log, creating missing ones.
 *
 * @param acceptDataLoss whether to create a log even if there is proof that an earlier one was lost.
 * @throws RegistryError `corrupt` if the data folder had a log folder that is gone, or if an unsafe recovery
 * was interrupted; `locked`, `storage_unavailable`.
 */
export function openLogStorages(
  data: string,
  acceptDataLoss: boolean,
  scheduler: Scheduler,
): LogStorages {
  const log = logFolderOf(data);
  if (!existsSync(log) && existsSync(recoveredPathOf(log))) {
    throw new RegistryError(
      "corrupt",
      `Cannot open the log as ${log} is gone: an unsafe recovery of ${data} was interrupted. Start ` +
        "with --unsafe-recover again, which finishes it",
      { field: log },
    );
  }
  // A first start creates the log's folder before the identity.
  if (!acceptDataLoss && !existsSync(log) && existsSync(identityFolder(data))) {
    throw new RegistryError(
      "corrupt",
      `Cannot open the log as ${log} is gone, although a node was started on ${data} before: ` +
        "restore it from a copy, choose another data folder, or start with --accept-data-loss, " +
        "which begins a new cluster. A node of a cluster joins it again instead, with an empty folder",
      { field: log },
    );
  }
  const storage = openFileStorage(log, scheduler);
  try {
    return { storage, markStorage: openFileStorage(markFolderOf(data)) };
  } catch (error) {
    storage.close();
    throw error;
  }
}
