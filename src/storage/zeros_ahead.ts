/**
 * Zeros laid down ahead of the log's end, so that the syncs of the batches written over them change
 * no metadata and need not wait for the file system's journal: measured, 160 µs instead of 286 for
 * 16 KiB. Where there is no room for them the log goes on without.
 */
import { WAL_PREALLOCATE_BYTES } from "../base/limits.ts";
import type { StorageDriver } from "./storage_driver.ts";

/** The part of one segment that zeros were laid down in. */
export class ZerosAhead {
  readonly #driver: StorageDriver;
  readonly #segmentBytes: number;
  readonly #onDone: () => void;
  #zeros = new Uint8Array(0);
  #allocated = 0;
  #busy = false;
  #enabled = true;

  /** @param onDone called when zeros were laid down, or were not for want of room. */
  constructor(driver: StorageDriver, segmentBytes: number, onDone: () => void) {
    this.#driver = driver;
    this.#segmentBytes = segmentBytes;
    this.#onDone = onDone;
  }

  /** True while zeros are being written: from {@link allocated} on the file is not to be touched. */
  get isBusy(): boolean {
    return this.#busy;
  }

  /** Position up to which the segment is written or zero. */
  get allocated(): number {
    return this.#allocated;
  }

  /** The segment is written up to `end`, or cut there when `end` is below what was allocated. */
  reset(end: number, enabled: boolean): void {
    this.#allocated = end;
    this.#enabled = enabled;
  }

  /** A batch was written up to `end`. */
  wrote(end: number): void {
    this.#allocated = Math.max(this.#allocated, end);
  }

  /** Lays more down when little is left after `end` in the segment that begins at `segment`. */
  extend(file: string, segment: number, end: number): void {
    if (this.#busy || !this.#enabled) return;
    const from = this.#allocated;
    if (from - end > WAL_PREALLOCATE_BYTES / 2) return;
    const to = Math.min(from + WAL_PREALLOCATE_BYTES, segment + this.#segmentBytes);
    if (to <= from) return;
    this.#busy = true;
    if (this.#zeros.length < to - from) this.#zeros = new Uint8Array(to - from);
    const bytes = this.#zeros.subarray(0, to - from);
    this.#driver.submit({ kind: "write", file, position: from - segment, bytes }, (failure) => {
      this.#busy = false;
      if (failure !== undefined) this.#enabled = false;
      else this.#allocated = to;
      this.#onDone();
    });
  }
}
