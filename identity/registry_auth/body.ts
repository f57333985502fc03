/**
 * Reader and writer for the body of a handshake frame. Fields are big-endian numbers, fixed bytes,
 * and length-prefixed bytes or visible ASCII. The reader throws {@link HandshakeError} for faults
 * that a peer can cause, the writer `RangeError` for mistakes of its caller.
 */
import { HandshakeError } from "./fault.ts";

/** Text is restricted to visible ASCII, so that it has one spelling and can be logged unescaped. */
const VISIBLE_ASCII = /^[\x21-\x7e]*$/;

/**
 * Reads the body of a complete frame that includes its header. Returned arrays are views of the
 * frame.
 */
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

  /** Reads eight bytes as a number below 2^53. */
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

  /** Reads fixed bytes; all zero means absent and returns `undefined`. */
  optional(length: number): Uint8Array | undefined {
    const bytes = this.fixed(length);
    return bytes.every((byte) => byte === 0) ? undefined : bytes;
  }

  /** Reads bytes with a two-byte length prefix; their number must be in `[min, max]`. */
  bytes16(min: number, max: number): Uint8Array {
    return this.#bounded(this.uint16(), min, max);
  }

  /** Reads text with a one-byte length prefix. */
  ascii8(min: number, max: number): string {
    return text(this.#bounded(this.uint8(), min, max));
  }

  /** Reads text with a two-byte length prefix. */
  ascii16(min: number, max: number): string {
    return text(this.#bounded(this.uint16(), min, max));
  }

  /** Refuses a frame with bytes left over. */
  finish(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw new HandshakeError("malformed", `A frame has ${left} trailing bytes`);
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
    throw new HandshakeError("malformed", "Text must be visible ASCII: found other bytes");
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
    if (bytes?.every((byte) => byte === 0)) {
      throw new RangeError("An optional part must not be all zero");
    }
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

  /** Returns the frame; its header counts `more` bytes that will follow. */
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
    throw new RangeError(`A number must be an integer in [0, ${max}]: found ${value}`);
  }
  return value;
}

function ascii(value: string, min: number, max: number): Uint8Array {
  if (value.length < min || value.length > max || !VISIBLE_ASCII.test(value)) {
    throw new RangeError(`Text must have ${min} to ${max} visible ASCII characters: ${value}`);
  }
  return Uint8Array.from(value, (character) => character.charCodeAt(0));
}
