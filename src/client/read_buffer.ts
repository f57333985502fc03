/**
 * Sizes of the buffer with which a stream is read: small while the stream is idle, larger with
 * traffic.
 *
 * While many replies are due, each read takes only a share of them. A client that reads all replies
 * and then sends new requests alternates with the server: each waits while the other works. Reading
 * a share leaves the server the requests of the others to work on. Measured with 64 in flight on
 * two cores: 137,000 gets per second without shares, 266,000 with sixths; with 256 in flight the
 * same or slightly more.
 */
import {
  CLIENT_READ_BYTES_MAX,
  CLIENT_READ_BYTES_MIN,
  CLIENT_READ_SHARES,
} from "../base/limits.ts";
import type { OwnedBytes } from "../../transport/transport.ts";

/**
 * Returns the buffer for the read after `chunk`: the same buffer, or a larger one if it was full.
 */
export function nextReadBuffer(chunk: OwnedBytes): OwnedBytes {
  const capacity = chunk.buffer.byteLength;
  if (chunk.length < capacity || capacity >= CLIENT_READ_BYTES_MAX) {
    return new Uint8Array(chunk.buffer);
  }
  return new Uint8Array(Math.min(capacity * 4, CLIENT_READ_BYTES_MAX));
}

/**
 * Returns the buffer for the next read of replies, sized for a share of the due replies, assuming
 * that they resemble the last ones.
 *
 * @param answered the number of replies `chunk` completed; 0 if it is part of one, so the next read
 * takes more.
 * @param due the number of replies due before `chunk`, from all nodes: while others work, this one
 * may wait.
 */
export function nextReplyBuffer(chunk: OwnedBytes, answered: number, due: number): OwnedBytes {
  if (answered === 0) return nextReadBuffer(chunk);
  const capacity = chunk.buffer.byteLength;
  const share = Math.ceil(chunk.length / answered * due / CLIENT_READ_SHARES);
  const wanted = Math.min(Math.max(share, CLIENT_READ_BYTES_MIN), CLIENT_READ_BYTES_MAX);
  // Allocating a buffer costs more than reading into one of a less suitable size.
  const fits = wanted <= capacity * 1.5 && wanted * 3 >= capacity;
  return fits ? new Uint8Array(chunk.buffer) : new Uint8Array(wanted);
}
