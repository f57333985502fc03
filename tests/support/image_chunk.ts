/** Chunks of images as nodes send them, for tests that pretend to be one. */
import { concatBytes } from "../../src/base/bytes.ts";
import { crc32 } from "../../src/wal/crc32.ts";

/** Returns a chunk with its length and CRC-32, or with another one. */
export function imageChunk(bytes: Uint8Array, checksum?: number): Uint8Array {
  const head = new Uint8Array(8);
  const view = new DataView(head.buffer);
  const own = crc32(bytes, new DataView(bytes.buffer, bytes.byteOffset), 0, bytes.length);
  view.setUint32(0, bytes.length, true);
  view.setUint32(4, checksum ?? own, true);
  return concatBytes([head, bytes]);
}
