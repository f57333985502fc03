/**
 * Loaded before a process (`deno run --preload`): makes its syncs of file data fail, as on a broken
 * disk, as long as the file named by `FAILING_SYNC` exists. Such a process has no workers, so that
 * all syncs run on the main thread.
 */
import fs from "node:fs";
import process from "node:process";

const trigger = process.env["FAILING_SYNC"] ?? "";
const fdatasync = fs.fdatasync;

delete (globalThis as { Worker?: unknown }).Worker;

fs.fdatasync = ((fd: number, done: (error: NodeJS.ErrnoException | null) => void) => {
  if (!fs.existsSync(trigger)) return fdatasync(fd, done);
  queueMicrotask(() =>
    done(Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" }))
  );
}) as typeof fs.fdatasync;
