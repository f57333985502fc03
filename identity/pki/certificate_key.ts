/**
 * Private keys of CAs and leaves: creating them, opening them from PEM, signing. Handles are not
 * exportable; the caller keeps the PEM in a private file.
 */
import { RegistryError } from "../../src/base/errors.ts";
import type { Entropy } from "../../src/base/world.ts";
import type { KeyAlgorithm } from "./certificate_profile.ts";
import { isSignedBy } from "./certificate_signature.ts";
import { SEED_BYTES, signingKeyOfSeed } from "./ed25519.ts";
import { decodePem, encodePem } from "./pem.ts";
import type { PublicKey } from "./signed_structure.ts";

/** A private key that signs certificates or requests; its handle need not be exportable. */
export interface CertificateKey {
  readonly publicKey: PublicKey;
  readonly handle: CryptoKey;
}

/** Signs bytes. @returns 64 bytes: an Ed25519 signature unchanged, an ECDSA signature as r ‖ s. */
export async function signWith(
  { publicKey, handle }: CertificateKey,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const algorithm = signingAlgorithm(publicKey.algorithm);
  return new Uint8Array(await crypto.subtle.sign(algorithm, handle, new Uint8Array(bytes)));
}

/** Returns the WebCrypto parameters for signing with such a key. */
export function signingAlgorithm(algorithm: KeyAlgorithm) {
  return algorithm === "Ed25519"
    ? { name: "Ed25519" }
    : { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
}

/** Generates a key. @returns the key, and its PEM, which the caller must keep in a private file. */
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

/** DER prefix of an Ed25519 `PrivateKeyInfo`; the seed follows (RFC 8410 §7). */
const ED25519_PKCS8_PREFIX = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];

/**
 * Generates a P-256 key from the runtime's own randomness, as WebCrypto takes no seed for this
 * algorithm.
 */
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
 * Opens the private key of a PEM text and checks that it belongs to `publicKey`.
 *
 * @throws RegistryError `corrupt`.
 */
export async function openKey(keyPem: string, publicKey: PublicKey): Promise<CertificateKey> {
  const [der] = decodePem("PRIVATE KEY", keyPem);
  if (der === undefined) throw corrupt("it holds no PEM key");
  const algorithm = signingAlgorithm(publicKey.algorithm);
  try {
    const handle = await crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
    const signedBytes = new TextEncoder().encode("whose key is it?");
    const key = { publicKey, handle };
    const signature = await signWith(key, signedBytes);
    const signed = { signedBytes, signatureAlgorithm: publicKey.algorithm, signature };
    if (await isSignedBy(signed, publicKey)) return key;
  } catch (error) {
    throw corrupt("its algorithm differs from that of its certificate", error);
  } finally {
    der.fill(0);
  }
  throw corrupt("it does not belong to its certificate");
}

function corrupt(reason: string, cause?: unknown): RegistryError {
  return new RegistryError("corrupt", `Cannot use a private key as ${reason}`, {}, cause);
}
