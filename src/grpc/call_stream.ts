/** A stream of HTTP/2 as a call uses it. The listener (src/front) makes it of `node:http2`. */
import type { GrpcPeer } from "./callers.ts";

/** Takes what arrives on a stream. Its methods must not throw. */
export interface CallReceiver {
  /** Takes a chunk of the body, which belongs to the receiver. */
  data(chunk: Uint8Array): void;
  /** The body is complete. */
  end(): void;
  /** The stream has ended, by its reset, its connection's end, or after its last byte was sent. */
  closed(): void;
}

/** One stream. */
export interface CallStream {
  /** The header `:path`. */
  readonly path: string;
  readonly peer: GrpcPeer;
  /** Returns a header by its name in lower case; several of one name are joined by `, `. */
  header(name: string): string | undefined;
  /** Begins to receive; called once. `closed` is called in any case, once. */
  receive(receiver: CallReceiver): void;
  /** Stops and continues to receive the body. */
  pause(): void;
  resume(): void;
  /** Sends bytes of the body, after the headers; returns whether more may follow at once. */
  send(bytes: Uint8Array): boolean;
  /** Resolves when more may be sent, or when the stream has ended. */
  drained(): Promise<void>;
  /**
   * Ends the stream at once, without what was not taken.
   *
   * @param isTooSlow its other end is told RESOURCE_EXHAUSTED; otherwise CANCELLED.
   */
  reset(isTooSlow: boolean): void;
  /**
   * Sends the last bytes of the body, if there are any, and the trailers, which end the answer; those
   * without a body are headers too. Called once.
   */
  end(trailers: Readonly<Record<string, string>>, last?: Uint8Array): void;
}
