/**
 * Notices the end of a session of the library. Over HTTP/2 the library neither gives a silent peer up
 * nor tells a connection that broke from a session that was closed, so the connection is watched:
 * pings keep it alive, silence ends it, and a session counts as closed by the peer only where its
 * close capsule arrived.
 */
import type { Http2Session } from "node:http2";
import type { Scheduler, Timer } from "../../src/base/world.ts";
import type { CloseInfo } from "../carrier_session.ts";
import { type BytePair, ignore } from "../carrier_stream.ts";
import { wholePair } from "./library_stream.ts";
import type { LibrarySession } from "./webtransport_library.ts";

/** Options of {@link LibrarySessionLife}. */
export interface LibrarySessionLifeOptions {
  readonly idleMs: number;
  readonly keepAliveMs: number;
  readonly scheduler: Scheduler;
}

/** The life of one session. */
export class LibrarySessionLife {
  /** Resolves with what the closing side said; rejects when the connection was lost. */
  readonly closed: Promise<CloseInfo>;
  readonly #session: LibrarySession;
  #isClosedBySomebody = false;
  #broken: Error | undefined;
  #keepAlive: Timer | undefined;

  /**
   * @param connection the HTTP/2 connection of this one session; `undefined` over HTTP/3, whose own
   *   timers end a silent session.
   */
  constructor(
    session: LibrarySession,
    connection: Http2Session | undefined,
    options: LibrarySessionLifeOptions,
  ) {
    this.#session = session;
    this.closed = connection === undefined ? session.closed : this.#watch(connection, options);
    // Whoever needs the end asks for it; a session that nobody took yet must not end the process.
    this.closed.catch(ignore);
  }

  /** Closes the session; what the peer did not read yet is dropped. */
  close(closeCode: number, reason: string): void {
    this.#isClosedBySomebody = true;
    this.#session.close({ closeCode, reason });
  }

  async #watch(connection: Http2Session, options: LibrarySessionLifeOptions): Promise<CloseInfo> {
    this.#noteCloseCapsule();
    this.#ping(connection, options);
    connection.on("error", (error: Error) => this.#broken ??= error);
    connection.setTimeout(options.idleMs, () => {
      this.#broken ??= new Error("timed out");
      connection.destroy();
    });
    try {
      const info = await this.#session.closed;
      if (!this.#isClosedBySomebody) throw this.#broken ?? new Error("the connection broke");
      connection.close();
      return info;
    } catch (error) {
      connection.destroy();
      throw error;
    } finally {
      this.#keepAlive?.cancel();
    }
  }

  #noteCloseCapsule(): void {
    const parser = this.#session.objint?.capsParser;
    if (parser === undefined) throw new Error("The library's session has no capsule parser");
    const close = parser.onCloseWebTransportSession.bind(parser);
    parser.onCloseWebTransportSession = (info) => {
      this.#isClosedBySomebody = true;
      close(info);
    };
  }

  #ping(connection: Http2Session, options: LibrarySessionLifeOptions): void {
    this.#keepAlive = options.scheduler.after(options.keepAliveMs, () => {
      if (connection.closed || connection.destroyed) return;
      connection.ping(ignore);
      this.#ping(connection, options);
    });
  }
}

/**
 * Opens a stream of a session.
 *
 * @throws RangeError when the peer allows no more streams.
 */
export async function openStream(session: LibrarySession): Promise<BytePair> {
  try {
    return wholePair(session, await session.createBidirectionalStream());
  } catch (error) {
    if (error instanceof DOMException && error.name === "QuotaExceededError") {
      throw new RangeError("The peer allows no more streams", { cause: error });
    }
    throw error;
  }
}

/** The streams that the peer opens. */
export function incomingStreams(session: LibrarySession): ReadableStream<BytePair> {
  return session.incomingBidirectionalStreams.pipeThrough(
    new TransformStream({
      transform: (pair, controller) => controller.enqueue(wholePair(session, pair)),
    }),
  );
}
