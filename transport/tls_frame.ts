/**
 * The frames that multiplex streams over one TLS connection, with a header of eight bytes,
 * big-endian:
 *
 * ```
 * type 1 · payload length 3 · stream 4 · payload
 *
 * 1 settings  version 1 · idle ms 4 · window 4 · streams 2      first, once, from each side
 * 2 data      bytes of a stream; the first ones open it
 * 3 credit    bytes 4: the number of further bytes that may be sent on the stream
 * 4 reset     the stream is over, in both directions
 * 5 close     code 2 · message (UTF-8); nothing follows
 * 6 ping      answered by
 * 7 pong
 * ```
 *
 * The side that dialed opens odd streams, the other side even ones; each side's numbers increase.
 * Data is bounded by credit per stream. The reader delivers data as it arrives and buffers at most
 * one small frame, so its memory is bounded.
 */
import { RegistryError } from "../src/base/errors.ts";
import { CLOSE_MESSAGE_BYTES_MAX, TLS_FRAME_BYTES_MAX } from "../src/base/limits.ts";

/** Frame types. */
export const TLS_FRAME = {
  settings: 1,
  data: 2,
  credit: 3,
  reset: 4,
  close: 5,
  ping: 6,
  pong: 7,
} as const;

/** The settings that each side sends before anything else. */
export interface TlsSettings {
  /** Silence after which the sender gives the connection up, ms. */
  readonly idleMs: number;
  /** Bytes that may be sent on a stream before the first credit. */
  readonly windowBytes: number;
  /** Maximum number of streams that the other side may have open. */
  readonly streamsMax: number;
}

/** A handler of frames, called in their order. Views are valid only during the call. */
export interface TlsFrameHandler {
  onSettings(settings: TlsSettings): void;
  /** Handles part of a stream's bytes, at least one. */
  onData(stream: number, bytes: Uint8Array): void;
  onCredit(stream: number, bytes: number): void;
  onReset(stream: number): void;
  onClose(code: number, message: string): void;
  onPing(): void;
}

const VERSION = 1;
const HEADER_BYTES = 8;
const SETTINGS_BYTES = 11;
const CLOSE_BYTES_MAX = 2 + CLOSE_MESSAGE_BYTES_MAX;
/** Stream 0 is the connection itself. */
const CONNECTION = 0;

function frame(type: number, stream: number, payloadBytes: number): DataView<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + payloadBytes));
  view.setUint32(0, type * 2 ** 24 + payloadBytes);
  view.setUint32(4, stream);
  return view;
}

function bytesOf(view: DataView<ArrayBuffer>): Uint8Array {
  return new Uint8Array(view.buffer);
}

/** Returns a settings frame. */
export function settingsFrame({ idleMs, windowBytes, streamsMax }: TlsSettings): Uint8Array {
  const view = frame(TLS_FRAME.settings, CONNECTION, SETTINGS_BYTES);
  view.setUint8(8, VERSION);
  view.setUint32(9, idleMs);
  view.setUint32(13, windowBytes);
  view.setUint16(17, streamsMax);
  return bytesOf(view);
}

/** Returns a data frame with a copy of `bytes`, which are at most `TLS_FRAME_BYTES_MAX`. */
export function dataFrame(stream: number, bytes: Uint8Array): Uint8Array {
  const whole = bytesOf(frame(TLS_FRAME.data, stream, bytes.length));
  whole.set(bytes, HEADER_BYTES);
  return whole;
}

/** Returns a credit frame. */
export function creditFrame(stream: number, bytes: number): Uint8Array {
  const view = frame(TLS_FRAME.credit, stream, 4);
  view.setUint32(HEADER_BYTES, bytes);
  return bytesOf(view);
}

/** Returns a reset frame. */
export function resetFrame(stream: number): Uint8Array {
  return bytesOf(frame(TLS_FRAME.reset, stream, 0));
}

/** Returns a close frame; the caller has truncated the message. */
export function closeFrame(code: number, message: string): Uint8Array {
  const text = new TextEncoder().encode(message);
  const view = frame(TLS_FRAME.close, CONNECTION, 2 + text.length);
  view.setUint16(HEADER_BYTES, code);
  const whole = bytesOf(view);
  whole.set(text, HEADER_BYTES + 2);
  return whole;
}

/** Returns a ping or pong frame. */
export function beatFrame(type: "ping" | "pong"): Uint8Array {
  return bytesOf(frame(TLS_FRAME[type], CONNECTION, 0));
}

/** Splits the bytes of a connection into frames. */
export class TlsFrameReader {
  readonly #handler: TlsFrameHandler;
  /** The header, and the payload of all frames except data. */
  readonly #kept = new Uint8Array(HEADER_BYTES + CLOSE_BYTES_MAX);
  readonly #view = new DataView(this.#kept.buffer);
  #keptBytes = 0;
  /** Remaining bytes of the data frame in progress. */
  #dataLeft = 0;
  #dataStream = 0;
  #isSettled = false;
  #stopped = false;

  constructor(handler: TlsFrameHandler) {
    this.#handler = handler;
  }

  /** Delivers nothing more, not even from the current chunk. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Processes the next bytes.
   *
   * @throws RegistryError `malformed`, `too_large`, `unsupported_version`; the connection is then
   * lost.
   */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length && !this.#stopped;) {
      if (this.#dataLeft > 0) {
        const piece = chunk.subarray(at, at + this.#dataLeft);
        this.#dataLeft -= piece.length;
        at += piece.length;
        this.#handler.onData(this.#dataStream, piece);
        continue;
      }
      const wanted = this.#keptBytes < HEADER_BYTES
        ? HEADER_BYTES
        : HEADER_BYTES + this.#payloadBytes;
      const taken = chunk.subarray(at, at + wanted - this.#keptBytes);
      this.#kept.set(taken, this.#keptBytes);
      this.#keptBytes += taken.length;
      at += taken.length;
      if (this.#keptBytes < wanted) return;
      if (wanted === HEADER_BYTES) this.#onHeader();
      if (this.#keptBytes === HEADER_BYTES + this.#payloadBytes) this.#onFrame();
    }
  }

  get #payloadBytes(): number {
    return this.#view.getUint32(0) & 0xff_ffff;
  }

  get #stream(): number {
    return this.#view.getUint32(4);
  }

  /** Checks the header; for a data frame, starts delivering its bytes. */
  #onHeader(): void {
    const type = this.#kept[0]!;
    const length = this.#payloadBytes;
    if (!this.#isSettled && type !== TLS_FRAME.settings && type !== TLS_FRAME.close) {
      throw malformed(`The first frame must be settings: found type ${type}`);
    }
    const [min, max] = lengthsOf(type);
    if (length > max) {
      throw new RegistryError(
        "too_large",
        `Frame of type ${type} must have at most ${max} bytes: it has ${length}`,
      );
    }
    if (length < min) {
      throw malformed(`Frame of type ${type} must have at least ${min} bytes: it has ${length}`);
    }
    const isOfStream = type === TLS_FRAME.data || type === TLS_FRAME.credit ||
      type === TLS_FRAME.reset;
    if (isOfStream !== (this.#stream !== CONNECTION)) {
      throw malformed(`Frame of type ${type} must not name stream ${this.#stream}`);
    }
    if (type === TLS_FRAME.data) {
      this.#dataLeft = length;
      this.#dataStream = this.#stream;
      this.#keptBytes = 0;
    }
  }

  #onFrame(): void {
    const view = this.#view;
    const length = this.#payloadBytes;
    this.#keptBytes = 0;
    switch (this.#kept[0]) {
      case TLS_FRAME.settings:
        return this.#onSettings();
      case TLS_FRAME.credit:
        return this.#handler.onCredit(this.#stream, view.getUint32(HEADER_BYTES));
      case TLS_FRAME.reset:
        return this.#handler.onReset(this.#stream);
      case TLS_FRAME.close: {
        const text = this.#kept.subarray(HEADER_BYTES + 2, HEADER_BYTES + length);
        const message = new TextDecoder().decode(text);
        return this.#handler.onClose(view.getUint16(HEADER_BYTES), message);
      }
      case TLS_FRAME.ping:
        return this.#handler.onPing();
    }
  }

  #onSettings(): void {
    const view = this.#view;
    const version = view.getUint8(8);
    if (version !== VERSION) {
      throw new RegistryError(
        "unsupported_version",
        `Version must be ${VERSION}: current value is ${version}`,
      );
    }
    if (this.#isSettled) throw malformed("Settings must be sent only once");
    this.#isSettled = true;
    const idleMs = view.getUint32(9);
    if (idleMs === 0) throw malformed("Idle time of a connection must be above 0 ms: it is 0");
    this.#handler.onSettings({
      idleMs,
      windowBytes: view.getUint32(13),
      streamsMax: view.getUint16(17),
    });
  }
}

/** Returns the allowed payload sizes of a type, `[min, max]`. */
function lengthsOf(type: number): readonly [number, number] {
  switch (type) {
    case TLS_FRAME.settings:
      return [SETTINGS_BYTES, SETTINGS_BYTES];
    case TLS_FRAME.data:
      return [1, TLS_FRAME_BYTES_MAX];
    case TLS_FRAME.credit:
      return [4, 4];
    case TLS_FRAME.reset:
    case TLS_FRAME.ping:
    case TLS_FRAME.pong:
      return [0, 0];
    case TLS_FRAME.close:
      return [2, CLOSE_BYTES_MAX];
    default:
      throw malformed(`Frame type ${type} is unknown`);
  }
}

function malformed(message: string): RegistryError {
  return new RegistryError("malformed", message);
}
