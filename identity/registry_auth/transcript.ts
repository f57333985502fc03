/**
 * What the signatures of `registry-auth/1` are over: 64 spaces, a context that no other signature of
 * the same key has, a zero byte, and SHA-256 of all frames before and of this one without its
 * signature. It is the form of RFC 8446 §4.4.3: the spaces defeat prefixes chosen by somebody else,
 * the context keeps one end's signature from serving as the other's, the hash binds it to every byte
 * that both saw.
 */
import { concatBytes } from "../../src/base/bytes.ts";

/** Whose signature it is, and at which place. */
export type SignatureContext = "server-hello" | "client" | "server-done";

/** What is to be signed, or was. */
export interface Signing {
  readonly context: SignatureContext;
  /** All frames before, and this one without its signature. */
  readonly transcript: Uint8Array;
}

/** The digest that a runtime gives: at once, or where it has it only so, later. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;

const PROTOCOL = "registry-auth/1";

/** The bytes that the key signs; they are the caller's. */
export async function signedContent(signing: Signing, sha256: Sha256): Promise<Uint8Array> {
  const context = new TextEncoder().encode(`${" ".repeat(64)}${PROTOCOL} ${signing.context}\0`);
  return concatBytes([context, await sha256(signing.transcript)]);
}
