/** The one deadline of a call that takes several requests. Clock: monotonic. */
import type { MonotonicClock } from "../base/world.ts";
import type { CallOptions } from "./call_options.ts";

/** A deadline and the options of the requests that must meet it. */
export class Deadline {
  readonly #clock: MonotonicClock;
  readonly #options: CallOptions;
  readonly #atMs: number;
  readonly #timeoutMsMin: number;

  /** @param timeoutMs the timeout if `options` has none. */
  constructor(clock: MonotonicClock, options: CallOptions, timeoutMs: number) {
    this.#clock = clock;
    this.#options = options;
    const ms = options.timeoutMs ?? timeoutMs;
    this.#atMs = clock.nowMs() + ms;
    // A timeout that is not positive is passed on, so that it is refused as that.
    this.#timeoutMsMin = Math.min(1, ms);
  }

  /** Ends what waits for the deadline early. */
  get signal(): AbortSignal | undefined {
    return this.#options.signal;
  }

  /** The time that is left, ms; not positive once the deadline has passed. */
  get leftMs(): number {
    return this.#atMs - this.#clock.nowMs();
  }

  /** Returns the options of the next request, whose timeout is the time that is left. */
  options(): CallOptions {
    return { ...this.#options, timeoutMs: Math.max(this.#timeoutMsMin, this.leftMs) };
  }
}
