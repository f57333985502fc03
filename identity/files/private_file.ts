/**
 * Atomic and, for keys, private file writes: a file is written beside its place, synced and
 * renamed, and its folder synced, so that a crash leaves the old or the new file and never a part.
 */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { RegistryError } from "../../src/base/errors.ts";
import { IDENTITY_FILE_BYTES_MAX } from "../../src/base/limits.ts";
import { systemAdvice, systemCodeOf } from "../../src/base/system_error.ts";
import { readBoundedFile, UnfitFile } from "./bounded_file.ts";

/** Mode of a file with a key: accessible to its owner only. */
export const PRIVATE_FILE_MODE = 0o600;
/** Mode of a file that everybody may read. */
export const PUBLIC_FILE_MODE = 0o644;
/** Mode of a folder with keys. */
export const PRIVATE_FOLDER_MODE = 0o700;

/**
 * Creates a folder that only its owner may enter, with its parents. The mode of an existing folder
 * is narrowed.
 */
export function ensurePrivateFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: PRIVATE_FOLDER_MODE });
    narrow(path, PRIVATE_FOLDER_MODE);
  } catch (error) {
    throw unusable(path, "made", error);
  }
}

/**
 * Replaces a file atomically and durably.
 *
 * @throws RegistryError `storage_unavailable` if the disk refuses; the old file then stays.
 */
export function replaceFile(path: string, text: string, mode: number): void {
  const draft = `${path}.new`;
  try {
    rmSync(draft, { force: true });
    writeDraft(draft, text, mode);
    renameSync(draft, path);
    syncFolder(dirname(path));
  } catch (error) {
    throw unusable(path, "written", error);
  }
}

/**
 * Creates a file atomically and durably, unless it exists, as when another process creates it at the
 * same time.
 *
 * @param tag distinguishes the drafts of concurrent writers.
 * @returns whether this call created it.
 * @throws RegistryError `storage_unavailable` if the disk refuses.
 */
export function createFileOnce(path: string, text: string, mode: number, tag: string): boolean {
  const draft = `${path}.${tag}.new`;
  try {
    writeDraft(draft, text, mode);
    try {
      linkSync(draft, path);
    } catch (error) {
      if (systemCodeOf(error) === "EEXIST") return false;
      throw error;
    } finally {
      rmSync(draft, { force: true });
    }
    syncFolder(dirname(path));
    return true;
  } catch (error) {
    throw unusable(path, "created", error);
  }
}

/** Writes and syncs a new file. "wx": a file or link that another process placed there fails it. */
function writeDraft(path: string, text: string, mode: number): void {
  const file = openSync(path, "wx", mode);
  try {
    const bytes = new TextEncoder().encode(text);
    for (let written = 0; written < bytes.length;) {
      written += writeSync(file, bytes, written);
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  chmodSync(path, mode);
}

/** Renames durably. @throws RegistryError `storage_unavailable` if the disk refuses. */
export function moveFile(from: string, to: string): void {
  try {
    renameSync(from, to);
    syncFolder(dirname(to));
  } catch (error) {
    throw unusable(to, "replaced", error);
  }
}

/** Removes a file if it exists. @throws RegistryError `storage_unavailable`. */
export function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw unusable(path, "removed", error);
  }
}

/** Removes a folder if it is empty. @throws RegistryError `storage_unavailable`. */
export function removeEmptyFolder(path: string): void {
  try {
    if (readdirSync(path).length === 0) rmdirSync(path);
  } catch (error) {
    throw unusable(path, "removed", error);
  }
}

/**
 * Returns the text of a file, or `undefined` if it does not exist.
 *
 * @throws RegistryError `storage_unavailable` if it cannot be read, `corrupt` if it is far too
 * large or not a regular file.
 */
export function readFile(path: string): string | undefined {
  return readChecked(path, () => {});
}

/** Returns the text of a file with a key, after narrowing the file's mode to its owner. */
export function readPrivateFile(path: string): string | undefined {
  const text = readFile(path);
  if (text !== undefined) {
    try {
      narrow(path, PRIVATE_FILE_MODE);
    } catch (error) {
      throw unusable(path, "made private", error);
    }
  }
  return text;
}

/**
 * Returns the text of a file with a production key, or `undefined` if it does not exist. A file
 * that others may read is refused, not narrowed: the key may already have been read, which only the
 * operator can judge.
 *
 * @throws RegistryError `invalid_configuration` if its mode gives others access,
 * `storage_unavailable`, `corrupt` if it is far too large.
 */
export function readKeyFile(path: string): string | undefined {
  // The mode is that of the open file, so the file that is checked is the file that is read.
  return readChecked(path, (mode) => {
    if ((mode & 0o077) === 0) return;
    throw new RegistryError(
      "invalid_configuration",
      `Cannot use ${path} as other users may open it (mode ${(mode & 0o777).toString(8)}): if ` +
        `nobody has, make it private by chmod 600; otherwise create a new key`,
      { field: path },
    );
  });
}

function readChecked(path: string, check: (mode: number) => void): string | undefined {
  try {
    return readBoundedFile(path, IDENTITY_FILE_BYTES_MAX, check);
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    if (error instanceof UnfitFile) throw unfit(path, error);
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw unusable(path, "read", error);
  }
}

function narrow(path: string, mode: number): void {
  const found = statSync(path).mode & 0o777;
  if ((found & ~mode) !== 0) chmodSync(path, found & mode);
}

/** Makes the names in a folder durable. */
export function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function unfit(path: string, { message }: UnfitFile): RegistryError {
  return new RegistryError(
    "corrupt",
    `Cannot read ${path} as ${message}: a file of at most ${IDENTITY_FILE_BYTES_MAX} bytes is ` +
      "expected",
    { field: path },
  );
}

function unusable(path: string, done: string, error: unknown): RegistryError {
  const reason = error instanceof Error ? error.message : String(error);
  const advice = systemAdvice(error) ?? "check that this user owns it and that the disk has room";
  return new RegistryError(
    "storage_unavailable",
    `${path} cannot be ${done} (${reason}): ${advice}`,
    { field: path },
    error,
  );
}
