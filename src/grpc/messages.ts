/**
 * Messages on a stream of gRPC: a byte that says whether the message is compressed, its length in four
 * bytes, the message. Compressed messages are refused: a small message could become any number of
 * bytes, and the registry's messages are small.
 *
 * Source: gRPC over HTTP/2 (doc/PROTOCOL-HTTP2.md), Length-Prefixed-Message.
 */
import { RegistryError } from "../base/errors.ts";
import { GRPC_REPLY_BYTES_MAX, GRPC_REQUEST_BYTES_MAX } from "../base/limits.ts";
import { GrpcError } from "./status.ts";

const PREFIX_BYTES = 5;

/** Takes messages out of the chunks of a stream. */
export class MessageReader {
  readonly #bytesMax: number;
  /** The part of the next message that has arrived, prefix first, in a buffer that doubles. */
  #pending: Uint8Array = new Uint8Array(0);
  #pendingBytes = 0;

  /** @param bytesMax maximum length of a message. */
  constructor(bytesMax = GRPC_REQUEST_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Whether a message has begun that is not complete. */
  get isBetween(): boolean {
    return this.#pendingBytes > 0;
  }

  /**
   * Returns the messages that a chunk completes; they may be parts of it.
   *
   * @throws GrpcError for a compressed message; RegistryError `too_large`. No chunk may follow.
   */
  take(chunk: Uint8Array): Uint8Array[] {
    const messages: Uint8Array[] = [];
    let bytes = this.#pendingBytes === 0 ? chunk : this.#held(chunk);
    while (bytes.length >= PREFIX_BYTES) {
      const length = this.#lengthIn(bytes);
      if (bytes.length < PREFIX_BYTES + length) break;
      messages.push(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length));
      bytes = bytes.subarray(PREFIX_BYTES + length);
    }
    if (messages.length > 0 || this.#pendingBytes === 0) {
      // The messages keep the buffer; what is left over begins another one.
      this.#pending = new Uint8Array(0);
      this.#pendingBytes = 0;
      this.#held(bytes);
    }
    return messages;
  }

  /** Adds bytes to those that wait, and returns all. */
  #held(bytes: Uint8Array): Uint8Array {
    const length = this.#pendingBytes + bytes.length;
    if (length > this.#pending.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#pending.length));
      grown.set(this.#pending.subarray(0, this.#pendingBytes));
      this.#pending = grown;
    }
    this.#pending.set(bytes, this.#pendingBytes);
    this.#pendingBytes = length;
    return this.#pending.subarray(0, length);
  }

  #lengthIn(bytes: Uint8Array): number {
    if (bytes[0] !== 0) {
      throw new GrpcError("UNIMPLEMENTED", "Messages must be sent uncompressed (identity)");
    }
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
    if (length <= this.#bytesMax) return length;
    throw new RegistryError(
      "too_large",
      `A message must have at most ${this.#bytesMax} bytes: found ${length}`,
    );
  }
}

/** Returns a message with its prefix. @throws RegistryError `too_large`. */
export function framed(message: Uint8Array, bytesMax = GRPC_REPLY_BYTES_MAX): Uint8Array {
  if (message.length > bytesMax) {
    throw new RegistryError(
      "too_large",
      `The answer must have at most ${bytesMax} bytes: it has ${message.length}`,
    );
  }
  const frame = new Uint8Array(PREFIX_BYTES + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, PREFIX_BYTES);
  return frame;
}
