/**
 * The body of a handshake frame, part by part: numbers big-endian, fixed bytes, bytes and visible
 * ASCII with a length before them. The reader throws {@link HandshakeError} for what a peer may have
 * done, the writer `RangeError` for what its caller did.
 */
import { HandshakeError } from "./fault.ts";

/** Text is visible ASCII, so that it has one spelling and can be logged as it is. */
const VISIBLE_ASCII = /^[\x21-\x7e]*$/;

/** Reads the body of a whole frame, header included; what it gives are views. */
export class BodyReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 4;

  constructor(frame: Uint8Array) {
    this.#bytes = frame;
    this.#view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  }

  uint8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  /** Eight bytes that hold a number below 2^53. */
  uint53(): number {
    const at = this.#take(8);
    const high = this.#view.getUint32(at);
    if (high >= 2 ** 21) throw new HandshakeError("malformed", "A number must be below 2^53");
    return high * 2 ** 32 + this.#view.getUint32(at + 4);
  }

  fixed(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Fixed bytes of which all zero stands for none. */
  optional(length: number): Uint8Array | undefined {
    const bytes = this.fixed(length);
    return bytes.every((byte) => byte === 0) ? undefined : bytes;
  }

  /** Bytes behind two bytes of length, `[min, max]`. */
  bytes16(min: number, max: number): Uint8Array {
    return this.#bounded(this.uint16(), min, max);
  }

  /** Text behind one byte of length. */
  ascii8(min: number, max: number): string {
    return text(this.#bounded(this.uint8(), min, max));
  }

  /** Text behind two bytes of length. */
  ascii16(min: number, max: number): string {
    return text(this.#bounded(this.uint16(), min, max));
  }

  /** Nothing may be left. */
  finish(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw new HandshakeError("malformed", `A frame ends ${left} bytes too late`);
  }

  #bounded(length: number, min: number, max: number): Uint8Array {
    if (length > max) {
      throw new HandshakeError("too_large", `A part must have at most ${max} bytes: ${length}`);
    }
    if (length < min) {
      throw new HandshakeError("malformed", `A part must have at least ${min} bytes: ${length}`);
    }
    return this.fixed(length);
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) {
      throw new HandshakeError("malformed", `A frame ends within a part of ${length} bytes`);
    }
    this.#at = at + length;
    return at;
  }
}

function text(bytes: Uint8Array): string {
  let read = "";
  for (const byte of bytes) read += String.fromCharCode(byte);
  if (!VISIBLE_ASCII.test(read)) {
    throw new HandshakeError("malformed", "Text must be visible ASCII: it is not");
  }
  return read;
}

/** Writes a frame of one type. */
export class BodyWriter {
  readonly #type: number;
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  constructor(type: number) {
    this.#type = type;
  }

  uint8(value: number): void {
    this.#append(Uint8Array.of(whole(value, 0xff)));
  }

  uint16(value: number): void {
    whole(value, 0xffff);
    this.#append(Uint8Array.of(value >> 8, value & 0xff));
  }

  uint32(value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, whole(value, 0xffff_ffff));
    this.#append(bytes);
  }

  uint53(value: number): void {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, Math.floor(whole(value, Number.MAX_SAFE_INTEGER) / 2 ** 32));
    view.setUint32(4, value % 2 ** 32);
    this.#append(bytes);
  }

  fixed(bytes: Uint8Array, length: number): void {
    if (bytes.length !== length) {
      throw new RangeError(`A part must have ${length} bytes: found ${bytes.length}`);
    }
    this.#append(bytes);
  }

  optional(bytes: Uint8Array | undefined, length: number): void {
    if (bytes?.every((byte) => byte === 0)) throw new RangeError("All zero stands for none");
    this.fixed(bytes ?? new Uint8Array(length), length);
  }

  bytes16(bytes: Uint8Array, min: number, max: number): void {
    if (bytes.length < min || bytes.length > max) {
      throw new RangeError(`A part must have ${min} to ${max} bytes: found ${bytes.length}`);
    }
    this.uint16(bytes.length);
    this.#append(bytes);
  }

  ascii8(value: string, min: number, max: number): void {
    this.uint8(value.length);
    this.#append(ascii(value, min, max));
  }

  ascii16(value: string, min: number, max: number): void {
    this.uint16(value.length);
    this.#append(ascii(value, min, max));
  }

  /** The frame; its header counts `more` bytes that will follow. */
  finish(more = 0): Uint8Array {
    const frame = new Uint8Array(4 + this.#length);
    new DataView(frame.buffer).setUint32(0, this.#type * 2 ** 24 + this.#length + more);
    let at = 4;
    for (const part of this.#parts) {
      frame.set(part, at);
      at += part.length;
    }
    return frame;
  }

  #append(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }
}

function whole(value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`A number must be a whole one in [0, ${max}]: found ${value}`);
  }
  return value;
}

function ascii(value: string, min: number, max: number): Uint8Array {
  if (value.length < min || value.length > max || !VISIBLE_ASCII.test(value)) {
    throw new RangeError(`Text must have ${min} to ${max} visible ASCII characters: ${value}`);
  }
  return Uint8Array.from(value, (character) => character.charCodeAt(0));
}
