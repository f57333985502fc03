/** A file of marks (`src/wal/log_mark.ts`) in a storage: its newest mark, and writes of the next. */
import {
  decodeMarks,
  type LogMark,
  MARK_FILE_BYTES,
  MARK_SLOT_OFFSETS,
  MarkEncoder,
} from "../wal/log_mark.ts";
import { TEMPORARY_SUFFIX } from "../wal/segment.ts";
import type { MarkWrite } from "./commit.ts";
import type { StorageFailure, StorageOperation } from "./storage.ts";
import type { StorageDriver } from "./storage_driver.ts";

type Done = (failure: StorageFailure | undefined) => void;

/** One mark file; its writes must not overlap. */
export class MarkFile {
  readonly #driver: StorageDriver;
  readonly #file: string;
  readonly #encoder = new MarkEncoder();
  #count = 0;
  #isMade = false;

  constructor(driver: StorageDriver, file: string) {
    this.#driver = driver;
    this.#file = file;
  }

  /** Reads the newest mark: `none` if there never was one, `damaged` if none is valid. */
  read(done: (found: LogMark | "none" | "damaged" | StorageFailure) => void): void {
    const target = new Uint8Array(MARK_FILE_BYTES);
    const operation = { kind: "read", file: this.#file, position: 0, target } as const;
    this.#driver.submit(operation, (failure, { byteCount }) => {
      if (failure?.kind === "not_found") return done("none");
      if (failure !== undefined) return done(failure);
      const found = decodeMarks(target.subarray(0, byteCount));
      if (typeof found === "string") return done(found);
      this.#isMade = true;
      this.#count = found.count;
      done(found.mark);
    });
  }

  /** Makes `mark` durable: in the slot that is not the newest, or in a new file if there is none. */
  write(mark: LogMark, done: Done): void {
    if (!this.#isMade) return this.replace(mark, done);
    this.#run([{ kind: "write", ...this.next(mark) }, { kind: "sync", file: this.#file }], done);
  }

  /**
   * Makes `mark` durable and removes every earlier one. The file never exists without a mark.
   */
  replace(mark: LogMark, done: Done): void {
    const file = this.#file + TEMPORARY_SUFFIX;
    this.#run([
      { kind: "truncate", file, size: 0 },
      { kind: "truncate", file, size: MARK_FILE_BYTES },
      { kind: "write", ...this.next(mark), file },
      { kind: "sync", file },
      { kind: "rename", file, to: this.#file },
      { kind: "syncFolder" },
    ], done);
  }

  /**
   * Returns the write of `mark` to the slot that is not the newest; {@link written} follows when it
   * is done.
   */
  next(mark: LogMark): MarkWrite {
    const count = this.#count + 1;
    const position = MARK_SLOT_OFFSETS[count % MARK_SLOT_OFFSETS.length]!;
    return { file: this.#file, position, bytes: this.#encoder.encode(mark, count) };
  }

  /** Records that the write returned by {@link next} succeeded. */
  written(): void {
    this.#isMade = true;
    this.#count++;
  }

  #run([first, ...rest]: readonly StorageOperation[], done: Done): void {
    if (first === undefined) {
      this.written();
      return done(undefined);
    }
    this.#driver.submit(first, (failure) => {
      if (failure !== undefined) done(failure);
      else this.#run(rest, done);
    });
  }
}
