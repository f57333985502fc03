/**
 * Ed25519 (RFC 8032) with the same verdict on every runtime. Libraries disagree about encodings
 * that are not canonical, points of small order and the cofactor. Each input is therefore first
 * restricted to the subset on which they agree: `S < L`, and `A` and `R` encoded canonically and
 * not of small order. Inputs that pass are decided by the runtime, on Deno and Node alike, by the
 * equation without cofactor: [S]B = R + [k]A.
 *
 * Private keys stay in WebCrypto and cannot be exported. Signatures are verified synchronously by
 * `node:crypto`: WebCrypto would pass them to another thread, which doubles the cost, and a
 * simulation could not control the order of completion.
 *
 * {@link verifyAgreed} gives the same verdict by pure arithmetic, for decisions on which replicas
 * must agree whatever runtime they use. Public keys with a component of small order are refused
 * when a key is enrolled ({@link publicKeyFault}) and not at each verification: the check costs a
 * multiplication, and a signer who makes such a key harms nobody else.
 */
import { Point } from "@noble/ed25519";
import { Buffer } from "node:buffer";
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { concatBytes } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import type { Entropy } from "../../src/base/world.ts";
import { importOkpPrivateKey } from "./okp_private_key.ts";

/** Sizes in bytes of a public key, of the seed that is the private key, and of a signature. */
export const PUBLIC_KEY_BYTES = 32;
export const SEED_BYTES = 32;
export const SIGNATURE_BYTES = 64;

const ALGORITHM = "Ed25519";
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

/** A public key with its WebCrypto handle; {@link verifyMessage} needs the bytes alone. */
export interface VerifyingKey {
  /** 32 bytes; must not be modified. */
  readonly bytes: Uint8Array;
  readonly handle: CryptoKey;
}

/** A private key that cannot be exported, with its public key. */
export interface SigningKey {
  readonly verifying: VerifyingKey;
  readonly handle: CryptoKey;
}

/**
 * Generates a key from 32 bytes of `entropy`.
 *
 * @returns the key, and its seed, which the caller must store in a private file or overwrite.
 */
export async function generateSigningKey(
  entropy: Entropy,
): Promise<{ readonly key: SigningKey; readonly seed: Uint8Array }> {
  const seed = new Uint8Array(SEED_BYTES);
  entropy.fill(seed);
  return { key: await signingKeyOfSeed(seed), seed };
}

/**
 * Returns the key of a seed (RFC 8032 §5.1.5).
 *
 * @param seed 32 bytes, copied.
 */
export async function signingKeyOfSeed(seed: Uint8Array): Promise<SigningKey> {
  if (seed.length !== SEED_BYTES) {
    throw new RangeError(`A seed must have ${SEED_BYTES} bytes: found ${seed.length}`);
  }
  const { handle, publicBytes } = await importOkpPrivateKey("Ed25519", seed, "sign");
  return { verifying: await verifyingKey(publicBytes), handle };
}

/**
 * Imports a public key from its 32 bytes, which are copied.
 *
 * @throws RegistryError `unauthenticated` if the encoding is not canonical, the point is of small
 * order, or the bytes are not a point.
 */
export async function verifyingKey(bytes: Uint8Array): Promise<VerifyingKey> {
  let fault = encodedPointFault(bytes);
  // Some runtimes accept 32 bytes that are not a point, and then reject every signature.
  if (fault === undefined && decodePoint(bytes) === undefined) fault = "not_on_curve";
  if (fault !== undefined) {
    throw new RegistryError(
      "unauthenticated",
      `A public key must be a canonical Ed25519 point of full order: found ${fault}`,
      { field: "publicKey" },
    );
  }
  const own = new Uint8Array(bytes);
  const handle = await crypto.subtle.importKey("raw", own, ALGORITHM, true, ["verify"]);
  return { bytes: own, handle };
}

/** Signs a message. @returns 64 bytes, owned by the caller. */
export async function signMessage(key: SigningKey, message: Uint8Array): Promise<Uint8Array> {
  const own = new Uint8Array(message);
  return new Uint8Array(await crypto.subtle.sign(ALGORITHM, key.handle, own));
}

/**
 * Reports whether `signature` is a valid signature of `message` by the key. Any bytes give a
 * verdict, never an error. Synchronous; about 50 µs.
 */
export function verifyMessage(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!areWellFormed(publicKey, signature)) return false;
  const key = openPublicKey(publicKey);
  return key !== undefined && verify(null, message, key, signature);
}

/** DER prefix of an Ed25519 `SubjectPublicKeyInfo`; the key follows (RFC 8410 §4). */
const SPKI_PREFIX = Uint8Array.of(48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0);

function openPublicKey(bytes: Uint8Array): KeyObject | undefined {
  const der = concatBytes([SPKI_PREFIX, bytes]);
  try {
    return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  } catch {
    // Some runtimes reject bytes that are not a point here; others accept them and reject each
    // signature.
    return undefined;
  }
}

/**
 * Returns the verdict of {@link verifyMessage} by arithmetic alone, at about ten times the cost:
 * for decisions that every replica must make alike, whatever its runtime. Synchronous.
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
  const hash = createHash("sha512").update(commitment).update(publicKey).update(message).digest();
  const k = numberOf(hash) % L;
  const s = numberOf(signature.subarray(32));
  return Point.BASE.multiply(s, false).subtract(key.multiply(k, false)).equals(expected);
}

function areWellFormed(publicKey: Uint8Array, signature: Uint8Array): boolean {
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
