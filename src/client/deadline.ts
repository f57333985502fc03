/** The one deadline of a call that takes several requests. Clock: monotonic. */
import type { MonotonicClock } from "../base/world.ts";
import type { CallOptions } from "./call_options.ts";

/** A deadline and the options of the requests that must meet it. */
export class Deadline {
  readonly #clock: MonotonicClock;
  readonly #options: CallOptions;
  readonly #atMs: number;

  /** @param timeoutMs the timeout if `options` has none. */
  constructor(clock: MonotonicClock, options: CallOptions, timeoutMs: number) {
    this.#clock = clock;
    this.#options = options;
    this.#atMs = clock.nowMs() + (options.timeoutMs ?? timeoutMs);
  }

  /** The time that is left, ms; not positive once the deadline has passed. */
  get leftMs(): number {
    return this.#atMs - this.#clock.nowMs();
  }

  /** Returns the options of the next request, whose timeout is the time that is left. */
  options(): CallOptions {
    return { ...this.#options, timeoutMs: Math.max(1, this.leftMs) };
  }
}
