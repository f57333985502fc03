/** The stream that carries watches, as they see it. */
import type { FrameWriter } from "../../../schemas/runtime/writer.ts";
import type { Caller } from "../caller.ts";

/** Events of a stream, which its watches act on. The methods must not throw. */
export interface WatchStreamEvents {
  /** The peer took bytes, so {@link WatchStream.hasWatchRoom} may be true again. */
  taken(): void;
  /** The peer has taken nothing for too long: its watches are to end. */
  stalled(): void;
  /** The stream is over. */
  over(): void;
}

/** A stream of requests that carries watches. */
export interface WatchStream {
  readonly caller: Caller;
  /** Writer to which replies are appended, before {@link push}. */
  readonly writer: FrameWriter;
  /** Whether the peer takes what it is sent, so that more may be appended. */
  readonly hasWatchRoom: boolean;
  /** Sends what was appended. */
  push(): void;
  /** Sets who is told; `undefined` once it carries no watches. */
  carry(events: WatchStreamEvents | undefined): void;
}
