/**
 * A session over a connection that carries pairs of web streams: Deno's QUIC, a WebTransport
 * session on a Deno server (raw streams with three header bytes, see quic_carrier.ts), the standard
 * WebTransport of a client, and our own streams over TLS (tls_carrier.ts).
 *
 * The connection's own `closed` is the only source for the session's end. Streams are counted here.
 * The prefaces of incoming streams are read concurrently, each with a deadline, so that an
 * incomplete preface blocks no other stream.
 */
import type { ErrorCode } from "../src/base/errors.ts";
import { errorCodeFromWire, errorCodeToWire, RegistryError } from "../src/base/errors.ts";
import { CLOSE_MESSAGE_BYTES_MAX, GOODBYE_LINGER_MS, PREFACE_MS_MAX } from "../src/base/limits.ts";
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

/** The part of a runtime's connection that a session needs. */
export interface Carrier {
  /** Bytes written and checked before the preface of each stream; usually empty. */
  readonly header: Uint8Array;
  /** Opens a pair; rejects if the connection has ended or the peer allows no more. */
  open(): Promise<BytePair>;
  /** Returns the pairs that the peer opens; called once. */
  incoming(): ReadableStream<BytePair>;
  /** Resolves with the code and reason of the closing side; rejects if the peer vanished. */
  readonly closed: Promise<{ closeCode?: number | undefined; reason?: string | undefined }>;
  /**
   * Closes at once and drops unacknowledged data. May throw if the connection has ended. While the
   * peer has not acknowledged a full congestion window, Deno 2.9.6 never sends the close frame
   * (quinn-rs/quinn#2785): the peer learns of it by its next packet or its idle timeout.
   */
  close(closeCode: number, reason: string): void;
}

/** Parameters of a {@link CarrierSession}. */
export interface CarrierSessionOptions {
  readonly id: number;
  readonly transport: TransportName;
  readonly remoteAddress: string;
  readonly limits: SessionLimits;
  /** Default: false. */
  readonly authenticatesPeers?: boolean;
  readonly peerCertificate?: Uint8Array;
  readonly prefaceMsMax?: number;
  readonly scheduler: Scheduler;
  readonly onError: OnError;
  /** Shared counters; the session maintains `streams` and increments others. */
  readonly stats: ListenerStats;
  /** Called once, when the session has ended. */
  readonly onEnd?: (session: CarrierSession) => void;
}

/** Truncates a text so that its UTF-8 form fits a close frame. */
export function closeMessage(text: string): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= CLOSE_MESSAGE_BYTES_MAX) return text;
  const cut = bytes.subarray(0, CLOSE_MESSAGE_BYTES_MAX);
  return new TextDecoder().decode(cut).replace(/\uFFFD+$/, "");
}

/** A {@link Session} over a {@link Carrier}. */
export class CarrierSession implements Session, StreamOwner {
  readonly id: number;
  readonly transport: TransportName;
  readonly authenticatesPeers: boolean;
  readonly remoteAddress: string;
  readonly limits: SessionLimits;
  declare readonly peerCertificate?: Uint8Array;
  readonly closed: Promise<SessionEnd>;
  readonly #carrier: Carrier;
  readonly #options: CarrierSessionOptions;
  #accepted: Handoff<Stream> | undefined;
  #streams = 0;
  #writesPending = 0;
  #onWritesSettled: (() => void) | undefined;
  #localEnd: SessionEnd | undefined;
  #goodbye: Promise<void> | undefined;
  #ended = false;

  constructor(carrier: Carrier, options: CarrierSessionOptions) {
    this.id = options.id;
    this.transport = options.transport;
    this.authenticatesPeers = options.authenticatesPeers ?? false;
    this.remoteAddress = options.remoteAddress;
    this.limits = options.limits;
    if (options.peerCertificate !== undefined) this.peerCertificate = options.peerCertificate;
    this.#carrier = carrier;
    this.#options = options;
    this.closed = carrier.closed.then(
      (info) => this.#end(info.closeCode ?? 0, info.reason ?? ""),
      (error) => this.#endLost(error),
    );
  }

  get ended(): boolean {
    return this.#ended || this.#localEnd !== undefined;
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
    if (this.#accepted === undefined) {
      this.#accepted = new Handoff(this.limits.streamsMax);
      if (this.ended) this.#accepted.close();
      else this.#pump(this.#carrier.incoming().getReader());
    }
    return this.#accepted.take();
  }

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
    if (this.#ended) return;
    this.#streams--;
    this.#options.stats.streams--;
  }

  #retainStream(): void {
    this.#streams++;
    this.#options.stats.streams++;
  }

  /**
   * Admits the pairs that the peer opens. Callbacks, as an asynchronous function that waits in every
   * idle session would take more memory.
   */
  #pump(pairs: ReadableStreamDefaultReader<BytePair>): void {
    const next = (): void => void pairs.read().then(admit, failed);
    const admit = ({ value: pair, done }: ReadableStreamReadResult<BytePair>): void => {
      if (done) return;
      if (this.ended || this.#streams >= this.limits.streamsMax) {
        this.#options.stats.streamsRefused++;
        dropPair(pair);
      } else {
        this.#retainStream();
        void this.#admit(pair);
      }
      next();
    };
    const failed = (error: unknown): void => {
      // A vanished peer ends the iteration with an error; `closed` reports it in more detail.
      if (!this.#ended) this.#options.onError("accept", error);
    };
    next();
  }

  /** Reads and checks the preface of one incoming pair; never rejects. */
  async #admit(pair: BytePair): Promise<void> {
    const reader = pair.readable.getReader({ mode: "byob" });
    const writer = pair.writable.getWriter();
    const deadline = this.#options.scheduler.after(
      this.#options.prefaceMsMax ?? PREFACE_MS_MAX,
      () => {
        this.#options.stats.deadlines++;
        reader.cancel().catch(ignore);
      },
    );
    let kind: StreamKind | undefined;
    try {
      kind = await readStreamKind(reader, this.#carrier.header);
    } catch (error) {
      if (!this.ended) this.#options.onError("preface", error);
    }
    deadline.cancel();
    if (kind !== undefined) {
      const stream = new CarrierStream(kind, this, reader, pair.writable, writer);
      if (!this.#accepted!.push(stream)) stream.abort();
      return;
    }
    if (!this.ended) this.#options.stats.streamsRefused++;
    reader.cancel().catch(ignore);
    writer.abort().catch(ignore);
    this.streamReleased();
  }

  async #sayGoodbye(code: ErrorCode | undefined, message: string, lingerMs: number): Promise<void> {
    const { scheduler } = this.#options;
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
      this.#options.onError("close", error);
    }
    for (const stream of this.#accepted?.close() ?? []) stream.abort();
  }

  #end(closeCode: number, reason: string): SessionEnd {
    this.#finish();
    if (this.#localEnd !== undefined) return this.#localEnd;
    const code = closeCode === 0 ? undefined : errorCodeFromWire(closeCode);
    return { by: "peer", code, message: reason };
  }

  #endLost(error: unknown): SessionEnd {
    this.#finish();
    if (this.#localEnd !== undefined) return this.#localEnd;
    const message = error instanceof Error ? error.message : String(error);
    // Before its handshake is confirmed a peer cannot send its own code (RFC 9000 §10.2.3).
    const by = message.startsWith("aborted by peer") ? "peer" : "lost";
    return { by, code: "connection_lost", message };
  }

  #finish(): void {
    this.#ended = true;
    this.#options.stats.streams -= this.#streams;
    this.#streams = 0;
    this.#onWritesSettled?.();
    for (const stream of this.#accepted?.close() ?? []) stream.abort();
    this.#options.onEnd?.(this);
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
