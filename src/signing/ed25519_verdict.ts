/**
 * The verdict on an Ed25519 signature (RFC 8032) by arithmetic alone, so that every replica comes to
 * the same one, whatever its runtime and its libraries. Libraries disagree about encodings that are
 * not canonical, points of small order and the cofactor. Each input is therefore first restricted to
 * the subset on which they agree: `S < L`, and `A` and `R` encoded canonically and not of small
 * order. What passes is decided by the equation without cofactor: [S]B = R + [k]A.
 *
 * Public keys with a component of small order are refused when a key is enrolled
 * ({@link publicKeyFault}) and not at each verification: the check costs a multiplication, and a
 * signer who makes such a key harms nobody else.
 */
import { Point } from "@noble/ed25519";
import { sha512 } from "@noble/hashes/sha2.js";
import { concatBytes } from "../base/bytes.ts";

/** Sizes in bytes of a public key, of the seed that is the private key, and of a signature. */
export const PUBLIC_KEY_BYTES = 32;
export const SEED_BYTES = 32;
export const SIGNATURE_BYTES = 64;

/** The order of the base point and the prime of the field. */
const L = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3edn;
const P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffedn;

/** Faults of an encoded point. */
export type PointFault =
  | "length"
  | "not_canonical"
  | "small_order"
  | "not_on_curve"
  | "mixed_order";

/**
 * Reports whether `signature` is a valid signature of `message` by the key. Any bytes give a
 * verdict, never an error. Synchronous; about 600 µs.
 */
export function verifyAgreed(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!areWellFormed(publicKey, signature)) return false;
  const key = decodePoint(publicKey);
  const commitment = signature.subarray(0, 32);
  const expected = decodePoint(commitment);
  if (key === undefined || expected === undefined) return false;
  const hash = sha512(concatBytes([commitment, publicKey, message]));
  const k = numberOf(hash) % L;
  const s = numberOf(signature.subarray(32));
  return Point.BASE.multiply(s, false).subtract(key.multiply(k, false)).equals(expected);
}

/** A function with the verdict of {@link verifyAgreed} on all inputs. */
export type SignatureVerdict = typeof verifyAgreed;

/** Reports whether neither the key nor the signature has a fault that its bytes alone reveal. */
export function areWellFormed(publicKey: Uint8Array, signature: Uint8Array): boolean {
  return encodedPointFault(publicKey) === undefined && signatureFault(signature) === undefined;
}

/**
 * Returns the fault that forbids enrolling a public key, or `undefined`. In addition to the checks
 * made when a signature is verified, it refuses keys with a component of small order.
 */
export function publicKeyFault(bytes: Uint8Array): PointFault | undefined {
  const fault = encodedPointFault(bytes);
  if (fault !== undefined) return fault;
  const point = decodePoint(bytes);
  if (point === undefined) return "not_on_curve";
  return point.isTorsionFree() ? undefined : "mixed_order";
}

/**
 * Returns the fault of a signature that its bytes alone reveal, without curve arithmetic, or
 * `undefined`.
 */
export function signatureFault(signature: Uint8Array): PointFault | "scalar" | undefined {
  if (signature.length !== SIGNATURE_BYTES) return "length";
  if (!isBelow(signature, 32, ORDER_BYTES)) return "scalar";
  return encodedPointFault(signature.subarray(0, 32));
}

/**
 * Returns the fault of an encoded point that its bytes alone reveal: a wrong length, a coordinate
 * that is not reduced, or one of the eight points of small order, with either sign.
 */
export function encodedPointFault(bytes: Uint8Array): PointFault | undefined {
  if (bytes.length !== PUBLIC_KEY_BYTES) return "length";
  const y = new Uint8Array(bytes);
  y[31]! &= 0x7f;
  if (!isBelow(y, 0, PRIME_BYTES)) return "not_canonical";
  // The rule that zero has no sign concerns only y = 1 and y = -1, which are refused as small
  // order.
  for (const small of SMALL_ORDER_Y) {
    if (small.every((byte, index) => byte === y[index])) return "small_order";
  }
  return undefined;
}

/** Reports whether 32 bytes are the encoding of a point. */
export function isPoint(bytes: Uint8Array): boolean {
  return decodePoint(bytes) !== undefined;
}

function decodePoint(bytes: Uint8Array): Point | undefined {
  try {
    return Point.fromBytes(bytes, false);
  } catch {
    // It throws if no point has that coordinate; that is a verdict, not an error.
    return undefined;
  }
}

/** Reports whether the 32 bytes at `start`, least significant first, are below `bound`. */
function isBelow(bytes: Uint8Array, start: number, bound: Uint8Array): boolean {
  for (let index = 31; index >= 0; index--) {
    const difference = bytes[start + index]! - bound[index]!;
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function numberOf(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let index = bytes.length - 1; index >= 0; index--) {
    value = value << 8n | BigInt(bytes[index]!);
  }
  return value;
}

function bytesOf(value: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  for (let index = 0; index < 32; index++) {
    bytes[index] = Number(value >> BigInt(8 * index) & 0xffn);
  }
  return bytes;
}

const ORDER_BYTES = bytesOf(L);
const PRIME_BYTES = bytesOf(P);
/**
 * y of the points of order 1, 2, 4 and 8; points that differ only in sign share one. Source: CCTV,
 * Ed25519, README.
 */
const SMALL_ORDER_Y: readonly Uint8Array[] = [
  1n,
  P - 1n,
  0n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
].map(bytesOf);
