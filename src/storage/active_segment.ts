/**
 * The segment that is written to: one file of the log, with zeros laid down ahead of its end. The
 * next one is durable, its header and its name, before it is entered.
 */
import { pageAlign, segmentName } from "../wal/segment.ts";
import { makeSegment, type SegmentOutcome } from "./segment_maker.ts";
import type { StorageFailure } from "./storage.ts";
import type { StorageDriver } from "./storage_driver.ts";
import { ZerosAhead } from "./zeros_ahead.ts";

type Done = (failure: StorageFailure | undefined) => void;

/** The last segment of one log. */
export class ActiveSegment {
  readonly #driver: StorageDriver;
  readonly #segmentBytes: number;
  readonly #ahead: ZerosAhead;
  #position = -1;
  #file = "";
  #number: number;
  /** Where the header of a segment that was made here ends. */
  #headerEnd = -1;

  /**
   * @param number of the last segment.
   * @param onZeros called when zeros were laid down, or were not for want of room.
   */
  constructor(
    driver: StorageDriver,
    { segmentBytes, number, onZeros }: {
      readonly segmentBytes: number;
      readonly number: number;
      readonly onZeros: () => void;
    },
  ) {
    this.#driver = driver;
    this.#segmentBytes = segmentBytes;
    this.#number = number;
    this.#ahead = new ZerosAhead(driver, segmentBytes, onZeros);
  }

  /** Position at which it begins; -1: there is none yet. */
  get position(): number {
    return this.#position;
  }

  /** Its number; 0: there is none yet. */
  get number(): number {
    return this.#number;
  }

  /** True while zeros are being laid down: then it is neither cut nor left. */
  get isBusy(): boolean {
    return this.#ahead.isBusy;
  }

  /** Goes on in the segment that recovery found, which is zero from the log's end to `allocated`. */
  resume(position: number, allocated: number): void {
    this.#position = position;
    this.#file = segmentName(position);
    this.#ahead.reset(allocated, true);
  }

  /**
   * True where a batch of that size may be written at `end`. One larger than a segment goes into one
   * that is nearly empty all the same; and into one that has nothing but its header however large
   * that is, or segments would be begun without end.
   */
  fits(end: number, size: number): boolean {
    const used = end - this.#position;
    return used + size <= this.#segmentBytes || used < this.#segmentBytes / 2 ||
      end === this.#headerEnd;
  }

  /** True where the zeros that are being laid down do not meet a batch of that size at `end`. */
  isClear(end: number, size: number): boolean {
    return !this.#ahead.isBusy || end + pageAlign(size) <= this.#ahead.allocated;
  }

  /** Writes a batch at the log's end, and more zeros ahead of it where few are left. */
  write(position: number, bytes: Uint8Array, done: Done): void {
    const end = position + bytes.length;
    this.#ahead.wrote(end);
    const at = position - this.#position;
    this.#driver.submit({ kind: "write", file: this.#file, position: at, bytes }, done);
    this.#ahead.extend(this.#file, this.#position, end);
  }

  sync(done: Done): void {
    this.#driver.submit({ kind: "sync", file: this.#file }, done);
  }

  /** Ends it at `end`, durably; no zeros are laid down until {@link layZeros}. */
  cut(end: number, done: Done): void {
    const size = end - this.#position;
    this.#driver.submit({ kind: "truncate", file: this.#file, size }, (failure) => {
      if (failure !== undefined) return done(failure);
      this.sync((syncFailure) => {
        if (syncFailure === undefined) this.#ahead.reset(end, false);
        done(syncFailure);
      });
    });
  }

  /** There is room again. */
  layZeros(): void {
    this.#ahead.reset(this.#ahead.allocated, true);
  }

  /** Makes the segment that begins at `position`, and enters it when it is made. */
  next(position: number, header: Uint8Array, done: (outcome: SegmentOutcome) => void): void {
    makeSegment(this.#driver, segmentName(position), header, (outcome) => {
      if (outcome.kind === "made") this.#enter(position, position + header.length);
      done(outcome);
    });
  }

  #enter(position: number, headerEnd: number): void {
    if (this.#position !== -1) this.#driver.submit({ kind: "release", file: this.#file }, () => {});
    this.#number++;
    this.#position = position;
    this.#file = segmentName(position);
    this.#headerEnd = headerEnd;
    this.#ahead.reset(headerEnd, true);
  }
}
