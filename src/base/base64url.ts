/**
 * Strict base64url without padding (RFC 4648 §5, RFC 7515 appendix C): a text is refused unless it
 * is exactly the encoding of its bytes. Lenient decoders accept padding, white space and stray
 * trailing bits, which gives one signed value many spellings; here it has one.
 */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NO_VALUE = 64;
/** Values of the first 128 characters; `NO_VALUE` for those outside the alphabet. */
const VALUES: Uint8Array = (() => {
  const values = new Uint8Array(128).fill(NO_VALUE);
  for (let value = 0; value < ALPHABET.length; value++) values[ALPHABET.charCodeAt(value)] = value;
  return values;
})();

/** Encodes bytes. */
export function encodeBase64url(bytes: Uint8Array): string {
  let text = "";
  let at = 0;
  for (; at + 3 <= bytes.length; at += 3) {
    const bits = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    text += ALPHABET[bits >> 18]! + ALPHABET[(bits >> 12) & 63]! + ALPHABET[(bits >> 6) & 63]! +
      ALPHABET[bits & 63]!;
  }
  const left = bytes.length - at;
  if (left === 0) return text;
  const bits = (bytes[at]! << 16) | (left === 2 ? bytes[at + 1]! << 8 : 0);
  text += ALPHABET[bits >> 18]! + ALPHABET[(bits >> 12) & 63]!;
  return left === 2 ? text + ALPHABET[(bits >> 6) & 63]! : text;
}

/** Decodes a text; the caller owns the bytes. Returns `undefined` if the text is not canonical. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  const { length } = text;
  // A length of 4n + 1 encodes nothing.
  if (length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor(length * 3 / 4));
  let written = 0;
  let bits = 0;
  let bitCount = 0;
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    const value = code < VALUES.length ? VALUES[code]! : NO_VALUE;
    if (value === NO_VALUE) return undefined;
    bits = ((bits << 6) | value) & 0xffff;
    bitCount += 6;
    if (bitCount < 8) continue;
    bitCount -= 8;
    bytes[written++] = bits >> bitCount;
  }
  // Stray trailing bits would be another spelling of the same bytes.
  return (bits & ((1 << bitCount) - 1)) === 0 ? bytes : undefined;
}
