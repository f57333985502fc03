/**
 * The frame around every record of the log and of an image:
 * `[magic 2 = CA FE][version 1][op 1][length 4, big-endian][payload][crc32 4, big-endian]`, the CRC-32
 * over all that precedes it. The payload is one Cap'n Proto segment (schemas/wal.capnp, image.capnp),
 * so `length` is a multiple of 8. Frozen: tests/vectors/wal.
 */
import { WAL_PAYLOAD_BYTES_MAX } from "../base/limits.ts";
import type { FrameWriter } from "../../schemas/runtime.ts";
import { crc32 } from "./crc32.ts";

export const RECORD_HEADER_BYTES = 8;
export const RECORD_TRAILER_BYTES = 4;
/** What a record takes beyond its payload. */
export const RECORD_OVERHEAD_BYTES = RECORD_HEADER_BYTES + RECORD_TRAILER_BYTES;

const MAGIC = 0xcafe;
const VERSION = 1;

/** What a record says; the numbers are format. */
export const OP = {
  append: 1,
  relocate: 2,
  hardState: 3,
  segmentHeader: 4,
  imageMark: 5,
  watermark: 6,
  forget: 7,
  imageInstall: 8,
  imageHeader: 16,
  imageChunk: 17,
  imageEnd: 18,
} as const;

/** A record's op by name. */
export type OpName = keyof typeof OP;

const NAME_BY_OP: ReadonlyMap<number, OpName> = new Map(
  (Object.keys(OP) as OpName[]).map((name) => [OP[name], name]),
);

/** The name of an op, or `undefined` for one that this version does not know. */
export function opName(op: number): OpName | undefined {
  return NAME_BY_OP.get(op);
}

/** True for a record of the log that this version knows; the others known are an image's. */
export function isLogOp(op: number): boolean {
  return opName(op) !== undefined && op < OP.imageHeader;
}

/** Begins a record at the end of `out` and returns its offset; the payload is appended next. */
export function beginRecord(out: FrameWriter, op: number): number {
  const at = out.allocate(RECORD_HEADER_BYTES);
  out.view.setUint16(at, MAGIC);
  out.view.setUint8(at + 2, VERSION);
  out.view.setUint8(at + 3, op);
  return at;
}

/** Ends the record at `at`: writes its length and leaves room for its CRC; returns its size. */
export function endRecord(out: FrameWriter, at: number): number {
  out.view.setUint32(at + 4, out.length - at - RECORD_HEADER_BYTES);
  out.allocate(RECORD_TRAILER_BYTES);
  return out.length - at;
}

/** Writes the CRC of the record of `size` bytes at `at`, and returns it. */
export function sealRecord(bytes: Uint8Array, view: DataView, at: number, size: number): number {
  const crc = crc32(bytes, view, at, at + size - RECORD_TRAILER_BYTES);
  view.setUint32(at + size - RECORD_TRAILER_BYTES, crc);
  return crc;
}

/** {@link inspectRecord}: no record begins here. */
export const RECORD_INVALID = -1;
/** {@link inspectRecord}: as far as the bytes go it may be one; more are needed to tell. */
export const RECORD_INCOMPLETE = 0;

/**
 * The size of the record at `at` of which the bytes up to `end` are there, judged by its header
 * alone, or {@link RECORD_INVALID} or {@link RECORD_INCOMPLETE}. Its CRC is not looked at.
 */
export function inspectRecord(view: DataView, at: number, end: number): number {
  if (end - at < RECORD_HEADER_BYTES) return RECORD_INCOMPLETE;
  if (view.getUint16(at) !== MAGIC || view.getUint8(at + 2) !== VERSION) return RECORD_INVALID;
  const length = view.getUint32(at + 4);
  if (length === 0 || length % 8 !== 0 || length > WAL_PAYLOAD_BYTES_MAX) return RECORD_INVALID;
  const size = length + RECORD_OVERHEAD_BYTES;
  return at + size > end ? RECORD_INCOMPLETE : size;
}

/** The size that the header of a record claims that {@link inspectRecord} did not refuse. */
export function claimedSize(view: DataView, at: number): number {
  return view.getUint32(at + 4) + RECORD_OVERHEAD_BYTES;
}

/** The op of a record. */
export function recordOp(view: DataView, at: number): number {
  return view.getUint8(at + 3);
}

/** The CRC that a record carries. */
export function recordChecksum(view: DataView, at: number, size: number): number {
  return view.getUint32(at + size - RECORD_TRAILER_BYTES);
}

/** True when the CRC of the record of `size` bytes at `at` is right. */
export function checksumHolds(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  size: number,
): boolean {
  return crc32(bytes, view, at, at + size - RECORD_TRAILER_BYTES) ===
    recordChecksum(view, at, size);
}
