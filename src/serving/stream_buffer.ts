/** The read buffer of a node's stream, which follows the sizes of its reads. */
import { IDLE_READ_BYTES, STREAM_READ_BYTES_MAX } from "../base/limits.ts";
import type { OwnedBytes } from "../../transport/transport.ts";

/**
 * Returns the buffer of the next read: larger after a full read, smaller after a nearly empty one.
 */
export function nextReadBuffer(chunk: OwnedBytes): OwnedBytes {
  const capacity = chunk.buffer.byteLength;
  if (chunk.length === capacity && capacity < STREAM_READ_BYTES_MAX) {
    return new Uint8Array(capacity * 4);
  }
  if (chunk.length * 16 < capacity && capacity > IDLE_READ_BYTES) {
    return new Uint8Array(capacity / 4);
  }
  return new Uint8Array(chunk.buffer);
}
