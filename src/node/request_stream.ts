/**
 * One request stream of a session: bytes in, requests out, replies back. The cost of a stream is
 * per wakeup, so all whole frames of a chunk are served in one turn and their replies leave in one
 * write (ARCHITECTURE.md, the read path).
 *
 * A frame that is whole but wrong is answered with its code, and the stream goes on; where framing
 * itself is lost, the stream ends. A peer that does not read its replies is not read from.
 */
import { requestCodec, type RequestView } from "../../schemas/gen/wire.ts";
import { type RegistryError, toRegistryError } from "../base/errors.ts";
import {
  IDLE_READ_BYTES,
  REPLY_BACKLOG_BYTES_HIGH,
  REPLY_BACKLOG_BYTES_LOW,
  REPLY_BACKLOG_BYTES_MAX,
  REQUEST_FRAME_BYTES_MAX,
  STREAM_READ_BYTES_MAX,
} from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import { FrameAssembler } from "../wire/frame_assembler.ts";
import { Outbox } from "../../transport/outbox.ts";
import type { OwnedBytes, Stream } from "../../transport/transport.ts";
import type { Caller } from "./caller.ts";
import type { ReplyWriter } from "./reply_writer.ts";

/** Where requests of all streams go. */
export interface RequestHandler {
  /**
   * Serves one request, at once or later; always answers, exactly once, through `stream`. The view
   * and its bytes are valid during the call only.
   */
  serve(request: RequestView, stream: RequestStream): void;
}

/** One request stream, from its first byte to its last. */
export class RequestStream {
  readonly caller: Caller;
  /** When the chunk that is being served arrived, monotonic ms. */
  arrivedMs = 0;
  /** Requests that were taken and not yet answered. */
  inFlight = 0;
  readonly #stream: Stream;
  readonly #outbox: Outbox;
  readonly #assembler = new FrameAssembler({
    frameBytesMax: REQUEST_FRAME_BYTES_MAX,
    segmentsMax: 1,
  });
  readonly #request = requestCodec.newView();
  readonly #handler: RequestHandler;
  readonly #replies: ReplyWriter;
  readonly #clock: MonotonicClock;
  #inChunk = false;

  constructor(options: {
    stream: Stream;
    caller: Caller;
    handler: RequestHandler;
    replies: ReplyWriter;
    clock: MonotonicClock;
  }) {
    this.#stream = options.stream;
    this.caller = options.caller;
    this.#handler = options.handler;
    this.#replies = options.replies;
    this.#clock = options.clock;
    this.#outbox = new Outbox(options.stream, {
      bytesMax: REPLY_BACKLOG_BYTES_MAX,
      onFailure: () => options.stream.abort(),
    });
  }

  /** Where a reply is appended; {@link answered} comes after. */
  get writer(): Outbox["writer"] {
    return this.#outbox.writer;
  }

  /** Sends what was appended: with its chunk, or at once where the request was answered later. */
  answered(): void {
    this.inFlight--;
    if (!this.#inChunk) this.#outbox.flush();
  }

  /** Answers with an error, and sends it as {@link answered} does. */
  refuse(requestId: number, error: RegistryError): void {
    this.#replies.begin(requestId);
    this.#replies.refusal(this.writer, error.code, error.message, error.fields);
    this.answered();
  }

  /**
   * Reads and serves until the stream ends. Resolves then; rejects with the code that ended it when
   * the peer broke the framing.
   */
  async run(): Promise<void> {
    let buffer: OwnedBytes = new Uint8Array(IDLE_READ_BYTES);
    for (;;) {
      if (this.#outbox.gatheredBytes > REPLY_BACKLOG_BYTES_HIGH) {
        await this.#outbox.drained(REPLY_BACKLOG_BYTES_LOW);
      }
      const chunk = await this.#stream.read(buffer);
      if (chunk === undefined) return;
      this.#serveChunk(chunk);
      buffer = nextReadBuffer(chunk);
    }
  }

  #serveChunk(chunk: Uint8Array): void {
    this.arrivedMs = this.#clock.nowMs();
    this.caller.bucket.refill(this.arrivedMs);
    this.#inChunk = true;
    try {
      this.#assembler.push(chunk, this.#serveFrame);
    } finally {
      this.#inChunk = false;
      this.#outbox.flush();
    }
  }

  readonly #serveFrame = (view: DataView, bytes: Uint8Array, start: number, end: number): void => {
    this.inFlight++;
    const request = this.#request;
    let requestId = 0;
    try {
      request.wrap(view, bytes, start + 8, end);
      requestId = request.id;
      this.#handler.serve(request, this);
    } catch (error) {
      this.refuse(requestId, toRegistryError(error));
    }
  };
}

/** A read that filled its buffer asks for more next time; one that left it empty, for less. */
export function nextReadBuffer(chunk: OwnedBytes): OwnedBytes {
  const capacity = chunk.buffer.byteLength;
  if (chunk.length === capacity && capacity < STREAM_READ_BYTES_MAX) {
    return new Uint8Array(capacity * 4);
  }
  if (chunk.length * 16 < capacity && capacity > IDLE_READ_BYTES) {
    return new Uint8Array(capacity / 4);
  }
  return new Uint8Array(chunk.buffer);
}
