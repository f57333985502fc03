/**
 * The scanner: finds out of the log's bytes, fed segment by segment, what is to be believed.
 *
 * It reads records one after another and believes each whose frame and CRC hold, whose log id and
 * position are its own, and whose sequence number follows. At the first that fails it stops
 * believing and from there looks only at page boundaries for records of this log, not to use them
 * but for their watermarks: a watermark above the failed place proves that the place was synced
 * once, so that its bytes are *damaged*; without one they were never promised to anybody and are
 * *cut*. Bytes inside a record are never taken for a record while the record around them holds.
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

/** A record that the scanner believes; its bytes are the scanned ones and stay the caller's. */
export interface ScannedRecord {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Payload, `[start, end)` of `bytes`. */
  readonly start: number;
  readonly end: number;
  readonly op: number;
  readonly sequence: number;
  readonly position: number;
  /** Size with frame. */
  readonly size: number;
  /** Position at which its segment begins. */
  readonly segment: number;
}

/** The place where belief ended. */
export interface Fault {
  /** Position at which the believed records end. */
  readonly position: number;
  /** Position at which its segment begins. */
  readonly segment: number;
  readonly reason: string;
}

/** What the scan came to. */
export interface ScanVerdict {
  /**
   * `clean`: all is believed. `cut`: what follows `end` was never promised and must be cut away.
   * `damaged`: bytes below the watermark are wrong. `empty`: no record of any log was found.
   */
  readonly state: "clean" | "cut" | "damaged" | "empty";
  /** Position after the last believed record. */
  readonly end: number;
  /** The highest watermark found. */
  readonly watermark: number;
  /** Sequence number of the last believed record; 0: none. */
  readonly sequence: number;
  readonly logId: Uint8Array | undefined;
  /** With `cut` and `damaged`. */
  readonly fault: Fault | undefined;
}

/** Scans one log. */
export class LogScanner {
  readonly #visit: (record: ScannedRecord) => void;
  readonly #prefix = new WalWatermarkView();
  #logId: Uint8Array | undefined;
  #segment = 0;
  #end = -1;
  /** The end of the last believed record, without padding, and its segment. */
  #recordEnd = 0;
  #recordSegment = 0;
  #sequence = 0;
  #watermark = 0;
  #fault: Fault | undefined;
  /** True once something other than zeros stood after the fault. */
  #residue = false;

  /** @param visit takes each believed record; its views end with the call. */
  constructor(visit: (record: ScannedRecord) => void) {
    this.#visit = visit;
  }

  /** Begins the segment at `position`; segments come by ascending position. */
  beginSegment(position: number): void {
    if (this.#end === -1) this.#end = position;
    else if (this.#fault === undefined && position !== this.#end) {
      this.#fail(`the next segment begins at position ${position}: the log ends before it`);
    }
    if (this.#fault !== undefined) this.#residue = true;
    this.#segment = position;
  }

  /**
   * Scans `[start, end)` of `bytes`, of which the first stands at `position`, and returns how many
   * bytes it is done with: the caller hands the rest in again, with what follows. With `last`, the
   * segment ends there and all is scanned.
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

  /** What it all came to, after the last segment. */
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
        reason: "the log ends before what was known to be synced",
      },
    };
  }

  /** One step of belief at `at`; where to go on, or -1 when more bytes are needed. */
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
      this.#fail(blank ? "no record stands there" : "the record's header is wrong or cut short");
      return at;
    }
    if (!checksumHolds(bytes, view, at, size)) {
      this.#fail("the record's CRC does not hold");
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

  /** Takes a record whose CRC holds; or says why it is not believed. */
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
    if (!this.#stand(bytes, view, at, size)) return "its payload follows no schema";
    if (this.#logId !== undefined && !prefix.logIdEquals(this.#logId)) {
      return "it belongs to another log";
    }
    const found = prefix.position;
    if (found !== position) return `it was written for position ${found}`;
    const op = recordOp(view, at);
    if (!isLogOp(op)) {
      // Written by a later version, and possibly acknowledged: never to be cut.
      this.#watermark = Math.max(this.#watermark, position + size);
      return `its op ${op} is not known to this version`;
    }
    this.#logId ??= prefix.logId;
    const sequence = prefix.sequence;
    if (this.#sequence !== 0 && sequence !== this.#sequence + 1) {
      // What is missing stood where zeros were taken for padding: belief ends before those.
      this.#end = this.#recordEnd;
      this.#segment = this.#recordSegment;
      return `its sequence number must be ${this.#sequence + 1}: found ${sequence}`;
    }
    if ((op === OP.segmentHeader) !== (position === this.#segment)) {
      return "a segment begins with a header, and has no other";
    }
    this.#sequence = sequence;
    this.#watermark = Math.max(this.#watermark, prefix.watermark);
    this.#visit({ bytes, view, start, end, op, sequence, position, size, segment: this.#segment });
    return undefined;
  }

  /** Goes over the zeros up to the next page boundary. */
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
      this.#fail("what follows the last record of a batch is not zero");
      return at;
    }
    // The end stays behind the record: a cut there keeps the padding's page whole all the same.
    this.#end = position + (stop - at);
    return stop;
  }

  /** One step of the search at `at`. */
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

  /** False when what is there of a record already shows that it is none of this log. */
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

  /** True for a record of this log at its own position whose CRC holds; then stands on it. */
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
    // When the first header is the damaged one, the log's id is learned from what follows it.
    this.#logId ??= this.#prefix.logId;
    return true;
  }

  /** Stands on the shared fields of a record whose CRC holds; false where there are none. */
  #stand(bytes: Uint8Array, view: DataView, at: number, size: number): boolean {
    const start = at + RECORD_HEADER_BYTES;
    try {
      const prefix = this.#prefix.wrap(view, bytes, start, at + size - RECORD_TRAILER_BYTES);
      return prefix.sequence > 0 && prefix.watermark <= prefix.position;
    } catch (error) {
      // A record that somebody forged inside of entry data may have any payload.
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
/** The root pointer and the five fields that all records share. */
const PREFIX_BYTES = ROOT_POINTER_BYTES + 16 + 3 * 8;
const POSITION_OFFSET = RECORD_HEADER_BYTES + ROOT_POINTER_BYTES + 24;

/** The position in a payload as our writer lays it out, before its CRC was checked. */
function positionAt(view: DataView, at: number): number {
  return view.getUint32(at + POSITION_OFFSET + 4, true) * 0x1_0000_0000 +
    view.getUint32(at + POSITION_OFFSET, true);
}
