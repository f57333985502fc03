/**
 * Synchronous SHA-256. WebCrypto would pass the bytes to another thread, which costs more than the
 * few microseconds of the digest.
 */
import { createHash } from "node:crypto";

/** Returns the digest: 32 bytes, owned by the caller. */
export function sha256(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}
