/**
 * One stream of a session that carries requests: bytes in, requests out, replies back. The cost of
 * a stream is per wakeup, so all whole frames of a chunk are served in one turn and their replies
 * are sent in one write (ARCHITECTURE.md, the read path). A session's first stream carries control
 * frames too, in both directions.
 *
 * A complete but invalid frame is answered with its error code, and the stream continues; if
 * framing itself is lost, the stream ends. While a peer does not read its replies, nothing is read
 * from it and its received requests wait. A peer that takes no replies for too long, or does not
 * finish a frame, loses its session. Memory that a stream holds for its peer is counted in the
 * session's account.
 */
import { requestCodec, type RequestView } from "../../schemas/gen/wire.ts";
import { type ErrorCode, RegistryError, toRegistryError } from "../base/errors.ts";
import {
  HELLO_BYTES_MAX,
  IDLE_READ_BYTES,
  LISTS_WAITING_MAX,
  PEER_STALL_MS,
  REPLY_BACKLOG_BYTES_HIGH,
  REPLY_WRITE_BYTES_MAX,
  REQUEST_FRAME_BYTES_MAX,
  WATCH_BACKLOG_BYTES,
} from "../base/limits.ts";
import { type ControlMessage, isControlFrame, readControl, writeControl } from "../wire/control.ts";
import { FrameAssembler, type FrameHandler } from "../wire/frame_assembler.ts";
import { Outbox } from "../../transport/outbox.ts";
import type { OwnedBytes, Stream } from "../../transport/transport.ts";
import type { Caller } from "./caller.ts";
import type { HeldClock } from "./held_clock.ts";
import type { ReplyWriter } from "./reply_writer.ts";
import type { SessionAccount } from "./session_budget.ts";
import { nextReadBuffer } from "./stream_buffer.ts";
import { PeerStall } from "./peer_stall.ts";
import type { StallWatch, Watched } from "./stall_watch.ts";
import type { WatchStream, WatchStreamEvents } from "./watch/watch_stream.ts";

/** Observer of completed requests, such as the metrics. */
export interface RequestObserver {
  /** `code`: `ok` or an error code; `durationMs`: from the arrival of the chunk to the answer. */
  requestDone(operationId: number, code: "ok" | ErrorCode, durationMs: number): void;
}

/** Handler of the requests of all streams. */
export interface RequestHandler {
  /**
   * Serves one request, synchronously or later; always answers, exactly once, through `stream`. The
   * view and its bytes are valid during the call only.
   */
  serve(request: RequestView, stream: RequestStream): void;
}

/** Dependencies of a {@link RequestStream}. */
export interface RequestStreamOptions {
  readonly stream: Stream;
  readonly caller: Caller;
  readonly handler: RequestHandler;
  readonly replies: ReplyWriter;
  readonly clock: HeldClock;
  readonly observer: RequestObserver;
  /** Account of the stream's session. */
  readonly account: SessionAccount;
  readonly watch: StallWatch;
  /**
   * Receives the control messages of a session's first stream. It may throw, which ends the
   * session. Absent for the other streams, on which a control frame is a malformed request.
   */
  readonly onControl?: (message: ControlMessage) => void;
}

/** The request being served; one view for all streams, as it is valid during the call only. */
const REQUEST = requestCodec.newView();
const REQUEST_LIMITS = { frameBytesMax: REQUEST_FRAME_BYTES_MAX, segmentsMax: 1 };

/** One request stream, from its first byte to its last. */
export class RequestStream implements Watched, WatchStream {
  readonly caller: Caller;
  /** Arrival time of the chunk being served, monotonic ms. */
  arrivedMs = 0;
  /**
   * Time at which its requests are served, monotonic ms: later if they waited for the peer to read.
   */
  servedMs = 0;
  /** Number of requests accepted and not yet answered. */
  inFlight = 0;
  readonly #stream: Stream;
  readonly #outbox: Outbox;
  readonly #assembler = new FrameAssembler(REQUEST_LIMITS);
  readonly #handler: RequestHandler;
  readonly #replies: ReplyWriter;
  readonly #clock: HeldClock;
  readonly #observer: RequestObserver;
  readonly #account: SessionAccount;
  readonly #watch: StallWatch;
  readonly #onControl: ((message: ControlMessage) => void) | undefined;
  /** Told what concerns the watches that the stream carries. */
  #watches: WatchStreamEvents | undefined;
  /** Makes the message that waits until the peer has read. */
  #owedMessage: (() => ControlMessage) | undefined;
  /** Bytes counted in the account. */
  #repliesBytes = 0;
  #frameBytes = 0;
  /** Number of requests received since the start, that is of finished frames. */
  #requests = 0;
  #isWatched = false;
  readonly #stall = new PeerStall();
  /** Number of lists that wait for their turn. */
  #lists = 0;
  #listDone: (() => void) | undefined;
  /** True while the stream waits for its peer and therefore reads nothing. */
  #isWaiting = false;
  #isOver = false;
  /** Copied frames of the chunk that wait until the peer has read. */
  #deferred: Uint8Array[] = [];
  #inChunk = false;
  /** Requests answered in the chunk being served, whose replies are sent together. */
  readonly #answeredOperations: number[] = [];
  readonly #answeredCodes: ("ok" | ErrorCode)[] = [];

  constructor(options: RequestStreamOptions) {
    this.#stream = options.stream;
    this.caller = options.caller;
    this.#handler = options.handler;
    this.#replies = options.replies;
    this.#clock = options.clock;
    this.#observer = options.observer;
    this.#account = options.account;
    this.#watch = options.watch;
    this.#onControl = options.onControl;
    this.#outbox = new Outbox(options.stream, {
      bytesMax: options.account.limits.streamRepliesMax,
      writeBytesMax: REPLY_WRITE_BYTES_MAX,
      onTaken: () => {
        if (this.#owedMessage !== undefined && this.hasRoom) this.#sayOwed(this.#owedMessage);
        this.#countHeld();
        this.#watches?.taken();
      },
      onFailure: () => {
        this.#stream.abort();
        this.#countHeld();
      },
    });
  }

  /** True while a large answer may be made, as the peer reads what it is sent. */
  get hasRoom(): boolean {
    return !this.#account.isFull && this.#outbox.pendingBytes < REPLY_BACKLOG_BYTES_HIGH;
  }

  /** True once no peer waits for answers any more. */
  get isOver(): boolean {
    return this.#isOver || this.#account.isClosed;
  }

  /** Resolves when {@link hasRoom} may be true again, or the session is over. */
  room(): Promise<void> {
    return this.#account.room();
  }

  /** Implements {@link WatchStream.hasWatchRoom}. */
  get hasWatchRoom(): boolean {
    return !this.#account.isFull && this.#outbox.pendingBytes < WATCH_BACKLOG_BYTES;
  }

  /** Implements {@link WatchStream.carry}. */
  carry(events: WatchStreamEvents | undefined): void {
    this.#watches = events;
  }

  /** Implements {@link WatchStream.push}. */
  push(): void {
    if (this.#inChunk) return;
    this.#outbox.flush();
    this.#countHeld();
  }

  /** Registers a list that waits for its turn; at LISTS_WAITING_MAX of them, reading stops. */
  listBegun(): void {
    this.#lists++;
  }

  /** Unregisters a list that was answered. */
  listEnded(): void {
    this.#lists--;
    this.#listDone?.();
  }

  /** Writer to which a reply is appended, before the call of {@link answered}. */
  get writer(): Outbox["writer"] {
    return this.#outbox.writer;
  }

  /**
   * Counts a request as answered and sends the appended reply: with its chunk, or immediately if
   * the request is answered later.
   *
   * @param arrivedMs arrival time of the request.
   */
  answered(operationId: number, code: "ok" | ErrorCode, arrivedMs: number): void {
    this.inFlight--;
    if (this.#inChunk) {
      this.#answeredOperations.push(operationId);
      this.#answeredCodes.push(code);
      return;
    }
    this.#observer.requestDone(operationId, code, this.#clock.nowMs() - arrivedMs);
    this.#outbox.flush();
    this.#countHeld();
  }

  /** Answers with an error, and sends it as {@link answered} does. Never throws. */
  refuse(
    requestId: number,
    error: RegistryError,
    operationId: number,
    arrivedMs: number,
  ): void {
    this.#replies.begin(requestId);
    try {
      this.#replies.refusal(this.writer, error.code, error.message, error.fields);
    } catch {
      // Not even a refusal fits behind the replies that the peer has not read.
      return this.drop(operationId, error.code, arrivedMs);
    }
    this.answered(operationId, error.code, arrivedMs);
  }

  /**
   * Ends the stream because an answer does not fit. The peer cannot be told the outcome any more,
   * and must treat the outcome of all its outstanding requests as unknown.
   */
  drop(operationId: number, code: ErrorCode, arrivedMs: number): void {
    this.#stream.abort();
    this.answered(operationId, code, arrivedMs);
  }

  /** Sends a control message behind the replies already made, unless they leave no room for it. */
  say(message: ControlMessage): void {
    const { writer } = this.#outbox;
    const start = writer.length;
    try {
      writeControl(writer, message);
    } catch (error) {
      // Only a peer that reads nothing has so much pending; its session ends for that.
      writer.truncate(start);
      if (toRegistryError(error).code !== "too_large") throw error;
    }
    this.push();
  }

  /**
   * Sends a control message now, or once the peer has read enough replies. A message that is still
   * waiting is replaced by a later one.
   */
  sayWhenRoom(message: () => ControlMessage): void {
    if (this.hasRoom) this.#sayOwed(message);
    else this.#owedMessage = message;
  }

  #sayOwed(message: () => ControlMessage): void {
    this.#owedMessage = undefined;
    this.say(message());
  }

  /**
   * Reads and serves until the stream ends. Resolves then; rejects with the code that ended it if
   * the peer broke the framing.
   */
  async run(): Promise<void> {
    let buffer: OwnedBytes = new Uint8Array(IDLE_READ_BYTES);
    try {
      for (;;) {
        if (this.#isBlocked) await this.#unblocked();
        if (this.#account.isClosed) return;
        const chunk = await this.#stream.read(buffer);
        if (chunk === undefined) return;
        this.arrivedMs = this.#clock.nowMs();
        this.#serve(() => this.#assembler.push(chunk, this.#serveFrame));
        while (this.#deferred.length > 0 && !this.#account.isClosed) await this.#serveDeferred();
        buffer = nextReadBuffer(chunk);
      }
    } finally {
      this.#isOver = true;
      this.#watches?.over();
      this.#account.change(-this.#repliesBytes, -this.#frameBytes);
      this.#repliesBytes = this.#frameBytes = 0;
    }
  }

  /** Implements {@link Watched.look}: ends the session of a peer that stalls for too long. */
  look(nowMs: number): boolean {
    this.#countHeld();
    const isFrameDue = this.#frameBytes > 0 && !this.#isWaiting;
    const stall = this.#stall.look(nowMs, {
      writes: this.#repliesBytes > 0 ? this.#outbox.writes : undefined,
      requests: isFrameDue ? this.#requests : undefined,
    });
    if (stall === "replies") this.#repliesStalled();
    if (stall === "frame") {
      this.#account.end("frame_not_finished", "deadline_exceeded", FRAME_LATE);
    }
    if (this.#isOver || this.#repliesBytes + this.#frameBytes === 0) {
      this.#isWatched = false;
      this.#stall.rest();
      this.#outbox.trim();
    }
    return this.#isWatched;
  }

  /** Ends the session of a peer that takes no replies, or only the stream if they are of watches. */
  #repliesStalled(): void {
    if (this.#watches === undefined) {
      return this.#account.end("replies_not_taken", "deadline_exceeded", REPLIES_LATE);
    }
    this.#watches.stalled();
    this.#stream.abort();
  }

  /** Updates the account with the bytes that the stream holds. */
  #countHeld(): void {
    if (this.#isOver) return;
    const repliesBytes = this.#outbox.pendingBytes;
    const frameBytes = this.#assembler.partialBytes;
    if (repliesBytes === this.#repliesBytes && frameBytes === this.#frameBytes) return;
    const repliesChange = repliesBytes - this.#repliesBytes;
    const frameChange = frameBytes - this.#frameBytes;
    this.#repliesBytes = repliesBytes;
    this.#frameBytes = frameBytes;
    if (!this.#isWatched) {
      this.#isWatched = true;
      this.#watch.add(this);
    }
    this.#account.change(repliesChange, frameChange);
  }

  get #isBlocked(): boolean {
    return this.#account.isFull || this.#lists >= LISTS_WAITING_MAX;
  }

  /** True if further requests must wait: small ones may produce more than the peer is reading. */
  get #mustDefer(): boolean {
    return this.#outbox.pendingBytes > REPLY_BACKLOG_BYTES_HIGH || this.#isBlocked;
  }

  /** Waits until the peer has read enough replies, and enough of its lists were served. */
  async #unblocked(): Promise<void> {
    this.#isWaiting = true;
    while (this.#isBlocked && !this.#isOver) {
      if (this.#account.isFull) await this.#account.room();
      else await this.#listsServed();
    }
    this.#isWaiting = false;
  }

  /** Waits until half of the allowed lists remain, so that not every list wakes the stream. */
  async #listsServed(): Promise<void> {
    while (this.#lists > LISTS_WAITING_MAX / 2) {
      await new Promise<void>((resolve) => this.#listDone = resolve);
    }
  }

  /** Serves deferred requests once the peer has read, until replies reach the limit again. */
  async #serveDeferred(): Promise<void> {
    await this.#unblocked();
    const frames = this.#deferred;
    this.#serve(() => {
      let served = 0;
      for (; served < frames.length && !this.#mustDefer; served++) {
        const bytes = frames[served]!;
        this.#serveNow(new DataView(bytes.buffer), bytes, 0, bytes.length);
      }
      this.#deferred = frames.slice(served);
    });
  }

  /** Serves requests whose replies are sent together. */
  #serve(requests: () => void): void {
    this.#inChunk = true;
    try {
      this.#clock.hold(() => {
        this.servedMs = this.#clock.nowMs();
        this.caller.bucket.refill(this.servedMs);
        requests();
      });
    } finally {
      this.#inChunk = false;
      this.#outbox.flush();
      this.#countHeld();
      this.#countAnswered();
    }
  }

  /**
   * Observes the requests of a chunk; all have the same duration, as their replies are sent
   * together.
   */
  #countAnswered(): void {
    const durationMs = this.#clock.nowMs() - this.arrivedMs;
    const operations = this.#answeredOperations;
    for (let index = 0; index < operations.length; index++) {
      this.#observer.requestDone(operations[index]!, this.#answeredCodes[index]!, durationMs);
    }
    operations.length = this.#answeredCodes.length = 0;
  }

  readonly #serveFrame = (view: DataView, bytes: Uint8Array, start: number, end: number): void => {
    if (this.#onControl !== undefined && isControlFrame(view, start)) {
      return this.#takeControl(this.#onControl, view, bytes, start, end);
    }
    // Deferred frames are served first.
    if (this.#deferred.length > 0 || this.#mustDefer) {
      this.#deferred.push(bytes.slice(start, end));
    } else this.#serveNow(view, bytes, start, end);
  };

  /** Takes a control frame. It overtakes deferred requests, as a goodbye ends them too. */
  #takeControl(
    onControl: (message: ControlMessage) => void,
    ...[view, bytes, start, end]: Parameters<FrameHandler>
  ): void {
    if (end - start > HELLO_BYTES_MAX) {
      throw new RegistryError(
        "too_large",
        `Control frame must have at most ${HELLO_BYTES_MAX} bytes: it has ${end - start}`,
      );
    }
    this.#requests++;
    const message = readControl(view, bytes, start, end);
    if (message !== undefined) onControl(message);
  }

  #serveNow(view: DataView, bytes: Uint8Array, start: number, end: number): void {
    this.#requests++;
    this.inFlight++;
    const request = REQUEST;
    let requestId = 0;
    try {
      request.wrap(view, bytes, start + 8, end);
      requestId = request.id;
      this.#handler.serve(request, this);
    } catch (error) {
      this.refuse(requestId, toRegistryError(error), request.operation, this.arrivedMs);
    }
  }
}

const REPLIES_LATE = `Replies must be read within ${PEER_STALL_MS} ms: none of them was`;
const FRAME_LATE = `A request's frame must be complete within ${PEER_STALL_MS} ms: it was not`;
