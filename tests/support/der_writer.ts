/**
 * DER written by hand, for data that the product never writes: broken certificates and requests,
 * and unknown extensions. Independent of the library that writes the product's certificates, so
 * that the reader is tested against both.
 */
import { concatBytes } from "../../src/base/bytes.ts";
import { type CertificateKey, signWith } from "../../identity/pki/certificate_key.ts";
import { type KeyAlgorithm, OID } from "../../identity/pki/certificate_profile.ts";
import { DER_TAG } from "../../identity/pki/der.ts";
import type { PublicKey } from "../../identity/pki/signed_structure.ts";

/** Returns an element with this tag over the contents, in order, in new bytes. */
export function derElement(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, content) => sum + content.length, 0);
  const header = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  if (length > 0xffff) throw new RangeError(`An element must be below 64 KiB: it is ${length}`);
  return concatBytes([Uint8Array.from(header), ...contents]);
}

/** Returns a non-negative integer with these big-endian bytes. */
function derUnsignedBytes(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  const shortest = first < 0 ? Uint8Array.of(0) : bytes.subarray(first);
  const sign = shortest[0]! >= 0x80 ? [Uint8Array.of(0)] : [];
  return derElement(DER_TAG.integer, ...sign, shortest);
}

/** Returns an integer in `[0, 2^53)`. */
export function derUnsigned(value: number): Uint8Array {
  const bytes = new Uint8Array(7);
  for (let index = 6, rest = value; index >= 0; index--, rest = Math.floor(rest / 256)) {
    bytes[index] = rest % 256;
  }
  return derUnsignedBytes(bytes);
}

/** Returns a bit string of whole bytes. */
function derBitString(bytes: Uint8Array): Uint8Array {
  return derElement(DER_TAG.bitString, Uint8Array.of(0), bytes);
}

/**
 * Returns a named list of up to 8 bits, bit 0 first, as `namedBits` reads it; must not be empty.
 */
export function derBits(bits: number): Uint8Array {
  let byte = 0;
  for (let index = 0; index < 8; index++) if ((bits & (1 << index)) !== 0) byte |= 0x80 >> index;
  const unused = 31 - Math.clz32(byte & -byte);
  return derElement(DER_TAG.bitString, Uint8Array.of(unused, byte));
}

/** Returns the object identifier of a dotted form. */
export function derOid(dotted: string): Uint8Array {
  const [root = 0n, second = 0n, ...rest] = dotted.split(".").map(BigInt);
  const content = [root * 40n + second, ...rest].flatMap((arc) => {
    const septets = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) septets.unshift(Number(left & 0x7fn) | 0x80);
    return septets;
  });
  return derElement(DER_TAG.oid, Uint8Array.from(content));
}

/** Returns a time of whole seconds, given in Unix ms, in the form that `time` reads. */
export function derTime(unixMs: number): Uint8Array {
  const digits = new Date(unixMs).toISOString().slice(0, 19).replace(/[-T:]/g, "") + "Z";
  const isShort = digits < "2050" && digits >= "1950";
  return isShort
    ? derAscii(DER_TAG.utcTime, digits.slice(2))
    : derAscii(DER_TAG.generalizedTime, digits);
}

/** Returns ASCII text as content. */
function derAscii(tag: number, text: string): Uint8Array {
  return derElement(tag, new TextEncoder().encode(text));
}

const KEY_ALGORITHM: Readonly<Record<KeyAlgorithm, Uint8Array>> = {
  "Ed25519": derElement(DER_TAG.sequence, derOid(OID.ed25519)),
  "P-256": derElement(DER_TAG.sequence, derOid(OID.ecPublicKey), derOid(OID.p256)),
};

/** Returns the SubjectPublicKeyInfo of a key. */
export function derPublicKey({ algorithm, bytes }: PublicKey): Uint8Array {
  return derElement(DER_TAG.sequence, KEY_ALGORITHM[algorithm], derBitString(bytes));
}

/** Signs the first part of a certificate or a request with an Ed25519 key, and joins both. */
export async function derSigned(signedBytes: Uint8Array, key: CertificateKey): Promise<Uint8Array> {
  return derElement(
    DER_TAG.sequence,
    signedBytes,
    KEY_ALGORITHM.Ed25519,
    derBitString(await signWith(key, signedBytes)),
  );
}
