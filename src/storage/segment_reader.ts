/**
 * Reads segments one after another in large blocks; reads the next one while the last is processed.
 *
 * A record may extend over blocks: the visitor returns how much of a block it has processed, and
 * the rest is passed again in front of the next one. A block therefore holds at most one read and
 * one record.
 */
import { WAL_PAGE_BYTES, WAL_PAYLOAD_BYTES_MAX, WAL_READ_BYTES } from "../base/limits.ts";
import type { StorageFailure, StoredFile } from "./storage.ts";
import { segmentPosition } from "../wal/segment.ts";
import type { StorageDriver } from "./storage_driver.ts";

/**
 * A range of the log in one file: positions `[position, position + size)`, from the file's
 * beginning.
 */
export interface SegmentExtent {
  readonly file: string;
  readonly position: number;
  readonly size: number;
}

/** Returns the segments by position, each limited to the beginning of the next. */
export function extentsOf(files: readonly StoredFile[]): SegmentExtent[] {
  const found = files.flatMap(({ name, size }) => {
    const position = segmentPosition(name);
    return position === undefined ? [] : [{ file: name, position, size }];
  }).sort((left, right) => left.position - right.position);
  return found.map(({ file, position, size }, at) => {
    const next = found[at + 1];
    return {
      file,
      position,
      size: next === undefined ? size : Math.min(size, next.position - position),
    };
  });
}

/** Returns the file that holds the end of the log, and its offset there. */
export function endOf(extents: readonly SegmentExtent[], end: number): [string, number] {
  const { file, position } = extents.findLast((extent) => extent.position <= end) ?? extents[0]!;
  return [file, Math.max(0, end - position)];
}

/** A part of a segment; the bytes belong to the reader and are valid during the call only. */
export interface SegmentBlock {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly end: number;
  /** Position of the byte at `start`. */
  readonly position: number;
  /** True when the segment ends at `end`. */
  readonly last: boolean;
  readonly extent: SegmentExtent;
}

/** Receiver of blocks. */
export interface SegmentVisitor {
  /** Returns how many bytes from `start` it has processed; with `last`, the rest is dropped. */
  block(block: SegmentBlock): number;
  /** Called when all was read, a read failed, or a call of `block` threw. */
  end(failure: StorageFailure | undefined, thrown: unknown): void;
}

const CARRY_BYTES_MAX = WAL_PAYLOAD_BYTES_MAX + WAL_PAGE_BYTES;

interface Buffer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Reads some segments once. */
export class SegmentReader {
  readonly #driver: StorageDriver;
  readonly #visitor: SegmentVisitor;
  readonly #extents: readonly SegmentExtent[];
  readonly #readBytes: number;
  readonly #carryBytes: number;
  #buffers: [Buffer, Buffer];
  #extentAt = 0;
  /** Bytes carried over in front of the read area of the current buffer. */
  #carried = 0;
  #stopped = false;

  constructor(
    driver: StorageDriver,
    extents: readonly SegmentExtent[],
    visitor: SegmentVisitor,
    { readBytes = WAL_READ_BYTES }: { readonly readBytes?: number } = {},
  ) {
    this.#driver = driver;
    this.#visitor = visitor;
    this.#extents = extents.filter(({ size }) => size > 0);
    const largest = Math.max(1, ...this.#extents.map(({ size }) => size));
    this.#readBytes = Math.min(readBytes, largest);
    // Segments that fit in one read leave no rest.
    this.#carryBytes = largest <= readBytes ? 0 : Math.min(CARRY_BYTES_MAX, largest);
    const bufferBytes = this.#carryBytes + this.#readBytes;
    this.#buffers = [newBuffer(bufferBytes), newBuffer(bufferBytes)];
  }

  /** Starts reading; `visitor.end` is called in a later turn when there is something to read. */
  start(): void {
    const extent = this.#extents[0];
    if (extent === undefined) return this.#visitor.end(undefined, undefined);
    this.#read(this.#buffers[0], extent, 0, (count) => this.#work(extent, 0, count));
  }

  /** Stops reading; nothing is called any more. */
  stop(): void {
    this.#stopped = true;
  }

  #read(
    buffer: Buffer,
    extent: SegmentExtent,
    offset: number,
    done: (byteCount: number) => void,
  ): void {
    const length = Math.min(this.#readBytes, extent.size - offset);
    const target = buffer.bytes.subarray(this.#carryBytes, this.#carryBytes + length);
    this.#driver.submit(
      { kind: "read", file: extent.file, position: offset, target },
      (failure, { byteCount }) => {
        if (this.#stopped) return;
        if (failure !== undefined) this.#visitor.end(failure, undefined);
        else done(byteCount);
      },
    );
  }

  /** Processes the `count` bytes at `offset` of `extent` that are in the first buffer. */
  #work(extent: SegmentExtent, offset: number, count: number): void {
    const buffer = this.#buffers[0];
    // A file shorter than expected ends where it ends.
    const last = offset + count >= extent.size ||
      count < Math.min(this.#readBytes, extent.size - offset);
    const next = last ? this.#extents[this.#extentAt + 1] : extent;
    const nextOffset = last ? 0 : offset + count;
    let worked = false;
    let arrived = -1;
    const goOn = () => {
      if (!worked || arrived === -1 || next === undefined) return;
      this.#buffers.reverse();
      if (last) this.#extentAt++;
      this.#work(next, nextOffset, arrived);
    };
    if (next !== undefined) {
      this.#read(this.#buffers[1], next, nextOffset, (byteCount) => {
        arrived = byteCount;
        goOn();
      });
    }
    const start = this.#carryBytes - this.#carried;
    const end = this.#carryBytes + count;
    const position = extent.position + offset - this.#carried;
    let used = 0;
    try {
      const { bytes, view } = buffer;
      used = this.#visitor.block({ bytes, view, start, end, position, last, extent });
    } catch (error) {
      this.stop();
      return this.#visitor.end(undefined, error);
    }
    if (this.#stopped) return;
    this.#carry(buffer, start + used, last ? start + used : end);
    worked = true;
    if (next === undefined) this.#visitor.end(undefined, undefined);
    else goOn();
  }

  /** Copies the rest in front of the read area of the other buffer. */
  #carry(buffer: Buffer, from: number, to: number): void {
    this.#carried = to - from;
    this.#buffers[1].bytes.set(buffer.bytes.subarray(from, to), this.#carryBytes - this.#carried);
  }
}

function newBuffer(length: number): Buffer {
  const bytes = new Uint8Array(length);
  return { bytes, view: new DataView(bytes.buffer) };
}
