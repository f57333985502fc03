/**
 * Deadlines of what streams hold: replies that their peer does not take, and frames that it does not
 * finish. Streams that hold something are looked at now and then by one timer, so that a request costs
 * none, and a node that holds nothing sleeps.
 */
import { STALL_LOOK_MS } from "../base/limits.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";

/** A stream as the watch sees it. */
export interface Watched {
  /**
   * Looks at what it holds, and ends its session where that stands still for too long.
   *
   * @returns false when it holds nothing, and so is watched no more.
   */
  look(nowMs: number): boolean;
}

/** What the watch stands on. */
export interface StallWatchOptions {
  readonly scheduler: Scheduler;
  readonly clock: MonotonicClock;
}

/** Watches the streams of a node. */
export class StallWatch {
  readonly #options: StallWatchOptions;
  readonly #watched = new Set<Watched>();
  #timer: Timer | undefined;

  constructor(options: StallWatchOptions) {
    this.#options = options;
  }

  /** Looks at `stream` until it holds nothing. */
  add(stream: Watched): void {
    this.#watched.add(stream);
    this.#timer ??= this.#options.scheduler.after(STALL_LOOK_MS, this.#look);
  }

  /** Ends it. */
  close(): void {
    this.#watched.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    const nowMs = this.#options.clock.nowMs();
    for (const stream of this.#watched) {
      if (!stream.look(nowMs)) this.#watched.delete(stream);
    }
    if (this.#watched.size === 0) return;
    this.#timer = this.#options.scheduler.after(STALL_LOOK_MS, this.#look);
  };
}
