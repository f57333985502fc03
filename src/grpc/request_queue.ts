/** The messages of a stream of requests, for a handler that takes them one after the other. */
import { GRPC_WAITING_MESSAGES_MAX } from "../base/limits.ts";

/** A queue that asks its source to pause while it is full. */
export class RequestQueue<T> implements AsyncIterable<T> {
  readonly #source: { pause(): void; resume(): void };
  readonly #waiting: T[] = [];
  #isPaused = false;
  #end: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(source: { pause(): void; resume(): void }) {
    this.#source = source;
  }

  /** Adds an item. One chunk of the source may bring more items than the queue is to hold. */
  push(item: T): void {
    this.#waiting.push(item);
    if (this.#waiting.length >= GRPC_WAITING_MESSAGES_MAX && !this.#isPaused) {
      this.#isPaused = true;
      this.#source.pause();
    }
    this.#wake?.();
  }

  /** Ends the queue; with an error, which its reader gets after the items. */
  end(end: { readonly error?: unknown } = {}): void {
    this.#end ??= end;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const item = this.#waiting.shift();
      if (item !== undefined) {
        if (this.#isPaused && this.#waiting.length === 0) {
          this.#isPaused = false;
          this.#source.resume();
        }
        yield item;
        continue;
      }
      if (this.#end !== undefined) {
        if ("error" in this.#end) throw this.#end.error;
        return;
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
  }
}
