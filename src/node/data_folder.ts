/**
 * The node's data folder: `log/` holds the log, `log-mark/` what is known to be durable of it, so
 * that the loss of one is found out by the other.
 */
import { existsSync } from "node:fs";
import { RegistryError } from "../base/errors.ts";
import { openFileStorage } from "../storage/file_storage.ts";
import type { Storage } from "../storage/storage.ts";
import { identityFolder } from "../../identity/trust/credentials.ts";

const LOG_FOLDER = "log";
const MARK_FOLDER = "log-mark";

/** Returns where a data folder holds its log. */
export function logFolderOf(data: string): string {
  return `${data}/${LOG_FOLDER}`;
}

/** Returns where a data folder holds its log's mark. */
export function markFolderOf(data: string): string {
  return `${data}/${MARK_FOLDER}`;
}

/** What the log stands on; whoever gets it closes both. */
export interface LogStorages {
  readonly storage: Storage;
  readonly markStorage: Storage;
}

/**
 * Opens and locks the folders of the log, making what is missing.
 *
 * @param acceptDataLoss true: makes a log even where there is proof of one that is gone.
 * @throws RegistryError `corrupt` when the log's folder is gone from a folder that had one; `locked`,
 * `storage_unavailable`.
 */
export function openLogStorages(data: string, acceptDataLoss: boolean): LogStorages {
  const log = logFolderOf(data);
  // A first start makes the log's folder before the identity.
  if (!acceptDataLoss && !existsSync(log) && existsSync(identityFolder(data))) {
    throw new RegistryError(
      "corrupt",
      `Cannot open the log as ${log} is gone, although a node was started on ${data} before: ` +
        "restore it from a copy, choose another data folder, or start with --accept-data-loss, " +
        "which begins a new cluster",
      { field: log },
    );
  }
  const storage = openFileStorage(log);
  try {
    return { storage, markStorage: openFileStorage(markFolderOf(data)) };
  } catch (error) {
    storage.close();
    throw error;
  }
}
