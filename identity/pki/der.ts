/**
 * A strict DER reader (X.690 §10): definite lengths in their shortest form, nothing beyond the end,
 * one encoding for each value. Certificates are untrusted input; a library that also accepts BER
 * can read one certificate in two ways, or descend a thousand levels of nesting. This reader visits
 * each byte once, allocates only results, and reports faults by {@link DerError}. DER is written by
 * a library.
 */

/** Universal tags; those of SEQUENCE and SET include the constructed bit. */
export const DER_TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Returns the primitive context-specific tag `[number]`. */
export function contextTag(number: number): number {
  return 0x80 | number;
}

/** Returns the constructed context-specific tag `[number]`. */
export function contextConstructed(number: number): number {
  return 0xa0 | number;
}

/**
 * Error for bytes that are not DER, or not the expected element. Callers that read a complete
 * structure catch it.
 */
export class DerError extends Error {
  override readonly name = "DerError";
}

/** An element: its tag, and the offsets of its header, content and end. */
export interface DerElement {
  readonly tag: number;
  readonly start: number;
  readonly contentStart: number;
  readonly end: number;
}

/** Maximum size of an object identifier in bytes; a UUID arc takes 19. */
const OID_BYTES_MAX = 40;

/** Reader of the elements in `[lo, hi)`, in order. The caller keeps ownership of the bytes. */
export class DerReader {
  readonly bytes: Uint8Array;
  #at: number;
  readonly #hi: number;

  constructor(bytes: Uint8Array, lo = 0, hi = bytes.length) {
    this.bytes = bytes;
    this.#at = lo;
    this.#hi = hi;
  }

  /** Whether all elements have been read. */
  get done(): boolean {
    return this.#at === this.#hi;
  }

  /** The tag of the next element; -1 at the end. */
  get nextTag(): number {
    return this.done ? -1 : this.bytes[this.#at]!;
  }

  /** Refuses bytes that are left over. */
  finish(): void {
    if (!this.done) throw new DerError(`${this.#hi - this.#at} trailing bytes`);
  }

  /** Reads the next element, which must have this tag. */
  element(tag: number): DerElement {
    const start = this.#at;
    if (this.nextTag !== tag) {
      throw new DerError(`byte ${start} must be tag ${hex(tag)}: found ${hex(this.nextTag)}`);
    }
    const contentStart = this.#lengthEnd(start + 1);
    this.#at = contentStart + this.#length;
    if (this.#at > this.#hi) {
      throw new DerError(`the element at byte ${start} exceeds its container`);
    }
    return { tag, start, contentStart, end: this.#at };
  }

  /** Reads the next element, whatever its tag. */
  any(): DerElement {
    if (this.done) throw new DerError("an element is missing");
    // Tags above 30 take more bytes; no structure read here has one.
    if ((this.nextTag & 0x1f) === 0x1f) throw new DerError(`byte ${this.#at} is a long tag`);
    return this.element(this.nextTag);
  }

  /** Returns a reader of the next element's content. */
  inside(tag: number): DerReader {
    return this.within(this.element(tag));
  }

  /** Returns a reader of an element's content. */
  within({ contentStart, end }: DerElement): DerReader {
    return new DerReader(this.bytes, contentStart, end);
  }

  /** Returns the content of the next element, as a view. */
  content(tag: number): Uint8Array {
    const { contentStart, end } = this.element(tag);
    return this.bytes.subarray(contentStart, end);
  }

  /** Returns the next element with its header, as a view. */
  whole(tag: number): Uint8Array {
    const { start, end } = this.element(tag);
    return this.bytes.subarray(start, end);
  }

  boolean(): boolean {
    const content = this.content(DER_TAG.boolean);
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
      throw new DerError("a boolean must be 00 or FF");
    }
    return content[0] === 0xff;
  }

  /** Returns the bytes of an integer that is not negative, without the leading zero, as a view. */
  unsignedBytes(tag: number = DER_TAG.integer): Uint8Array {
    const content = this.content(tag);
    if (content.length === 0 || content[0]! >= 0x80) throw new DerError("an integer is negative");
    if (content.length > 1 && content[0] === 0) {
      if (content[1]! < 0x80) throw new DerError("an integer has a redundant leading zero");
      return content.subarray(1);
    }
    return content;
  }

  /** Reads an integer in `[0, max]`; `max` is at most 2^48. */
  unsigned(max: number): number {
    const bytes = this.unsignedBytes();
    let value = bytes.length > 6 ? Infinity : 0;
    for (const byte of bytes) value = value * 256 + byte;
    if (value > max) throw new DerError(`an integer must be in [0, ${max}]`);
    return value;
  }

  /** Reads an object identifier in dotted form. */
  oid(): string {
    return formatOid(this.content(DER_TAG.oid));
  }

  /** Returns the bytes of a bit string without unused bits, as a view. */
  bitStringBytes(): Uint8Array {
    const content = this.content(DER_TAG.bitString);
    if (content[0] !== 0) throw new DerError("a bit string must have whole bytes");
    return content.subarray(1);
  }

  /**
   * Reads a named bit list of up to 16 bits (X.690 §11.2.2); the first bit is bit 0 of the result.
   */
  namedBits(): number {
    const content = this.content(DER_TAG.bitString);
    const unused = content[0];
    const last = content[content.length - 1]!;
    if (
      unused === undefined || unused > 7 || content.length < 2 || content.length > 3 ||
      (last & ((1 << unused) - 1)) !== 0 || (last & (1 << unused)) === 0
    ) {
      throw new DerError("a list of bits must be in its shortest form, and not empty");
    }
    let bits = 0;
    for (let index = 0; index < (content.length - 1) * 8; index++) {
      if ((content[1 + (index >> 3)]! & (0x80 >> (index & 7))) !== 0) bits |= 1 << index;
    }
    return bits;
  }

  /** Reads printable ASCII text without spaces (IA5String as names use it). */
  ascii(tag: number): string {
    const content = this.content(tag);
    let text = "";
    for (const byte of content) {
      if (byte <= 0x20 || byte >= 0x7f) throw new DerError("a name must be printable ASCII");
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /**
   * Reads a time as RFC 5280 §4.1.2.5 requires: UTCTime until 2049, GeneralizedTime from 2050.
   * Returns Unix ms.
   */
  time(): number {
    const isShort = this.nextTag === DER_TAG.utcTime;
    const text = this.ascii(isShort ? DER_TAG.utcTime : DER_TAG.generalizedTime);
    const digits = isShort ? 12 : 14;
    if (text.length !== digits + 1 || !/^\d+Z$/.test(text)) throw notATime(text);
    const shortYear = Number(text.slice(0, 2));
    const year = isShort
      ? String((shortYear < 50 ? 2000 : 1900) + shortYear)
      : text.slice(0, digits - 10);
    if (!isShort && Number(year) < 2050) throw notATime(text);
    const [month, day, hour, minute, second] = text.slice(digits - 10, digits).match(/../g)!;
    const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
    const unixMs = Date.parse(iso);
    // Some parsers carry a date that does not exist (30 February) over to the next month.
    if (Number.isNaN(unixMs) || new Date(unixMs).toISOString() !== iso) throw notATime(text);
    return unixMs;
  }

  #length = 0;

  /** Reads the length at `at` into `#length` and returns the offset of the content. */
  #lengthEnd(at: number): number {
    const first = at < this.#hi ? this.bytes[at]! : -1;
    if (first >= 0 && first < 0x80) {
      this.#length = first;
      return at + 1;
    }
    const count = first - 0x80;
    // 0x80 is the indefinite length of BER; three bytes already express more than any limit allows.
    if (count < 1 || count > 3 || at + count >= this.#hi) {
      throw new DerError(`byte ${at} must be a definite length`);
    }
    let length = 0;
    for (let index = 1; index <= count; index++) length = length * 256 + this.bytes[at + index]!;
    if (length < (count === 1 ? 0x80 : 1 << (8 * (count - 1)))) {
      throw new DerError(`byte ${at} must be the length in its shortest form`);
    }
    this.#length = length;
    return at + 1 + count;
  }
}

/** Returns the dotted form of an object identifier's content. */
function formatOid(content: Uint8Array): string {
  if (content.length === 0 || content.length > OID_BYTES_MAX) {
    throw new DerError(`an object identifier must have 1 to ${OID_BYTES_MAX} bytes`);
  }
  const arcs: bigint[] = [];
  let arc = 0n;
  let isFirst = true;
  for (const byte of content) {
    if (isFirst && byte === 0x80) throw new DerError("an arc must be in its shortest form");
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    isFirst = byte < 0x80;
    if (!isFirst) continue;
    arcs.push(arc);
    arc = 0n;
  }
  if (!isFirst) throw new DerError("an object identifier is truncated");
  const [head, ...rest] = arcs;
  const root = head! < 80n ? head! / 40n : 2n;
  return [root, head! - root * 40n, ...rest].join(".");
}

function notATime(text: string): DerError {
  return new DerError(`a time must be UTC to the second: found ${text.slice(0, 20)}`);
}

function hex(tag: number): string {
  return tag < 0 ? "the end" : `0x${tag.toString(16).padStart(2, "0")}`;
}
