/**
 * Codecs: the generated code of one struct as one value, so that operation tables can hold it. A
 * codec has no state and may be shared.
 *
 * A *segment* is the words of one message without a segment table, root pointer first; a *frame* is
 * a segment preceded by its table, as it is sent on a stream.
 */
import { SEGMENT_BYTES_MAX } from "../../src/base/limits.ts";
import { WORD_BYTES } from "./cursor.ts";
import type { StructView } from "./view.ts";
import { FrameWriter, type Input, type WriteLayout } from "./writer.ts";

/** A larger buffer is released after its use. */
const SCRATCH_BYTES_KEPT = 64 * 1024;

/** The layout of one struct. */
export interface StructLayout<T, V extends StructView<T>> extends WriteLayout<T> {
  readonly name: string;
  readonly newView: () => V;
}

/** Encodes and decodes messages whose root is one struct. */
export class StructCodec<T, V extends StructView<T> = StructView<T>> {
  readonly layout: StructLayout<T, V>;

  constructor(layout: StructLayout<T, V>) {
    this.layout = layout;
  }

  /** Creates a view that is not positioned yet and reads as defaults. */
  newView(): V {
    return this.layout.newView();
  }

  /** Creates a value with all fields at their defaults. */
  empty(): T {
    return this.decode(new Uint8Array(WORD_BYTES));
  }

  /**
   * Appends the segment of `value` to `out`. On an error nothing is appended.
   *
   * @throws RangeError when a field holds a value outside its type.
   * @throws RegistryError `too_large` when `out` is full.
   */
  append(out: FrameWriter, value: Input<T>): void {
    const start = out.length;
    try {
      this.$put(out, out.allocate(WORD_BYTES), value);
    } catch (error) {
      out.truncate(start);
      throw error;
    }
  }

  /** Appends the frame of `value` to `out`. Errors are those of {@link append}. */
  write(out: FrameWriter, value: Input<T>): void {
    const start = out.length;
    try {
      this.$put(out, out.allocate(2 * WORD_BYTES) + WORD_BYTES, value);
    } catch (error) {
      out.truncate(start);
      throw error;
    }
    finishFrame(out, start);
  }

  /** Encodes `value` to a segment, which the caller owns. */
  encode(value: Input<T>): Uint8Array {
    return encoded((out) => this.append(out, value));
  }

  /**
   * Decodes the segment `[start, end)` of `bytes`. The result shares nothing with them.
   *
   * @throws RegistryError `malformed` when they hold no such segment.
   */
  decode(bytes: Uint8Array, start = 0, end: number = bytes.length): T {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return this.newView().wrap(view, bytes, start, end).toPlain();
  }

  /** Appends the struct for the pointer at `pointerAt`. */
  $put(out: FrameWriter, pointerAt: number, value: Input<T>): void {
    const { dataWords, pointerWords, put } = this.layout;
    put(out, out.$struct(pointerAt, dataWords, pointerWords), value);
  }
}

/**
 * The codec of a struct whose last pointer is an AnyPointer, its body, which may be any other
 * struct.
 */
export class EnvelopeCodec<T, V extends StructView<T> = StructView<T>> extends StructCodec<T, V> {
  // The steps are those of StructCodec, written out: every reply is encoded here, and passing the body
  // through functions of the base class would allocate.

  /**
   * Appends a segment as {@link StructCodec.append} does, with `body` encoded by `codec`. Without a
   * codec there is no body.
   */
  override append<B>(
    out: FrameWriter,
    value: Input<T>,
    codec?: StructCodec<B>,
    body?: Input<NoInfer<B>>,
  ): void {
    const start = out.length;
    try {
      this.#putWithBody(out, out.allocate(WORD_BYTES), value, codec, body);
    } catch (error) {
      out.truncate(start);
      throw error;
    }
  }

  /**
   * Appends a frame as {@link StructCodec.write} does, with `body` encoded by `codec`. Without a
   * codec there is no body.
   */
  override write<B>(
    out: FrameWriter,
    value: Input<T>,
    codec?: StructCodec<B>,
    body?: Input<NoInfer<B>>,
  ): void {
    const start = out.length;
    try {
      const pointerAt = out.allocate(2 * WORD_BYTES) + WORD_BYTES;
      this.#putWithBody(out, pointerAt, value, codec, body);
    } catch (error) {
      out.truncate(start);
      throw error;
    }
    finishFrame(out, start);
  }

  /**
   * Encodes a segment as {@link StructCodec.encode} does, with `body` encoded by `codec`. Without a
   * codec there is no body.
   */
  override encode<B>(
    value: Input<T>,
    codec?: StructCodec<B>,
    body?: Input<NoInfer<B>>,
  ): Uint8Array {
    return encoded((out) => this.append(out, value, codec, body));
  }

  #putWithBody<B>(
    out: FrameWriter,
    pointerAt: number,
    value: Input<T>,
    codec: StructCodec<B> | undefined,
    body: Input<B> | undefined,
  ): void {
    const { dataWords, pointerWords, put } = this.layout;
    const at = out.$struct(pointerAt, dataWords, pointerWords);
    put(out, at, value);
    if (codec === undefined) return;
    if (body === undefined) {
      throw new TypeError(`Body must be given with its codec ${codec.layout.name}: there is none`);
    }
    codec.$put(out, at + (dataWords + pointerWords - 1) * WORD_BYTES, body);
  }
}

/**
 * The buffer in which all segments are encoded before they are copied, one after another: a buffer
 * for each would cost more than the encoding.
 */
const SCRATCH = new FrameWriter({ bytesMax: SEGMENT_BYTES_MAX });

/** Returns a copy of what `append` appends. */
function encoded(append: (out: FrameWriter) => void): Uint8Array {
  const start = SCRATCH.length;
  try {
    append(SCRATCH);
    return SCRATCH.bytes.slice(start, SCRATCH.length);
  } finally {
    SCRATCH.truncate(start);
    SCRATCH.trim(SCRATCH_BYTES_KEPT);
  }
}

/** Writes the segment table of the frame that starts at `start` and ends at the end of `out`. */
function finishFrame(out: FrameWriter, start: number): void {
  // The first half of the table is 0: one segment.
  out.view.setUint32(start + 4, (out.length - start - WORD_BYTES) / WORD_BYTES, true);
}
