/**
 * The one buffer of a stream that is read: small while the stream is idle, larger with its traffic.
 *
 * Replies are not read all at once where many are due. A client that takes them all, and then asks
 * anew, waits while the server works and works while the server waits; one that takes a share leaves
 * the server the requests of the others meanwhile. Measured with 64 in flight on two cores: 137,000
 * gets a second without shares, 266,000 with sixths; with 256 in flight the same or a little more.
 */
import {
  CLIENT_READ_BYTES_MAX,
  CLIENT_READ_BYTES_MIN,
  CLIENT_READ_SHARES,
} from "../base/limits.ts";
import type { OwnedBytes } from "../../transport/transport.ts";

/** The buffer for the read after the one that gave `chunk`: the same, or a larger if it was full. */
export function nextReadBuffer(chunk: OwnedBytes): OwnedBytes {
  const capacity = chunk.buffer.byteLength;
  if (chunk.length < capacity || capacity >= CLIENT_READ_BYTES_MAX) {
    return new Uint8Array(chunk.buffer);
  }
  return new Uint8Array(Math.min(capacity * 4, CLIENT_READ_BYTES_MAX));
}

/**
 * The buffer for the read after one of replies: for a share of those that are due, if they are like
 * the last.
 *
 * @param answered how many replies `chunk` ended; 0: it is a part of one, so the next takes more.
 * @param due how many were due before it.
 */
export function nextReplyBuffer(chunk: OwnedBytes, answered: number, due: number): OwnedBytes {
  if (answered === 0) return nextReadBuffer(chunk);
  const capacity = chunk.buffer.byteLength;
  const share = Math.ceil(chunk.length / answered * due / CLIENT_READ_SHARES);
  const wanted = Math.min(Math.max(share, CLIENT_READ_BYTES_MIN), CLIENT_READ_BYTES_MAX);
  // A new buffer costs more than one that fits less well.
  const fits = wanted <= capacity * 1.5 && wanted * 3 >= capacity;
  return fits ? new Uint8Array(chunk.buffer) : new Uint8Array(wanted);
}
