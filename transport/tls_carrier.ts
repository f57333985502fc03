/**
 * A TLS connection (`node:tls`, on Deno and Node) as the carrier of a session: streams, credit,
 * pings and close frames over one socket (tls_frame.ts).
 *
 * Reading never pauses for lack of room to write, because two peers that both did so would
 * deadlock. Data is bounded by credit and by waiting for the socket to drain. A peer that sends but
 * never reads loses its connection.
 */
import type { Buffer } from "node:buffer";
import type { TLSSocket } from "node:tls";
import {
  errorCodeFromWire,
  errorCodeToWire,
  RegistryError,
  toRegistryError,
} from "../src/base/errors.ts";
import {
  GOODBYE_WRITES_MS_MAX,
  TLS_OUTPUT_BYTES_MAX,
  TLS_STREAM_WINDOW_BYTES,
} from "../src/base/limits.ts";
import type { Scheduler, Timer } from "../src/base/world.ts";
import { type Carrier, type CarrierOwner, watchClosed } from "./carrier_session.ts";
import type { BytePair } from "./carrier_stream.ts";
import { ignore } from "./carrier_stream.ts";
import {
  beatFrame,
  closeFrame,
  creditFrame,
  dataFrame,
  resetFrame,
  settingsFrame,
  type TlsFrameHandler,
  TlsFrameReader,
  type TlsSettings,
} from "./tls_frame.ts";
import { TlsStreamEnd, type TlsStreamPort } from "./tls_stream.ts";

/** Parameters of a {@link TlsCarrier}. */
export interface TlsCarrierOptions {
  /** True on the side that dialed. */
  readonly dialed: boolean;
  /**
   * Silence after which the connection is given up, ms; the shorter of both sides' values applies.
   */
  readonly idleMs: number;
  /**
   * Keep-alive interval of a silent connection, ms; `undefined` if the other side keeps it alive.
   */
  readonly keepAliveMs?: number;
  /** Maximum number of streams that the peer may have open. */
  readonly streamsMax: number;
  readonly scheduler: Scheduler;
}

/** Number of intervals into which the idle time is divided to measure silence. */
const IDLE_PARTS = 4;
const STREAM_ID_MAX = 2 ** 32 - 2;

/** A connection whose TLS handshake is complete. */
export class TlsCarrier implements Carrier, TlsFrameHandler, TlsStreamPort {
  readonly header: Uint8Array = new Uint8Array(0);
  /** Resolves with the peer's first frame; rejects if the connection ends first. */
  readonly ready: Promise<void>;
  readonly #socket: TLSSocket;
  readonly #options: TlsCarrierOptions;
  readonly #reader = new TlsFrameReader(this);
  readonly #streams = new Map<number, TlsStreamEnd>();
  readonly #incoming: ReadableStream<BytePair>;
  readonly #closing = Promise.withResolvers<{ closeCode: number; reason: string }>();
  readonly #readying = Promise.withResolvers<void>();
  readonly #timers = new Map<"idle" | "beat" | "destroy", Timer>();
  #arriving!: ReadableStreamDefaultController<BytePair>;
  #peer: TlsSettings | undefined;
  #nextStream: number;
  /** The highest stream number used by the peer. */
  #peerStream = 0;
  #draining: PromiseWithResolvers<void> | undefined;
  #heard = true;
  #quietParts = 0;
  #over = false;

  constructor(socket: TLSSocket, options: TlsCarrierOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#nextStream = options.dialed ? 1 : 2;
    this.ready = this.#readying.promise;
    this.#closing.promise.catch(ignore);
    this.ready.catch(ignore);
    this.#incoming = new ReadableStream({
      start: (controller) => {
        this.#arriving = controller;
      },
      // A peer that exceeds twice this number of streams not taken opens and resets them in a loop.
    }, { highWaterMark: 2 * options.streamsMax });
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#onBytes(chunk));
    socket.on("drain", () => this.#onDrain());
    socket.on("error", (error: Error) => this.#lose(error.message));
    socket.on("close", () => this.#onSocketClose());
    this.#send(settingsFrame({
      idleMs: options.idleMs,
      windowBytes: TLS_STREAM_WINDOW_BYTES,
      streamsMax: options.streamsMax,
    }));
    this.#watchSilence(options.idleMs);
  }

  open(): Promise<BytePair> {
    const { dialed } = this.#options;
    if (this.#over || this.#nextStream > STREAM_ID_MAX) {
      return Promise.reject(new RegistryError("connection_lost", "The session has ended"));
    }
    if (this.#count(dialed) >= (this.#peer?.streamsMax ?? 0)) {
      return Promise.reject(new RangeError("The peer allows no more streams"));
    }
    const id = this.#nextStream;
    this.#nextStream += 2;
    return Promise.resolve(this.#newStream(id).pair);
  }

  incoming(): ReadableStream<BytePair> {
    return this.#incoming;
  }

  watch(owner: CarrierOwner): void {
    watchClosed(this.#closing.promise, owner);
  }

  close(closeCode: number, reason: string): void {
    if (this.#over) return;
    this.#finish();
    this.#readying.reject(new RegistryError("connection_lost", reason));
    const settle = () => this.#closing.resolve({ closeCode, reason });
    // Settles once the system has the frame, after which the process may exit.
    this.#socket.end(closeFrame(closeCode, reason), settle);
    const timer = this.#options.scheduler.after(
      GOODBYE_WRITES_MS_MAX,
      () => this.#socket.destroy(),
    );
    this.#timers.set("destroy", timer);
    this.#socket.once("close", settle);
  }

  // Handlers of incoming frames (TlsFrameHandler).

  onSettings(settings: TlsSettings): void {
    this.#peer = settings;
    const { idleMs, keepAliveMs, scheduler } = this.#options;
    if (settings.idleMs < idleMs) this.#watchSilence(settings.idleMs);
    if (keepAliveMs !== undefined) {
      const beat = () => {
        this.#send(beatFrame("ping"));
        this.#timers.set("beat", scheduler.after(keepAliveMs, beat));
      };
      this.#timers.set("beat", scheduler.after(keepAliveMs, beat));
    }
    this.#readying.resolve();
  }

  onData(id: number, bytes: Uint8Array): void {
    const stream = this.#streams.get(id) ?? this.#arrive(id);
    if (stream?.onData(bytes) === false) {
      throw new RegistryError(
        "malformed",
        `Stream ${id} received more bytes than its window allows`,
      );
    }
  }

  onCredit(id: number, bytes: number): void {
    if (this.#streams.get(id)?.onCredit(bytes) === false) {
      throw new RegistryError("malformed", `Stream ${id} received too much credit`);
    }
  }

  onReset(id: number): void {
    this.#streams.get(id)?.onReset();
    this.#streams.delete(id);
  }

  onClose(closeCode: number, message: string): void {
    const code = closeCode === 0 ? "connection_lost" : errorCodeFromWire(closeCode);
    this.#finish();
    this.#readying.reject(new RegistryError(code, `The peer closed the session: ${message}`));
    this.#closing.resolve({ closeCode, reason: message });
    this.#socket.end();
    const { scheduler } = this.#options;
    const timer = scheduler.after(GOODBYE_WRITES_MS_MAX, () => this.#socket.destroy());
    this.#timers.set("destroy", timer);
  }

  onPing(): void {
    this.#send(beatFrame("pong"));
  }

  // Outgoing frames (TlsStreamPort).

  sendData(id: number, bytes: Uint8Array): void {
    this.#send(dataFrame(id, bytes));
  }

  sendCredit(id: number, bytes: number): void {
    this.#send(creditFrame(id, bytes));
  }

  reset(id: number): void {
    if (this.#streams.delete(id)) this.#send(resetFrame(id));
  }

  room(): Promise<void> | undefined {
    if (this.#over || !this.#socket.writableNeedDrain) return undefined;
    this.#draining ??= Promise.withResolvers();
    return this.#draining.promise;
  }

  #send(frame: Uint8Array): void {
    if (this.#over) return;
    this.#socket.write(frame);
    if (this.#socket.writableLength > TLS_OUTPUT_BYTES_MAX) {
      this.#lose("the peer sends and does not read");
    }
  }

  #onDrain(): void {
    this.#draining?.resolve();
    this.#draining = undefined;
  }

  #onBytes(chunk: Uint8Array): void {
    // After the end, incoming data is read and dropped, so that the close frame gets through.
    if (this.#over) return;
    this.#heard = true;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      const { code, message } = toRegistryError(error);
      this.close(errorCodeToWire(code), message);
    }
  }

  /**
   * Opens a stream at the peer's first bytes; `undefined` for a stream that was reset here already.
   */
  #arrive(id: number): TlsStreamEnd | undefined {
    const { dialed, streamsMax } = this.#options;
    const isMine = (id % 2 === 1) === dialed;
    if (isMine ? id < this.#nextStream : id <= this.#peerStream) return undefined;
    if (isMine) throw new RegistryError("malformed", `Stream ${id} may not be opened by the peer`);
    this.#peerStream = id;
    if (this.#count(!dialed) >= streamsMax || (this.#arriving.desiredSize ?? 0) <= 0) {
      throw new RegistryError("malformed", "The peer opened too many streams");
    }
    const stream = this.#newStream(id);
    this.#arriving.enqueue(stream.pair);
    return stream;
  }

  /** Returns the number of open streams opened by one side. */
  #count(byDialer: boolean): number {
    let count = 0;
    for (const id of this.#streams.keys()) if ((id % 2 === 1) === byDialer) count++;
    return count;
  }

  #newStream(id: number): TlsStreamEnd {
    const stream = new TlsStreamEnd({
      id,
      port: this,
      creditBytes: this.#peer?.windowBytes ?? 0,
      windowBytes: TLS_STREAM_WINDOW_BYTES,
    });
    this.#streams.set(id, stream);
    return stream;
  }

  /** Counts the consecutive intervals of the idle time without data, which needs no clock. */
  #watchSilence(idleMs: number): void {
    this.#timers.get("idle")?.cancel();
    this.#quietParts = 0;
    const look = () => {
      this.#quietParts = this.#heard ? 0 : this.#quietParts + 1;
      this.#heard = false;
      if (this.#quietParts >= IDLE_PARTS) return this.#lose("timed out");
      this.#timers.set("idle", this.#options.scheduler.after(idleMs / IDLE_PARTS, look));
    };
    look();
  }

  #lose(reason: string): void {
    if (!this.#over) {
      this.#finish();
      const error = new RegistryError("connection_lost", reason);
      this.#readying.reject(error);
      this.#closing.reject(error);
    }
    this.#socket.destroy();
  }

  #onSocketClose(): void {
    this.#lose("the connection ended without a goodbye");
    this.#timers.get("destroy")?.cancel();
  }

  /** Ends everything attached to the connection, except the socket. */
  #finish(): void {
    this.#over = true;
    this.#reader.stop();
    this.#timers.get("idle")?.cancel();
    this.#timers.get("beat")?.cancel();
    this.#onDrain();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.fail();
    this.#arriving.close();
  }
}
