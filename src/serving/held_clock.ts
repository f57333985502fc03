/**
 * A monotonic clock that stands still while a chunk of requests is served: all of a chunk is served
 * at one moment, in one synchronous run, and a reading of the machine's clock costs as much as a
 * lookup. Outside such a run it is the clock that it wraps.
 */
import type { MonotonicClock } from "../base/world.ts";

/** Wraps a clock; one for a node. */
export class HeldClock implements MonotonicClock {
  readonly #clock: MonotonicClock;
  #heldMs = 0;
  #held = false;

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#held ? this.#heldMs : this.#clock.nowMs();
  }

  /** Runs `run`, which must not wait, with the clock held at this moment. */
  hold(run: () => void): void {
    this.#heldMs = this.#clock.nowMs();
    this.#held = true;
    try {
      run();
    } finally {
      this.#held = false;
    }
  }
}
