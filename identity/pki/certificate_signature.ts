/**
 * Verifies the signature of a certificate by its issuer's key: Ed25519 by the strict check used
 * everywhere, ECDSA P-256 by WebCrypto. The verdict is the same on every runtime.
 */
import { verifyMessage } from "./ed25519.ts";
import type { PublicKey, SignedStructure } from "./signed_structure.ts";

const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const ECDSA = { name: "ECDSA", hash: "SHA-256" } as const;

/** Reports whether the structure is signed by the key. Any bytes give a verdict, never an error. */
export async function isSignedBy(signed: SignedStructure, key: PublicKey): Promise<boolean> {
  const { signatureAlgorithm, signedBytes, signature } = signed;
  if (signatureAlgorithm !== key.algorithm) return false;
  return key.algorithm === "Ed25519"
    ? verifyMessage(key.bytes, signedBytes, signature)
    : await verifyP256(signed, key.bytes);
}

async function verifyP256(signed: SignedStructure, keyBytes: Uint8Array): Promise<boolean> {
  const { subtle } = crypto;
  const message = new Uint8Array(signed.signedBytes);
  try {
    const key = await subtle.importKey("raw", new Uint8Array(keyBytes), P256, false, ["verify"]);
    return await subtle.verify(ECDSA, key, new Uint8Array(signed.signature), message);
  } catch (error) {
    // A key that is not a point of its curve verifies nothing; runtimes report it by various
    // DOMExceptions.
    if (error instanceof DOMException) return false;
    throw error;
  }
}
