/**
 * Gathers one frame of a handshake from the chunks of a stream. The type is checked with the first
 * byte and the length with the fourth, before anything is kept for them; what is kept grows with what
 * arrives, not with what a header claims. No byte may follow: each side waits for the other's answer.
 */
import { concatBytes } from "../../src/base/bytes.ts";
import { HandshakeError } from "./fault.ts";
import { FRAME, FRAME_BODY_BYTES_MAX, FRAME_HEADER_BYTES, type FrameType } from "./frames.ts";

/** Most frames fit at once. */
const BUFFER_BYTES_INITIAL = 512;

/**
 * The first byte of a registry's frame, as of the Hello of a client that has no identity: no frame of a
 * handshake has this type.
 */
const REGISTRY_FRAME = 0;
const ANONYMOUS =
  "This node serves clients that prove an identity only, and this one began without a proof";

/** Reads one frame of one type. */
export class FrameReader {
  readonly #type: FrameType;
  #buffer: Uint8Array = new Uint8Array(0);
  #length = 0;
  #frameBytes = FRAME_HEADER_BYTES;

  constructor(type: FrameType) {
    this.#type = type;
  }

  /** Bytes that it holds on to. */
  get heldBytes(): number {
    return this.#buffer.length;
  }

  /**
   * Takes the next bytes; they are copied.
   *
   * @returns the whole frame once it is there, the caller's.
   * @throws HandshakeError `out_of_order`, `too_large`, `malformed`; the stream is lost then.
   */
  push(chunk: Uint8Array): Uint8Array | undefined {
    let at = 0;
    while (at < chunk.length) {
      const taken = Math.min(this.#frameBytes - this.#length, chunk.length - at);
      this.#keep(chunk.subarray(at, at + taken));
      at += taken;
      this.#checkType();
      if (this.#length < this.#frameBytes) return undefined;
      if (this.#frameBytes > FRAME_HEADER_BYTES) break;
      this.#frameBytes = this.#checkLength();
    }
    if (this.#length < this.#frameBytes || this.#frameBytes === FRAME_HEADER_BYTES) {
      return undefined;
    }
    if (at < chunk.length) {
      throw new HandshakeError(
        "out_of_order",
        `Nothing may follow frame ${this.#type} before its answer: found ${
          chunk.length - at
        } bytes`,
      );
    }
    return this.#buffer.slice(0, this.#length);
  }

  #checkType(): void {
    if (this.#length === 0) return;
    if (this.#type === FRAME.clientHello && this.#buffer[0] === REGISTRY_FRAME) {
      throw new HandshakeError("anonymous", ANONYMOUS);
    }
    if (this.#buffer[0] !== this.#type) {
      throw new HandshakeError(
        "out_of_order",
        `Frame ${this.#type} of the handshake is due: found ${this.#buffer[0]}`,
      );
    }
  }

  /** The whole frame's bytes, from its header. */
  #checkLength(): number {
    const length = this.#buffer[1]! * 65_536 + this.#buffer[2]! * 256 + this.#buffer[3]!;
    const max = FRAME_BODY_BYTES_MAX[this.#type];
    if (length > max) {
      throw new HandshakeError(
        "too_large",
        `Frame ${this.#type} must have at most ${max} bytes: it claims ${length}`,
      );
    }
    if (length === 0) throw new HandshakeError("malformed", `Frame ${this.#type} has no body`);
    return FRAME_HEADER_BYTES + length;
  }

  #keep(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#buffer.length) {
      const room = Math.max(needed, Math.min(this.#frameBytes, BUFFER_BYTES_INITIAL));
      const grown = Math.max(room, Math.min(this.#frameBytes, 2 * this.#buffer.length));
      this.#buffer = concatBytes([
        this.#buffer.subarray(0, this.#length),
        new Uint8Array(grown - this.#length),
      ]);
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = needed;
  }
}
