/**
 * X25519 keys (RFC 7748, RFC 8037), for key agreement with a recipient that is offline. Public keys
 * must be canonical: reduced and without the unused bit. Keys of small order are refused, since the
 * shared secret would be zero for every peer. Portable: it also runs in a browser.
 */
import { calculateJwkThumbprint } from "jose";
import { RegistryError } from "../../src/base/errors.ts";
import type { Entropy } from "../../src/base/world.ts";
import { importOkpPrivateKey } from "../pki/okp_private_key.ts";
import { encodeBase64url } from "../../src/base/base64url.ts";

/** Size in bytes of a public key, a private key and a shared secret. */
export const X25519_BYTES = 32;

const ALGORITHM = "X25519";

/** A recipient's public key. */
export interface SealingKey {
  /** Thumbprint of the key (RFC 7638). */
  readonly keyId: string;
  /** 32 bytes. */
  readonly bytes: Uint8Array;
  readonly handle: CryptoKey;
}

/** A recipient's private key, which cannot be exported. */
export interface OpeningKey {
  readonly sealing: SealingKey;
  readonly handle: CryptoKey;
}

/**
 * Generates a key from 32 bytes of `entropy`.
 *
 * @returns the key, and its private bytes, which the caller must store in a private file or
 * overwrite.
 */
export async function generateOpeningKey(
  entropy: Entropy,
): Promise<{ readonly key: OpeningKey; readonly secret: Uint8Array }> {
  const secret = new Uint8Array(X25519_BYTES);
  entropy.fill(secret);
  return { key: await openingKeyOf(secret), secret };
}

/** Imports a private key from its 32 bytes, which are copied. */
export async function openingKeyOf(secret: Uint8Array): Promise<OpeningKey> {
  if (secret.length !== X25519_BYTES) {
    throw new RangeError(`A private key must have ${X25519_BYTES} bytes: found ${secret.length}`);
  }
  const { handle, publicBytes } = await importOkpPrivateKey(ALGORITHM, secret, "deriveBits");
  return { sealing: await sealingKeyOf(publicBytes), handle };
}

/**
 * Imports a public key from its 32 bytes, which are copied.
 *
 * @throws RegistryError `invalid_argument` if it is not canonical or of small order.
 */
export async function sealingKeyOf(bytes: Uint8Array): Promise<SealingKey> {
  const fault = x25519Fault(bytes);
  if (fault !== undefined) {
    throw new RegistryError(
      "invalid_argument",
      `publicKey must be a canonical X25519 key, not of small order: found ${fault}`,
      { field: "publicKey" },
    );
  }
  const own = new Uint8Array(bytes);
  const handle = await crypto.subtle.importKey("raw", own, ALGORITHM, true, []);
  const jwk = { kty: "OKP", crv: ALGORITHM, x: encodeBase64url(own) };
  return { keyId: await calculateJwkThumbprint(jwk, "sha256"), bytes: own, handle };
}

/**
 * Returns the shared secret of two keys.
 *
 * @throws RegistryError `invalid_argument` for an unsound public key.
 */
export async function sharedSecret(key: OpeningKey, publicKey: Uint8Array): Promise<Uint8Array> {
  const { handle } = await sealingKeyOf(publicKey);
  const agreed = { name: ALGORITHM, public: handle };
  return new Uint8Array(await crypto.subtle.deriveBits(agreed, key.handle, 8 * X25519_BYTES));
}

/** Returns the fault of a public key, or `undefined`. */
export function x25519Fault(
  bytes: Uint8Array,
): "length" | "not_canonical" | "small_order" | undefined {
  if (bytes.length !== X25519_BYTES) return "length";
  let u = 0n;
  for (let index = X25519_BYTES - 1; index >= 0; index--) u = u << 8n | BigInt(bytes[index]!);
  if (u >= P) return "not_canonical";
  return SMALL_ORDER.includes(u) ? "small_order" : undefined;
}

const P = 2n ** 255n - 19n;
/** u of the points of order 1, 2, 4 and 8, on the curve and on its twist (RFC 7748 §7). */
const SMALL_ORDER: readonly bigint[] = [
  0n,
  1n,
  P - 1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
];
