/**
 * Strict base64url without padding (RFC 4648 §5, RFC 7515 appendix C): a text is refused unless it
 * is exactly the encoding of its bytes. Lenient decoders accept padding, white space and stray
 * trailing bits, which gives one signed value many spellings; here it has one.
 */
import { base64url } from "jose";

const ALPHABET = /^[A-Za-z0-9_-]*$/;

/** Encodes bytes. */
export function encodeBase64url(bytes: Uint8Array): string {
  return base64url.encode(bytes);
}

/** Decodes a text; the caller owns the bytes. Returns `undefined` if the text is not canonical. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  // A length of 4n + 1 encodes nothing; other characters are extensions of some decoders.
  if (text.length % 4 === 1 || !ALPHABET.test(text)) return undefined;
  const bytes = new Uint8Array(base64url.decode(text));
  return base64url.encode(bytes) === text ? bytes : undefined;
}
