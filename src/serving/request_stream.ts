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
import { type ErrorCode, type RegistryError, toRegistryError } from "../base/errors.ts";
import {
  IDLE_READ_BYTES,
  PEER_STALL_MS,
  REPLY_BACKLOG_BYTES_HIGH,
  REPLY_WRITE_BYTES_MAX,
  REQUEST_FRAME_BYTES_MAX,
  WATCH_BACKLOG_BYTES,
  WRITES_OF_STREAM,
} from "../base/limits.ts";
import { type ControlMessage, isControlFrame, writeControl } from "../wire/control.ts";
import { FrameAssembler } from "../wire/frame_assembler.ts";
import { Outbox } from "../../transport/outbox.ts";
import type { OwnedBytes, Stream } from "../../transport/transport.ts";
import type { Caller } from "./caller.ts";
import { DeferredFrames } from "./deferred_frames.ts";
import { type FirstStreamOwner, takeControl } from "./first_stream.ts";
import type { RequestStreamOptions, SharedRequestParts } from "./request_parts.ts";
import type { SessionAccount } from "./session_budget.ts";
import { PeerStall } from "./peer_stall.ts";
import type { Watched } from "./stall_watch.ts";
import { nextReadBuffer } from "./stream_buffer.ts";
import { WaitingLists } from "./waiting_lists.ts";
import type { WatchStream, WatchStreamEvents } from "./watch/watch_stream.ts";

/** Handler of the requests of all streams. */
export interface RequestHandler {
  /**
   * Serves one request, synchronously or later; always answers, exactly once, through `stream`. The
   * view and its bytes are valid during the call only.
   */
  serve(request: RequestView, stream: RequestStream): void;
}

/** The services that all request streams of a node share. */
export type RequestServices = SharedRequestParts & { readonly handler: RequestHandler };

/** The request being served; one view for all streams, as it is valid during the call only. */
const REQUEST = requestCodec.newView();
const REQUEST_LIMITS = { frameBytesMax: REQUEST_FRAME_BYTES_MAX, segmentsMax: 1 };

/**
 * One request stream, from its first byte to its last. While it is idle it holds a pending read and
 * little else: there is one in every session.
 */
export class RequestStream implements Watched, WatchStream {
  readonly caller: Caller;
  /** Arrival time of the chunk being served, monotonic ms. */
  arrivedMs = 0;
  /** Time at which its requests are served: later if they waited for the peer to read. */
  servedMs = 0;
  /** Number of requests accepted and not yet answered. */
  inFlight = 0;
  readonly #services: RequestServices;
  readonly #stream: Stream;
  readonly #account: SessionAccount;
  readonly #owner: FirstStreamOwner | undefined;
  /** Settles the promise of {@link run}. */
  #settle: ((reason: unknown) => void) | undefined;
  /** Absent while there are no replies. */
  #outbox: Outbox | undefined;
  /** Absent while there is no frame. */
  #assembler: FrameAssembler | undefined;
  /** Told what concerns the watches that the stream carries. */
  #watches: WatchStreamEvents | undefined;
  /** Makes the message that waits until the peer has read. */
  #owedMessage: (() => ControlMessage) | undefined;
  /** Bytes counted in the account. */
  #repliesBytes = 0;
  #frameBytes = 0;
  /** Number of requests received since the start, that is of finished frames. */
  #requests = 0;
  /** Present while the stream holds something, and is therefore looked at. */
  #stall: PeerStall | undefined;
  #lists: WaitingLists | undefined;
  /** True while it waits for its peer, and reads nothing. */
  #isWaiting = false;
  #isOver = false;
  /** Copied frames of the chunk that wait: until the peer has read, or for the turn of a write. */
  #deferred: DeferredFrames | undefined;
  #inChunk = false;

  constructor(services: RequestServices, options: RequestStreamOptions) {
    this.#services = services;
    this.#stream = options.stream;
    this.caller = options.caller;
    this.#account = options.account;
    this.#owner = options.owner;
  }

  /** True while a large answer may be made, as the peer reads what it is sent. */
  get hasRoom(): boolean {
    return !this.#account.isFull && this.#pendingBytes < REPLY_BACKLOG_BYTES_HIGH;
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
    return !this.#account.isFull && this.#pendingBytes < WATCH_BACKLOG_BYTES;
  }

  /** Implements {@link WatchStream.carry}. */
  carry(events: WatchStreamEvents | undefined): void {
    this.#watches = events;
  }

  /** Implements {@link WatchStream.push}. */
  push(): void {
    if (this.#inChunk) return;
    this.#outbox?.flush();
    this.#countHeld();
  }

  /** Registers a list that waits for its turn; at LISTS_WAITING_MAX of them, reading stops. */
  listBegun(): void {
    (this.#lists ??= new WaitingLists()).begun();
  }

  /** Unregisters a list that was answered. */
  listEnded(): void {
    this.#lists?.ended();
  }

  /** Writer to which a reply is appended, before the call of {@link answered}. */
  get writer(): Outbox["writer"] {
    return (this.#outbox ??= this.#newOutbox()).writer;
  }

  #newOutbox(): Outbox {
    return new Outbox(this.#stream, {
      bytesMax: this.#account.limits.streamRepliesMax,
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

  get #pendingBytes(): number {
    return this.#outbox === undefined ? 0 : this.#outbox.pendingBytes;
  }

  /**
   * Counts a request as answered and sends the appended reply: with its chunk, or immediately if
   * the request is answered later.
   *
   * @param arrivedMs arrival time of the request.
   */
  answered(operationId: number, code: "ok" | ErrorCode, arrivedMs: number): void {
    this.inFlight--;
    const { answered, observer, clock, writes } = this.#services;
    writes?.answered(operationId);
    if (this.#inChunk) return answered.add(operationId, code);
    observer.requestDone(operationId, code, clock.nowMs() - arrivedMs);
    this.push();
  }

  /** Answers with an error, and sends it as {@link answered} does. Never throws. */
  refuse(
    requestId: number,
    error: RegistryError,
    operationId: number,
    arrivedMs: number,
  ): void {
    const { replies } = this.#services;
    replies.begin(requestId);
    try {
      replies.refusal(this.writer, error.code, error.message, error.fields);
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
    const { writer } = this;
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
   * the peer broke the framing. A session's first stream calls {@link begin} instead.
   */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settle = (reason) => reason === undefined ? resolve() : reject(reason);
      this.begin();
    });
  }

  /** Starts to read and to serve; the owner is told the end. */
  begin(): void {
    const buffer = new Uint8Array(IDLE_READ_BYTES);
    if (this.#isBlocked) void this.#resume(buffer);
    else this.#read(buffer);
  }

  #read(into: OwnedBytes): void {
    if (this.#account.isClosed) return this.#end(undefined);
    this.#stream.read(into).then(this.#onChunk, this.#end);
  }

  readonly #onChunk = (chunk: OwnedBytes | undefined): void => {
    if (chunk === undefined) return this.#end(undefined);
    try {
      this.arrivedMs = this.#services.clock.nowMs();
      const assembler = this.#assembler ??= new FrameAssembler(REQUEST_LIMITS);
      this.#serve(() => assembler.push(chunk, this.#serveFrame));
    } catch (error) {
      return this.#end(error);
    }
    const buffer = nextReadBuffer(chunk);
    if (this.#deferred !== undefined || this.#isBlocked) void this.#resume(buffer);
    else this.#read(buffer);
  };

  /** Reads again once deferred requests were served and there is room. Never rejects. */
  async #resume(into: OwnedBytes): Promise<void> {
    try {
      while (this.#deferred !== undefined && !this.#account.isClosed) await this.#serveDeferred();
      if (this.#isBlocked) await this.#unblocked();
    } catch (error) {
      return this.#end(error);
    }
    this.#read(into);
  }

  readonly #end = (reason: unknown): void => {
    this.#isOver = true;
    this.#watches?.over();
    this.#account.change(-this.#repliesBytes, -this.#frameBytes);
    this.#repliesBytes = this.#frameBytes = 0;
    if (this.#owner !== undefined) this.#owner.firstStreamEnded(reason);
    else this.#settle?.(reason);
  };

  /** Implements {@link Watched.look}: ends the session of a peer that stalls for too long. */
  look(nowMs: number): boolean {
    this.#countHeld();
    const isFrameDue = this.#frameBytes > 0 && !this.#isWaiting;
    const stall = this.#stall?.look(nowMs, {
      writes: this.#repliesBytes > 0 ? this.#outbox?.writes : undefined,
      requests: isFrameDue ? this.#requests : undefined,
    });
    if (stall === "replies") this.#repliesStalled();
    if (stall === "frame") {
      this.#account.end("frame_not_finished", "deadline_exceeded", FRAME_LATE);
    }
    if (this.#isOver || this.#repliesBytes + this.#frameBytes === 0) this.#rest();
    return this.#stall !== undefined;
  }

  /** Ends the session of a peer that takes no replies, or only the stream if they are of watches. */
  #repliesStalled(): void {
    if (this.#watches === undefined) {
      return this.#account.end("replies_not_taken", "deadline_exceeded", REPLIES_LATE);
    }
    this.#watches.stalled();
    this.#stream.abort();
  }

  /** Releases what only a stream in use needs. */
  #rest(): void {
    this.#stall = undefined;
    if (this.#assembler?.partialBytes === 0) this.#assembler = undefined;
    if (this.#outbox?.isIdle !== true) return;
    this.#outbox = undefined;
    this.#stream.rest?.();
  }

  /** Updates the account with the bytes that the stream holds. */
  #countHeld(): void {
    if (this.#isOver) return;
    const repliesBytes = this.#pendingBytes;
    const frameBytes = this.#assembler === undefined ? 0 : this.#assembler.partialBytes;
    if (repliesBytes === this.#repliesBytes && frameBytes === this.#frameBytes) return;
    const repliesChange = repliesBytes - this.#repliesBytes;
    const frameChange = frameBytes - this.#frameBytes;
    this.#repliesBytes = repliesBytes;
    this.#frameBytes = frameBytes;
    if (this.#stall === undefined) {
      this.#stall = new PeerStall();
      this.#services.watch.add(this);
    }
    this.#account.change(repliesChange, frameChange);
  }

  get #isBlocked(): boolean {
    return this.#account.isFull || (this.#lists !== undefined && this.#lists.areMost);
  }

  /** True if further requests must wait: small ones may produce more than the peer is reading. */
  get #mustDefer(): boolean {
    return this.#pendingBytes > REPLY_BACKLOG_BYTES_HIGH || this.#isBlocked;
  }

  /** Waits until the peer has read enough replies, and enough of its lists were served. */
  async #unblocked(): Promise<void> {
    this.#isWaiting = true;
    while (this.#isBlocked && !this.#isOver) {
      await (this.#account.isFull ? this.#account.room() : this.#lists?.served());
    }
    this.#isWaiting = false;
  }

  /** Serves deferred requests once the peer has read, until replies reach the limit again. */
  async #serveDeferred(): Promise<void> {
    await this.#unblocked();
    this.#serveSome(Infinity);
    if (this.#deferred === undefined || this.#mustDefer) return;
    const { owner = this.#account } = this.#account;
    await this.#services.writes!.inTurns(owner, () => {
      this.#serveSome(WRITES_OF_STREAM);
      return this.#deferred !== undefined && !this.#mustDefer;
    });
  }

  /** Serves at most `max` deferred requests, as far as they may be served now. */
  #serveSome(max: number): void {
    this.#serve(() =>
      this.#deferred?.serve(max, (bytes) =>
        !this.#mustDefer && !this.isOver &&
        this.#serveNow(new DataView(bytes.buffer), bytes, 0, bytes.length))
    );
    if (this.#deferred?.isEmpty === true || this.isOver) this.#deferred = undefined;
  }

  /** Serves requests whose replies are sent together. */
  #serve(requests: () => void): void {
    const { clock, answered, observer } = this.#services;
    this.#inChunk = true;
    try {
      clock.hold(() => {
        this.servedMs = clock.nowMs();
        this.caller.bucket.refill(this.servedMs);
        requests();
      });
    } finally {
      this.#inChunk = false;
      this.#outbox?.flush();
      this.#countHeld();
      answered.observe(observer, clock.nowMs() - this.arrivedMs);
    }
  }

  readonly #serveFrame = (view: DataView, bytes: Uint8Array, start: number, end: number): void => {
    if (this.#owner !== undefined && isControlFrame(view, start)) {
      this.#requests++;
      // It overtakes deferred requests, as a goodbye ends them too.
      return takeControl(this.#owner, view, bytes, start, end);
    }
    // Deferred frames are served first.
    const mustWait = this.#deferred !== undefined || this.#mustDefer;
    if (!mustWait && this.#serveNow(view, bytes, start, end)) return;
    (this.#deferred ??= new DeferredFrames()).push(bytes.slice(start, end));
  };

  /** Returns false for a write that must wait for its turn. */
  #serveNow(view: DataView, bytes: Uint8Array, start: number, end: number): boolean {
    const { handler, writes } = this.#services;
    const request = REQUEST;
    let requestId = 0;
    this.#requests++;
    this.inFlight++;
    try {
      request.wrap(view, bytes, start + 8, end);
      requestId = request.id;
      if (writes?.mayServe(request.operation, this.arrivedMs) === false) {
        this.#requests--;
        this.inFlight--;
        return false;
      }
      handler.serve(request, this);
    } catch (error) {
      this.refuse(requestId, toRegistryError(error), request.operation, this.arrivedMs);
    }
    return true;
  }
}

const REPLIES_LATE = `Replies must be read within ${PEER_STALL_MS} ms: none of them was`;
const FRAME_LATE = `A request's frame must be complete within ${PEER_STALL_MS} ms: it was not`;
