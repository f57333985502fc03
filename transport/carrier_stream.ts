/**
 * A stream over a pair of web streams, as provided by Deno's QUIC and by every WebTransport.
 *
 * Each call costs one promise on top of the runtime's own. Bytes are not copied: the caller must
 * not change them before the write settles, by which time the runtime has taken them over
 * (measured: no slice is needed, and without it large echoes take two thirds of the time). A write
 * settles when the runtime's send buffer has taken the bytes. If the peer does not read, QUIC sends
 * about 1.25 MB per stream to the peer and buffers up to 10 MB per session before writes wait. The
 * end of either direction ends both: nothing depends on half-open streams (denoland/deno#36822).
 */
import { assert } from "../src/base/assert.ts";
import { RegistryError } from "../src/base/errors.ts";
import type { OwnedBytes, Stream, StreamKind } from "./transport.ts";

/** The two web streams of one bidirectional stream. */
export interface BytePair {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/** Callbacks of a stream to its session. */
export interface StreamOwner {
  /** True once the session has ended. */
  readonly ended: boolean;
  /** A write was passed to the runtime. */
  writeStarted(): void;
  /** That write settled. */
  writeSettled(): void;
  /** The stream has ended; called once. */
  streamReleased(): void;
}

/** Drops both directions of a pair that nobody reads or writes. */
export function dropPair(pair: BytePair): void {
  // These fail only if the pair has ended already, which is the desired state.
  pair.readable.cancel().catch(ignore);
  pair.writable.abort().catch(ignore);
}

/** Ignores failures of closing something that has ended already. */
export function ignore(): void {}

/** Reports whether an error concerns one stream only, which the peer has reset or stopped. */
function isStreamReset(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === "ConnectionReset") return true;
  return (error as { source?: unknown }).source === "stream";
}

/** A stream whose preface was written or read. */
export class CarrierStream implements Stream {
  readonly kind: StreamKind;
  readonly #owner: StreamOwner;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #writable: WritableStream<Uint8Array>;
  /** Absent while the stream rests: a writer takes half a kilobyte. */
  #writer: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #released = false;

  constructor(
    kind: StreamKind,
    owner: StreamOwner,
    reader: ReadableStreamBYOBReader,
    writable: WritableStream<Uint8Array>,
    writer: WritableStreamDefaultWriter<Uint8Array>,
  ) {
    this.kind = kind;
    this.#owner = owner;
    this.#reader = reader;
    this.#writable = writable;
    this.#writer = writer;
  }

  read(into: OwnedBytes): Promise<OwnedBytes | undefined> {
    assert(into.length > 0, "A read needs room for a byte, in a buffer that is not detached");
    return this.#reader.read(into).then(this.#onRead, this.#onReadFailed);
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#owner.writeStarted();
    const writer = this.#writer ??= this.#writable.getWriter();
    // Callbacks of the write, as they would take memory in every stream that rests.
    return writer.write(bytes).then(() => this.#owner.writeSettled(), (error) => {
      this.#owner.writeSettled();
      throw this.#lost(error);
    });
  }

  rest(): void {
    this.#writer?.releaseLock();
    this.#writer = undefined;
  }

  abort(): void {
    if (this.#released) return;
    this.#released = true;
    this.#reader.cancel().catch(ignore);
    (this.#writer ?? this.#writable).abort().catch(ignore);
    this.#owner.streamReleased();
  }

  readonly #onRead = (
    result: ReadableStreamReadResult<OwnedBytes>,
  ): OwnedBytes | undefined => {
    if (!result.done) return result.value;
    const local = this.#released;
    this.abort();
    if (!local && this.#owner.ended) throw this.#lost(undefined);
    return undefined;
  };

  readonly #onReadFailed = (error: unknown): undefined => {
    this.abort();
    if (!this.#owner.ended && isStreamReset(error)) return undefined;
    throw this.#lost(error);
  };

  #lost(cause: unknown): RegistryError {
    const what = this.#owner.ended ? "session" : "stream";
    return new RegistryError("connection_lost", `The ${what} has ended`, {}, cause);
  }
}
