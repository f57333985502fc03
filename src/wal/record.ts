/**
 * The frame of every record of the log and of an image: `[magic 2 = CA FE][version 1][op 1][length
 * 4, big-endian][payload][crc32 4, big-endian]`, with the CRC-32 over everything before it. The
 * payload is one Cap'n Proto segment (schemas/wal.capnp, image.capnp), so `length` is a multiple of
 * 8. Frozen: tests/vectors/wal.
 */
import { WAL_PAYLOAD_BYTES_MAX } from "../base/limits.ts";
import type { FrameWriter } from "../../schemas/runtime.ts";
import { crc32 } from "./crc32.ts";

export const RECORD_HEADER_BYTES = 8;
export const RECORD_TRAILER_BYTES = 4;
/** Size of a record beyond its payload, in bytes. */
export const RECORD_OVERHEAD_BYTES = RECORD_HEADER_BYTES + RECORD_TRAILER_BYTES;

const MAGIC = 0xcafe;
/** The version of the frame. */
export const RECORD_VERSION = 1;

/** The ops of records; the numbers are part of the format. */
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

/** The name of an op. */
export type OpName = keyof typeof OP;

const NAME_BY_OP: ReadonlyMap<number, OpName> = new Map(
  (Object.keys(OP) as OpName[]).map((name) => [OP[name], name]),
);

/** Returns the name of an op, or `undefined` for one that this version does not know. */
export function opName(op: number): OpName | undefined {
  return NAME_BY_OP.get(op);
}

/** Reports whether `op` is known and belongs to the log; the other known ops belong to images. */
export function isLogOp(op: number): boolean {
  return opName(op) !== undefined && op < OP.imageHeader;
}

/** Starts a record at the end of `out` and returns its offset. The payload is appended next. */
export function beginRecord(out: FrameWriter, op: number): number {
  const at = out.allocate(RECORD_HEADER_BYTES);
  out.view.setUint16(at, MAGIC);
  out.view.setUint8(at + 2, RECORD_VERSION);
  out.view.setUint8(at + 3, op);
  return at;
}

/** Ends the record at `at`: writes its length and reserves room for its CRC. Returns its size. */
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

/** Returned by {@link inspectRecord}: no record starts here. */
export const RECORD_INVALID = -1;
/** Returned by {@link inspectRecord}: more bytes are needed to decide. */
export const RECORD_INCOMPLETE = 0;

/**
 * Returns the size of the record at `at`, of which the bytes up to `end` are available, according
 * to its header alone, or {@link RECORD_INVALID} or {@link RECORD_INCOMPLETE}. Does not check the
 * CRC.
 */
export function inspectRecord(view: DataView, at: number, end: number): number {
  if (end - at < RECORD_HEADER_BYTES) return RECORD_INCOMPLETE;
  if (view.getUint16(at) !== MAGIC || view.getUint8(at + 2) !== RECORD_VERSION) {
    return RECORD_INVALID;
  }
  const length = view.getUint32(at + 4);
  if (length === 0 || length % 8 !== 0 || length > WAL_PAYLOAD_BYTES_MAX) return RECORD_INVALID;
  const size = length + RECORD_OVERHEAD_BYTES;
  return at + size > end ? RECORD_INCOMPLETE : size;
}

/** Returns the size claimed by the header of a record that {@link inspectRecord} did not refuse. */
export function claimedSize(view: DataView, at: number): number {
  return view.getUint32(at + 4) + RECORD_OVERHEAD_BYTES;
}

/** Returns the op of a record. */
export function recordOp(view: DataView, at: number): number {
  return view.getUint8(at + 3);
}

/** Returns the CRC stored in a record. */
export function recordChecksum(view: DataView, at: number, size: number): number {
  return view.getUint32(at + size - RECORD_TRAILER_BYTES);
}

/** Reports whether the CRC of the record of `size` bytes at `at` is right. */
export function checksumHolds(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  size: number,
): boolean {
  return crc32(bytes, view, at, at + size - RECORD_TRAILER_BYTES) ===
    recordChecksum(view, at, size);
}
