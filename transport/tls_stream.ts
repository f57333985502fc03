/**
 * One stream over a TLS connection, as a pair of web streams. What the peer sends waits here in one
 * buffer, which never holds more than the window; credit goes back as it is read. What is written
 * leaves as far as the peer's credit goes, and waits for more. Either side's reset ends both
 * directions; what had arrived may still be read.
 */
import { RegistryError } from "../src/base/errors.ts";
import { TLS_FRAME_BYTES_MAX } from "../src/base/limits.ts";
import type { BytePair } from "./carrier_stream.ts";

/** The connection, as far as a stream needs it. */
export interface TlsStreamPort {
  /** Sends at most a frame of bytes, copied. */
  sendData(stream: number, bytes: Uint8Array): void;
  sendCredit(stream: number, bytes: number): void;
  /** Sends a reset and forgets the stream. */
  reset(stream: number): void;
  /** Resolves once there is room to send; `undefined`: there is. */
  room(): Promise<void> | undefined;
}

/** What a stream is made with. */
export interface TlsStreamOptions {
  readonly id: number;
  readonly port: TlsStreamPort;
  /** What may be sent before the first credit. */
  readonly creditBytes: number;
  /** What the peer may send before the first credit. */
  readonly windowBytes: number;
}

/** A peer's sum of credit beyond this is nonsense. */
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
  /** What may still be sent. */
  #creditBytes: number;
  #onCredit: (() => void) | undefined;
  /** Of the window: arrived and not read, or read and not yet credited. */
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

  /** A piece of the peer's bytes, copied; false where it is more than the window allows. */
  onData(bytes: Uint8Array): boolean {
    if (this.#over || this.#peerReset) return true;
    this.#owedBytes += bytes.length;
    if (this.#owedBytes > this.#windowBytes) return false;
    const direct = this.#arrived.length === 0 ? this.#fillRead(bytes) : 0;
    if (direct < bytes.length) this.#arrived.append(bytes.subarray(direct));
    return true;
  }

  /** The peer allows more; false where its sum is nonsense. */
  onCredit(bytes: number): boolean {
    this.#creditBytes += bytes;
    this.#onCredit?.();
    return this.#creditBytes <= CREDIT_BYTES_MAX;
  }

  /** The peer ended the stream. */
  onReset(): void {
    if (this.#over || this.#peerReset) return;
    this.#peerReset = true;
    this.#writable.error(lost("stream"));
    this.#onCredit?.();
    this.#serveRead();
  }

  /** The connection is over. */
  fail(): void {
    if (this.#over) return;
    this.#over = true;
    this.#arrived.clear();
    if (!this.#peerReset) this.#writable.error(lost("session"));
    this.#readable.error(lost("session"));
    this.#onCredit?.();
  }

  /** This side gave it up, by either direction. */
  #abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#arrived.clear();
    this.#onCredit?.();
    if (this.#peerReset) return;
    this.#port.reset(this.#id);
    this.#writable.error(lost("stream"));
  }

  /** Fills the read that waits, if one does, from what has arrived. */
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

  /** Gives `bytes` to the read that waits; how many it took. */
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

  /** Credit goes back in steps of a quarter of the window, so that reads cost few frames. */
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
  return new RegistryError("connection_lost", `The ${what} is over`);
}

/** Bytes in their order, in one buffer that grows with what waits and is given up when it is empty. */
class ReceiveBuffer {
  #buffer = new Uint8Array(0);
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** A view of all that waits, until the next append. */
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
