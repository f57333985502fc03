/**
 * The buffer that messages are written to: one growing, bounded and reusable byte array.
 *
 * Appended messages are laid out in preorder (a struct, then the target of its first pointer, and
 * so on), which is Cap'n Proto's canonical order; but trailing zeros are never truncated, so that a
 * field can be updated in place later. Bytes at and beyond `length` are always zero.
 *
 * Members whose names start with `$` belong to the generated code.
 */
import { RegistryError } from "../../src/base/errors.ts";
import { SIZE_BYTE, SIZE_COMPOSITE, SIZE_POINTER, WORD_BYTES } from "./cursor.ts";
import { FieldError } from "./field_error.ts";
import type { Scalar } from "./scalar.ts";
import { ASCII_BYTES_MAX, encodeAscii, encodeText } from "./text.ts";

/** A range of a caller's bytes, to be copied once; avoids creating a subarray. */
export interface ByteSpan {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Bytes to be written: an array, or a range of one. */
export type ByteSource = Uint8Array | ByteSpan;

/**
 * The input of a writer: like the plain form, with any {@link ByteSource} for bytes; structs may be
 * absent.
 */
export type Input<T> = T extends Uint8Array ? ByteSource
  : T extends readonly (infer E)[] ? readonly Input<E>[]
  : T extends object ?
      & { readonly [K in keyof T as undefined extends T[K] ? never : K]: Input<T[K]> }
      & { readonly [K in keyof T as undefined extends T[K] ? K : never]?: Input<T[K]> }
  : T;

/** Writes the fields of a struct whose sections are at `at`. */
export type Put<T> = (out: FrameWriter, at: number, value: Input<T>) => void;

/** The layout of a struct to be written. */
export interface WriteLayout<T> {
  readonly dataWords: number;
  readonly pointerWords: number;
  readonly put: Put<T>;
}

const LIST_ELEMENTS_MAX = 0x1fff_ffff;

/** Maximum size of any writer in bytes; offsets of pointers reach further. */
const WRITER_BYTES_MAX = 0x7fff_fff8;

/** A growing buffer of frames or segments. */
export class FrameWriter {
  /** The whole buffer; the written bytes are `[0, length)`. Replaced when it grows. */
  bytes: Uint8Array;
  /** A view of the same bytes. */
  view: DataView;
  /** Count of bytes written. */
  length = 0;
  readonly #bytesMax: number;

  /**
   * @param bytesMax maximum size in bytes; appends beyond it are refused with `too_large`.
   * @param bytesInitial initial size in bytes.
   */
  constructor({ bytesMax, bytesInitial = 1_024 }: { bytesMax: number; bytesInitial?: number }) {
    if (!Number.isInteger(bytesMax) || bytesMax < WORD_BYTES || bytesMax > WRITER_BYTES_MAX) {
      throw new RangeError(
        `bytesMax must be an integer in [${WORD_BYTES}, ${WRITER_BYTES_MAX}]: ` +
          `current value is ${bytesMax}`,
      );
    }
    this.#bytesMax = bytesMax;
    this.bytes = new Uint8Array(Math.min(bytesInitial, bytesMax));
    this.view = new DataView(this.bytes.buffer);
  }

  /** The written bytes, in place: valid until the next append or reset. */
  get written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** Discards everything written. */
  reset(): void {
    this.truncate(0);
  }

  /** Discards the bytes at and after `length`. */
  truncate(length: number): void {
    this.bytes.fill(0, length, this.length);
    this.length = length;
  }

  /** Releases a buffer of more than `bytes` bytes, if nothing is written. */
  trim(bytes: number): void {
    if (this.length > 0 || this.bytes.length <= bytes) return;
    this.bytes = new Uint8Array(bytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /**
   * Appends `count` zero bytes and returns their offset.
   *
   * @throws RegistryError `too_large` when the writer's limit is reached.
   */
  allocate(count: number): number {
    const at = this.length;
    const length = at + count;
    if (length > this.bytes.length) this.#grow(length);
    this.length = length;
    return at;
  }

  #grow(needed: number): void {
    if (needed > this.#bytesMax) {
      throw new RegistryError(
        "too_large",
        `Message must fit into ${this.#bytesMax} bytes: it needs at least ${needed}`,
      );
    }
    const grown = new Uint8Array(Math.min(this.#bytesMax, Math.max(needed, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  /** Appends a struct for the pointer at `pointerAt`, and returns the offset of its sections. */
  $struct(pointerAt: number, dataWords: number, pointerWords: number): number {
    const at = this.allocate((dataWords + pointerWords) * WORD_BYTES);
    const view = this.view;
    // A pointer to a struct of no words points before itself, so that it differs from a null
    // pointer.
    const offset = dataWords + pointerWords === 0 ? -1 : (at - pointerAt - WORD_BYTES) >> 3;
    view.setInt32(pointerAt, offset << 2, true);
    view.setUint32(pointerAt + 4, (dataWords | (pointerWords << 16)) >>> 0, true);
    return at;
  }

  /** Appends `bytes` bytes for a list of `count` elements, and returns their offset. */
  $list(pointerAt: number, size: number, count: number, bytes: number): number {
    if (count > LIST_ELEMENTS_MAX) {
      throw new RegistryError(
        "too_large",
        `List must have at most ${LIST_ELEMENTS_MAX} elements: it has ${count}`,
      );
    }
    const at = this.allocate((bytes + 7) & ~7);
    const view = this.view;
    view.setInt32(pointerAt, (((at - pointerAt - WORD_BYTES) >> 3) << 2) | 1, true);
    view.setUint32(pointerAt + 4, ((count << 3) | size) >>> 0, true);
    return at;
  }

  /** Writes a Text; an empty one is a null pointer. */
  $text(pointerAt: number, text: string, name: string): void {
    // Programs without types may pass anything.
    if (typeof text !== "string") throw new FieldError(name, "be text", text);
    const length = text.length;
    if (length === 0) return;
    if (length <= ASCII_BYTES_MAX) {
      const start = this.length;
      const at = this.$list(pointerAt, SIZE_BYTE, length + 1, length + 1);
      if (encodeAscii(text, this.bytes, at)) return;
      this.truncate(start);
    }
    const encoded = encodeText(text, name);
    const bytes = encoded.length + 1;
    const at = this.$list(pointerAt, SIZE_BYTE, bytes, bytes);
    this.bytes.set(encoded, at);
  }

  /** Writes a Data with one copy; an empty one is a null pointer. */
  $data(pointerAt: number, source: ByteSource): void {
    if (source instanceof Uint8Array) {
      const length = source.length;
      if (length === 0) return;
      const at = this.$list(pointerAt, SIZE_BYTE, length, length);
      this.bytes.set(source, at);
      return;
    }
    const length = spanLength(source);
    if (length === 0) return;
    const at = this.$list(pointerAt, SIZE_BYTE, length, length);
    copySpan(source, this.bytes, at);
  }

  /** Writes a fixed byte string of `length` bytes. */
  $fixed(at: number, length: number, source: ByteSource): void {
    const array = source instanceof Uint8Array;
    const bytes = array ? source : source.bytes;
    const start = array ? 0 : source.start;
    const found = array ? source.length : spanLength(source);
    if (found !== length) {
      throw new RangeError(`Value must have ${length} bytes: current value has ${found}`);
    }
    for (let index = 0; index < length; index++) this.bytes[at + index] = bytes[start + index]!;
  }

  /** Writes a struct; an absent one is a null pointer. */
  $nested<T>(pointerAt: number, value: Input<T> | undefined, layout: WriteLayout<T>): void {
    if (value === undefined) return;
    layout.put(this, this.$struct(pointerAt, layout.dataWords, layout.pointerWords), value);
  }

  /** Writes a list of structs; an empty one is a null pointer. */
  $structs<T>(
    pointerAt: number,
    values: readonly Input<T>[],
    layout: WriteLayout<T>,
    name: string,
  ): void {
    const count = countOf(values, name);
    if (count === 0) return;
    const { dataWords, pointerWords, put } = layout;
    const words = (dataWords + pointerWords) * count;
    const tag = this.$list(pointerAt, SIZE_COMPOSITE, words, WORD_BYTES + words * WORD_BYTES);
    this.view.setInt32(tag, count << 2, true);
    this.view.setUint32(tag + 4, (dataWords | (pointerWords << 16)) >>> 0, true);
    const stride = (dataWords + pointerWords) * WORD_BYTES;
    for (let index = 0; index < count; index++) {
      put(this, tag + WORD_BYTES + index * stride, values[index]!);
    }
  }

  /** Writes a list of numbers; an empty one is a null pointer. */
  $scalars(pointerAt: number, values: readonly number[], scalar: Scalar, name: string): void {
    const count = countOf(values, name);
    if (count === 0) return;
    const at = this.$list(pointerAt, scalar.size, count, count * scalar.bytes);
    for (let index = 0; index < count; index++) {
      scalar.write(this.view, at + index * scalar.bytes, values[index]!, name);
    }
  }

  /** Writes a list of Text; an empty one is a null pointer. */
  $texts(pointerAt: number, values: readonly string[], name: string): void {
    const count = countOf(values, name);
    if (count === 0) return;
    const at = this.$list(pointerAt, SIZE_POINTER, count, count * WORD_BYTES);
    for (let index = 0; index < count; index++) {
      this.$text(at + index * WORD_BYTES, values[index]!, name);
    }
  }

  /** Writes a list of Data; an empty one is a null pointer. */
  $datas(pointerAt: number, values: readonly ByteSource[], name: string): void {
    const count = countOf(values, name);
    if (count === 0) return;
    const at = this.$list(pointerAt, SIZE_POINTER, count, count * WORD_BYTES);
    for (let index = 0; index < count; index++) {
      this.$data(at + index * WORD_BYTES, values[index]!);
    }
  }
}

/** Returns the length of a list. @throws FieldError if it has none, which would spoil the buffer. */
function countOf(values: readonly unknown[], name: string): number {
  const count: unknown = values?.length;
  if (typeof count !== "number") throw new FieldError(name, "be a list", values);
  return count;
}

function spanLength({ bytes, start, end }: ByteSpan): number {
  if (!(start >= 0 && start <= end && end <= bytes.length)) {
    throw new RangeError(
      `Span must lie inside its ${bytes.length} bytes: current value is [${start}, ${end})`,
    );
  }
  return end - start;
}

/** Below this many bytes a loop is faster than creating a subarray. */
const LOOP_BYTES_MAX = 64;

function copySpan({ bytes, start, end }: ByteSpan, target: Uint8Array, at: number): void {
  if (end - start > LOOP_BYTES_MAX) {
    target.set(bytes.subarray(start, end), at);
    return;
  }
  for (let index = start; index < end; index++) target[at + index - start] = bytes[index]!;
}
