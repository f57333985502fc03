/**
 * Assembles one handshake frame from the chunks of a stream. The type is checked on the first byte
 * and the length on the fourth, before any memory is set aside for them; the buffer grows with the
 * bytes received, not with the length that a header claims. Bytes after the frame are refused: each
 * end waits for the other's answer.
 */
import { concatBytes } from "../../src/base/bytes.ts";
import { HandshakeError } from "./fault.ts";
import { FRAME, FRAME_BODY_BYTES_MAX, FRAME_HEADER_BYTES, type FrameType } from "./frames.ts";

/** Most frames fit without growing. */
const BUFFER_BYTES_INITIAL = 512;

/**
 * First byte of a registry frame, such as the Hello of a client without an identity. No handshake
 * frame has this type.
 */
const REGISTRY_FRAME = 0;
const ANONYMOUS =
  "This node serves clients that prove an identity only: this client began without a proof";

/** Reader for one frame of a given type. */
export class FrameReader {
  readonly #type: FrameType;
  #buffer: Uint8Array = new Uint8Array(0);
  #length = 0;
  #frameBytes = FRAME_HEADER_BYTES;

  constructor(type: FrameType) {
    this.#type = type;
  }

  /** Bytes of memory currently held. */
  get heldBytes(): number {
    return this.#buffer.length;
  }

  /**
   * Adds the next chunk, which is copied.
   *
   * @returns the complete frame, owned by the caller, or `undefined` while bytes are missing.
   * @throws HandshakeError `out_of_order`, `too_large` or `malformed`; the stream cannot be used
   * afterwards.
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
        `Frame ${this.#type} of the handshake must follow: found ${this.#buffer[0]}`,
      );
    }
  }

  /** Returns the size of the frame in bytes, header included. */
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
