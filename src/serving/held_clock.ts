/**
 * A monotonic clock that can be held still while a chunk of requests is served. A chunk is served
 * at one moment, in one synchronous run, and reading the machine's clock costs as much as a lookup.
 * Outside such a run it returns the time of the wrapped clock.
 */
import type { MonotonicClock } from "../base/world.ts";

/** Wrapper of a clock; one for a node. */
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

  /** Runs `run`, which must be synchronous, with the clock held at the current time. */
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
