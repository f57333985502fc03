/**
 * A folder that is complete or absent: files are written and synced in a folder beside it, which gets
 * the wanted name at the end. What an interrupted attempt left is recognized by its name, and replaced.
 */
import fs from "node:fs";
import { dirname, resolve } from "node:path";
import { RegistryError } from "../base/errors.ts";
import { syncFolder } from "../../identity/files/private_file.ts";
import { systemAdvice, systemCodeOf } from "../base/system_error.ts";
import { type FolderLock, lockFolder } from "../storage/folder_lock.ts";
import { LOCK_FILE } from "../wal/segment.ts";

/** Accessible to the owner only: the files tell who connects from where. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** The name that a folder has while it is written. */
export function unfinishedName(folder: string): string {
  return `${resolve(folder)}.unfinished`;
}

/** Reports whether an attempt to write the folder was interrupted. */
export function isUnfinished(folder: string): boolean {
  return !fs.existsSync(folder) && fs.existsSync(unfinishedName(folder));
}

/** A folder that is being written. */
export class FolderWriter {
  readonly #folder: string;
  readonly #lock: FolderLock;
  /** Where its files are until it is finished. */
  readonly path: string;

  private constructor(folder: string, path: string, lock: FolderLock) {
    this.#folder = folder;
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Begins a folder, which must not exist or be empty.
   *
   * @throws RegistryError `invalid_argument` if it holds something; `locked` while another process writes
   * it; `storage_unavailable`.
   */
  static begin(wanted: string): FolderWriter {
    const folder = resolve(wanted);
    const path = unfinishedName(folder);
    try {
      if (fs.existsSync(folder) && fs.readdirSync(folder).length > 0) {
        throw new RegistryError(
          "invalid_argument",
          `Folder ${folder} must be empty or absent: it holds something. Choose another one`,
          { field: folder },
        );
      }
      fs.mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
      const found = fs.readdirSync(path);
      if (found.length > 0 && !found.includes(LOCK_FILE)) {
        throw new RegistryError(
          "invalid_argument",
          `Folder ${path} must be what an interrupted attempt left: it is something else. Move it away`,
          { field: path },
        );
      }
      const lock = lockFolder(path);
      for (const name of found) {
        if (name !== LOCK_FILE) fs.rmSync(`${path}/${name}`, { recursive: true });
      }
      return new FolderWriter(folder, path, lock);
    } catch (error) {
      throw unwritable(path, error);
    }
  }

  /** Creates a file in it. */
  create(name: string): WrittenFile {
    return new WrittenFile(`${this.path}/${name}`);
  }

  /** Gives the folder its name; everything in it is durable then. */
  finish(): void {
    try {
      syncFolder(this.path);
      if (fs.existsSync(this.#folder)) fs.rmdirSync(this.#folder);
      fs.renameSync(this.path, this.#folder);
      // Not earlier: the next attempt recognizes by this file what a crash before the renaming left.
      this.#lock.release();
      fs.rmSync(`${this.#folder}/${LOCK_FILE}`, { force: true });
      syncFolder(dirname(this.#folder));
    } catch (error) {
      throw unwritable(this.#folder, error);
    }
  }

  /** Removes what was written. */
  discard(): void {
    this.#lock.release();
    try {
      fs.rmSync(this.path, { recursive: true, force: true });
    } catch {
      // The error that ends the attempt is the one to report; the next attempt replaces the folder.
    }
  }
}

/** A file that is being written. */
export class WrittenFile {
  readonly #path: string;
  readonly #handle: number;
  #isClosed = false;

  constructor(path: string) {
    this.#path = path;
    this.#handle = this.#guarded(() => fs.openSync(path, "w", FILE_MODE));
  }

  write(bytes: Uint8Array): void {
    this.#guarded(() => {
      for (let at = 0; at < bytes.length;) {
        at += fs.writeSync(this.#handle, bytes, at, bytes.length - at);
      }
    });
  }

  /** Makes it durable, and closes it. */
  finish(): void {
    this.#guarded(() => fs.fsyncSync(this.#handle));
    this.close();
  }

  /** Closes it as it is. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#guarded(() => fs.closeSync(this.#handle));
  }

  #guarded<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw unwritable(this.#path, error);
    }
  }
}

function unwritable(path: string, error: unknown): unknown {
  const code = systemCodeOf(error);
  if (code === undefined) return error;
  const message = `Cannot write ${path}: ${systemAdvice(error) ?? code}`;
  return new RegistryError("storage_unavailable", message, { field: path }, error);
}
