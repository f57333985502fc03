/**
 * Slows writes down as the log nears its limit, so that compaction can keep up and appends are
 * refused as late as possible.
 */
import type { MonotonicClock, Scheduler } from "../base/world.ts";

/** From this part of the limit on, writes are held back. */
const SLOW_FROM = 0.75;
/** The longest that one write is held back, ms, reached at the limit. */
const SLOW_MS_MAX = 50;

/** Holds back the writes of one log. */
export class WriteThrottle {
  readonly #clock: MonotonicClock;
  readonly #scheduler: Scheduler;
  readonly #fullness: () => number;
  readonly #onFree: () => void;
  #heldUntilMs = 0;

  /**
   * @param fullness what part of its limit the log takes.
   * @param onFree called when a write that was held back may be tried again.
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

  /** True while no write is to begin; else this one may, and the next is perhaps held back. */
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
