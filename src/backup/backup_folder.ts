/**
 * A backup on disk, as it is read: the description and the images, each checked against the other. What
 * is damaged is named by its file, with the code `corrupt`.
 */
import { createHash } from "node:crypto";
import fs from "node:fs";
import { readBoundedFile, UnfitFile } from "../../identity/files/bounded_file.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import { GOVERNED_GROUP, type GroupId, partitionOfGroup, SYSTEM_GROUP } from "../base/ids.ts";
import { BACKUP_MANIFEST_BYTES_MAX, IMAGE_CHUNK_BYTES_MAX } from "../base/limits.ts";
import { systemAdvice } from "../base/system_error.ts";
import { formatUuid } from "../base/uuid.ts";
import {
  GovernanceMachine,
  PartitionMachine,
  recordCountOf,
  SystemMachine,
} from "../replication/machines.ts";
import { StoreShared } from "../store/shared.ts";
import { PartitionStore } from "../store/store.ts";
import { isUnfinished, unfinishedName } from "./folder_writer.ts";
import {
  type BackedUpGroup,
  type BackupManifest,
  corruptFile,
  decodeManifest,
  MANIFEST_FILE,
} from "./manifest.ts";

/** The state machine of any group. */
export type AnyMachine = SystemMachine | GovernanceMachine | PartitionMachine;

/** Returns memory for the partitions of a cluster whose keys nobody chooses against it: it serves nothing. */
export function offlineShared(): StoreShared {
  return new StoreShared({ bytesMax: Number.MAX_SAFE_INTEGER, hashSeed: new Uint8Array(16) });
}

/** Creates the empty machine of a group. */
export function newMachine(group: GroupId, shared: StoreShared): AnyMachine {
  if (group === SYSTEM_GROUP) return new SystemMachine();
  if (group === GOVERNED_GROUP) return new GovernanceMachine();
  const partition = partitionOfGroup(group);
  const store = new PartitionStore(partition === undefined ? { shared } : { shared, partition });
  return new PartitionMachine(store, shared.imageScratch);
}

/** A backup that is read. */
export class BackupFolder {
  readonly path: string;
  readonly manifest: BackupManifest;

  private constructor(path: string, manifest: BackupManifest) {
    this.path = path;
    this.manifest = manifest;
  }

  /**
   * Opens a backup and reads its description.
   *
   * @throws RegistryError `not_found` if there is none; `corrupt` if it is unfinished or damaged;
   * `unsupported_version`; `storage_unavailable`.
   */
  static open(path: string): BackupFolder {
    const file = `${path}/${MANIFEST_FILE}`;
    if (isUnfinished(path)) {
      const unfinished = unfinishedName(path);
      throw new RegistryError(
        "corrupt",
        `Cannot use ${unfinished}: the backup was interrupted. Take it again, which replaces the folder`,
        { field: unfinished },
      );
    }
    if (!fs.existsSync(path)) {
      throw new RegistryError("not_found", `There is no backup ${path}: check the path`, {
        field: path,
      });
    }
    if (!fs.existsSync(file)) throw corruptFile(file, "the file is missing, so this is no backup");
    try {
      return new BackupFolder(
        path,
        decodeManifest(readBoundedFile(file, BACKUP_MANIFEST_BYTES_MAX), file),
      );
    } catch (error) {
      if (error instanceof UnfitFile) throw corruptFile(file, error.message);
      throw unreadable(file, error);
    }
  }

  /**
   * Loads a group's image into a machine, which must be empty, and checks all that is known of it.
   *
   * @throws RegistryError `corrupt`; `unsupported_version` if a later program wrote the image;
   * `storage_unavailable`.
   */
  load(group: BackedUpGroup, machine: AnyMachine): void {
    const file = `${this.path}/${group.file}`;
    const loader = machine.imageLoader();
    const hash = createHash("sha256");
    let bytes = 0;
    // Nothing of a file is decoded before its checksum held: it is read twice.
    for (const chunk of chunksOf(file)) {
      bytes += chunk.length;
      hash.update(chunk);
    }
    if (bytes !== group.bytes) {
      throw corruptFile(file, `it must have ${group.bytes} bytes: found ${bytes}`);
    }
    if (hash.digest("hex") !== group.sha256) throw corruptFile(file, "its checksum does not hold");
    try {
      for (const chunk of chunksOf(file)) loader.push(chunk);
      loader.finish();
    } catch (error) {
      const { code, message } = toRegistryError(error);
      if (code !== "corrupt") throw error;
      throw corruptFile(file, message);
    }
    // Entries without a command do not reach the state.
    const { appliedIndex } = machine.store;
    if (appliedIndex > group.index) {
      throw corruptFile(file, `it must end at index ${group.index}: it ends at ${appliedIndex}`);
    }
    const records = recordCountOf(machine);
    if (records !== group.records) {
      throw corruptFile(file, `it must hold ${group.records} records: it holds ${records}`);
    }
    if (machine instanceof SystemMachine) this.#checkCluster(machine, file);
  }

  #checkCluster({ store: { genesis } }: SystemMachine, file: string): void {
    const { clusterId, partitionCount, region } = this.manifest;
    const isSame = genesis !== undefined && formatUuid(genesis.clusterId) === clusterId &&
      genesis.partitionCount === partitionCount && genesis.region === region;
    if (!isSame) throw corruptFile(file, "it is of another cluster than the backup");
  }
}

function* chunksOf(file: string): Generator<Uint8Array, void, undefined> {
  let handle: number;
  try {
    if (!fs.statSync(file).isFile()) throw corruptFile(file, "it is no file");
    handle = fs.openSync(file, "r");
  } catch (error) {
    if (isMissing(error)) throw corruptFile(file, "the file is missing");
    throw unreadable(file, error);
  }
  try {
    const chunk = new Uint8Array(IMAGE_CHUNK_BYTES_MAX);
    for (;;) {
      const length = fs.readSync(handle, chunk, 0, chunk.length, null);
      if (length === 0) return;
      yield chunk.subarray(0, length);
    }
  } catch (error) {
    throw unreadable(file, error);
  } finally {
    fs.closeSync(handle);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function unreadable(file: string, error: unknown): unknown {
  const advice = systemAdvice(error);
  if (error instanceof RegistryError || advice === undefined) return error;
  const message = `Cannot read ${file}: ${advice}`;
  return new RegistryError("storage_unavailable", message, { field: file }, error);
}
