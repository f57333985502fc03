/** The making of a segment: its header written, the file synced, its name in the folder synced. */
import type { StorageFailure } from "./storage.ts";
import type { StorageDriver } from "./storage_driver.ts";

/** How it ended: `unsynced` is a failed sync, after which nothing of the disk is to be believed. */
export type SegmentOutcome =
  | { readonly kind: "made" }
  | { readonly kind: "unwritten" | "unsynced"; readonly failure: StorageFailure };

/** Makes the segment `file` with `header`; what was left of a former try is overwritten. */
export function makeSegment(
  driver: StorageDriver,
  file: string,
  header: Uint8Array,
  done: (outcome: SegmentOutcome) => void,
): void {
  driver.submit({ kind: "truncate", file, size: 0 }, (failure) => {
    if (failure !== undefined) return done({ kind: "unwritten", failure });
    driver.submit({ kind: "write", file, position: 0, bytes: header }, (writeFailure) => {
      if (writeFailure !== undefined) return done({ kind: "unwritten", failure: writeFailure });
      driver.submit({ kind: "sync", file }, (syncFailure) => {
        if (syncFailure !== undefined) return done({ kind: "unsynced", failure: syncFailure });
        driver.submit({ kind: "syncFolder" }, (folderFailure) => {
          if (folderFailure === undefined) done({ kind: "made" });
          else done({ kind: "unsynced", failure: folderFailure });
        });
      });
    });
  });
}
