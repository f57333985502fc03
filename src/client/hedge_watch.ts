/**
 * Notices reads that take longer than almost all others, so that a further request can be sent to
 * another replica (Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013).
 *
 * The delay is the 99th percentile of the client's own reads within bounds, or the upper bound until
 * there are enough of them. Further requests that do not answer first are at most a twentieth of the
 * reads, but for a burst: where all nodes are slow they would only add load, and where one has died
 * they are the first to be answered. Clock: monotonic.
 */
import { BoundedQueue } from "../base/bounded_queue.ts";
import { Latencies } from "../base/latencies.ts";
import {
  CLIENT_HEDGE_BURST,
  CLIENT_HEDGE_MS_MAX,
  CLIENT_HEDGE_MS_MIN,
  CLIENT_HEDGE_SAMPLES_MIN,
  CLIENT_HEDGE_SHARE,
  CLIENT_HEDGE_WATCHED_MAX,
} from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";
import type { Call } from "./call.ts";

/** Samples from which one delay is computed. */
const WINDOW_SAMPLES = 1_024;
const DELAY_PERCENT = 99;

interface WatchedCall {
  readonly call: Call;
  readonly dueMs: number;
}

/** The reads of one client that are watched. */
export class HedgeWatch {
  readonly #world: Pick<World, "monotonic" | "scheduler">;
  readonly #onLate: (call: Call, nowMs: number) => boolean;
  /** In the order in which they are due, but for changes of the delay. */
  readonly #watched = new BoundedQueue<WatchedCall>(CLIENT_HEDGE_WATCHED_MAX);
  #samples = new Latencies();
  #hasDelay = false;
  #delayMs = CLIENT_HEDGE_MS_MAX;
  #budget = CLIENT_HEDGE_BURST;
  #timer: Timer | undefined;
  #isClosed = false;

  /**
   * @param onLate called for a read that is not answered after the delay; returns whether to call it
   * again after the same delay.
   */
  constructor(
    world: Pick<World, "monotonic" | "scheduler">,
    onLate: (call: Call, nowMs: number) => boolean,
  ) {
    this.#world = world;
    this.#onLate = onLate;
  }

  /** The delay after which a read is late, ms. */
  get delayMs(): number {
    return this.#delayMs;
  }

  /** Records how long a read took, ms. */
  answered(ms: number): void {
    const samples = this.#samples;
    samples.record(ms);
    const wanted = this.#hasDelay ? WINDOW_SAMPLES : CLIENT_HEDGE_SAMPLES_MIN;
    if (samples.count < wanted) return;
    const foundMs = samples.percentileMs(DELAY_PERCENT);
    const mostMs = Math.max(CLIENT_HEDGE_MS_MAX, 2 * samples.percentileMs(50));
    this.#delayMs = Math.min(mostMs, Math.max(CLIENT_HEDGE_MS_MIN, foundMs));
    this.#samples = new Latencies();
    this.#hasDelay = true;
  }

  /** Watches a read that was sent. If too many are watched, this one is not. */
  watch(call: Call, nowMs: number): void {
    this.#budget = Math.min(CLIENT_HEDGE_BURST, this.#budget + CLIENT_HEDGE_SHARE);
    if (this.#isClosed) return;
    this.#add(call, nowMs);
    this.#timer ??= this.#world.scheduler.after(this.#delayMs, this.#tick);
  }

  /** Takes one further request from the budget; returns false if it is used up. */
  takeOne(): boolean {
    if (this.#budget < 1 || this.#isClosed) return false;
    this.#budget--;
    return true;
  }

  /** Gives back one that answered first. */
  won(): void {
    this.#budget = Math.min(CLIENT_HEDGE_BURST, this.#budget + 1);
  }

  /** Stops watching, and allows no further requests. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    while (this.#watched.shift() !== undefined);
  }

  #add(call: Call, nowMs: number): void {
    this.#watched.push({ call, dueMs: nowMs + this.#delayMs });
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    const nowMs = this.#world.monotonic.nowMs();
    const watched = this.#watched;
    for (let first = watched.first; first !== undefined; first = watched.first) {
      if (!first.call.done && first.dueMs > nowMs) {
        this.#timer = this.#world.scheduler.after(first.dueMs - nowMs, this.#tick);
        return;
      }
      watched.shift();
      if (!first.call.done && this.#onLate(first.call, nowMs)) this.#add(first.call, nowMs);
    }
  };
}
