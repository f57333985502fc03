/**
 * Text: UTF-8, validated when it is read and when it is written. Most text here is short ASCII
 * (domains, regions, keys), for which plain loops are several times faster than TextDecoder and
 * TextEncoder; all other text goes to them.
 */
import { malformed } from "./cursor.ts";
import { FieldError } from "./field_error.ts";

/**
 * Text up to this many bytes is tried as ASCII first; for longer text the platform's coders are
 * faster.
 */
export const ASCII_BYTES_MAX = 64;

// Without ignoreBOM a leading byte order mark would be dropped silently.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * Decodes the text of `[at, at + length)` of `bytes`.
 *
 * @throws RegistryError `malformed` when it is not UTF-8.
 */
export function decodeText(bytes: Uint8Array, at: number, length: number): string {
  if (length <= ASCII_BYTES_MAX) {
    const text = decodeAscii(bytes, at, at + length);
    if (text !== undefined) return text;
  }
  try {
    return decoder.decode(bytes.subarray(at, at + length));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw malformed(`Text of ${length} bytes must be UTF-8: it is not`);
  }
}

function decodeAscii(bytes: Uint8Array, lo: number, hi: number): string | undefined {
  let text = "";
  let at = lo;
  for (; at + 8 <= hi; at += 8) {
    const a = bytes[at]!;
    const b = bytes[at + 1]!;
    const c = bytes[at + 2]!;
    const d = bytes[at + 3]!;
    const e = bytes[at + 4]!;
    const f = bytes[at + 5]!;
    const g = bytes[at + 6]!;
    const h = bytes[at + 7]!;
    if ((a | b | c | d | e | f | g | h) > 127) return undefined;
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  for (; at < hi; at++) {
    const code = bytes[at]!;
    if (code > 127) return undefined;
    text += String.fromCharCode(code);
  }
  return text;
}

/**
 * Writes ASCII `text` at `at` of `bytes`, which must have room for it. Returns false when `text` is
 * not ASCII; part of the room may have been written then.
 */
export function encodeAscii(text: string, bytes: Uint8Array, at: number): boolean {
  const length = text.length;
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code > 127) return false;
    bytes[at + index] = code;
  }
  return true;
}

/**
 * Encodes `text` as UTF-8. The caller owns the result.
 *
 * @param name of the field, for the error.
 * @throws FieldError when `text` holds a lone surrogate, which UTF-8 cannot represent.
 */
export function encodeText(text: string, name: string): Uint8Array {
  if (!text.isWellFormed()) {
    throw new FieldError(name, "be well-formed Unicode, without lone surrogates", text);
  }
  return encoder.encode(text);
}
