/**
 * Cap'n Proto's stream framing: `[segment count - 1][words of each segment…][padding][segments…]`,
 * all 32-bit little-endian (Cap'n Proto encoding, "Serialization Over a Stream").
 *
 * A frame is checked by its table alone, before any memory is allocated for it: a peer that claims
 * 2^27 segments or 16 GiB is refused after its first bytes. Messages of several segments, which
 * only other implementations write, are joined into one by `joinSegments`; everything else reads
 * one segment.
 */
import { RegistryError } from "../../src/base/errors.ts";
import { FRAME_SEGMENTS_MAX, POINTER_DEPTH_MAX } from "../../src/base/limits.ts";
import {
  malformed,
  POINTER_FAR,
  POINTER_LIST,
  POINTER_STRUCT,
  SIZE_COMPOSITE,
  SIZE_POINTER,
  WORD_BYTES,
} from "./cursor.ts";

/** Returned by {@link inspectFrame} while the table is incomplete. */
export const FRAME_INCOMPLETE = 0;

/** The limits of a stream. */
export interface FrameLimits {
  /** Maximum size of a frame in bytes, table included. */
  readonly frameBytesMax: number;
  /** Maximum count of segments of a message, `[1, 16]`. */
  readonly segmentsMax: number;
}

/**
 * Returns the size in bytes of the table of a frame of `segments` segments, which is the offset of
 * its first segment.
 */
export function frameTableBytes(segments: number): number {
  return (4 + 4 * segments + 7) & ~7;
}

/**
 * Returns the size in bytes, table included, of the frame that starts at `start` of `view`, of
 * which the bytes `[start, end)` have arrived, or {@link FRAME_INCOMPLETE} when more bytes are
 * needed to know it. The frame is complete when `start + size <= end`.
 *
 * @throws RegistryError `too_large` beyond the limits, `malformed` for a frame without a root.
 */
export function inspectFrame(
  view: DataView,
  start: number,
  end: number,
  limits: FrameLimits,
): number {
  if (end - start < 4) return FRAME_INCOMPLETE;
  const segments = view.getUint32(start, true) + 1;
  if (segments > limits.segmentsMax) {
    throw new RegistryError(
      "too_large",
      `Frame must have at most ${limits.segmentsMax} segments: its header claims ${segments}`,
    );
  }
  const tableBytes = frameTableBytes(segments);
  // The table is checked as far as it has arrived, so that a frame is refused as early as possible.
  const known = Math.min(segments, (end - start - 4) >> 2);
  let words = 0;
  for (let index = 0; index < known; index++) {
    words += view.getUint32(start + 4 + 4 * index, true);
  }
  const size = tableBytes + words * WORD_BYTES;
  if (size > limits.frameBytesMax) {
    throw new RegistryError(
      "too_large",
      `Frame must have at most ${limits.frameBytesMax} bytes: its header claims ${size}`,
    );
  }
  if (known > 0 && view.getUint32(start + 4, true) === 0) {
    throw malformed("Frame must hold a root pointer: its first segment is empty");
  }
  return known < segments ? FRAME_INCOMPLETE : size;
}

/** Returns the segment count of the complete frame at `start`. */
export function frameSegments(view: DataView, start: number): number {
  return view.getUint32(start, true) + 1;
}

interface Segments {
  /** All segments, one after another; `starts` has one more element, their end. */
  readonly view: DataView;
  readonly starts: readonly number[];
  /** Count of pointers that may still be visited: a valid message has at most one per word. */
  left: number;
}

/**
 * Joins the message of the complete frame `[start, end)` of `bytes` into one segment, which the
 * caller owns: its segments in their order, with the far pointers between them replaced by near
 * ones.
 *
 * Costs one copy and at most one step per word of the frame.
 *
 * @throws RegistryError `malformed` when a pointer on the way is invalid.
 */
export function joinSegments(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const table = new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
  const size = inspectFrame(table, 0, end - start, {
    frameBytesMax: Number.MAX_SAFE_INTEGER,
    segmentsMax: FRAME_SEGMENTS_MAX,
  });
  if (size !== end - start) {
    throw malformed(
      `Frame must have the ${size} bytes that its header claims: found ${end - start}`,
    );
  }
  const count = frameSegments(table, 0);
  const joined = bytes.slice(start + frameTableBytes(count), end);
  const starts = [0];
  for (let index = 0; index < count; index++) {
    starts.push(starts[index]! + table.getUint32(4 + 4 * index, true) * WORD_BYTES);
  }
  const view = new DataView(joined.buffer);
  joinPointer({ view, starts, left: joined.length / WORD_BYTES }, 0, 0, POINTER_DEPTH_MAX);
  return joined;
}

/** Makes the pointer at `at`, in `segment`, and all pointers below it near. */
function joinPointer(segments: Segments, at: number, segment: number, depth: number): void {
  const { view } = segments;
  if (segments.left-- === 0) throw malformed("Pointers must not overlap: these do");
  let low = view.getInt32(at, true);
  let high = view.getUint32(at + 4, true);
  if (low === 0 && high === 0) return;
  if (depth === 0) {
    throw malformed(`Pointers must nest at most ${POINTER_DEPTH_MAX} deep: these go deeper`);
  }
  let target = at + WORD_BYTES + (low >> 2) * WORD_BYTES;
  let home = segment;
  if ((low & 3) === POINTER_FAR) {
    const pad = farTarget(segments, at);
    home = high;
    if ((low & 4) === 0) {
      low = view.getInt32(pad, true);
      high = view.getUint32(pad + 4, true);
      if (low === 0 && high === 0) throw badPad(pad);
      target = pad + WORD_BYTES + (low >> 2) * WORD_BYTES;
    } else {
      home = view.getUint32(pad + 4, true);
      target = farTarget(segments, pad);
      low = view.getInt32(pad + WORD_BYTES, true);
      high = view.getUint32(pad + WORD_BYTES + 4, true);
      if (low >> 2 !== 0) throw badPad(pad);
    }
    if ((low & 3) > POINTER_LIST) throw badPad(pad);
  }
  const pointers = children(segments, { low, high, target, home });
  // A struct of no words has no required position; the encoding puts it before its own pointer.
  const empty = (low & 3) === POINTER_STRUCT && high === 0;
  const offset = empty ? -1 : (target - at - WORD_BYTES) >> 3;
  view.setInt32(at, (offset << 2) | (low & 3), true);
  view.setUint32(at + 4, high, true);
  const { first, elements, stride, count } = pointers;
  if (count === 0) return;
  for (let element = 0; element < elements; element++) {
    for (let index = 0; index < count; index++) {
      joinPointer(segments, first + element * stride + index * WORD_BYTES, home, depth - 1);
    }
  }
}

interface Target {
  readonly low: number;
  readonly high: number;
  readonly target: number;
  readonly home: number;
}

interface Children {
  readonly first: number;
  readonly elements: number;
  readonly stride: number;
  readonly count: number;
}

const NO_CHILDREN: Children = { first: 0, elements: 0, stride: 0, count: 0 };
const LIST_ELEMENT_BITS = [0, 1, 8, 16, 32, 64, 64, 64] as const;

/**
 * Returns the pointers inside the target of a near pointer, which must lie inside segment `home`.
 */
function children(segments: Segments, { low, high, target, home }: Target): Children {
  const lo = segments.starts[home]!;
  const hi = segments.starts[home + 1]!;
  const fits = (bytes: number) => {
    if (target < lo || target + bytes > hi) {
      throw malformed(
        `Pointer must stay inside segment ${home} of ${hi - lo} bytes: it points to [${
          target - lo
        }, ${target + bytes - lo})`,
      );
    }
  };
  const kind = low & 3;
  if (kind === POINTER_STRUCT) {
    const count = high >>> 16;
    const dataBytes = (high & 0xffff) * WORD_BYTES;
    if (high !== 0) fits(dataBytes + count * WORD_BYTES);
    return { first: target + dataBytes, elements: 1, stride: 0, count };
  }
  if (kind !== POINTER_LIST) throw malformed("Pointer must be a struct or list pointer: it is not");
  const size = (high & 7) as 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;
  const elements = high >>> 3;
  if (size !== SIZE_COMPOSITE) {
    fits(Math.ceil((elements * LIST_ELEMENT_BITS[size]) / 8));
    if (size !== SIZE_POINTER) return NO_CHILDREN;
    return { first: target, elements, stride: WORD_BYTES, count: 1 };
  }
  fits(WORD_BYTES + elements * WORD_BYTES);
  const tag = segments.view.getUint32(target, true);
  const sizes = segments.view.getUint32(target + 4, true);
  const stride = ((sizes & 0xffff) + (sizes >>> 16)) * WORD_BYTES;
  if ((tag & 3) !== 0 || (tag >>> 2) * stride > elements * WORD_BYTES) {
    throw malformed(`List must hold its elements in ${elements} words: its tag claims more`);
  }
  const first = target + WORD_BYTES + (sizes & 0xffff) * WORD_BYTES;
  return { first, elements: tag >>> 2, stride, count: sizes >>> 16 };
}

/**
 * Returns the position of the landing pad of `at`, or of the content for the pad of a double-far
 * pointer.
 */
function farTarget(segments: Segments, at: number): number {
  const low = segments.view.getUint32(at, true);
  const segment = segments.view.getUint32(at + 4, true);
  const count = segments.starts.length - 1;
  if ((low & 3) !== POINTER_FAR || segment >= count) throw badPad(at);
  const target = segments.starts[segment]! + (low >>> 3) * WORD_BYTES;
  const padBytes = (low & 4) === 0 ? WORD_BYTES : 2 * WORD_BYTES;
  if (target + padBytes > segments.starts[segment + 1]!) throw badPad(at);
  return target;
}

function badPad(at: number): RegistryError {
  return malformed(`Far pointer at byte ${at} must lead to a landing pad: it does not`);
}
