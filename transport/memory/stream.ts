/**
 * One end of a stream of a memory network. It is as strict as the real ones: a read detaches the
 * buffer passed to it, so that a caller that keeps using the buffer fails here first, and a write
 * copies its bytes when it accepts them. Unread bytes count against a window, as in QUIC; beyond it
 * writes wait.
 */
import { assert } from "../../src/base/assert.ts";
import { RegistryError } from "../../src/base/errors.ts";
import type { OwnedBytes, Stream, StreamKind } from "../transport.ts";

/** Carries the events of one direction of a stream in order; a `Channel` of a memory network is one. */
export interface StreamChannel {
  /** Sends an event; `deliver` runs at the other end. */
  send(deliver: () => void): void;
  /** Drops the events in transit. */
  end(): void;
}

/** Services that a session end provides to its streams. */
export interface MemoryStreamOwner {
  readonly ended: boolean;
  /** Sends a session event to the peer's end. */
  signal(deliver: () => void): void;
  writeQueued(change: 1 | -1): void;
  streamReleased(stream: MemoryStream): void;
}

interface QueuedWrite {
  readonly bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: RegistryError) => void;
}

interface WaitingRead {
  readonly buffer: ArrayBuffer;
  readonly offset: number;
  readonly length: number;
  readonly resolve: (bytes: OwnedBytes | undefined) => void;
  readonly reject: (error: RegistryError) => void;
}

/** One end of a stream; {@link MemoryStream.join} connects it to its peer. */
export class MemoryStream implements Stream {
  readonly kind: StreamKind;
  readonly #owner: MemoryStreamOwner;
  readonly #windowBytes: number;
  #channel: StreamChannel | undefined;
  #peer: MemoryStream | undefined;
  /** Bytes sent that the peer is not yet known to have read. */
  #unreadBytes = 0;
  /** Bytes read here that the peer has not been told of. */
  #creditBytes = 0;
  #arrived: Uint8Array[] = [];
  #writes: QueuedWrite[] = [];
  #reading: WaitingRead | undefined;
  #peerEnded = false;
  #released = false;

  constructor(kind: StreamKind, owner: MemoryStreamOwner, windowBytes: number) {
    this.kind = kind;
    this.#owner = owner;
    this.#windowBytes = windowBytes;
  }

  /** Connects this end: what it sends goes over `channel` to `peer`. */
  join(peer: MemoryStream, channel: StreamChannel): void {
    this.#peer = peer;
    this.#channel = channel;
  }

  read(into: OwnedBytes): Promise<OwnedBytes | undefined> {
    assert(this.#reading === undefined, "One read of a stream may wait at a time");
    assert(into.length > 0, "A read needs room for a byte, in a buffer that is not detached");
    const { byteOffset: offset, length } = into;
    const buffer = into.buffer.transfer();
    return new Promise((resolve, reject) => {
      this.#reading = { buffer, offset, length, resolve, reject };
      this.#serveRead();
    });
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#released || this.#peerEnded || this.#owner.ended) return Promise.reject(this.#lost());
    if (this.#writes.length === 0 && this.#unreadBytes < this.#windowBytes) {
      this.#send(bytes.slice());
      return Promise.resolve();
    }
    this.#owner.writeQueued(1);
    return new Promise((resolve, reject) => {
      this.#writes.push({ bytes: bytes.slice(), resolve, reject });
    });
  }

  abort(): void {
    if (this.#released) return;
    const peer = this.#peer!;
    if (!this.#owner.ended) this.#channel!.send(() => peer.onPeerEnd());
    this.#release();
  }

  /** Handles bytes from the peer. */
  onArrival(bytes: Uint8Array): void {
    if (this.#released) return;
    this.#arrived.push(bytes);
    this.#serveRead();
  }

  /** Handles the peer's end of the stream; what arrived before may still be read. */
  onPeerEnd(): void {
    if (this.#released) return;
    this.#peerEnded = true;
    this.#failWrites();
    this.#serveRead();
  }

  /** Handles the news that the peer has read `count` more bytes. */
  onCredit(count: number): void {
    this.#unreadBytes -= count;
    while (this.#writes.length > 0 && this.#unreadBytes < this.#windowBytes) {
      const write = this.#writes.shift()!;
      this.#owner.writeQueued(-1);
      this.#send(write.bytes);
      write.resolve();
    }
  }

  /** Handles the end of the session: all waiting reads and writes fail. */
  onSessionEnd(): void {
    this.#arrived = [];
    this.#channel?.end();
    this.#failWrites();
    this.#serveRead();
    this.#released = true;
  }

  #send(bytes: Uint8Array): void {
    const peer = this.#peer!;
    this.#unreadBytes += bytes.length;
    this.#channel!.send(() => peer.onArrival(bytes));
  }

  #serveRead(): void {
    const reading = this.#reading;
    if (reading === undefined) return;
    const chunk = this.#arrived[0];
    if (chunk === undefined) {
      if (this.#owner.ended) {
        this.#reading = undefined;
        reading.reject(this.#lost());
      } else if (this.#released || this.#peerEnded) {
        this.#reading = undefined;
        this.#release();
        reading.resolve(undefined);
      }
      return;
    }
    const filled = new Uint8Array(reading.buffer, reading.offset, reading.length);
    let count = 0;
    for (let next = chunk; count < filled.length; next = this.#arrived[0]!) {
      const part = next.subarray(0, filled.length - count);
      filled.set(part, count);
      count += part.length;
      if (part.length < next.length) this.#arrived[0] = next.subarray(part.length);
      else this.#arrived.shift();
      if (this.#arrived.length === 0) break;
    }
    this.#reading = undefined;
    this.#giveCredit(count);
    reading.resolve(filled.subarray(0, count));
  }

  /** Grants credit in steps of a quarter of the window, so that reads cause few events. */
  #giveCredit(count: number): void {
    this.#creditBytes += count;
    if (this.#creditBytes < this.#windowBytes / 4) return;
    const credit = this.#creditBytes;
    const peer = this.#peer!;
    this.#creditBytes = 0;
    this.#owner.signal(() => peer.onCredit(credit));
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#arrived = [];
    this.#failWrites();
    this.#serveRead();
    this.#owner.streamReleased(this);
  }

  #failWrites(): void {
    const writes = this.#writes;
    this.#writes = [];
    for (const write of writes) {
      this.#owner.writeQueued(-1);
      write.reject(this.#lost());
    }
  }

  #lost(): RegistryError {
    const what = this.#owner.ended ? "session" : "stream";
    return new RegistryError("connection_lost", `The ${what} has ended`);
  }
}
