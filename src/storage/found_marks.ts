/** The marks found when a log is opened: the one beside the log, and the tail mark in its folder. */
import type { LogMark } from "../wal/log_mark.ts";
import type { LogMarkKeeper } from "./log_mark_keeper.ts";
import type { MarkFile } from "./mark_file.ts";
import type { StorageFailure } from "./storage.ts";

/** The marks of one log. */
export interface FoundMarks {
  /** The valid ones; the log must reach each of them. */
  readonly marks: readonly LogMark[];
  /** The generation of the mark beside the log. */
  readonly generation: number | undefined;
  /** True if the file of the mark beside the log holds no valid one. */
  readonly isDamaged: boolean;
}

/** The contents of a mark file. */
export type FileContent = LogMark | "none" | "damaged";

/** Reads both marks. */
export function readMarks(
  { keeper, tail }: { readonly keeper: LogMarkKeeper | undefined; readonly tail: MarkFile },
  done: (found: FoundMarks | StorageFailure) => void,
): void {
  tail.read((tailFound) => {
    if (typeof tailFound !== "string" && "kind" in tailFound) return done(tailFound);
    if (keeper === undefined) return done(judged("none", tailFound));
    keeper.read((found) => {
      if (typeof found !== "string" && "kind" in found) done(found);
      else done(judged(found, tailFound));
    });
  });
}

/**
 * Decides what the two files prove. A damaged tail mark counts as none: its file is never synced, so
 * a power cut may leave any part of it. So does one of an earlier generation: the loss of what it
 * claims was accepted.
 */
export function judged(beside: FileContent, tail: FileContent): FoundMarks {
  const mark = typeof beside === "string" ? undefined : beside;
  const counts = typeof tail !== "string" && tail.generation >= (mark?.generation ?? 1);
  return {
    marks: [...mark === undefined ? [] : [mark], ...counts ? [tail] : []],
    generation: mark?.generation,
    isDamaged: beside === "damaged",
  };
}
