/**
 * Server-sent events (HTML, "Server-sent events"). A stream reads its events one by one, while its
 * connection has room, so that a slow reader holds up nobody and needs no queue here. Every five seconds it
 * sends a heartbeat: a comment, and the id from which to continue, so that a reader of rare events
 * continues from now and not from the last event.
 */
import { HTTP_STREAM_RETRY_MS } from "../base/limits.ts";
import type { Beating, Heartbeats } from "./heartbeats.ts";
import type { StreamBody, StreamSink } from "./reply.ts";

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
  readonly heartbeats: Heartbeats;
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

  /** Returns what sends it. */
  open(services: StreamServices): StreamBody {
    return new Sender(this.#source, services);
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

/** The first bytes of every stream. */
const BEGINNING = encoder.encode(`retry: ${HTTP_STREAM_RETRY_MS}\n\n`);

/** One stream that is being sent. */
class Sender implements StreamBody, Beating {
  readonly #source: EventSource;
  readonly #services: StreamServices;
  #sink: StreamSink | undefined;
  /** Its turn among the heartbeats; -1: it has none. */
  #turn = -1;
  #isFull = false;
  /** Whether the next event is waited for. */
  #isAsking = false;
  #isEnded = false;

  constructor(source: EventSource, services: StreamServices) {
    this.#source = source;
    this.#services = services;
  }

  start(sink: StreamSink): void {
    this.#sink = sink;
    this.#turn = this.#services.heartbeats.begin(this);
    this.#write(BEGINNING);
    if (!this.#isFull) void this.#send();
  }

  drained(): void {
    this.#isFull = false;
    if (!this.#isEnded && !this.#isAsking) void this.#send();
  }

  close(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#turn >= 0) this.#services.heartbeats.end(this, this.#turn);
    this.#source.close();
    this.#services.ended();
  }

  beat(): void {
    // A reader that has not taken what was sent needs no proof that the connection lives.
    if (this.#isFull) return this.#services.lagged();
    const id = this.#source.id();
    const place = id === undefined ? "" : `id: ${id}\n`;
    this.#write(encoder.encode(`: heartbeat\n${place}\n`));
  }

  /** Sends events until the sink is full. */
  async #send(): Promise<void> {
    this.#isAsking = true;
    try {
      while (!this.#isFull) {
        const { done, value } = await this.#source.events.next();
        if (this.#isEnded) return;
        if (done === true) return this.#end();
        if (value !== undefined) this.#write(eventBytes(value));
      }
    } catch (error) {
      if (this.#isEnded) return;
      this.#write(eventBytes(this.#services.errorEvent(error)));
      this.#end();
    } finally {
      this.#isAsking = false;
    }
  }

  #write(piece: Uint8Array): void {
    this.#isFull = !this.#sink!.write(piece);
  }

  #end(): void {
    this.close();
    this.#sink!.end();
  }
}
