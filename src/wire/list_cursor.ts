/**
 * The cursor of a list over several nodes: the partitions that are finished, and for each one begun
 * the id after which it continues. It does not depend on where a partition is, so a move between two
 * pages neither skips records nor repeats them. In a reply it also names the partitions that the
 * node was asked for and does not serve.
 *
 * Form, little-endian: version 2 (one byte; the cursor of a single node, src/store/listing.ts,
 * begins with 0), one byte of zero, the number of begun partitions (2 bytes), the number of
 * partitions (4 bytes), the bitmap of those finished, the bitmap of those elsewhere, then for each
 * begun partition its number (2 bytes) and an id (16 bytes).
 */
import { UUID_BYTES } from "../base/uuid.ts";
import { PartitionSet, partitionSetBytes } from "../ring/partition_set.ts";

const VERSION = 2;
const HEADER_BYTES = 8;
const BEGUN_BYTES = 2 + UUID_BYTES;

/** The position of a list over several nodes. */
export interface ListCursor {
  readonly finished: PartitionSet;
  /** Partitions that a node was asked for and does not serve. */
  readonly elsewhere: PartitionSet;
  /** For each begun partition the id of its last record that was listed, 16 bytes. */
  readonly begun: Map<number, Uint8Array>;
}

/** Returns the cursor at the start of a list. */
export function newListCursor(partitionCount: number): ListCursor {
  return {
    finished: new PartitionSet(partitionCount),
    elsewhere: new PartitionSet(partitionCount),
    begun: new Map(),
  };
}

/** Reports whether the bytes are such a cursor, valid or not. */
export function isListCursor(bytes: Uint8Array): boolean {
  return bytes[0] === VERSION;
}

/** Encodes a cursor; the caller owns the result. */
export function encodeListCursor({ finished, elsewhere, begun }: ListCursor): Uint8Array {
  const bitmapBytes = finished.bytes.length;
  const bytes = new Uint8Array(HEADER_BYTES + 2 * bitmapBytes + begun.size * BEGUN_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint16(2, begun.size, true);
  view.setUint32(4, finished.partitionCount, true);
  bytes.set(finished.bytes, HEADER_BYTES);
  bytes.set(elsewhere.bytes, HEADER_BYTES + bitmapBytes);
  let at = HEADER_BYTES + 2 * bitmapBytes;
  for (const [partition, afterId] of begun) {
    view.setUint16(at, partition, true);
    bytes.set(afterId, at + 2);
    at += BEGUN_BYTES;
  }
  return bytes;
}

/** Decodes a cursor; returns `undefined` if it is not valid for a cluster of that size. */
export function decodeListCursor(
  bytes: Uint8Array,
  partitionCount: number,
): ListCursor | undefined {
  if (bytes.length < HEADER_BYTES || !isListCursor(bytes) || bytes[1] !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const begunCount = view.getUint16(2, true);
  const bitmapBytes = partitionSetBytes(partitionCount);
  const begunAt = HEADER_BYTES + 2 * bitmapBytes;
  if (view.getUint32(4, true) !== partitionCount) return undefined;
  if (bytes.length !== begunAt + begunCount * BEGUN_BYTES) return undefined;
  const bitmap = (at: number) =>
    new PartitionSet(partitionCount, bytes.subarray(at, at + bitmapBytes));
  const finished = bitmap(HEADER_BYTES);
  const begun = new Map<number, Uint8Array>();
  for (let at = begunAt; at < bytes.length; at += BEGUN_BYTES) {
    const partition = view.getUint16(at, true);
    if (partition >= partitionCount || begun.has(partition) || finished.has(partition)) {
      return undefined;
    }
    begun.set(partition, bytes.slice(at + 2, at + BEGUN_BYTES));
  }
  return { finished, elsewhere: bitmap(HEADER_BYTES + bitmapBytes), begun };
}

/**
 * Returns the cursor that continues where a list on a single node stopped; `undefined` if `bytes` is
 * no such cursor. Form: the partition (4 bytes, big-endian), and the id in it.
 */
export function listCursorOfSingle(
  bytes: Uint8Array,
  partitionCount: number,
): ListCursor | undefined {
  if (bytes.length !== 4 + UUID_BYTES) return undefined;
  const at = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
  if (at >= partitionCount) return undefined;
  const cursor = newListCursor(partitionCount);
  for (let partition = 0; partition < at; partition++) cursor.finished.add(partition);
  cursor.begun.set(at, bytes.slice(4));
  return cursor;
}
