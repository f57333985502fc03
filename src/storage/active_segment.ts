/**
 * The segment being written: the last file of the log, with zeros written ahead of its end. The
 * next segment's header and name are durable before it is entered.
 */
import { pageAlign, segmentName } from "../wal/segment.ts";
import type { MarkWrite } from "./commit.ts";
import { makeSegment, type SegmentOutcome } from "./segment_maker.ts";
import type { StorageFailure } from "./storage.ts";
import type { StorageDriver } from "./storage_driver.ts";
import { ZerosAhead } from "./zeros_ahead.ts";

type Done = (failure: StorageFailure | undefined) => void;

/** The active segment of one log. */
export class ActiveSegment {
  readonly #driver: StorageDriver;
  readonly #segmentBytes: number;
  readonly #ahead: ZerosAhead;
  #position = -1;
  #file = "";
  #number: number;
  /** End of the header of a segment created here; -1 if none was. */
  #headerEnd = -1;

  /**
   * @param number of the last segment.
   * @param onZeros called when writing zeros ended, successfully or for lack of space.
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

  /** Position at which the segment begins; -1 if there is none yet. */
  get position(): number {
    return this.#position;
  }

  /** Number of the segment; 0 if there is none yet. */
  get number(): number {
    return this.#number;
  }

  /** True while zeros are being written; the segment is neither cut nor left meanwhile. */
  get isBusy(): boolean {
    return this.#ahead.isBusy;
  }

  /** Continues the segment found by recovery, which is zero from the log's end to `allocated`. */
  resume(position: number, allocated: number): void {
    this.#position = position;
    this.#file = segmentName(position);
    this.#ahead.reset(allocated, true);
  }

  /**
   * Reports whether a batch of that size may be written at `end`. A batch larger than a segment
   * still goes into one that is nearly empty, and into one that contains only its header, however
   * large that is; otherwise segments would be created endlessly.
   */
  fits(end: number, size: number): boolean {
    const used = end - this.#position;
    return used + size <= this.#segmentBytes || used < this.#segmentBytes / 2 ||
      end === this.#headerEnd;
  }

  /** Reports whether zeros being written do not overlap a batch of that size at `end`. */
  isClear(end: number, size: number): boolean {
    return !this.#ahead.isBusy || end + pageAlign(size) <= this.#ahead.allocated;
  }

  /**
   * Writes a batch at the log's end, syncs it and then writes `mark`; writes more zeros ahead when
   * few are left.
   */
  commit(position: number, bytes: Uint8Array, mark: MarkWrite, done: Done): void {
    const end = position + bytes.length;
    this.#ahead.wrote(end);
    const at = position - this.#position;
    this.#driver.submit({ kind: "commit", file: this.#file, position: at, bytes, mark }, done);
    this.#ahead.extend(this.#file, this.#position, end);
  }

  /** Truncates the segment at `end`, durably; no zeros are written until {@link layZeros}. */
  cut(end: number, done: Done): void {
    const size = end - this.#position;
    this.#driver.submit({ kind: "truncate", file: this.#file, size }, (failure) => {
      if (failure !== undefined) return done(failure);
      this.#driver.submit({ kind: "sync", file: this.#file }, (syncFailure) => {
        if (syncFailure === undefined) this.#ahead.reset(end, false);
        done(syncFailure);
      });
    });
  }

  /** Resumes writing zeros, after space became available. */
  layZeros(): void {
    this.#ahead.reset(this.#ahead.allocated, true);
  }

  /** Creates the segment that begins at `position`, and enters it when it is durable. */
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
