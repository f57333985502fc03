/**
 * Proof that a renewal request comes from the holder of the current certificate: a signature by its
 * key over the time and the certificate request. It works after the certificate has expired, when
 * it can no longer prove a session, and is worthless a few minutes later. An administrator proves
 * possession of its key in the same way, and so gains access even when no certificate is valid any
 * more.
 *
 * Clock assumption: the owner's and the node's wall clocks differ by less than `RENEWAL_PROOF_MS`.
 */
import { concatBytes } from "../../src/base/bytes.ts";
import { RENEWAL_PROOF_MS } from "../../src/base/limits.ts";
import { type SigningKey, signMessage, verifyMessage } from "../pki/ed25519.ts";
import { sha256 } from "../pki/sha256.ts";

/** Signature contexts, which prevent the signature from being valid for anything else. */
const CONTEXTS = {
  renewal: new TextEncoder().encode(" ".repeat(64) + "registry renewal/1\0"),
  /** For an administrator, whose key is in the nodes' files and needs no prior certificate. */
  administrator: new TextEncoder().encode(" ".repeat(64) + "registry administrator/1\0"),
};

/** Signed content of a proof. */
export interface RenewalProofContent {
  /** DER. */
  readonly request: Uint8Array;
  /** Unix ms of the owner's wall clock. */
  readonly timeMs: number;
  /** Purpose of the request. Default `renewal`. */
  readonly purpose?: keyof typeof CONTEXTS;
}

/** Signs with the key of the current certificate. */
export async function proveRenewal(
  content: RenewalProofContent,
  key: SigningKey,
): Promise<Uint8Array> {
  return await signMessage(key, signedBytes(content));
}

/** Reports whether `proof` is a recent signature by that key (Ed25519, 32 bytes). */
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
