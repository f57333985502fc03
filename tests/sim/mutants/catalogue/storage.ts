/** Mutants of the log and its disk: durability, and the data that a restart accepts. */
import type { Mutant } from "../mutant.ts";

export const STORAGE_MUTANTS: readonly Mutant[] = [
  {
    name: "acknowledged_before_fsync",
    breaks: "A submission is answered only once its bytes are synced",
    edits: [{
      file: "src/storage/commit.ts",
      anchor: "  return COMMIT_STEPS[COMMIT_STEPS.indexOf(step) + 1];",
      replacement:
        `  return step === "write" ? undefined : COMMIT_STEPS[COMMIT_STEPS.indexOf(step) + 1];`,
    }],
  },
  {
    name: "retried_fsync_believed",
    breaks: "A failed sync ends the log: the next sync would not write the lost data",
    edits: [
      {
        file: "src/storage/log_writer.ts",
        anchor: `if (outcome.kind === "unsynced") this.poison(outcome.failure);`,
        replacement: `if (outcome.kind === "unsynced") this.#acknowledge(this.#queue.shift(), 0);`,
      },
      {
        file: "src/storage/memory_storage.ts",
        anchor: "  poisons = true;\n",
        replacement: "  poisons = false;\n",
      },
    ],
  },
  {
    name: "tail_mark_ahead_of_sync",
    breaks: "The tail mark covers a batch only once it is synced",
    edits: [{
      file: "src/storage/commit.ts",
      anchor: `["write", "sync", "mark"]`,
      replacement: `["write", "mark", "sync"]`,
    }],
  },
  {
    name: "acknowledged_before_tail_mark",
    breaks: "A batch is acknowledged only once the tail mark covers it",
    edits: [{
      file: "src/storage/commit.ts",
      anchor: "  return COMMIT_STEPS[COMMIT_STEPS.indexOf(step) + 1];",
      replacement:
        `  return step === "sync" ? undefined : COMMIT_STEPS[COMMIT_STEPS.indexOf(step) + 1];`,
    }],
  },
  {
    name: "tail_mark_not_compared",
    breaks: "A log that ends before its tail mark is refused",
    edits: [{
      file: "src/storage/found_marks.ts",
      anchor: "...counts ? [tail] : []",
      replacement: "...counts && tail.closed ? [tail] : []",
    }],
  },
  {
    name: "torn_tail_taken_for_rot",
    breaks: "A torn, unacknowledged tail is truncated, and the log opens",
    edits: [{
      file: "src/wal/scanner.ts",
      anchor: `else if (fault !== undefined && this.#residue) state = "cut";`,
      replacement: `else if (fault !== undefined && this.#residue) state = "damaged";`,
    }],
  },
  {
    name: "rot_taken_for_torn_tail",
    breaks: "Damage below the known synced position refuses the start",
    edits: [{
      file: "src/wal/scanner.ts",
      anchor: `else if (this.#watermark > end) state = "damaged";`,
      replacement: `else if (this.#watermark > end) state = "cut";`,
    }],
  },
  {
    name: "watermark_ahead_of_sync",
    breaks: "A watermark covers only synced data",
    edits: [{
      file: "src/storage/log_writer.ts",
      anchor: "    this.#end = slot.end;\n",
      replacement: "    this.#end = this.#watermark = slot.end;\n",
    }],
  },
  {
    name: "checksum_not_compared",
    breaks: "A record is accepted only if its CRC matches",
    shows: ({ faults }) => faults.has("bit_flip"),
    edits: [{
      file: "src/wal/record.ts",
      anchor: `  return crc32(bytes, view, at, at + size - RECORD_TRAILER_BYTES) ===
    recordChecksum(view, at, size);`,
      replacement: `  return crc32(bytes, view, at, at + size - RECORD_TRAILER_BYTES) >= 0 ||
    recordChecksum(view, at, size) < 0;`,
    }],
  },
  {
    name: "page_cache_believed",
    breaks: "Data read at a restart is synced before it is relied on",
    edits: [{
      file: "src/storage/open_shared_log.ts",
      anchor: "else this.#syncAll();",
      replacement: "else this.#scan();",
    }, {
      file: "src/storage/open_shared_log.ts",
      anchor: `      rewriteTail(this.#driver, { file, from, to: whole }, (failure) => {
        if (failure !== undefined) this.#failStorage(failure);
        else this.#guard(() => this.#handOut(verdict));
      }));`,
      replacement:
        "      this.#guard(() => from > 1e15 ? this.#syncAll() : this.#handOut(verdict)));",
    }],
  },
  {
    name: "lost_pages_believed",
    breaks:
      "Data that a failed sync left in the page cache is written again before it is relied on",
    edits: [{
      file: "src/storage/open_shared_log.ts",
      anchor: "rewriteTail(this.#driver, { file, from, to: whole }, (failure) => {",
      replacement: "rewriteTail(this.#driver, { file, from, to: 0 }, (failure) => {",
    }],
  },
  {
    name: "image_believed_unsynced",
    breaks: "An image is synced before the log refers to it",
    edits: [{
      file: "src/storage/image_writer.ts",
      anchor: `    this.#driver.submit({ kind: "sync", file: temporary }, (failure) => {`,
      replacement: `    this.#driver.submit({ kind: "release", file: temporary }, (failure) => {`,
    }],
  },
  {
    name: "segment_name_not_synced",
    breaks: "A new segment's name is durable before it is written to",
    edits: [{
      file: "src/storage/segment_maker.ts",
      anchor: `        driver.submit({ kind: "syncFolder" }, (folderFailure) => {`,
      replacement: `        driver.submit({ kind: "release", file }, (folderFailure) => {`,
    }],
  },
  {
    name: "segment_header_forgets_hard_states",
    breaks:
      "Each segment starts with the hard states of all groups, because older ones are deleted",
    edits: [{
      file: "src/wal/ledger.ts",
      anchor: "      if (hardState === undefined && image === undefined) continue;\n",
      replacement: "      if (image === undefined) continue;\n",
    }],
  },
  {
    name: "segment_freed_while_live",
    breaks: "A segment is deleted only when nothing in it is live",
    edits: [{
      file: "src/storage/log_engine.ts",
      anchor: "if (this.#writer.isPoisoned || this.#ledger.tally(oldest).entries > 0) return;",
      replacement: "if (this.#writer.isPoisoned) return;",
    }],
  },
  {
    name: "append_does_not_truncate",
    breaks: "An append truncates its group's log at its first index",
    edits: [{
      file: "src/wal/ledger.ts",
      anchor: "    this.#truncate(group, first);\n    if (count === 0) return;",
      replacement: "    if (group.lastIndex < first - 1) this.#truncate(group, first);\n" +
        "    if (count === 0) return;",
    }],
  },
];
