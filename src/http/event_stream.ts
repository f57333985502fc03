/**
 * Server-sent events (HTML, "Server-sent events"). A stream reads its events one by one, as the reader
 * takes them, so that a slow reader holds up nobody and needs no queue here. Every five seconds it
 * sends a heartbeat: a comment, and the id from which to continue, so that a reader of rare events
 * continues from now and not from the last event.
 */
import { HTTP_HEARTBEAT_MS, HTTP_STREAM_RETRY_MS } from "../base/limits.ts";
import type { Scheduler, Timer } from "../base/world.ts";

/** An event of a stream. */
export interface SentEvent {
  /** Name of the event, one word. */
  readonly event: string;
  /** Anything that JSON has. */
  readonly data: unknown;
  /** Where to continue after this event: text of one line. Absent: the id before stays. */
  readonly id?: string;
}

/** The source of a stream's events. */
export interface EventSource {
  /** The events; iterated once. `undefined` is nothing to send, but may come with a new {@link id}. */
  readonly events: AsyncIterator<SentEvent | undefined>;
  /** Returns the id from which to continue now, for heartbeats. */
  id(): string | undefined;
  /** Ends the source; called once. */
  close(): void;
}

/** Services of the face to one stream. */
export interface StreamServices {
  readonly scheduler: Scheduler;
  /** Returns the last event of a stream whose events ended with an error. */
  errorEvent(error: unknown): SentEvent;
  /** Called once: the stream has ended, or its reader is gone. */
  ended(): void;
  /** Called at a heartbeat if the reader has not taken what was sent. */
  lagged(): void;
}

/** An answer that is an open event stream. */
export class EventStream {
  readonly #source: EventSource;

  constructor(source: EventSource) {
    this.#source = source;
  }

  /** Starts sending. */
  open(services: StreamServices): ReadableStream<Uint8Array> {
    const sender = new Sender(this.#source, services);
    return new ReadableStream<Uint8Array>({
      start: (controller) => sender.start(controller),
      pull: () => sender.next(),
      cancel: () => sender.end(),
    }, { highWaterMark: 1 });
  }

  /** Ends the stream instead of opening it. */
  discard(): void {
    this.#source.close();
  }
}

const encoder = new TextEncoder();

/** Bytes of events that many readers get. */
const encoded = new WeakMap<SentEvent, Uint8Array>();

/** Returns the bytes of an event, which are made once. */
export function eventBytes(event: SentEvent): Uint8Array {
  let bytes = encoded.get(event);
  if (bytes === undefined) encoded.set(event, bytes = newBytes(event));
  return bytes;
}

function newBytes({ event, data, id }: SentEvent): Uint8Array {
  // JSON has no line breaks outside of strings, and escapes those inside.
  const place = id === undefined ? "" : `id: ${id}\n`;
  return encoder.encode(`event: ${event}\n${place}data: ${JSON.stringify(data)}\n\n`);
}

/** One stream that is being sent. */
class Sender {
  readonly #source: EventSource;
  readonly #services: StreamServices;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #timer: Timer | undefined;
  #isEnded = false;

  constructor(source: EventSource, services: StreamServices) {
    this.#source = source;
    this.#services = services;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
    controller.enqueue(encoder.encode(`retry: ${HTTP_STREAM_RETRY_MS}\n\n`));
    this.#beatLater();
  }

  /** Sends the next event; resolves when there was one. */
  async next(): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.#source.events.next();
        if (this.#isEnded) return;
        if (done === true) return this.#close();
        if (value === undefined) continue;
        this.#controller!.enqueue(eventBytes(value));
        return;
      }
    } catch (error) {
      if (this.#isEnded) return;
      this.#controller!.enqueue(eventBytes(this.#services.errorEvent(error)));
      this.#close();
    }
  }

  /** Ends everything; the reader is gone. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#timer?.cancel();
    this.#source.close();
    this.#services.ended();
  }

  #close(): void {
    this.end();
    this.#controller!.close();
  }

  #beatLater(): void {
    this.#timer = this.#services.scheduler.after(HTTP_HEARTBEAT_MS, () => {
      this.#beat();
      this.#beatLater();
    });
  }

  #beat(): void {
    // A reader that has not taken what was sent needs no proof that the connection lives.
    if ((this.#controller!.desiredSize ?? 0) <= 0) return this.#services.lagged();
    const id = this.#source.id();
    const place = id === undefined ? "" : `id: ${id}\n`;
    this.#controller!.enqueue(encoder.encode(`: heartbeat\n${place}\n`));
  }
}
