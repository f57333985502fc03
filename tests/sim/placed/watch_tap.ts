/**
 * A tap on the sessions of a client: hears the requests and replies of watches as they cross the
 * wire, before the SDK drops what it has received already.
 */
import {
  askProgressRequestCodec,
  requestCodec,
  type Response,
  responseCodec,
  type WatchReply,
  watchReplyCodec,
  type WatchRequest,
  watchRequestCodec,
} from "../../../schemas/gen/wire.ts";
import { REQUEST_FRAME_BYTES_MAX, RESPONSE_FRAME_BYTES_MAX } from "../../../src/base/limits.ts";
import { FrameAssembler } from "../../../src/wire/frame_assembler.ts";
import { OPERATIONS } from "../../../src/wire/operations/mod.ts";
import type { Dialer, OwnedBytes, Session, Stream } from "../../../transport/transport.ts";

/** One watch as the tap hears it. Its methods may throw a `Finding`. */
export interface TappedWatch {
  /** A progress reply is asked for. */
  asked(nonce: number): void;
  replied(reply: WatchReply, receipts: Response["receipts"]): void;
  /** It is refused, or its stream has ended. */
  ended(): void;
}

/** Receives what the tap hears. */
export interface TapEars {
  /** A watch is asked for. */
  started(request: WatchRequest): TappedWatch;
  /** Runs what may find something. */
  guard(run: () => void): void;
}

/** Returns a dialer whose request streams are tapped. */
export function tapped(dialer: Dialer, ears: TapEars): Dialer {
  return {
    transport: dialer.transport,
    authenticatesPeers: dialer.authenticatesPeers,
    pinsServer: dialer.pinsServer,
    dial: async (endpoint, options) => tappedSession(await dialer.dial(endpoint, options), ears),
    close: () => dialer.close(),
  };
}

function tappedSession(session: Session, ears: TapEars): Session {
  return new Proxy(session, {
    get: (target, name) => {
      if (name === "open") {
        return async (kind: Stream["kind"]) => {
          const stream = await target.open(kind);
          return kind === "request" ? new TappedStream(stream, ears) : stream;
        };
      }
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A request stream that is listened to. */
class TappedStream implements Stream {
  readonly kind = "request";
  readonly #stream: Stream;
  readonly #ears: TapEars;
  readonly #out = new FrameAssembler({ frameBytesMax: REQUEST_FRAME_BYTES_MAX, segmentsMax: 1 });
  readonly #in = new FrameAssembler({ frameBytesMax: RESPONSE_FRAME_BYTES_MAX, segmentsMax: 1 });
  readonly #watches = new Map<number, TappedWatch>();

  constructor(stream: Stream, ears: TapEars) {
    this.#stream = stream;
    this.#ears = ears;
  }

  async read(into: OwnedBytes): Promise<OwnedBytes | undefined> {
    const chunk = await this.#stream.read(into);
    if (chunk === undefined) return undefined;
    this.#ears.guard(() =>
      this.#in.push(chunk.slice(), (view, bytes, start, end) => {
        const response = responseCodec.newView().wrap(view, bytes, start + 8, end);
        const watch = this.#watches.get(response.id);
        if (watch === undefined) return;
        if (response.code !== 0) {
          this.#watches.delete(response.id);
          return watch.ended();
        }
        const reply = response.bodyInto(watchReplyCodec.newView()).toPlain();
        if (reply.isLast) this.#watches.delete(response.id);
        watch.replied(reply, response.receipts.toPlain());
      })
    );
    return chunk;
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#ears.guard(() =>
      this.#out.push(bytes.slice(), (view, all, start, end) => {
        const request = requestCodec.newView().wrap(view, all, start + 8, end);
        const { watch, listAndWatch, askProgress } = OPERATIONS;
        if (request.operation === askProgress.id) {
          const { id, nonce } = request.bodyInto(askProgressRequestCodec.newView());
          this.#watches.get(id)?.asked(nonce);
        }
        const isWatch = request.operation === watch.id || request.operation === listAndWatch.id;
        if (!isWatch) return;
        const body = request.bodyInto(watchRequestCodec.newView()).toPlain();
        this.#watches.set(request.id, this.#ears.started(body));
      })
    );
    return this.#stream.write(bytes);
  }

  rest(): void {
    this.#stream.rest?.();
  }

  abort(): void {
    for (const watch of this.#watches.values()) watch.ended();
    this.#watches.clear();
    this.#stream.abort();
  }
}
