/**
 * Signed content of `registry-auth/1`: 64 spaces, a context that no other signature of the same key
 * has, a zero byte, and SHA-256 of all earlier frames and this frame without its signature. This is
 * the form of RFC 8446 §4.4.3: the spaces defeat attacker-chosen prefixes, the context prevents one
 * end's signature from serving as the other's, and the hash binds the signature to every byte that
 * both ends saw.
 */
import { concatBytes } from "../../src/base/bytes.ts";

/** The signer and the position in the exchange. */
export type SignatureContext = "server-hello" | "client" | "server-done";

/** Content to be signed or verified. */
export interface Signing {
  readonly context: SignatureContext;
  /** All earlier frames, and this one without its signature. */
  readonly transcript: Uint8Array;
}

/** SHA-256 as the runtime provides it: synchronous where possible, asynchronous otherwise. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;

const PROTOCOL = "registry-auth/1";

/** Returns the bytes to sign, owned by the caller. */
export async function signedContent(signing: Signing, sha256: Sha256): Promise<Uint8Array> {
  const context = new TextEncoder().encode(`${" ".repeat(64)}${PROTOCOL} ${signing.context}\0`);
  return concatBytes([context, await sha256(signing.transcript)]);
}
