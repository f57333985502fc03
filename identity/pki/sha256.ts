/** SHA-256 where its few microseconds would be lost in the way to another thread, as WebCrypto has it. */
import { createHash } from "node:crypto";

/** The digest, 32 bytes that the caller owns. */
export function sha256(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}
