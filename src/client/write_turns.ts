/**
 * Decides when the requests of a client leave, over all of its streams.
 *
 * Requests that are made together leave in one write per stream. But where calls go to several nodes,
 * the replies of one node bring about requests to all of them, so each write would hold a few requests
 * only, and every node would wake up for each few. So while replies keep arriving, requests wait for
 * those that further replies bring about, for a few turns of the event loop at most. With few
 * requests in flight, or one stream in use, nothing waits.
 */
import { CLIENT_GATHER_IN_FLIGHT_MIN, CLIENT_GATHER_TURNS_MAX } from "../base/limits.ts";
import type { Scheduler } from "../base/world.ts";

/** A stream of requests. */
export interface GatheredStream {
  /** The number of its requests in flight, including those that wait to leave. */
  readonly inFlight: number;
  /** Sends the requests that wait. */
  flush(): void;
}

/** The streams of one client. */
export class WriteTurns {
  readonly #scheduler: Scheduler;
  readonly #streams = new Set<GatheredStream>();
  /** The streams whose requests wait for a later turn. */
  #waiting: GatheredStream[] = [];
  #turns = 0;
  /** Whether replies arrived since the last turn that was waited for. */
  #isHeard = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** The number of requests in flight on all streams. */
  get inFlight(): number {
    let count = 0;
    for (const { inFlight } of this.#streams) count += inFlight;
    return count;
  }

  /** Adds a stream, until {@link remove}. */
  add(stream: GatheredStream): void {
    this.#streams.add(stream);
  }

  remove(stream: GatheredStream): void {
    this.#streams.delete(stream);
  }

  /** Notes that replies arrived. */
  heard(): void {
    this.#isHeard = true;
  }

  /** Calls `stream.flush` soon, not in this call; `stream` has requests that wait to leave. */
  want(stream: GatheredStream): void {
    const { inFlight } = this;
    if (inFlight === stream.inFlight || inFlight < CLIENT_GATHER_IN_FLIGHT_MIN) {
      return queueMicrotask(() => stream.flush());
    }
    this.#waiting.push(stream);
    if (this.#waiting.length > 1) return;
    this.#isHeard = false;
    this.#turns = 0;
    this.#wait();
  }

  #wait(): void {
    this.#scheduler.nextTurn(() => {
      if (this.#isHeard && ++this.#turns < CLIENT_GATHER_TURNS_MAX) {
        this.#isHeard = false;
        return this.#wait();
      }
      const streams = this.#waiting;
      this.#waiting = [];
      for (const stream of streams) stream.flush();
    });
  }
}
