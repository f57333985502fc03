/**
 * Inspection of a log without opening it: the records of one file as plain objects, and a
 * verification of a whole folder. Both only read, take no lock, and apply the rules of recovery
 * (scanner.ts); a log that is being written is seen at one moment.
 */
import fs from "node:fs";
import path from "node:path";
import { toHex } from "../base/bytes.ts";
import { toRegistryError } from "../base/errors.ts";
import {
  WalForgetView,
  WalHardStateView,
  WalImageMarkView,
  WalSegmentHeaderView,
  WalWatermarkView,
} from "../../schemas/gen/wal.ts";
import { ImageChunkView, ImageHeaderView } from "../../schemas/gen/image.ts";
import { WAL_PAGE_BYTES } from "../base/limits.ts";
import { EntryRecord } from "../wal/entry_record.ts";
import { ImageDecoder } from "../wal/image.ts";
import { Ledger } from "../wal/ledger.ts";
import { LedgerFeed } from "../wal/ledger_feed.ts";
import {
  checksumHolds,
  inspectRecord,
  isLogOp,
  OP,
  type OpName,
  opName,
  RECORD_HEADER_BYTES,
  RECORD_TRAILER_BYTES,
  recordOp,
} from "../wal/record.ts";
import {
  decodeMarks,
  type FoundMark,
  type LogMark,
  MARK_FILE,
  missingOfAny,
  TAIL_FILE,
} from "../wal/log_mark.ts";
import { LogScanner, type ScannedRecord } from "../wal/scanner.ts";
import { imageName, imageNumber, segmentName, segmentPosition } from "../wal/segment.ts";
import { type FileContent, judged } from "./found_marks.ts";

/** One record of a file; the op determines which fields are present. */
export interface InspectedRecord {
  /** Offset in the file. */
  readonly offset: number;
  /** Size with its frame, bytes. */
  readonly size: number;
  readonly op: OpName | "unknown";
  readonly crcOk: boolean;
  readonly logId?: string;
  readonly sequence?: number;
  readonly position?: number;
  readonly watermark?: number;
  readonly group?: number;
  /** Index of the first entry, or of the last one that an image contains. */
  readonly index?: number;
  readonly term?: number;
  readonly vote?: number;
  readonly commit?: number;
  /** Sequence number under which relocated entries were first logged. */
  readonly origin?: number;
  readonly entries?: readonly EntryInfo[];
  readonly segment?: number;
  readonly groups?: number;
  readonly image?: number;
  readonly bytes?: number;
  readonly checksum?: number;
}

/** One entry of a record. */
export interface EntryInfo {
  readonly index: number;
  readonly term: number;
  readonly kind: number;
  readonly bytes: number;
}

/** The result of verifying a folder. */
export interface VerifyReport {
  /** True when the log would open without loss; cutting unacknowledged bytes is not a loss. */
  readonly ok: boolean;
  readonly state: "clean" | "cut" | "damaged" | "empty";
  readonly segments: number;
  readonly records: Readonly<Partial<Record<OpName, number>>>;
  readonly groups: number;
  readonly liveEntries: number;
  /**
   * Position after the last valid record, and position below which everything is known to be
   * synced.
   */
  readonly end: number;
  readonly watermark: number;
  /** Descriptions of what is wrong and where. */
  readonly problems: readonly VerifyProblem[];
  readonly images: number;
  /** The durable point recorded in the mark beside the log; `undefined` if there is none. */
  readonly mark: Omit<LogMark, "logId"> | undefined;
}

/** One problem found. */
export interface VerifyProblem {
  readonly file: string;
  readonly offset: number;
  readonly what: string;
}

/** Access to a folder; bytes are whole files. */
export interface FolderReader {
  names(): readonly string[];
  read(file: string): Uint8Array;
}

/** Returns a reader of a folder on this machine. */
export function folderReader(folder: string): FolderReader {
  return {
    names: () => fs.readdirSync(folder).sort(),
    read: (file) => fs.readFileSync(path.join(folder, file)),
  };
}

/**
 * Returns the records in the bytes of a segment or image, in order. Where there is no record, it
 * continues at the next page. A record with a wrong CRC is returned with `crcOk: false` and without
 * its payload.
 */
export function* inspectRecords(bytes: Uint8Array): Generator<InspectedRecord> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  while (offset < bytes.length) {
    const size = inspectRecord(view, offset, bytes.length);
    if (size <= 0) {
      offset += WAL_PAGE_BYTES - offset % WAL_PAGE_BYTES;
      continue;
    }
    const op = recordOp(view, offset);
    const crcOk = checksumHolds(bytes, view, offset, size);
    const frame = { offset, size, op: opName(op) ?? "unknown" as const, crcOk };
    yield crcOk ? { ...frame, ...describe(op, view, bytes, offset, size) } : frame;
    // The length of a record with a wrong CRC may be wrong too.
    offset += crcOk ? size : WAL_PAGE_BYTES - offset % WAL_PAGE_BYTES;
  }
}

function describe(
  op: number,
  view: DataView,
  bytes: Uint8Array,
  offset: number,
  size: number,
): Partial<InspectedRecord> {
  const start = offset + RECORD_HEADER_BYTES;
  const end = offset + size - RECORD_TRAILER_BYTES;
  if (op === OP.imageHeader) {
    const header = new ImageHeaderView().wrap(view, bytes, start, end);
    const { number, index, term, groupId } = header;
    return { logId: toHex(header.logId), image: number, index, term, group: groupId };
  }
  if (op === OP.imageChunk) {
    const { number, offset: position, data } = new ImageChunkView().wrap(view, bytes, start, end);
    return { image: number, position, bytes: data.length };
  }
  if (!isLogOp(op)) return {};
  const prefix = new WalWatermarkView().wrap(view, bytes, start, end);
  const { sequence, position, watermark } = prefix;
  const shared = { logId: toHex(prefix.logId), sequence, position, watermark };
  return { ...shared, ...describeOwn(op, view, bytes, start, end) };
}

function describeOwn(
  op: number,
  view: DataView,
  bytes: Uint8Array,
  start: number,
  end: number,
): Partial<InspectedRecord> {
  const record = new EntryRecord();
  if (record.wrap(op, view, bytes, { start, end })) {
    const { groupId, firstIndex, origin, relocated, count } = record;
    const entries: EntryInfo[] = [];
    for (let ordinal = 0; ordinal < count; ordinal++) {
      const { term, kind, data } = record.entryAt(ordinal);
      entries.push({ index: firstIndex + ordinal, term, kind, bytes: data.length });
    }
    return { group: groupId, index: firstIndex, ...(relocated ? { origin } : {}), entries };
  }
  if (op === OP.hardState) {
    const { groupId, term, vote, commit } = new WalHardStateView().wrap(view, bytes, start, end);
    return { group: groupId, term, vote, commit };
  }
  if (op === OP.segmentHeader) {
    const { segment, groups } = new WalSegmentHeaderView().wrap(view, bytes, start, end);
    return { segment, groups: groups.count };
  }
  if (op === OP.forget) {
    return { group: new WalForgetView().wrap(view, bytes, start, end).groupId };
  }
  if (op !== OP.imageMark && op !== OP.imageInstall) return {};
  const { groupId, image } = new WalImageMarkView().wrap(view, bytes, start, end).toPlain();
  const { index, term, number, byteCount, checksum } = image ?? NO_IMAGE;
  return { group: groupId, index, term, image: number, bytes: byteCount, checksum };
}

const NO_IMAGE = { index: 0, term: 0, number: 0, byteCount: 0, checksum: 0 };

/**
 * Verifies a whole folder as recovery would, including images, and changes nothing.
 *
 * @param markBytes the log's mark file; by default there is none, and the loss of the log's end is
 * not detected.
 */
export function verifyFolder(
  folder: FolderReader,
  markBytes: Uint8Array = new Uint8Array(0),
): VerifyReport {
  const names = folder.names();
  const segments = names.flatMap((name) => segmentPosition(name) ?? [])
    .sort((left, right) => left - right);
  const check = new FolderCheck();
  const scanner = new LogScanner((record) => check.believe(record));
  segments.forEach((position, at) => {
    const all = folder.read(segmentName(position));
    const next = segments[at + 1];
    const bytes = next === undefined ? all : all.subarray(0, next - position);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length === 0) return;
    scanner.beginSegment(position);
    scanner.scan(bytes, view, { start: 0, end: bytes.length, position, last: true });
  });
  const verdict = scanner.finish();
  const { state, fault, end, watermark, logId } = verdict;
  const images = names.some((name) => imageNumber(name) !== undefined);
  const isEmpty = state === "empty" && (segments[0] ?? 0) === 0 && !images;
  const beside = decodeMarks(markBytes);
  const tailBytes = names.includes(TAIL_FILE) ? folder.read(TAIL_FILE) : new Uint8Array(0);
  const found = judged(contentOf(beside), contentOf(decodeMarks(tailBytes)));
  const problems: VerifyProblem[] = [];
  if (state === "damaged" || (state === "empty" && !isEmpty)) {
    const segment = fault?.segment ?? segments[0] ?? 0;
    const what = fault?.reason ?? "no record of a log is there";
    problems.push({ file: segmentName(segment), offset: (fault?.position ?? end) - segment, what });
  } else {
    problems.push(...check.problems(folder, logId ?? new Uint8Array(16), segments[0] ?? 0));
    const what = missingOfAny(found.marks, verdict);
    const segment = segments.findLast((at) => at <= end) ?? 0;
    if (what !== undefined) {
      problems.push({ file: segmentName(segment), offset: end - segment, what });
    }
  }
  if (found.isDamaged) {
    problems.push({ file: MARK_FILE, offset: 0, what: "no checksum of the log's mark holds" });
  }
  return {
    ok: problems.length === 0,
    state,
    segments: segments.length,
    records: check.records,
    groups: check.ledger.groups.size,
    liveEntries: check.ledger.total().entries,
    end,
    watermark,
    problems,
    mark: typeof beside === "string" ? undefined : withoutId(beside.mark),
    images: [...check.ledger.groups.values()].filter(({ image }) => image !== undefined).length,
  };
}

function contentOf(found: FoundMark | "damaged" | "none"): FileContent {
  return typeof found === "string" ? found : found.mark;
}

function withoutId({ sequence, position, generation, closed }: LogMark): VerifyReport["mark"] {
  return { sequence, position, generation, closed };
}

/** The state that the valid records of a folder amount to. */
class FolderCheck {
  readonly ledger = new Ledger();
  readonly records: Partial<Record<OpName, number>> = {};
  readonly #feed = new LedgerFeed(this.ledger);

  believe(record: ScannedRecord): void {
    const name = opName(record.op);
    if (name !== undefined) this.records[name] = (this.records[name] ?? 0) + 1;
    this.#feed.take(record);
  }

  /** Returns gaps in groups, and images that are missing or damaged. */
  problems(folder: FolderReader, logId: Uint8Array, beginning: number): VerifyProblem[] {
    const problems: VerifyProblem[] = [];
    for (const group of this.ledger.groups.values()) {
      const { groupId, image } = group;
      const gap = group.firstGap();
      if (gap !== 0) {
        const what = `entry ${gap} of group ${groupId} is missing`;
        problems.push({ file: segmentName(beginning), offset: 0, what });
      }
      if (image === undefined) continue;
      const file = imageName(image.number);
      const decoder = new ImageDecoder({ logId, groupId, image }, { header() {}, chunk() {} });
      try {
        const bytes = folder.read(file);
        decoder.push(bytes, 0, bytes.length);
        decoder.finish();
      } catch (error) {
        const { message } = toRegistryError(error);
        problems.push({ file, offset: decoder.offset, what: message });
      }
    }
    return problems;
  }
}
