/**
 * Ed25519 (RFC 8032), with one verdict everywhere. Libraries disagree about encodings that are not
 * canonical, points of small order and the cofactor, so each input is first held to what none of
 * them disputes: `S < L`, `A` and `R` encoded canonically and not of small order. Past that check
 * the runtime decides, by the equation without cofactor, [S]B = R + [k]A, on Deno and Node alike.
 *
 * Private keys stay in WebCrypto, which never gives them back. Signatures are verified by
 * `node:crypto`, at once: WebCrypto would take them to another thread and back, which doubles the
 * cost, and whose turn that is no simulation can decide.
 *
 * {@link verifyAgreed} gives the same verdict from pure arithmetic, for what replicas must agree on
 * whatever they run on. Public keys with a component of small order are refused where a key is
 * enrolled ({@link publicKeyFault}): that check costs a multiplication, and a signer that makes such
 * a key harms nobody else.
 */
import { Point } from "@noble/ed25519";
import { Buffer } from "node:buffer";
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { concatBytes } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import type { Entropy } from "../../src/base/world.ts";
import { decodeBase64url } from "../tokens/base64url.ts";

/** Bytes of a public key, of the seed that a private key is, and of a signature. */
export const PUBLIC_KEY_BYTES = 32;
export const SEED_BYTES = 32;
export const SIGNATURE_BYTES = 64;

const ALGORITHM = "Ed25519";
/** The order of the base point, and the prime of the field. */
const L = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3edn;
const P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffedn;

/** What is wrong with an encoded point. */
export type PointFault =
  | "length"
  | "not_canonical"
  | "small_order"
  | "not_on_curve"
  | "mixed_order";

/** A public key, and its handle for libraries; {@link verifyMessage} needs the bytes alone. */
export interface VerifyingKey {
  /** 32 bytes; nobody changes them. */
  readonly bytes: Uint8Array;
  readonly handle: CryptoKey;
}

/** A private key, which no code can read back, with its public one. */
export interface SigningKey {
  readonly verifying: VerifyingKey;
  readonly handle: CryptoKey;
}

/**
 * A new key from 32 bytes of `entropy`.
 *
 * @returns the key, and its seed for the caller to keep in a private file or to overwrite.
 */
export async function generateSigningKey(
  entropy: Entropy,
): Promise<{ readonly key: SigningKey; readonly seed: Uint8Array }> {
  const seed = new Uint8Array(SEED_BYTES);
  entropy.fill(seed);
  return { key: await signingKeyOfSeed(seed), seed };
}

/**
 * The key of a seed (RFC 8032 §5.1.5).
 *
 * @param seed 32 bytes, copied.
 */
export async function signingKeyOfSeed(seed: Uint8Array): Promise<SigningKey> {
  if (seed.length !== SEED_BYTES) {
    throw new RangeError(`A seed must have ${SEED_BYTES} bytes: found ${seed.length}`);
  }
  const der = new Uint8Array(concatBytes([PKCS8_PREFIX, seed]));
  const { subtle } = crypto;
  try {
    const readable = await subtle.importKey("pkcs8", der, ALGORITHM, true, ["sign"]);
    const { x } = await subtle.exportKey("jwk", readable);
    const bytes = decodeBase64url(x ?? "");
    if (bytes === undefined) throw new Error("The runtime gave no public key for a private one");
    const handle = await subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
    return { verifying: await verifyingKey(bytes), handle };
  } finally {
    der.fill(0);
  }
}

/** `PrivateKeyInfo` of an Ed25519 seed up to the seed itself (RFC 8410 §7). */
const PKCS8_PREFIX = Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32);

/**
 * A public key from its 32 bytes, copied.
 *
 * @throws RegistryError `unauthenticated` where the encoding is not canonical, the point of small
 * order, or no point at all.
 */
export async function verifyingKey(bytes: Uint8Array): Promise<VerifyingKey> {
  let fault = encodedPointFault(bytes);
  // Some runtimes take 32 bytes that are no point, and refuse each signature instead.
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

/** Signs a message. @returns 64 bytes that the caller owns. */
export async function signMessage(key: SigningKey, message: Uint8Array): Promise<Uint8Array> {
  const own = new Uint8Array(message);
  return new Uint8Array(await crypto.subtle.sign(ALGORITHM, key.handle, own));
}

/**
 * True where `signature` is the key's over `message`. Any bytes give a verdict, never an error.
 * Synchronous; some 50 µs.
 */
export function verifyMessage(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (encodedPointFault(publicKey) !== undefined || signatureFault(signature) !== undefined) {
    return false;
  }
  const key = openPublicKey(publicKey);
  return key !== undefined && verify(null, message, key, signature);
}

/** `SubjectPublicKeyInfo` of an Ed25519 key up to the key itself (RFC 8410 §4). */
const SPKI_PREFIX = Uint8Array.of(48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0);

function openPublicKey(bytes: Uint8Array): KeyObject | undefined {
  const der = concatBytes([SPKI_PREFIX, bytes]);
  try {
    return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  } catch {
    // Some runtimes take bytes that are no point of the curve, and refuse its signatures instead.
    return undefined;
  }
}

/**
 * The verdict of {@link verifyMessage} from arithmetic alone, at some ten times its cost: for what
 * every replica must decide alike, whatever runtime it has. Synchronous.
 */
export function verifyAgreed(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (encodedPointFault(publicKey) !== undefined || signatureFault(signature) !== undefined) {
    return false;
  }
  const key = decodePoint(publicKey);
  const commitment = signature.subarray(0, 32);
  const expected = decodePoint(commitment);
  if (key === undefined || expected === undefined) return false;
  const hash = createHash("sha512").update(commitment).update(publicKey).update(message).digest();
  const k = numberOf(hash) % L;
  const s = numberOf(signature.subarray(32));
  return Point.BASE.multiply(s, false).subtract(key.multiply(k, false)).equals(expected);
}

/**
 * What forbids a public key to be enrolled, `undefined` where nothing does: beyond what a signature's
 * check refuses, a component of small order.
 */
export function publicKeyFault(bytes: Uint8Array): PointFault | undefined {
  const fault = encodedPointFault(bytes);
  if (fault !== undefined) return fault;
  const point = decodePoint(bytes);
  if (point === undefined) return "not_on_curve";
  return point.isTorsionFree() ? undefined : "mixed_order";
}

/** What is wrong with a signature before any arithmetic; `undefined`: nothing. */
export function signatureFault(signature: Uint8Array): PointFault | "scalar" | undefined {
  if (signature.length !== SIGNATURE_BYTES) return "length";
  if (!isBelow(signature, 32, ORDER_BYTES)) return "scalar";
  return encodedPointFault(signature.subarray(0, 32));
}

/**
 * What is wrong with an encoded point as far as its bytes tell: its length, a coordinate that is not
 * reduced, or one of the eight points of small order, under either sign.
 */
export function encodedPointFault(bytes: Uint8Array): PointFault | undefined {
  if (bytes.length !== PUBLIC_KEY_BYTES) return "length";
  const y = new Uint8Array(bytes);
  y[31]! &= 0x7f;
  if (!isBelow(y, 0, PRIME_BYTES)) return "not_canonical";
  // That zero has no sign matters for y = 1 and y = -1 alone, which are of small order anyway.
  for (const small of SMALL_ORDER_Y) {
    if (small.every((byte, index) => byte === y[index])) return "small_order";
  }
  return undefined;
}

function decodePoint(bytes: Uint8Array): Point | undefined {
  try {
    return Point.fromBytes(bytes, false);
  } catch {
    // It throws where no point has that coordinate, which is an answer here and not an error.
    return undefined;
  }
}

/** True where the 32 bytes at `start`, least significant first, are below `bound`. */
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
/** y of the points of order 1, 2, 4 and 8 (two of each sign share one); CCTV, Ed25519, README. */
const SMALL_ORDER_Y: readonly Uint8Array[] = [
  1n,
  P - 1n,
  0n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
].map(bytesOf);
