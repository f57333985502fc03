/**
 * The base of every generated view: a flyweight over one struct of a message.
 *
 * A view allocates nothing when it is positioned and nothing when a number is read. A field beyond
 * the end of a shorter data or pointer section (written by an older version, or by a tool that
 * truncates trailing zeros) reads as its default. Every pointer is checked against the segment
 * before it is followed. A view references the bytes it was positioned on and does not copy them:
 * their owner must not change them while it is in use. Lists and structs returned by a view are
 * flyweights too; the view owns them, and the next call of the same getter moves them.
 */
import { POINTER_DEPTH_MAX } from "../../src/base/limits.ts";
import {
  byteSteps,
  copySteps,
  Cursor,
  type ElementCursor,
  listCount,
  listElements,
  malformed,
  outside,
  PLAIN_OBJECT_STEPS,
  POINTER_STRUCT,
  pointerTarget,
  SIZE_BYTE,
  type TraversalBudget,
  traversalStepsMax,
  WORD_BYTES,
} from "./cursor.ts";
import {
  FLOAT32,
  FLOAT64,
  INT16,
  INT32,
  INT64,
  INT8,
  UINT16,
  UINT32,
  UINT64,
  UINT8,
} from "./scalar.ts";
import { decodeText } from "./text.ts";

/** A flyweight over a struct whose plain form is `Plain`. */
export abstract class StructView<Plain = unknown> extends Cursor {
  /** The data section is `[$data, $pointers)`, the pointer section `[$pointers, $limit)`. */
  $data = 0;
  $pointers = 0;
  $limit = 0;
  readonly #budget: TraversalBudget = { left: 0 };
  /** The length of the byte string that was located last. */
  #length = 0;

  /** Returns the struct as an object that shares nothing with the message. */
  abstract toPlain(): Plain;

  /**
   * Moves to the root struct of the segment `[start, end)` of `bytes`: the words after a frame's
   * segment table, or a stored record. Starts a new traversal budget.
   *
   * @param view covers exactly the bytes of `bytes`.
   * @throws RegistryError `malformed` when they hold no struct.
   */
  wrap(view: DataView, bytes: Uint8Array, start: number, end: number): this {
    if (start < 0 || end > bytes.length || start > end) {
      throw new RangeError(
        `Segment must lie inside its ${bytes.length} bytes: current value is [${start}, ${end})`,
      );
    }
    const length = end - start;
    if (length === 0 || length % WORD_BYTES !== 0) {
      throw malformed(`Segment must be one or more words of 8 bytes: found ${length} bytes`);
    }
    this.$view = view;
    this.$bytes = bytes;
    this.$start = start;
    this.$end = end;
    this.$depth = POINTER_DEPTH_MAX;
    this.#budget.left = traversalStepsMax(length);
    this.$budget = this.#budget;
    this.$follow(start);
    return this;
  }

  /** Moves to the struct that the pointer at `pointerAt` of this segment points to. */
  $follow(pointerAt: number): void {
    // Set first, so that a view whose pointer is refused does not keep the offsets of another
    // message.
    this.$data = this.$pointers = this.$limit = this.$start;
    const target = pointerAt === -1 ? -1 : pointerTarget(this, pointerAt, POINTER_STRUCT);
    if (target === -1) return;
    const sizes = this.$view.getUint32(pointerAt + 4, true);
    const pointers = target + (sizes & 0xffff) * WORD_BYTES;
    const limit = pointers + (sizes >>> 16) * WORD_BYTES;
    if (limit > this.$end) throw outside(this, pointerAt, target, limit);
    this.$data = target;
    this.$pointers = pointers;
    this.$limit = limit;
  }

  /** Returns the byte offset of a pointer of this struct; -1 if its section is too short. */
  $pointerAt(index: number): number {
    const at = this.$pointers + index * WORD_BYTES;
    return at + WORD_BYTES <= this.$limit ? at : -1;
  }

  /** Reports whether the pointer exists and is not null. */
  $has(index: number): boolean {
    const at = this.$pointerAt(index);
    return at !== -1 && (this.$view.getInt32(at, true) !== 0 ||
      this.$view.getInt32(at + 4, true) !== 0);
  }

  /**
   * Moves `child` to the struct at a pointer; if there is none, all its fields read as defaults.
   */
  $struct<V extends StructView>(index: number, child: V): V {
    this.$spend(1);
    child.$descend(this);
    child.$follow(this.$pointerAt(index));
    return child;
  }

  /** Moves `list` to the list at a pointer; if there is none, it is empty. */
  $list<L extends ElementCursor>(index: number, list: L): L {
    list.$position(this, this.$pointerAt(index));
    return list;
  }

  // Data section: `offset` is in bytes from its start.

  $bool(offset: number, mask: number): boolean {
    return (this.$uint8(offset) & mask) !== 0;
  }

  $uint8(offset: number): number {
    const at = this.$data + offset;
    return at + 1 <= this.$pointers ? this.$view.getUint8(at) : 0;
  }

  $int8(offset: number): number {
    return (this.$uint8(offset) << 24) >> 24;
  }

  $uint16(offset: number): number {
    const at = this.$data + offset;
    return at + 2 <= this.$pointers ? this.$view.getUint16(at, true) : 0;
  }

  $int16(offset: number): number {
    return (this.$uint16(offset) << 16) >> 16;
  }

  $uint32(offset: number): number {
    const at = this.$data + offset;
    return at + 4 <= this.$pointers ? this.$view.getUint32(at, true) : 0;
  }

  $int32(offset: number): number {
    return this.$uint32(offset) | 0;
  }

  /**
   * Reads an unsigned 64-bit integer.
   *
   * @throws RegistryError `malformed` above 2^53 - 1, which a number cannot represent.
   */
  $uint64(offset: number): number {
    const at = this.$data + offset;
    return at + 8 <= this.$pointers ? UINT64.read(this.$view, at) : 0;
  }

  /**
   * Reads a signed 64-bit integer.
   *
   * @throws RegistryError `malformed` beyond ±(2^53 - 1).
   */
  $int64(offset: number): number {
    const at = this.$data + offset;
    return at + 8 <= this.$pointers ? INT64.read(this.$view, at) : 0;
  }

  $float32(offset: number): number {
    const at = this.$data + offset;
    return at + 4 <= this.$pointers ? this.$view.getFloat32(at, true) : 0;
  }

  $float64(offset: number): number {
    const at = this.$data + offset;
    return at + 8 <= this.$pointers ? this.$view.getFloat64(at, true) : 0;
  }

  // Fixed byte strings (`$bytes` groups).

  /** Returns the offset of a fixed byte string in `$bytes`. */
  $fixedOffset(offset: number, length: number): number {
    const at = this.$data + offset;
    if (at + length > this.$pointers) {
      throw malformed(
        `Data section must hold ${offset + length} bytes: found ${this.$pointers - this.$data}`,
      );
    }
    return at;
  }

  /** Returns a copy of a fixed byte string; bytes beyond the section are zero. */
  $fixed(offset: number, length: number): Uint8Array {
    const at = this.$data + offset;
    if (at + length <= this.$pointers) return copyOf(this.$bytes, at, at + length);
    const copy = new Uint8Array(length);
    const count = this.$pointers - at;
    for (let index = 0; index < count; index++) copy[index] = this.$bytes[at + index]!;
    return copy;
  }

  /** Reports whether the string equals `[otherAt, otherAt + length)` of `other`. */
  $fixedEquals(offset: number, length: number, other: Uint8Array, otherAt: number): boolean {
    const at = this.$data + offset;
    const count = Math.min(length, this.$pointers - at);
    for (let index = 0; index < length; index++) {
      if ((index < count ? this.$bytes[at + index] : 0) !== other[otherAt + index]) return false;
    }
    return true;
  }

  // Text and Data: byte strings behind a pointer.

  /** Returns the offset of the bytes of a Data in `$bytes`. */
  $dataOffset(index: number): number {
    const offset = this.#locate(index, false);
    this.$spend(byteSteps(this.#length));
    return offset;
  }

  /** Returns the length of a Data in bytes; 0 if there is none. */
  $dataLength(index: number): number {
    this.#locate(index, false);
    return this.#length;
  }

  /** Returns the bytes of a Data in place. */
  $dataBytes(index: number): Uint8Array {
    const offset = this.$dataOffset(index);
    return this.$bytes.subarray(offset, offset + this.#length);
  }

  /** Returns a copy of a Data. */
  $dataCopy(index: number): Uint8Array {
    const offset = this.#locate(index, false);
    const length = this.#length;
    this.$spend(byteSteps(length) + copySteps(length));
    return copyOf(this.$bytes, offset, offset + length);
  }

  /** Returns the offset of the bytes of a Text in `$bytes`, after checking its final NUL. */
  $textOffset(index: number): number {
    const offset = this.#locate(index, true);
    this.$spend(byteSteps(this.#length));
    return offset;
  }

  /** Returns the length of a Text in bytes, without its final NUL. */
  $textLength(index: number): number {
    this.#locate(index, true);
    return this.#length;
  }

  /** Returns the bytes of a Text in place, without its final NUL; not checked to be UTF-8. */
  $textBytes(index: number): Uint8Array {
    const offset = this.$textOffset(index);
    return this.$bytes.subarray(offset, offset + this.#length);
  }

  /**
   * Returns a Text.
   *
   * @throws RegistryError `malformed` when it is not UTF-8 terminated by NUL.
   */
  $text(index: number): string {
    const offset = this.#locate(index, true);
    const length = this.#length;
    if (length === 0) return "";
    this.$spend(copySteps(length));
    return decodeText(this.$bytes, offset, length);
  }

  /**
   * Returns the offset of a byte string, and sets `#length` to its length, without a Text's NUL.
   */
  #locate(index: number, text: boolean): number {
    this.#length = 0;
    const at = this.$pointerAt(index);
    const target = at === -1 ? -1 : listElements(this, at, SIZE_BYTE, 1);
    if (target === -1) return this.$start;
    if (text) checkTerminated(this, at, target);
    this.#length = listCount(this, at) - (text ? 1 : 0);
    return target;
  }

  /** Charges the object that {@link toPlain} makes to the budget. */
  $payPlain(): void {
    this.$spend(PLAIN_OBJECT_STEPS);
  }

  // Updates in place, of fields in the data section only.

  $setBool(offset: number, mask: number, value: boolean): void {
    const at = this.#patch(offset, 1);
    const others = this.$bytes[at]! & ~mask;
    this.$bytes[at] = value ? others | mask : others;
  }

  $setUint8(offset: number, value: number): void {
    UINT8.write(this.$view, this.#patch(offset, 1), value, "Value");
  }

  $setInt8(offset: number, value: number): void {
    INT8.write(this.$view, this.#patch(offset, 1), value, "Value");
  }

  $setUint16(offset: number, value: number): void {
    UINT16.write(this.$view, this.#patch(offset, 2), value, "Value");
  }

  $setInt16(offset: number, value: number): void {
    INT16.write(this.$view, this.#patch(offset, 2), value, "Value");
  }

  $setUint32(offset: number, value: number): void {
    UINT32.write(this.$view, this.#patch(offset, 4), value, "Value");
  }

  $setInt32(offset: number, value: number): void {
    INT32.write(this.$view, this.#patch(offset, 4), value, "Value");
  }

  $setUint64(offset: number, value: number): void {
    UINT64.write(this.$view, this.#patch(offset, 8), value, "Value");
  }

  $setInt64(offset: number, value: number): void {
    INT64.write(this.$view, this.#patch(offset, 8), value, "Value");
  }

  $setFloat32(offset: number, value: number): void {
    FLOAT32.write(this.$view, this.#patch(offset, 4), value, "Value");
  }

  $setFloat64(offset: number, value: number): void {
    FLOAT64.write(this.$view, this.#patch(offset, 8), value, "Value");
  }

  $setFixed(offset: number, length: number, value: Uint8Array): void {
    if (value.length !== length) {
      throw new RangeError(`Value must have ${length} bytes: current value has ${value.length}`);
    }
    const at = this.#patch(offset, length);
    for (let index = 0; index < length; index++) this.$bytes[at + index] = value[index]!;
  }

  #patch(offset: number, length: number): number {
    const at = this.$data + offset;
    if (at + length > this.$pointers) {
      throw new RangeError(
        `Field at byte ${offset} must lie inside the data section to be patched: its size is ${
          this.$pointers - this.$data
        }`,
      );
    }
    return at;
  }
}

/** Returns a copy of `[start, end)`, also of a `Buffer` of Node, whose own `slice` does not copy. */
function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes, start, end);
}

/**
 * Checks that the byte list at `pointerAt`, whose elements are at `at`, ends with NUL.
 *
 * @throws RegistryError `malformed` when it does not.
 */
export function checkTerminated(from: Cursor, pointerAt: number, at: number): void {
  const count = listCount(from, pointerAt);
  if (count === 0 || from.$bytes[at + count - 1] !== 0) {
    throw malformed(
      `Text at byte ${pointerAt - from.$start} must end with NUL: its ${count} bytes do not`,
    );
  }
}
