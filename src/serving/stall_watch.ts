/**
 * Deadlines of streams that hold memory: replies that their peer does not take, and frames that it
 * does not finish. One timer periodically checks the streams that hold something, so that a request
 * sets no timer, and a node that holds nothing sleeps.
 */
import { STALL_LOOK_MS } from "../base/limits.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";

/** Stream as the watch sees it. */
export interface Watched {
  /**
   * Checks what the stream holds, and ends its session if that has not advanced for too long.
   *
   * @returns false if it holds nothing, which ends the watching.
   */
  look(nowMs: number): boolean;
}

/** Dependencies of a {@link StallWatch}. */
export interface StallWatchOptions {
  readonly scheduler: Scheduler;
  readonly clock: MonotonicClock;
}

/** Periodic check of the streams of a node. */
export class StallWatch {
  readonly #options: StallWatchOptions;
  readonly #watched = new Set<Watched>();
  #timer: Timer | undefined;

  constructor(options: StallWatchOptions) {
    this.#options = options;
  }

  /** Watches `stream` until it holds nothing. */
  add(stream: Watched): void {
    this.#watched.add(stream);
    this.#timer ??= this.#options.scheduler.after(STALL_LOOK_MS, this.#look);
  }

  /** Stops watching all streams. */
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
