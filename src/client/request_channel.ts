/**
 * One stream of a connection that carries requests: encodes calls, sends all those of a turn in one
 * write, and passes each reply to its call. The first stream of a session carries control frames
 * too.
 */
import {
  homeRegionCodec,
  requestCodec,
  responseCodec,
  type ResponseView,
} from "../../schemas/gen/wire.ts";
import {
  errorCodeFromWire,
  type ErrorFields,
  RegistryError,
  toRegistryError,
} from "../base/errors.ts";
import {
  CLIENT_OUTBOX_BYTES,
  CLIENT_READ_BYTES_MIN,
  REQUEST_FRAME_BYTES_MAX,
  REQUEST_TIMEOUT_MS_MAX,
} from "../base/limits.ts";
import type { RingEpoch } from "../ring/ring_map.ts";
import { type ControlMessage, isControlFrame, readControl, writeControl } from "../wire/control.ts";
import { FrameAssembler } from "../wire/frame_assembler.ts";
import { Outbox } from "../../transport/outbox.ts";
import type { OwnedBytes, Stream } from "../../transport/transport.ts";
import { type Call, MORE_REPLIES } from "./call.ts";
import { SERVER_FRAME_LIMITS } from "./greeting.ts";
import { notEncoded } from "./not_encoded.ts";
import { PendingTable } from "./pending.ts";
import { nextReplyBuffer } from "./read_buffer.ts";
import type { GatheredStream, WriteTurns } from "./write_turns.ts";

/** The header of a request; one object is reused for all requests of a connection. */
export interface RequestHeader {
  id: number;
  timeoutMs: number;
  ringEpoch: RingEpoch;
  maxStalenessMs: number;
  operation: number;
  delegation: number;
}

/** Callbacks of a channel to its connection. */
export interface ChannelOwner {
  /** Bytes arrived. */
  heard(): void;
  answered(call: Call, value: unknown): void;
  refused(call: Call, error: RegistryError): void;
  /**
   * A reply arrived that more will follow; the call is now due at the time returned. Absent if each
   * request gets one reply.
   */
  readonly continued?: ((call: Call) => number) | undefined;
  /** A control message arrived; only on the first stream. */
  control(message: ControlMessage): void;
  /** A chunk of replies was passed on. */
  served(): void;
  /** Resolves in the next turn of the event loop. */
  nextTurn(): Promise<void>;
}

/** Parameters of a {@link RequestChannel}. */
export interface ChannelOptions {
  /** The stream, or the stream that is being opened; requests wait for it. */
  readonly stream: Stream | Promise<Stream>;
  /** The assembler of the first stream, which carries control frames too. */
  readonly assembler?: FrameAssembler;
  /** The turns of all streams of the client. */
  readonly turns: WriteTurns;
  readonly header: RequestHeader;
  /** Maximum number of requests in flight. */
  readonly capacity: number;
  /** Bits of a request's id that number its place. Default: as many as most streams need. */
  readonly slotBits?: number | undefined;
  /** Maximum size of a request's frame. */
  readonly frameBytesMax: number;
  readonly owner: ChannelOwner;
  /** Called once, when a write fails. */
  readonly onFailure: (error: RegistryError) => void;
}

/** The requests and replies of one stream. */
export class RequestChannel implements GatheredStream {
  /** The requests in flight on this stream. */
  readonly table: PendingTable;
  readonly #stream: Stream | Promise<Stream>;
  readonly #outbox: Outbox;
  readonly #assembler: FrameAssembler;
  readonly #isFirst: boolean;
  readonly #response: ResponseView = responseCodec.newView();
  readonly #header: RequestHeader;
  readonly #frameBytesMax: number;
  readonly #owner: ChannelOwner;
  readonly #turns: WriteTurns;
  #flushing = false;
  #isOver = false;

  constructor(options: ChannelOptions) {
    const { stream } = options;
    this.#stream = stream;
    this.#isFirst = options.assembler !== undefined;
    this.#assembler = options.assembler ?? new FrameAssembler(SERVER_FRAME_LIMITS);
    this.#header = options.header;
    this.#frameBytesMax = options.frameBytesMax;
    this.#owner = options.owner;
    this.#turns = options.turns;
    this.#turns.add(this);
    this.table = new PendingTable(options.capacity, options.slotBits);
    const sink = stream instanceof Promise
      ? { write: async (bytes: Uint8Array) => await (await stream).write(bytes) }
      : stream;
    this.#outbox = new Outbox(sink, {
      bytesMax: CLIENT_OUTBOX_BYTES + 2 * REQUEST_FRAME_BYTES_MAX,
      onFailure: options.onFailure,
    });
  }

  /** Bytes of requests that wait for the write in progress. */
  get gatheredBytes(): number {
    return this.#outbox.gatheredBytes;
  }

  /** Resolves when at most `bytes` of requests are waiting. */
  drained(bytes: number): Promise<void> {
    return this.#outbox.drained(bytes);
  }

  /**
   * Sends `call` together with the other requests of this turn; see {@link WriteTurns}.
   *
   * @throws RegistryError `too_large` or `invalid_argument` if the call can never be sent,
   * `overloaded` if too many are in flight.
   */
  send(call: Call, nowMs: number): void {
    if (this.table.full) throw tooManyInFlight(this.table.capacity);
    const out = this.#outbox.writer;
    const start = out.length;
    const header = this.#header;
    header.id = this.table.add(call);
    header.timeoutMs = requestTimeoutMs(call.deadlineMs - nowMs);
    header.maxStalenessMs = call.maxStalenessMs;
    header.operation = call.operation.id;
    header.delegation = call.delegationId;
    try {
      requestCodec.write(out, header, call.operation.request, call.body);
      const size = out.length - start;
      if (size > this.#frameBytesMax) {
        out.truncate(start);
        throw new RegistryError(
          "too_large",
          `Request must have at most ${this.#frameBytesMax} bytes: it has ${size}`,
        );
      }
    } catch (error) {
      this.table.take(header.id);
      throw notEncoded(error);
    }
    if (this.#flushing) return;
    this.#flushing = true;
    this.#turns.want(this);
  }

  /** The number of requests in flight on this stream. */
  get inFlight(): number {
    return this.table.count;
  }

  /** Sends the requests that wait; called by the {@link WriteTurns}. */
  flush(): void {
    this.#flushing = false;
    this.#outbox.flush();
  }

  /** Sends a control message behind the requests of this turn. */
  say(message: ControlMessage): void {
    writeControl(this.#outbox.writer, message);
    this.#outbox.flush();
  }

  /** Reads replies until the stream ends, which rejects: `connection_lost`, `malformed`. */
  async run(): Promise<void> {
    const stream = await this.#stream;
    let buffer: OwnedBytes = new Uint8Array(CLIENT_READ_BYTES_MIN);
    for (;;) {
      const chunk = await stream.read(buffer);
      if (chunk === undefined) {
        throw new RegistryError("connection_lost", "The server ended a stream of the session");
      }
      if (this.#isOver) return;
      this.#owner.heard();
      this.#turns.heard();
      const due = this.#turns.inFlight;
      const inFlight = this.table.count;
      this.#assembler.push(chunk, this.#takeFrame);
      const answered = inFlight - this.table.count;
      this.#owner.served();
      // The buffer was full, so more data has arrived. Yields a turn first, so that new requests
      // are sent before the next read; otherwise the server would wait for them.
      if (chunk.length === chunk.buffer.byteLength) await this.#owner.nextTurn();
      buffer = nextReplyBuffer(chunk, answered, due);
    }
  }

  /** Drops what arrives from now on. */
  close(): void {
    this.#isOver = true;
    this.#turns.remove(this);
  }

  readonly #takeFrame = (view: DataView, bytes: Uint8Array, start: number, end: number): void => {
    if (this.#isFirst && isControlFrame(view, start)) {
      const message = readControl(view, bytes, start, end);
      if (message !== undefined) this.#owner.control(message);
      return;
    }
    const response = this.#response.wrap(view, bytes, start + 8, end);
    const { id, code } = response;
    const { continued } = this.#owner;
    const isLast = code !== 0 || continued === undefined;
    const call = isLast ? this.table.take(id) : this.table.peek(id);
    // A late reply to an abandoned call, or a reply to an unknown id.
    if (call === undefined) return;
    if (code !== 0) {
      this.#owner.refused(call, errorOf(response));
      return;
    }
    let value: unknown;
    try {
      value = call.decode(response, view, bytes);
    } catch (error) {
      this.#owner.refused(call, toRegistryError(error));
      throw error;
    }
    if (!isLast) {
      if (value === MORE_REPLIES) {
        this.table.postpone(call, continued(call));
        return;
      }
      this.table.take(id);
    }
    this.#owner.answered(call, value);
  };
}

function tooManyInFlight(capacity: number): RegistryError {
  return new RegistryError(
    "overloaded",
    `Requests in flight on one stream must be at most ${capacity}: cannot send another`,
  );
}

function requestTimeoutMs(leftMs: number): number {
  return Math.min(Math.max(1, Math.ceil(leftMs)), REQUEST_TIMEOUT_MS_MAX);
}

/** Builds the error that a refusal describes. */
function errorOf(response: ResponseView): RegistryError {
  const code = errorCodeFromWire(response.code);
  const { message, field, retryAfterMs, cacheMs, leaderHint, currentGeneration } = response;
  const fields: { -readonly [K in keyof ErrorFields]: ErrorFields[K] } = {};
  if (field !== "") fields.field = field;
  if (retryAfterMs > 0) fields.retryAfterMs = retryAfterMs;
  if (cacheMs > 0) fields.cacheMs = cacheMs;
  if (leaderHint > 0) {
    fields.leaderHint = leaderHint;
    if (response.leaderTerm > 0) fields.leaderTerm = response.leaderTerm;
  }
  if (currentGeneration > 0 || response.currentIndex > 0) {
    fields.incarnation = { generation: currentGeneration, index: response.currentIndex };
  }
  if (code === "foreign_region" && response.hasBody) {
    fields.homeRegion = response.bodyInto(homeRegionCodec.newView()).name;
  }
  return new RegistryError(code, message || `The registry answered ${code}`, fields);
}
