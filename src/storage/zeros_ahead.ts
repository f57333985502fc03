/**
 * Zeros written ahead of the log's end, so that the syncs of the batches written over them change
 * no metadata and need not wait for the file system's journal: measured, 160 µs instead of 286 for
 * 16 KiB. Without space for them the log continues without.
 */
import { WAL_PREALLOCATE_BYTES } from "../base/limits.ts";
import type { StorageDriver } from "./storage_driver.ts";

/** The zeros ahead in one segment. */
export class ZerosAhead {
  readonly #driver: StorageDriver;
  readonly #segmentBytes: number;
  readonly #onDone: () => void;
  #zeros = new Uint8Array(0);
  #allocated = 0;
  #busy = false;
  #enabled = true;

  /** @param onDone called when writing zeros ended, successfully or for lack of space. */
  constructor(driver: StorageDriver, segmentBytes: number, onDone: () => void) {
    this.#driver = driver;
    this.#segmentBytes = segmentBytes;
    this.#onDone = onDone;
  }

  /** True while zeros are being written; the file must not be touched from {@link allocated} on. */
  get isBusy(): boolean {
    return this.#busy;
  }

  /** Position up to which the segment is written or zero. */
  get allocated(): number {
    return this.#allocated;
  }

  /** Sets the end of what is written or zero, after a segment was entered or cut. */
  reset(end: number, enabled: boolean): void {
    this.#allocated = end;
    this.#enabled = enabled;
  }

  /** Records a batch written up to `end`. */
  wrote(end: number): void {
    this.#allocated = Math.max(this.#allocated, end);
  }

  /** Writes more zeros when few are left after `end` in the segment that begins at `segment`. */
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
