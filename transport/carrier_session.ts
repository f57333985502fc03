/**
 * A session over a connection that carries pairs of web streams: Deno's QUIC, a WebTransport
 * session on a Deno server (raw streams with three header bytes, see quic_carrier.ts), the standard
 * WebTransport of a client, and our own streams over TLS (tls_carrier.ts).
 *
 * The connection itself is the only source for the session's end. Streams are counted here. Streams
 * of the peer are taken only while one is awaited. Their prefaces are read concurrently, each with a
 * deadline, so that an incomplete preface blocks no other stream.
 */
import type { ErrorCode } from "../src/base/errors.ts";
import { errorCodeFromWire, errorCodeToWire, RegistryError } from "../src/base/errors.ts";
import {
  CLOSE_MESSAGE_BYTES_MAX,
  GOODBYE_LINGER_MS,
  PREFACE_MS_MAX,
  PREFACE_SOON_MS,
} from "../src/base/limits.ts";
import type { Scheduler } from "../src/base/world.ts";
import type { BytePair, StreamOwner } from "./carrier_stream.ts";
import { CarrierStream, dropPair, ignore } from "./carrier_stream.ts";
import { waitForGoodbye } from "./goodbye_wait.ts";
import { Handoff } from "./handoff.ts";
import { PREFACE_BYTES, prefaceOf, readPreface } from "./preface.ts";
import type {
  GoodbyeOptions,
  ListenerStats,
  OnError,
  Session,
  SessionEnd,
  SessionLimits,
  Stream,
  StreamKind,
  TransportName,
} from "./transport.ts";

/** The code and reason that the closing side of a connection gave. */
export interface CloseInfo {
  readonly closeCode?: number | undefined;
  readonly reason?: string | undefined;
}

/** Takes the end of a connection. */
export interface CarrierOwner {
  /** Called with what the closing side said. */
  connectionClosed(info: CloseInfo): void;
  /** Called if the peer vanished. */
  connectionLost(error: unknown): void;
}

/** The part of a runtime's connection that a session needs. */
export interface Carrier {
  /** Bytes written and checked before the preface of each stream; usually empty. */
  readonly header: Uint8Array;
  /** Opens a pair; rejects if the connection has ended or the peer allows no more. */
  open(): Promise<BytePair>;
  /** Returns the pairs that the peer opens; always the same stream. */
  incoming(): ReadableStream<BytePair>;
  /** Reports the end of the connection, once and never during the call; called once. */
  watch(owner: CarrierOwner): void;
  /**
   * Closes at once and drops unacknowledged data. May throw if the connection has ended. While the
   * peer has not acknowledged a full congestion window, Deno 2.9.6 never sends the close frame
   * (quinn-rs/quinn#2785): the peer learns of it by its next packet or its idle timeout.
   */
  close(closeCode: number, reason: string): void;
}

/** Reports the end of a connection whose runtime gives a promise of it; see {@link Carrier.watch}. */
export function watchClosed(closed: Promise<CloseInfo>, owner: CarrierOwner): void {
  closed.then((info) => owner.connectionClosed(info), (error) => owner.connectionLost(error));
}

/** The listener or dialer of a session, with the limits and counters that its sessions share. */
export interface CarrierSessionOwner {
  readonly limits: SessionLimits;
  /** Default: `PREFACE_MS_MAX`. */
  readonly prefaceMsMax: number | undefined;
  readonly scheduler: Scheduler;
  readonly onError: OnError;
  /** Shared counters; a session maintains `streams` and increments others. */
  readonly stats: ListenerStats;
  /** Called once, when the session has ended. */
  sessionEnded(session: CarrierSession): void;
}

/** Parameters of a {@link CarrierSession}. */
export interface CarrierSessionOptions {
  readonly id: number;
  readonly transport: TransportName;
  readonly remoteAddress: string;
  /** Default: false. */
  readonly authenticatesPeers?: boolean;
  readonly peerCertificate?: Uint8Array;
}

/** Truncates a text so that its UTF-8 form fits a close frame. */
export function closeMessage(text: string): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= CLOSE_MESSAGE_BYTES_MAX) return text;
  const cut = bytes.subarray(0, CLOSE_MESSAGE_BYTES_MAX);
  return new TextDecoder().decode(cut).replace(/\uFFFD+$/, "");
}

/** A {@link Session} over a {@link Carrier}. */
export class CarrierSession implements Session, StreamOwner, CarrierOwner {
  readonly id: number;
  readonly transport: TransportName;
  readonly authenticatesPeers: boolean;
  readonly remoteAddress: string;
  declare readonly peerCertificate?: Uint8Array;
  readonly #carrier: Carrier;
  readonly #owner: CarrierSessionOwner;
  /** Absent while nobody accepts: it takes memory in every session. */
  #accepted: Handoff<Stream> | undefined;
  /** Whether the next pair of the peer is awaited. */
  #isTaking = false;
  #streams = 0;
  #writesPending = 0;
  #onWritesSettled: (() => void) | undefined;
  #localEnd: SessionEnd | undefined;
  #goodbye: Promise<void> | undefined;
  /** How it ended, once it has. */
  #end: SessionEnd | undefined;
  /** Absent while nobody asked for the promise. */
  #closed: PromiseWithResolvers<SessionEnd> | undefined;

  constructor(carrier: Carrier, owner: CarrierSessionOwner, options: CarrierSessionOptions) {
    this.id = options.id;
    this.transport = options.transport;
    this.authenticatesPeers = options.authenticatesPeers ?? false;
    this.remoteAddress = options.remoteAddress;
    if (options.peerCertificate !== undefined) this.peerCertificate = options.peerCertificate;
    this.#carrier = carrier;
    this.#owner = owner;
    carrier.watch(this);
  }

  get limits(): SessionLimits {
    return this.#owner.limits;
  }

  get closed(): Promise<SessionEnd> {
    if (this.#closed === undefined) {
      this.#closed = Promise.withResolvers();
      if (this.#end !== undefined) this.#closed.resolve(this.#end);
    }
    return this.#closed.promise;
  }

  get ended(): boolean {
    return this.#end !== undefined || this.#localEnd !== undefined;
  }

  async open(kind: StreamKind): Promise<Stream> {
    if (this.ended) throw this.#lost(undefined);
    if (this.#streams >= this.limits.streamsMax) {
      throw new RegistryError(
        "overloaded",
        `Cannot open a stream as at most ${this.limits.streamsMax} may be open on a session`,
      );
    }
    this.#retainStream();
    try {
      const pair = await this.#carrier.open();
      const writer = pair.writable.getWriter();
      await writer.write(prefaceOf(kind, this.#carrier.header));
      return new CarrierStream(
        kind,
        this,
        pair.readable.getReader({ mode: "byob" }),
        pair.writable,
        writer,
      );
    } catch (error) {
      this.streamReleased();
      throw this.#openFailed(error);
    }
  }

  accept(): Promise<Stream | undefined> {
    if (this.ended) return Promise.resolve(undefined);
    const accepted = this.#accepted ??= new Handoff(this.limits.streamsMax);
    const taken = accepted.take();
    this.#takePairs();
    return taken;
  }

  // As in MemorySession: the rest of both goodbyes is shared (goodbye_wait.ts).
  goodbye(
    code: ErrorCode | undefined,
    message: string,
    options: GoodbyeOptions = {},
  ): Promise<void> {
    this.#goodbye ??= this.#sayGoodbye(code, message, options.lingerMs ?? GOODBYE_LINGER_MS);
    return this.#goodbye;
  }

  abort(reason: string): void {
    this.#close("canceled", reason);
  }

  /** Ends the session at once with a code; like `abort`, for a listener that knows the reason. */
  refuse(code: ErrorCode, message: string): void {
    this.#close(code, message);
  }

  writeStarted(): void {
    this.#writesPending++;
  }

  writeSettled(): void {
    this.#writesPending--;
    if (this.#writesPending === 0) this.#onWritesSettled?.();
  }

  streamReleased(): void {
    if (this.#end !== undefined) return;
    this.#streams--;
    this.#owner.stats.streams--;
  }

  #retainStream(): void {
    this.#streams++;
    this.#owner.stats.streams++;
  }

  /**
   * Takes the pairs that the peer opens, for as long as a stream is awaited. A pair that is awaited
   * cannot be forgone, and costs an idle session as much memory as a stream does.
   */
  #takePairs(): void {
    const accepted = this.#accepted;
    if (accepted === undefined || !accepted.isAwaited) return;
    if (this.#isTaking || this.ended) return;
    this.#isTaking = true;
    const pairs = this.#carrier.incoming().getReader();
    pairs.read().then(({ value: pair, done }) => {
      this.#isTaking = false;
      pairs.releaseLock();
      if (done) return;
      if (this.ended || this.#streams >= this.limits.streamsMax) {
        this.#owner.stats.streamsRefused++;
        dropPair(pair);
        this.#takePairs();
      } else {
        this.#retainStream();
        void this.#admit(pair);
      }
    }, (error) => {
      // A vanished peer ends the iteration with an error; the end of the session says more.
      if (this.#end === undefined) this.#owner.onError("accept", error);
    });
  }

  /** Reads and checks the preface of one incoming pair; never rejects. */
  async #admit(pair: BytePair): Promise<void> {
    const { scheduler, stats, onError, prefaceMsMax = PREFACE_MS_MAX } = this.#owner;
    const reader = pair.readable.getReader({ mode: "byob" });
    const writer = pair.writable.getWriter();
    const patience = scheduler.after(PREFACE_SOON_MS, () => this.#takePairs());
    const deadline = scheduler.after(prefaceMsMax, () => {
      stats.deadlines++;
      reader.cancel().catch(ignore);
    });
    let kind: StreamKind | undefined;
    try {
      kind = await readStreamKind(reader, this.#carrier.header);
    } catch (error) {
      if (!this.ended) onError("preface", error);
    }
    patience.cancel();
    deadline.cancel();
    if (kind !== undefined) {
      const stream = new CarrierStream(kind, this, reader, pair.writable, writer);
      if (this.#accepted?.push(stream) !== true) stream.abort();
    } else {
      if (!this.ended) stats.streamsRefused++;
      reader.cancel().catch(ignore);
      writer.abort().catch(ignore);
      this.streamReleased();
    }
    this.#takePairs();
  }

  async #sayGoodbye(code: ErrorCode | undefined, message: string, lingerMs: number): Promise<void> {
    const { scheduler } = this.#owner;
    const whenWritten = (done: () => void) => {
      this.#onWritesSettled = done;
    };
    const pending = this.#writesPending > 0 ? whenWritten : undefined;
    await waitForGoodbye(this, scheduler, lingerMs, pending);
    this.#close(code, message);
    await this.closed;
    // The close frame is sent in a later turn of the runtime; exiting earlier would drop it.
    await new Promise<void>((resolve) => scheduler.after(1, resolve));
  }

  #close(code: ErrorCode | undefined, message: string): void {
    if (this.ended) return;
    this.#localEnd = { by: "local", code, message };
    try {
      this.#carrier.close(code === undefined ? 0 : errorCodeToWire(code), closeMessage(message));
    } catch (error) {
      this.#owner.onError("close", error);
    }
    this.#endAccepting();
  }

  /** Implements {@link CarrierOwner.connectionClosed}. */
  connectionClosed({ closeCode = 0, reason = "" }: CloseInfo): void {
    const code = closeCode === 0 ? undefined : errorCodeFromWire(closeCode);
    this.#finish({ by: "peer", code, message: reason });
  }

  /** Implements {@link CarrierOwner.connectionLost}. */
  connectionLost(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    // Before its handshake is confirmed a peer cannot send its own code (RFC 9000 §10.2.3).
    const by = message.startsWith("aborted by peer") ? "peer" : "lost";
    this.#finish({ by, code: "connection_lost", message });
  }

  /** @param end how it ended, unless this side has closed it. */
  #finish(end: SessionEnd): void {
    this.#end = this.#localEnd ?? end;
    this.#owner.stats.streams -= this.#streams;
    this.#streams = 0;
    this.#onWritesSettled?.();
    this.#endAccepting();
    this.#owner.sessionEnded(this);
    this.#closed?.resolve(this.#end);
  }

  #endAccepting(): void {
    for (const stream of this.#accepted?.close() ?? []) stream.abort();
  }

  #lost(cause: unknown): RegistryError {
    return new RegistryError("connection_lost", "The session has ended", {}, cause);
  }

  #openFailed(error: unknown): RegistryError {
    if (error instanceof RangeError) {
      const message = "Cannot open a stream as the peer allows no more on this session";
      return new RegistryError("overloaded", message, {}, error);
    }
    return this.#lost(error);
  }
}

/** Reads exactly one preface; `undefined` if it is invalid or the stream ends too early. */
async function readStreamKind(
  reader: ReadableStreamBYOBReader,
  header: Uint8Array,
): Promise<StreamKind | undefined> {
  const length = header.length + PREFACE_BYTES;
  let buffer = new ArrayBuffer(length);
  let filled = 0;
  while (filled < length) {
    const { value, done } = await reader.read(new Uint8Array(buffer, filled));
    if (done) return undefined;
    buffer = value.buffer;
    filled += value.length;
  }
  return readPreface(new Uint8Array(buffer), header);
}
