/**
 * Maintains the log's mark (`src/wal/log_mark.ts`) in a storage of its own, beside the log.
 *
 * The mark follows the log outside the write path. After an update it pauses for `WAL_MARK_MS`, or
 * for `WAL_MARK_REST` times the duration of the update if that is longer; after a longer idle time
 * it follows at once. The mark therefore lacks only what was synced during that pause and during
 * the update itself. A failed update is retried with the next one; until then the mark claims less
 * than it could, which is safe.
 */
import { RegistryError } from "../base/errors.ts";
import { WAL_MARK_MS, WAL_MARK_REST } from "../base/limits.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";
import { type LogMark, MARK_FILE } from "../wal/log_mark.ts";
import { MarkFile } from "./mark_file.ts";
import type { Storage, StorageFailure } from "./storage.ts";
import { StorageDriver } from "./storage_driver.ts";

type Done = (failure: StorageFailure | undefined) => void;

/** A point up to which a log is durable. */
export interface DurablePoint {
  readonly sequence: number;
  readonly position: number;
}

/** The keeper of one log's mark. */
export class LogMarkKeeper {
  readonly #driver: StorageDriver;
  readonly #file: MarkFile;
  readonly #clock: MonotonicClock;
  readonly #scheduler: Scheduler;
  readonly #onFailed: (error: RegistryError) => void;
  /** The mark last read or written. */
  #mark: LogMark | undefined;
  #point: DurablePoint | undefined;
  #writing = false;
  #failing = false;
  #restsUntilMs = -Infinity;
  #timer: Timer | undefined;
  #onIdle: (() => void) | undefined;

  /** @param onFailed called once per series of failed updates. */
  constructor({ storage, clock, scheduler, onFailed }: {
    readonly storage: Storage;
    readonly clock: MonotonicClock;
    readonly scheduler: Scheduler;
    readonly onFailed: (error: RegistryError) => void;
  }) {
    this.#driver = new StorageDriver(storage);
    this.#file = new MarkFile(this.#driver, MARK_FILE);
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#onFailed = onFailed;
  }

  /** Reads the mark: `none` if there never was one, `damaged` if it is invalid. */
  read(done: (found: LogMark | "none" | "damaged" | StorageFailure) => void): void {
    this.#file.read((found) => {
      if (typeof found !== "string" && !("kind" in found)) this.#mark = found;
      done(found);
    });
  }

  /** Makes `mark` durable, whatever was there before. */
  put(mark: LogMark, done: Done): void {
    this.#write(mark, done);
  }

  /**
   * Reports that the log is durable up to `point`; the mark will follow. {@link put} must come
   * before.
   */
  advance(point: DurablePoint): void {
    this.#point = point;
    if (this.#writing || this.#timer !== undefined) return;
    const waitMs = this.#restsUntilMs - this.#clock.nowMs();
    if (waitMs <= 0) return this.#follow();
    this.#timer = this.#scheduler.after(waitMs, () => {
      this.#timer = undefined;
      this.#follow();
    });
  }

  /**
   * Writes the final mark of a closed log that is durable up to `point`, then releases the storage.
   */
  close(point: DurablePoint | undefined, done: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#point = undefined;
    if (this.#writing) {
      this.#onIdle = () => this.close(point, done);
      return;
    }
    const end = () => {
      this.#driver.close();
      done();
    };
    const mark = this.#mark;
    if (mark === undefined || point === undefined) return end();
    // A failure leaves the previous mark, which claims less but is true.
    this.#write({ ...mark, ...point, closed: true }, (failure) => {
      this.#tell(failure);
      end();
    });
  }

  #follow(): void {
    const point = this.#point;
    const mark = this.#mark;
    if (point === undefined || mark === undefined) return;
    this.#point = undefined;
    this.#write({ ...mark, ...point, closed: false }, (failure) => {
      this.#tell(failure);
      const onIdle = this.#onIdle;
      this.#onIdle = undefined;
      if (onIdle !== undefined) onIdle();
      else if (this.#point !== undefined) this.advance(this.#point);
    });
  }

  #tell(failure: StorageFailure | undefined): void {
    const wasFailing = this.#failing;
    this.#failing = failure !== undefined;
    if (failure === undefined || wasFailing) return;
    this.#onFailed(unmarkedError(failure));
  }

  #write(mark: LogMark, done: Done): void {
    this.#writing = true;
    this.#mark = mark;
    const startMs = this.#clock.nowMs();
    this.#file.write(mark, (failure) => {
      this.#writing = false;
      const endMs = this.#clock.nowMs();
      this.#restsUntilMs = endMs + Math.max(WAL_MARK_MS, WAL_MARK_REST * (endMs - startMs));
      done(failure);
    });
  }
}

/** Returns the error for a mark that could not be written. */
export function unmarkedError({ message }: StorageFailure): RegistryError {
  return new RegistryError(
    "storage_unavailable",
    `The log's mark cannot be written: ${message}. The log stays in use, but a loss of what it ` +
      "acknowledges from now on may go undetected",
  );
}
