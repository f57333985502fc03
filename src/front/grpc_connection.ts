/**
 * One connection of the gRPC listener: a session of HTTP/2 with its limits of time and of reset calls.
 * The listener looks at it about once a second.
 */
import {
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import {
  GRPC_AGE_GRACE_MS,
  GRPC_AGE_MS_MAX,
  GRPC_DRAIN_MS,
  GRPC_HANDSHAKE_MS_MAX,
  GRPC_IDLE_MS_MAX,
  GRPC_PING_AFTER_MS,
  GRPC_PING_MS_MAX,
  GRPC_RESETS_BURST,
  GRPC_RESETS_PER_SECOND,
} from "../base/limits.ts";
import { TokenBucket } from "../base/token_bucket.ts";
import type { Scheduler, Timer, World } from "../base/world.ts";
import type { CallStream } from "../grpc/call_stream.ts";
import type { GrpcPeer } from "../grpc/callers.ts";
import { leafOf } from "../../transport/tls_peer.ts";
import { Http2CallStream } from "./http2_call_stream.ts";
import { guardSession } from "./session_guard.ts";

/** Turns of the event loop until an answer is written: its trailers two turns after its message. */
const ANSWER_TURNS = 3;

/** Options of {@link GrpcConnection}. */
export interface GrpcConnectionOptions {
  readonly session: ServerHttp2Session;
  /** The socket of the session, which the session's own `socket` does not let anybody end. */
  readonly socket: Socket | TLSSocket;
  readonly isTls: boolean;
  readonly serve: (stream: CallStream) => void;
  readonly world: Pick<World, "monotonic" | "scheduler" | "entropy">;
  /** Called when it begins and ends to have calls. */
  readonly busy: (connection: GrpcConnection) => void;
  readonly idle: (connection: GrpcConnection) => void;
  /** Called once, when the connection has ended. */
  readonly ended: (connection: GrpcConnection) => void;
}

/** A connection. */
export class GrpcConnection {
  readonly #options: GrpcConnectionOptions;
  readonly #session: ServerHttp2Session;
  readonly #gather: () => void;
  readonly #peer: GrpcPeer;
  readonly #startedMs: number;
  /** Its age at which it ends, ms; different for each, so that those of one moment do not end at once. */
  readonly #ageMsMax: number;
  readonly #resets: TokenBucket;
  #callCount = 0;
  /** When the peer last showed that it lives, and when it last had a call. */
  #heardMs: number;
  #busyMs: number;
  #pingedMs: number | undefined;
  #endingMs: number | undefined;
  #isOpen = false;
  /** Ends the socket of a session that has ended. */
  #cutting: Timer | undefined;

  constructor(options: GrpcConnectionOptions) {
    this.#options = options;
    const { session, socket, world, isTls } = options;
    const { monotonic, scheduler, entropy } = world;
    this.#session = session;
    guardSession(session, scheduler);
    const nowMs = monotonic.nowMs();
    this.#startedMs = nowMs;
    this.#heardMs = nowMs;
    this.#busyMs = nowMs;
    this.#ageMsMax = GRPC_AGE_MS_MAX * (0.9 + 0.2 * entropy.unit());
    this.#resets = new TokenBucket({
      ratePerSecond: GRPC_RESETS_PER_SECOND,
      burst: GRPC_RESETS_BURST,
      nowMs,
    });
    this.#peer = peerOf(socket, isTls);
    this.#gather = gathering(socket, scheduler);
    session.on("stream", (stream, headers) => this.#take(stream, headers));
    session.on("remoteSettings", () => this.#isOpen = true);
    session.on("close", () => options.ended(this));
    // `close` follows.
    session.on("error", () => {});
    socket.once("close", () => this.#cutting?.cancel());
  }

  /** Ends the connection once its calls have ended. */
  finish(): void {
    this.#endingMs ??= this.#options.world.monotonic.nowMs();
    this.#session.close();
  }

  /**
   * Drops the connection: its session at once, and its socket if that stays open. On Node the socket of
   * a session that has ended waits until the peer ends its side too and has read everything.
   */
  drop(): void {
    const { socket, world: { scheduler } } = this.#options;
    this.#session.destroy();
    this.#cutting ??= scheduler.after(GRPC_DRAIN_MS, () => socket.destroy());
  }

  /** Ends the connection if it is over one of its times. */
  look(): void {
    const nowMs = this.#options.world.monotonic.nowMs();
    if (this.#session.destroyed) return this.drop();
    if (!this.#isOpen && nowMs - this.#startedMs > GRPC_HANDSHAKE_MS_MAX) return this.drop();
    if (this.#endingMs !== undefined) {
      if (nowMs - this.#endingMs > GRPC_AGE_GRACE_MS) this.drop();
      return;
    }
    const isIdle = this.#callCount === 0 && nowMs - this.#busyMs > GRPC_IDLE_MS_MAX;
    if (isIdle || nowMs - this.#startedMs > this.#ageMsMax) return this.finish();
    if (this.#pingedMs !== undefined) {
      if (nowMs - this.#pingedMs > GRPC_PING_MS_MAX) this.drop();
    } else if (nowMs - this.#heardMs > GRPC_PING_AFTER_MS) this.#ping(nowMs);
  }

  #ping(nowMs: number): void {
    this.#pingedMs = nowMs;
    this.#session.ping((error) => {
      if (error !== null) return;
      this.#pingedMs = undefined;
      this.#heardMs = this.#options.world.monotonic.nowMs();
    });
  }

  #take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    this.#heardMs = this.#options.world.monotonic.nowMs();
    if (this.#callCount++ === 0) this.#options.busy(this);
    stream.once("close", () => this.#leave(stream));
    if (isGrpc(headers)) {
      return this.#options.serve(new Http2CallStream(stream, headers, this.#peer, this.#gather));
    }
    // The refusal of a caller that left reaches nobody.
    stream.on("error", () => {});
    stream.respond({ ":status": 415 }, { endStream: true });
    stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #leave({ rstCode }: ServerHttp2Stream): void {
    this.#busyMs = this.#options.world.monotonic.nowMs();
    if (--this.#callCount === 0) this.#options.idle(this);
    if (rstCode === undefined || rstCode === constants.NGHTTP2_NO_ERROR) return;
    this.#resets.refill(this.#busyMs);
    if (!this.#resets.take(1)) {
      this.#session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
  }
}

/**
 * Returns a function that keeps what is written to a socket for {@link ANSWER_TURNS}. The headers, the message
 * and the trailers of an answer, and all answers of these turns, then leave by one system call.
 */
function gathering(socket: Socket, scheduler: Scheduler): () => void {
  let turnsLeft = 0;
  const turn = (): void => {
    if (--turnsLeft > 0) scheduler.nextTurn(turn);
    else socket.uncork();
  };
  return () => {
    if (turnsLeft > 0) return;
    turnsLeft = ANSWER_TURNS;
    socket.cork();
    scheduler.nextTurn(turn);
  };
}

function isGrpc(headers: IncomingHttpHeaders): boolean {
  const { "content-type": type = "", ":method": method } = headers;
  return method === "POST" && /^application\/grpc(\+proto)?(;|$)/.test(type);
}

function peerOf(socket: Socket | TLSSocket, isTls: boolean): GrpcPeer {
  const address = socket.remoteAddress ?? "";
  const certificate = isTls ? leafOf(socket as TLSSocket) : undefined;
  return { address, isEncrypted: isTls, ...(certificate === undefined ? {} : { certificate }) };
}
