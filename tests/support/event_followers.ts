/**
 * Readers of the event streams of several fronts. Each continues where it was by `Last-Event-ID`, at the
 * next front when its own is gone, as a browser's `EventSource` behind a load balancer does.
 */
import { EventReader, type ReadEvent } from "./event_reader.ts";

/** Pause before a stream is opened again, ms. */
const RETRY_MS = 100;

/** A reader of one path. */
export class EventFollower {
  /** Streams that were opened and have answered 200. */
  opened = 0;
  /** The id from which it would continue. */
  lastId: string | undefined;
  readonly #urls: readonly string[];
  readonly #path: string;
  readonly #told: (event: ReadEvent) => void;
  readonly #end = new AbortController();
  readonly #done: Promise<void>;
  #front: number;
  #reader: EventReader | undefined;

  constructor(
    urls: readonly string[],
    path: string,
    front: number,
    told: (event: ReadEvent) => void,
  ) {
    this.#urls = urls;
    this.#path = path;
    this.#front = front;
    this.#told = told;
    this.#done = this.#follow();
  }

  /** Ends the reader. */
  async end(): Promise<void> {
    this.#end.abort();
    // A stream that has failed already needs no end.
    await this.#reader?.leave().catch(() => {});
    await this.#done;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        await this.#read();
      } catch {
        // The front is gone or not ready.
      }
      this.#front++;
      if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async #read(): Promise<void> {
    const url = `${this.#urls[this.#front % this.#urls.length]}${this.#path}`;
    const headers = this.lastId === undefined ? {} : { "last-event-id": this.lastId };
    const response = await fetch(url, { headers, signal: this.#end.signal });
    if (response.status !== 200) return void await response.body?.cancel();
    this.opened++;
    const reader = this.#reader = new EventReader(response.body!);
    for (;;) {
      const block = await reader.next();
      if (block === undefined) return;
      if (block.event !== undefined) this.#told(block);
      // Not before: an event that was not told must be sent again.
      if (block.id !== undefined) this.lastId = block.id;
    }
  }
}
