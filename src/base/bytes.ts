/** Byte operations that the runtime lacks. All are synchronous, and none retains its arguments. */

/** Reports whether both arrays hold the same bytes. Not constant-time, so not for secrets. */
export function bytesEqual(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) {
    if (left[index] !== right[index]) return false;
  }
  return true;
}

/** Reports whether `[start, end)` of `bytes` is `wanted`. */
export function isBytesAt(
  wanted: Uint8Array,
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  const { length } = wanted;
  if (length !== end - start) return false;
  for (let at = 0; at < length; at++) if (wanted[at] !== bytes[start + at]) return false;
  return true;
}

/**
 * Orders by the first differing byte, then by length. Returns a negative, zero or positive number.
 */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const shared = Math.min(left.length, right.length);
  for (let index = 0; index < shared; index++) {
    const difference = left[index]! - right[index]!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/**
 * Reports whether all bytes in `[start, end)` are 0. Compares four bytes at a time when aligned.
 */
export function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  const aligned = at + (-(bytes.byteOffset + at) & 3);
  if (end - aligned >= 64) {
    while (at < aligned) if (bytes[at++] !== 0) return false;
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, end - at >> 2);
    for (let word = 0; word < words.length; word++) if (words[word] !== 0) return false;
    at += words.length * 4;
  }
  while (at < end) if (bytes[at++] !== 0) return false;
  return true;
}

/** Returns a new array with all parts concatenated in order. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Returns the bytes as lower-case hexadecimal text. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** Returns the bytes of hexadecimal text, or `undefined` when it is not even-length hexadecimal. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
}
