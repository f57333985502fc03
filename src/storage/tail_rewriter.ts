/**
 * Rewrites the end of a recovered log. If a sync failed before the last start, the kernel may hold
 * pages that it takes for clean and that are on no disk: they read well, and no sync writes them
 * (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). Rewriting
 * makes them dirty again. Below the watermark every page was once synced successfully.
 */
import { WAL_READ_BYTES } from "../base/limits.ts";
import type { StorageFailure } from "./storage.ts";
import type { StorageDriver } from "./storage_driver.ts";

/** Writes bytes `[from, to)` of `file` over themselves and syncs them. */
export function rewriteTail(
  driver: StorageDriver,
  { file, from, to }: { readonly file: string; readonly from: number; readonly to: number },
  done: (failure: StorageFailure | undefined) => void,
): void {
  if (from >= to) return driver.submit({ kind: "sync", file }, done);
  const target = new Uint8Array(Math.min(WAL_READ_BYTES, to - from));
  driver.submit({ kind: "read", file, position: from, target }, (failure, { byteCount }) => {
    if (failure !== undefined) return done(failure);
    const bytes = target.subarray(0, byteCount);
    driver.submit({ kind: "write", file, position: from, bytes }, (writeFailure) => {
      if (writeFailure !== undefined) return done(writeFailure);
      const next = byteCount < target.length ? to : from + byteCount;
      rewriteTail(driver, { file, from: next, to }, done);
    });
  });
}
