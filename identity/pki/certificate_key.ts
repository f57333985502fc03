/**
 * Private keys of CAs and leaves: made, opened from PEM, used to sign. Handles cannot be read back;
 * the PEM is the caller's to keep in a private file.
 */
import { RegistryError } from "../../src/base/errors.ts";
import type { Entropy } from "../../src/base/world.ts";
import type { KeyAlgorithm } from "./certificate_profile.ts";
import { isSignedBy } from "./certificate_signature.ts";
import { SEED_BYTES, signingKeyOfSeed } from "./ed25519.ts";
import { decodePem, encodePem } from "./pem.ts";
import type { PublicKey } from "./signed_structure.ts";

/** A private key that signs certificates or requests; its handle need not be readable. */
export interface CertificateKey {
  readonly publicKey: PublicKey;
  readonly handle: CryptoKey;
}

/** Signs bytes. @returns 64 bytes: Ed25519 as it is, ECDSA as r ‖ s. */
export async function signWith(
  { publicKey, handle }: CertificateKey,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const algorithm = signingAlgorithm(publicKey.algorithm);
  return new Uint8Array(await crypto.subtle.sign(algorithm, handle, new Uint8Array(bytes)));
}

/** What WebCrypto calls the way to sign with such a key. */
export function signingAlgorithm(algorithm: KeyAlgorithm) {
  return algorithm === "Ed25519"
    ? { name: "Ed25519" }
    : { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
}

/** A new key, and its PEM for the caller to keep in a private file. */
export async function createKey(
  algorithm: KeyAlgorithm,
  entropy: Entropy,
): Promise<{ readonly key: CertificateKey; readonly keyPem: string }> {
  if (algorithm === "P-256") return await createP256Key();
  const seed = new Uint8Array(SEED_BYTES);
  entropy.fill(seed);
  const { verifying, handle } = await signingKeyOfSeed(seed);
  const keyPem = encodePem("PRIVATE KEY", new Uint8Array([...ED25519_PKCS8_PREFIX, ...seed]));
  seed.fill(0);
  return { key: { publicKey: { algorithm, bytes: verifying.bytes }, handle }, keyPem };
}

/** `PrivateKeyInfo` of an Ed25519 seed up to the seed itself (RFC 8410 §7). */
const ED25519_PKCS8_PREFIX = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];

/** From the runtime's own randomness: WebCrypto takes no seed for this kind. */
async function createP256Key(): Promise<{ readonly key: CertificateKey; readonly keyPem: string }> {
  const { subtle } = crypto;
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const { privateKey, publicKey } = await subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const bytes = new Uint8Array(await subtle.exportKey("raw", publicKey));
  const keyPem = encodePem(
    "PRIVATE KEY",
    new Uint8Array(await subtle.exportKey("pkcs8", privateKey)),
  );
  return { key: { publicKey: { algorithm: "P-256", bytes }, handle: privateKey }, keyPem };
}

/**
 * Opens the private key of a PEM text, which must be that of `publicKey`.
 *
 * @throws RegistryError `corrupt`.
 */
export async function openKey(keyPem: string, publicKey: PublicKey): Promise<CertificateKey> {
  const [der] = decodePem("PRIVATE KEY", keyPem);
  if (der === undefined) throw corrupt("its key is no PEM");
  const algorithm = signingAlgorithm(publicKey.algorithm);
  try {
    const handle = await crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
    const signedBytes = new TextEncoder().encode("whose key is it?");
    const key = { publicKey, handle };
    const signature = await signWith(key, signedBytes);
    const signed = { signedBytes, signatureAlgorithm: publicKey.algorithm, signature };
    if (await isSignedBy(signed, publicKey)) return key;
  } catch (error) {
    throw corrupt("its key is not of the kind that its certificate names", error);
  } finally {
    der.fill(0);
  }
  throw corrupt("its key does not belong to its certificate");
}

function corrupt(reason: string, cause?: unknown): RegistryError {
  return new RegistryError("corrupt", `Cannot use a private key as ${reason}`, {}, cause);
}
