/**
 * Slows writes down as the log nears its limit, so that compaction can keep up and appends are
 * refused as late as possible.
 */
import type { MonotonicClock, Scheduler } from "../base/world.ts";

/** Part of the limit from which writes are delayed. */
const SLOW_FROM = 0.75;
/** Maximum delay of a write, ms, reached at the limit. */
const SLOW_MS_MAX = 50;

/** The throttle of one log's writes. */
export class WriteThrottle {
  readonly #clock: MonotonicClock;
  readonly #scheduler: Scheduler;
  readonly #fullness: () => number;
  readonly #onFree: () => void;
  #heldUntilMs = 0;

  /**
   * @param fullness returns the used part of the log's limit, from 0 to 1.
   * @param onFree called when a delayed write may be tried again.
   */
  constructor(
    { clock, scheduler, fullness, onFree }: {
      readonly clock: MonotonicClock;
      readonly scheduler: Scheduler;
      readonly fullness: () => number;
      readonly onFree: () => void;
    },
  ) {
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#fullness = fullness;
    this.#onFree = onFree;
  }

  /**
   * Reports whether writes must wait. When it returns false, a write may begin, and the next may be
   * delayed.
   */
  isHeldBack(): boolean {
    const now = this.#clock.nowMs();
    if (now < this.#heldUntilMs) return true;
    const over = (this.#fullness() - SLOW_FROM) / (1 - SLOW_FROM);
    if (over <= 0) return false;
    const slowMs = Math.ceil(Math.min(1, over) * SLOW_MS_MAX);
    this.#heldUntilMs = now + slowMs;
    this.#scheduler.after(slowMs, this.#onFree);
    return false;
  }
}
