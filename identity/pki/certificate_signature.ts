/**
 * The signature of one certificate by another's key: Ed25519 by the strict check that everything else
 * uses, ECDSA P-256 by WebCrypto. The same verdict on every runtime.
 */
import { verifyMessage } from "./ed25519.ts";
import type { PublicKey, SignedStructure } from "./signed_structure.ts";

const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const ECDSA = { name: "ECDSA", hash: "SHA-256" } as const;

/** True where the structure is signed by the key. Any bytes give a verdict, never an error. */
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
    // A key that is no point of its curve signs nothing; the runtimes say so in several ways.
    if (error instanceof DOMException) return false;
    throw error;
  }
}
