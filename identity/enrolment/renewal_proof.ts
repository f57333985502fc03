/**
 * The proof that a request for renewal comes from the holder of the current certificate: that key's
 * signature over the time and the certificate request. It works where a session cannot be proven any
 * more because the certificate ended, and is worth nothing a few minutes later. An administrator proves
 * its key alike, by which it comes in when nobody's certificate counts any more.
 *
 * Clock assumption: the owner's and the node's wall clocks differ by less than `RENEWAL_PROOF_MS`.
 */
import { concatBytes } from "../../src/base/bytes.ts";
import { RENEWAL_PROOF_MS } from "../../src/base/limits.ts";
import { type SigningKey, signMessage, verifyMessage } from "../pki/ed25519.ts";
import { sha256 } from "../pki/sha256.ts";

/** Keeps such a signature from being one over anything else. */
const CONTEXTS = {
  renewal: new TextEncoder().encode(" ".repeat(64) + "registry renewal/1\0"),
  /** An administrator's, whose key stands in the nodes' files: it needs no certificate before. */
  administrator: new TextEncoder().encode(" ".repeat(64) + "registry administrator/1\0"),
};

/** What is signed. */
export interface RenewalProofContent {
  /** DER. */
  readonly request: Uint8Array;
  /** Unix ms of the owner's wall clock. */
  readonly timeMs: number;
  /** What the request is for. Default `renewal`. */
  readonly purpose?: keyof typeof CONTEXTS;
}

/** Signs by the key of the current certificate. */
export async function proveRenewal(
  content: RenewalProofContent,
  key: SigningKey,
): Promise<Uint8Array> {
  return await signMessage(key, signedBytes(content));
}

/** True for a fresh signature of that key (Ed25519, 32 bytes). */
export function isRenewalProven(
  content: RenewalProofContent,
  proof: Uint8Array,
  { publicKey, nowMs }: { readonly publicKey: Uint8Array; readonly nowMs: number },
): boolean {
  if (Math.abs(nowMs - content.timeMs) > RENEWAL_PROOF_MS) return false;
  return verifyMessage(publicKey, signedBytes(content), proof);
}

function signedBytes(
  { request, timeMs, purpose = "renewal" }: RenewalProofContent,
): Uint8Array {
  const time = new Uint8Array(8);
  new DataView(time.buffer).setBigUint64(0, BigInt(timeMs));
  return concatBytes([CONTEXTS[purpose], time, sha256(request)]);
}
