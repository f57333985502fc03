/**
 * Ed25519 keys and signatures (RFC 8032), with the same verdict on every runtime: inputs that pass
 * the checks of `src/signing/ed25519_verdict.ts` are decided by the runtime, on Deno and Node alike,
 * by the equation without cofactor: [S]B = R + [k]A.
 *
 * Private keys stay in WebCrypto and cannot be exported. Signatures are verified synchronously by
 * `node:crypto`: WebCrypto would pass them to another thread, which doubles the cost, and a
 * simulation could not control the order of completion.
 */
import { Buffer } from "node:buffer";
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { concatBytes } from "../../src/base/bytes.ts";
import { RegistryError } from "../../src/base/errors.ts";
import type { Entropy } from "../../src/base/world.ts";
import {
  areWellFormed,
  encodedPointFault,
  isPoint,
  SEED_BYTES,
} from "../../src/signing/ed25519_verdict.ts";
import { importOkpPrivateKey } from "./okp_private_key.ts";

export {
  encodedPointFault,
  PUBLIC_KEY_BYTES,
  publicKeyFault,
  SEED_BYTES,
  SIGNATURE_BYTES,
  signatureFault,
  verifyAgreed,
} from "../../src/signing/ed25519_verdict.ts";

const ALGORITHM = "Ed25519";

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
  if (fault === undefined && !isPoint(bytes)) fault = "not_on_curve";
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
