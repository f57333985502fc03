/**
 * A lock of a folder against a second process. It ends with the process that holds it, however that
 * ends. On Deno it is an advisory lock of the operating system on an open file (flock). Node has no
 * such call, so there the file contains the holder's process id, and a lock whose holder is gone is
 * taken over; a reused process id can make such a lock appear held until the file is removed.
 */
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { RegistryError } from "../base/errors.ts";
import { LOCK_FILE } from "../wal/segment.ts";

/** A held lock. */
export interface FolderLock {
  /** Releases the lock. Idempotent. */
  release(): void;
}

function held(folder: string, by: string): RegistryError {
  return new RegistryError(
    "locked",
    `Cannot open folder ${folder} as another process uses it${by}: stop that process, or choose ` +
      `another folder`,
    { field: folder },
  );
}

/**
 * Locks `folder`, which must exist.
 *
 * @throws RegistryError `locked` when it is already locked, also by this process.
 */
export function lockFolder(folder: string): FolderLock {
  const file = path.join(folder, LOCK_FILE);
  return "Deno" in globalThis ? lockByFlock(folder, file) : lockByProcessId(folder, file);
}

function lockByFlock(folder: string, file: string): FolderLock {
  const handle = Deno.openSync(file, { read: true, write: true, create: true });
  if (!handle.tryLockSync(true)) {
    const holder = new TextDecoder().decode(Deno.readFileSync(file)).trim();
    handle.close();
    throw held(folder, /^\d+$/.test(holder) ? ` (process ${holder})` : "");
  }
  handle.truncateSync(0);
  handle.writeSync(new TextEncoder().encode(`${process.pid}\n`));
  let released = false;
  return {
    release() {
      if (released) return;
      released = true;
      handle.close();
    },
  };
}

function lockByProcessId(folder: string, file: string): FolderLock {
  const own = `${process.pid}\n`;
  for (;;) {
    try {
      fs.writeFileSync(file, own, { flag: "wx" });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const holder = Number.parseInt(fs.readFileSync(file, "utf8"), 10);
    if (holder !== process.pid && isAlive(holder)) throw held(folder, ` (process ${holder})`);
    fs.rmSync(file, { force: true });
  }
  let released = false;
  return {
    release() {
      if (released) return;
      released = true;
      fs.rmSync(file, { force: true });
    },
  };
}

function isAlive(processId: number): boolean {
  if (!Number.isInteger(processId) || processId < 1) return false;
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    // EPERM means that it exists and may not be signaled; any other error means that it is gone.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
