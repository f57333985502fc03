/** Creation of a segment: writes its header, syncs the file, and syncs its name in the folder. */
import type { StorageFailure } from "./storage.ts";
import type { StorageDriver } from "./storage_driver.ts";

/** The outcome; `unsynced` is a failed sync, after which the state of the disk is unknown. */
export type SegmentOutcome =
  | { readonly kind: "made" }
  | { readonly kind: "unwritten" | "unsynced"; readonly failure: StorageFailure };

/** Creates the segment `file` with `header`; overwrites the remains of an earlier attempt. */
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
