/**
 * The one buffer of a stream that is read: small while the stream is idle, larger with its traffic.
 */
import { CLIENT_READ_BYTES_MAX } from "../base/limits.ts";
import type { OwnedBytes } from "../../transport/transport.ts";

/** The buffer for the read after the one that gave `chunk`: the same, or a larger if it was full. */
export function nextReadBuffer(chunk: OwnedBytes): OwnedBytes {
  const capacity = chunk.buffer.byteLength;
  if (chunk.length < capacity || capacity >= CLIENT_READ_BYTES_MAX) {
    return new Uint8Array(chunk.buffer);
  }
  return new Uint8Array(Math.min(capacity * 4, CLIENT_READ_BYTES_MAX));
}
