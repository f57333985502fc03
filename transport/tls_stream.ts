/**
 * One stream over a TLS connection, as a pair of web streams. The peer's bytes wait here in one
 * buffer, which never holds more than the window; credit is returned as they are read. Written
 * bytes are sent as far as the peer's credit allows; the rest waits for more credit. A reset by
 * either side ends both directions; bytes that had arrived may still be read.
 */
import { RegistryError } from "../src/base/errors.ts";
import { TLS_FRAME_BYTES_MAX } from "../src/base/limits.ts";
import type { BytePair } from "./carrier_stream.ts";

/** The part of the connection that a stream needs. */
export interface TlsStreamPort {
  /** Sends at most one frame of bytes, which are copied. */
  sendData(stream: number, bytes: Uint8Array): void;
  sendCredit(stream: number, bytes: number): void;
  /** Sends a reset and forgets the stream. */
  reset(stream: number): void;
  /** Resolves once there is room to send; `undefined` if there is room now. */
  room(): Promise<void> | undefined;
}

/** Parameters of a {@link TlsStreamEnd}. */
export interface TlsStreamOptions {
  readonly id: number;
  readonly port: TlsStreamPort;
  /** Bytes that may be sent before the first credit. */
  readonly creditBytes: number;
  /** Bytes that the peer may send before the first credit. */
  readonly windowBytes: number;
}

/** Upper bound on a peer's total credit. */
const CREDIT_BYTES_MAX = 2 ** 31;

/** One end of a stream. */
export class TlsStreamEnd {
  readonly pair: BytePair;
  readonly #id: number;
  readonly #port: TlsStreamPort;
  readonly #windowBytes: number;
  readonly #arrived = new ReceiveBuffer();
  #readable!: ReadableByteStreamController;
  #writable!: WritableStreamDefaultController;
  /** Bytes that may still be sent. */
  #creditBytes: number;
  #onCredit: (() => void) | undefined;
  /** The used part of the window: bytes not yet read, or read and not yet credited. */
  #owedBytes = 0;
  #readBytes = 0;
  #peerReset = false;
  #over = false;

  constructor(options: TlsStreamOptions) {
    this.#id = options.id;
    this.#port = options.port;
    this.#windowBytes = options.windowBytes;
    this.#creditBytes = options.creditBytes;
    this.pair = {
      readable: new ReadableStream({
        type: "bytes",
        start: (controller) => {
          this.#readable = controller;
        },
        pull: () => this.#serveRead(),
        cancel: () => this.#abort(),
      }),
      writable: new WritableStream<Uint8Array>({
        start: (controller) => {
          this.#writable = controller;
        },
        write: (bytes) => this.#write(bytes),
        abort: () => this.#abort(),
      }),
    };
  }

  /** Handles bytes from the peer, copying them; returns false if they exceed the window. */
  onData(bytes: Uint8Array): boolean {
    if (this.#over || this.#peerReset) return true;
    this.#owedBytes += bytes.length;
    if (this.#owedBytes > this.#windowBytes) return false;
    const direct = this.#arrived.length === 0 ? this.#fillRead(bytes) : 0;
    if (direct < bytes.length) this.#arrived.append(bytes.subarray(direct));
    return true;
  }

  /** Handles credit from the peer; returns false if its total exceeds the bound. */
  onCredit(bytes: number): boolean {
    this.#creditBytes += bytes;
    this.#onCredit?.();
    return this.#creditBytes <= CREDIT_BYTES_MAX;
  }

  /** Handles the peer's reset of the stream. */
  onReset(): void {
    if (this.#over || this.#peerReset) return;
    this.#peerReset = true;
    this.#writable.error(lost("stream"));
    this.#onCredit?.();
    this.#serveRead();
  }

  /** Handles the end of the connection. */
  fail(): void {
    if (this.#over) return;
    this.#over = true;
    this.#arrived.clear();
    if (!this.#peerReset) this.#writable.error(lost("session"));
    this.#readable.error(lost("session"));
    this.#onCredit?.();
  }

  /** Ends the stream on this side, through either direction. */
  #abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#arrived.clear();
    this.#onCredit?.();
    if (this.#peerReset) return;
    this.#port.reset(this.#id);
    this.#writable.error(lost("stream"));
  }

  /** Fills the waiting read, if any, from what has arrived. */
  #serveRead(): void {
    if (this.#over) return;
    if (this.#arrived.length > 0) {
      this.#arrived.consume(this.#fillRead(this.#arrived.bytes));
    } else if (this.#peerReset) {
      this.#over = true;
      this.#readable.close();
      this.#readable.byobRequest?.respond(0);
    }
  }

  /** Passes `bytes` to the waiting read and returns how many it took. */
  #fillRead(bytes: Uint8Array): number {
    const request = this.#readable.byobRequest;
    const view = request?.view;
    if (!request || !view) return 0;
    const count = Math.min(bytes.length, view.byteLength);
    new Uint8Array(view.buffer, view.byteOffset, count).set(bytes.subarray(0, count));
    request.respond(count);
    this.#read(count);
    return count;
  }

  /** Returns credit in steps of a quarter of the window, so that reads cause few frames. */
  #read(count: number): void {
    this.#readBytes += count;
    if (this.#readBytes < this.#windowBytes / 4 || this.#peerReset) return;
    this.#port.sendCredit(this.#id, this.#readBytes);
    this.#owedBytes -= this.#readBytes;
    this.#readBytes = 0;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      while (this.#creditBytes === 0 && !this.#ended) {
        await new Promise<void>((resolve) => this.#onCredit = resolve);
        this.#onCredit = undefined;
      }
      if (!this.#ended) await this.#port.room();
      if (this.#ended) throw lost("stream");
      const count = Math.min(bytes.length - at, this.#creditBytes, TLS_FRAME_BYTES_MAX);
      this.#creditBytes -= count;
      this.#port.sendData(this.#id, bytes.subarray(at, at + count));
      at += count;
    }
  }

  get #ended(): boolean {
    return this.#over || this.#peerReset;
  }
}

function lost(what: "stream" | "session"): RegistryError {
  return new RegistryError("connection_lost", `The ${what} has ended`);
}

/** A FIFO of bytes in one buffer, which grows as needed and is released when empty. */
class ReceiveBuffer {
  #buffer = new Uint8Array(0);
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** A view of all waiting bytes, valid until the next append. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  append(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#buffer.length) {
      const needed = this.length + bytes.length;
      const grown = new Uint8Array(Math.max(needed, Math.min(2 * this.#buffer.length, 2 * needed)));
      grown.set(this.bytes);
      this.#end = this.length;
      this.#start = 0;
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  consume(count: number): void {
    this.#start += count;
    if (this.#start === this.#end) this.clear();
  }

  clear(): void {
    this.#buffer = new Uint8Array(0);
    this.#start = this.#end = 0;
  }
}
