/**
 * Content ids and hashes as documents spell them, and the message that signers sign.
 *
 * A content id is `b3:` and the BLAKE3 hash, in hexadecimal, of the RFC 8785 form of a payload. A
 * signature is made over a context and the content id, not over the payload, so that a signer's
 * device needs to be sent 100 bytes only.
 */
import { blake3 } from "@noble/hashes/blake3.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { fromHex, toHex } from "../../base/bytes.ts";

/** The `prev_hash` of the first version of a descriptor. */
export const NO_PREVIOUS: string = `b3:${"0".repeat(64)}`;

const CONTEXT = "ron:svc-registry:v1\n";
const CONTENT_ID = /^b3:[0-9a-f]{64}$/;
const SHA256_TEXT = /^sha256:[0-9a-f]{64}$/;

/** Returns the content id of the canonical bytes of a payload. */
export function contentIdOf(bytes: Uint8Array): string {
  return `b3:${toHex(blake3(bytes))}`;
}

/** Returns the content id of a hash; undefined if that is none. */
export function contentIdOfHash(hash: Uint8Array): string | undefined {
  return hash.length === 32 ? `b3:${toHex(hash)}` : undefined;
}

/** Returns the hash in a content id; undefined if the text is none. */
export function contentHashOf(contentId: string): Uint8Array | undefined {
  return isContentId(contentId) ? fromHex(contentId.slice(3)) : undefined;
}

/** Reports whether a text is spelled as a content id. */
export function isContentId(text: string): boolean {
  return CONTENT_ID.test(text);
}

/** Returns the bytes that a signer of a payload signs. */
export function signingMessage(contentId: string): Uint8Array {
  return new TextEncoder().encode(CONTEXT + contentId);
}

/** Returns the SHA-256 hash of bytes as `sha256:…`. */
export function sha256Text(bytes: Uint8Array): string {
  return formatSha256(sha256(bytes));
}

/** Formats a SHA-256 hash. */
export function formatSha256(hash: Uint8Array): string {
  return `sha256:${toHex(hash)}`;
}

/** Returns the hash that {@link formatSha256} formatted; undefined if the text is none. */
export function parseSha256(text: string): Uint8Array | undefined {
  return SHA256_TEXT.test(text) ? fromHex(text.slice(7)) : undefined;
}
