/**
 * The scanner: decides which bytes of the log are valid. It is fed segment by segment.
 *
 * It reads records one after another and accepts each whose frame and CRC are right, whose log id
 * and position match, and whose sequence number follows the previous one. After the first record
 * that fails it accepts nothing more, and only looks for records of this log at page boundaries,
 * for their watermarks: a watermark above the failed place proves that the place was once synced,
 * so its bytes are *damaged*; without one they were never acknowledged and are *cut*. Bytes inside
 * a record are never taken for a record while the record around them is valid.
 */
import { WAL_PAGE_BYTES } from "../base/limits.ts";
import { bytesEqual, isZero } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import { WalWatermarkView } from "../../schemas/gen/wal.ts";
import {
  checksumHolds,
  claimedSize,
  inspectRecord,
  isLogOp,
  OP,
  RECORD_HEADER_BYTES,
  RECORD_INCOMPLETE,
  RECORD_INVALID,
  RECORD_TRAILER_BYTES,
  recordOp,
} from "./record.ts";

/** An accepted record; its bytes are the scanned ones and belong to the caller. */
export interface ScannedRecord {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The payload, `[start, end)` of `bytes`. */
  readonly start: number;
  readonly end: number;
  readonly op: number;
  readonly sequence: number;
  readonly position: number;
  /** Size including the frame, in bytes. */
  readonly size: number;
  /** Position at which its segment starts. */
  readonly segment: number;
}

/** The place of the first invalid record. */
export interface ScanFault {
  /** Position at which the accepted records end. */
  readonly position: number;
  /** Position at which its segment starts. */
  readonly segment: number;
  readonly reason: string;
}

/** The result of a scan. */
export interface ScanVerdict {
  /**
   * `clean`: everything is valid. `cut`: the bytes after `end` were never acknowledged and must be
   * cut. `damaged`: bytes below the watermark are invalid. `empty`: no record of any log was found.
   */
  readonly state: "clean" | "cut" | "damaged" | "empty";
  /** Position after the last accepted record. */
  readonly end: number;
  /** The highest watermark found. */
  readonly watermark: number;
  /** Sequence number of the last accepted record; 0 for none. */
  readonly sequence: number;
  readonly logId: Uint8Array | undefined;
  /** Set with `cut` and `damaged`. */
  readonly fault: ScanFault | undefined;
}

/** Scans one log. */
export class LogScanner {
  readonly #visit: (record: ScannedRecord) => void;
  readonly #prefix = new WalWatermarkView();
  #logId: Uint8Array | undefined;
  #segment = 0;
  #end = -1;
  /** The end of the last accepted record, without padding, and its segment. */
  #recordEnd = 0;
  #recordSegment = 0;
  #sequence = 0;
  #watermark = 0;
  #fault: ScanFault | undefined;
  /** Whether bytes other than zeros were found after the fault. */
  #residue = false;

  /** @param visit receives each accepted record; its views are valid only during the call. */
  constructor(visit: (record: ScannedRecord) => void) {
    this.#visit = visit;
  }

  /** Starts the segment at `position`; segments must come in ascending order of position. */
  beginSegment(position: number): void {
    if (this.#end === -1) this.#end = position;
    else if (this.#fault === undefined && position !== this.#end) {
      this.#fail(`the next segment starts at position ${position}, but the log ends before it`);
    }
    if (this.#fault !== undefined) this.#residue = true;
    this.#segment = position;
  }

  /**
   * Scans `[start, end)` of `bytes`, the first of which is at `position`, and returns how many
   * bytes it has consumed. The caller passes the rest again, followed by further bytes. With
   * `last`, the segment ends there and everything is scanned.
   */
  scan(
    bytes: Uint8Array,
    view: DataView,
    { start, end, position, last }: {
      readonly start: number;
      readonly end: number;
      readonly position: number;
      readonly last: boolean;
    },
  ): number {
    let at = start;
    const toPosition = position - start;
    while (at < end) {
      const next = this.#fault === undefined
        ? this.#believe(bytes, view, at, end, toPosition, last)
        : this.#search(bytes, view, at, end, toPosition, last);
      if (next === -1) break;
      at = next;
    }
    return at - start;
  }

  /** Returns the result, after the last segment. */
  finish(): ScanVerdict {
    const fault = this.#fault;
    const end = Math.max(0, this.#end);
    let state: ScanVerdict["state"] = "clean";
    if (this.#sequence === 0 && this.#watermark <= end) state = "empty";
    else if (this.#watermark > end) state = "damaged";
    else if (fault !== undefined && this.#residue) state = "cut";
    return {
      state,
      end,
      watermark: this.#watermark,
      sequence: this.#sequence,
      logId: this.#logId,
      fault: state === "clean" ? undefined : fault ?? {
        position: end,
        segment: this.#segment,
        reason: "the log ends before the position known to be synced",
      },
    };
  }

  /**
   * Validates the record or padding at `at`. Returns where to continue, or -1 if more bytes are
   * needed.
   */
  #believe(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    end: number,
    toPosition: number,
    last: boolean,
  ): number {
    const position = at + toPosition;
    if (position % WAL_PAGE_BYTES !== 0 && bytes[at] === 0) {
      return this.#skipPadding(bytes, at, end, position, last);
    }
    const size = inspectRecord(view, at, end);
    if (size === RECORD_INCOMPLETE && !last) return -1;
    if (size === RECORD_INCOMPLETE || size === RECORD_INVALID) {
      const blank = isZero(bytes, at, Math.min(end, at + RECORD_HEADER_BYTES));
      this.#fail(blank ? "there is no record" : "the record's header is wrong or truncated");
      return at;
    }
    if (!checksumHolds(bytes, view, at, size)) {
      this.#fail("the record's CRC is wrong");
      return at;
    }
    const reason = this.#judge(bytes, view, at, size, position);
    if (reason !== undefined) {
      this.#fail(reason);
      return at;
    }
    this.#end = this.#recordEnd = position + size;
    this.#recordSegment = this.#segment;
    return at + size;
  }

  /** Accepts a record whose CRC is right, or returns the reason to reject it. */
  #judge(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    size: number,
    position: number,
  ): string | undefined {
    const prefix = this.#prefix;
    const start = at + RECORD_HEADER_BYTES;
    const end = at + size - RECORD_TRAILER_BYTES;
    if (!this.#stand(bytes, view, at, size)) return "its payload is malformed";
    if (this.#logId !== undefined && !prefix.logIdEquals(this.#logId)) {
      return "it belongs to another log";
    }
    const found = prefix.position;
    if (found !== position) return `it was written for position ${found}`;
    const op = recordOp(view, at);
    if (!isLogOp(op)) {
      // Written by a later version, and possibly acknowledged: it must never be cut.
      this.#watermark = Math.max(this.#watermark, position + size);
      return `its op ${op} is unknown to this version`;
    }
    this.#logId ??= prefix.logId;
    const sequence = prefix.sequence;
    if (this.#sequence !== 0 && sequence !== this.#sequence + 1) {
      // Zeros taken for padding replaced the missing records: the valid log ends before those
      // zeros.
      this.#end = this.#recordEnd;
      this.#segment = this.#recordSegment;
      return `its sequence number must be ${this.#sequence + 1}: found ${sequence}`;
    }
    if ((op === OP.segmentHeader) !== (position === this.#segment)) {
      return "a segment must have exactly one header, at its start";
    }
    this.#sequence = sequence;
    this.#watermark = Math.max(this.#watermark, prefix.watermark);
    this.#visit({ bytes, view, start, end, op, sequence, position, size, segment: this.#segment });
    return undefined;
  }

  /** Skips the zeros up to the next page boundary. */
  #skipPadding(
    bytes: Uint8Array,
    at: number,
    end: number,
    position: number,
    last: boolean,
  ): number {
    const boundary = at + WAL_PAGE_BYTES - position % WAL_PAGE_BYTES;
    if (boundary > end && !last) return -1;
    const stop = Math.min(boundary, end);
    if (!isZero(bytes, at, stop)) {
      this.#fail("the bytes after the last record of a batch are not zero");
      return at;
    }
    // The end moves past the padding, so a cut there keeps the page of the padding whole.
    this.#end = position + (stop - at);
    return stop;
  }

  /**
   * Performs one step of the search at `at`. Its parameters are those of the step above; an object of
   * them would be allocated for each record.
   */
  #search(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    end: number,
    toPosition: number,
    last: boolean,
  ): number {
    const position = at + toPosition;
    const boundary = at + WAL_PAGE_BYTES - position % WAL_PAGE_BYTES;
    if (position % WAL_PAGE_BYTES === 0) {
      const size = inspectRecord(view, at, end);
      if (size === RECORD_INCOMPLETE && !last && this.#mayBeOurs(bytes, view, at, end, position)) {
        return -1;
      }
      if (size > 0 && this.#isOurs(bytes, view, at, size, position)) {
        this.#residue = true;
        this.#watermark = Math.max(this.#watermark, this.#prefix.watermark);
        return at + size;
      }
    }
    if (boundary > end && !last) return -1;
    const stop = Math.min(boundary, end);
    if (!this.#residue) this.#residue = !isZero(bytes, at, stop);
    return stop;
  }

  /**
   * Returns false if the available part of a record already shows that it does not belong to this
   * log.
   */
  #mayBeOurs(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    end: number,
    position: number,
  ): boolean {
    const known = at + RECORD_HEADER_BYTES + PREFIX_BYTES;
    if (known > end) return true;
    return positionAt(view, at) === position && this.#sameLog(bytes, at) &&
      claimedSize(view, at) > 0;
  }

  /**
   * Reports whether a record of this log with a valid CRC is at its own position; then moves to it.
   */
  #isOurs(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    size: number,
    position: number,
  ): boolean {
    if (size < RECORD_HEADER_BYTES + PREFIX_BYTES + RECORD_TRAILER_BYTES) return false;
    if (positionAt(view, at) !== position || !this.#sameLog(bytes, at)) return false;
    if (!checksumHolds(bytes, view, at, size) || !this.#stand(bytes, view, at, size)) return false;
    // If the first header is the damaged one, the log's id is taken from a later record.
    this.#logId ??= this.#prefix.logId;
    return true;
  }

  /** Moves to the shared fields of a record whose CRC is right. Returns false if it has none. */
  #stand(bytes: Uint8Array, view: DataView, at: number, size: number): boolean {
    const start = at + RECORD_HEADER_BYTES;
    try {
      const prefix = this.#prefix.wrap(view, bytes, start, at + size - RECORD_TRAILER_BYTES);
      return prefix.sequence > 0 && prefix.watermark <= prefix.position;
    } catch (error) {
      // A record forged inside entry data may have any payload.
      if (error instanceof RegistryError) return false;
      throw error;
    }
  }

  #sameLog(bytes: Uint8Array, at: number): boolean {
    const idAt = at + RECORD_HEADER_BYTES + ROOT_POINTER_BYTES;
    return this.#logId === undefined ||
      bytesEqual(bytes.subarray(idAt, idAt + this.#logId.length), this.#logId);
  }

  #fail(reason: string): void {
    this.#fault = { position: this.#end, segment: this.#segment, reason };
  }
}

const ROOT_POINTER_BYTES = 8;
/** Size of the root pointer and the five words that all records share. */
const PREFIX_BYTES = ROOT_POINTER_BYTES + 16 + 3 * 8;
const POSITION_OFFSET = RECORD_HEADER_BYTES + ROOT_POINTER_BYTES + 24;

/**
 * Returns the position in a payload as this project's writer lays it out, before its CRC was
 * checked.
 */
function positionAt(view: DataView, at: number): number {
  return view.getUint32(at + POSITION_OFFSET + 4, true) * 0x1_0000_0000 +
    view.getUint32(at + POSITION_OFFSET, true);
}
