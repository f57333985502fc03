/**
 * Base64url without padding (RFC 4648 §5, RFC 7515 appendix C), strictly: a text is refused unless
 * it is exactly what encoding its bytes gives. Lenient decoders take padding, white space and loose
 * trailing bits, so that one signed value has many spellings; here it has one.
 */
import { base64url } from "jose";

const ALPHABET = /^[A-Za-z0-9_-]*$/;

/** The text of some bytes. */
export function encodeBase64url(bytes: Uint8Array): string {
  return base64url.encode(bytes);
}

/** The bytes of a text, which the caller owns; `undefined` where it is not in its one form. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  // A length of 4n + 1 encodes nothing; anything beyond the alphabet is some decoder's extension.
  if (text.length % 4 === 1 || !ALPHABET.test(text)) return undefined;
  const bytes = new Uint8Array(base64url.decode(text));
  return base64url.encode(bytes) === text ? bytes : undefined;
}
