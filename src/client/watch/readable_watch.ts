/** The readable side of a watch: the events that wait, and the promise of its beginning. */
import { RegistryError } from "../../base/errors.ts";
import type { Watch, WatchEvent } from "../watch_types.ts";
import { EventQueue } from "./event_queue.ts";

/** A watch that is read event by event; its subclasses fill the queue. */
export abstract class ReadableWatch implements Watch {
  readonly begun: Promise<void>;
  protected readonly queue: EventQueue<WatchEvent>;
  readonly #begun = Promise.withResolvers<void>();
  #last: WatchEvent | undefined;
  #unlisten: (() => void) | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.begun = this.#begun.promise;
    // The iteration throws the same error; a program need not wait for `begun`.
    this.begun.catch(() => {});
    this.queue = new EventQueue<WatchEvent>({
      room: () => this.resume(),
      read: (event) => void (this.#last = event),
      returned: () => this.close(),
    });
    if (signal === undefined) return;
    const close = () => this.close();
    this.#unlisten = () => signal.removeEventListener("abort", close);
    // Not at once: the watch is still being constructed.
    if (signal.aborted) queueMicrotask(close);
    else signal.addEventListener("abort", close, { once: true });
  }

  get token(): string | undefined {
    return this.#last?.token;
  }

  abstract close(): void;

  /** The reader has made room. */
  protected abstract resume(): void;

  [Symbol.asyncIterator](): AsyncIterator<WatchEvent> {
    return this.queue;
  }

  get isFull(): boolean {
    return this.queue.isFull;
  }

  /** Every partition has begun. */
  onBegun(): void {
    this.#begun.resolve();
  }

  /** Nothing follows. */
  onEnded(error: RegistryError | undefined): void {
    this.#unlisten?.();
    this.queue.end(error);
    this.#begun.reject(error ?? new RegistryError("canceled", "The watch was closed"));
  }
}
