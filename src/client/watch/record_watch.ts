/** The watch that `Client.watch` returns for records. */
import type { WatchChange, WatchSink } from "./change.ts";
import { eventOf, RecordDecoder } from "./events.ts";
import type { PositionMap } from "./positions.ts";
import { ReadableWatch } from "./readable_watch.ts";
import { WatchSession, type WatchSessionOptions } from "./session.ts";
import type { WatchRouting } from "./watch_routing.ts";

/** A watch of records. */
export class RecordWatch extends ReadableWatch implements WatchSink {
  readonly #session: WatchSession;
  readonly #decoder = new RecordDecoder();

  constructor(routing: WatchRouting, options: WatchSessionOptions, signal?: AbortSignal) {
    super(signal);
    this.#session = new WatchSession(routing, options, this);
  }

  close(): void {
    this.#session.close();
  }

  protected resume(): void {
    this.#session.resume();
  }

  // What the session tells (WatchSink).

  take(change: WatchChange): void {
    const event = eventOf(change, change.positions, this.#tokenOf, this.#decoder);
    if (change.type === "progress") this.queue.replace(event, ({ type }) => type === "progress");
    else this.queue.push(event, change.recordBytes);
  }

  readonly #tokenOf = (positions: PositionMap): string => this.#session.tokenOf(positions);
}
