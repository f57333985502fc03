/**
 * Notices reads that take longer than almost all others, so that a second request can be sent to
 * another replica (Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013).
 *
 * The delay is the 99th percentile of the client's own reads, and none is noticed before there are
 * enough of them. Second requests are at most a twentieth of the reads. Clock: monotonic.
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
  readonly #onLate: (call: Call, nowMs: number) => void;
  /** In the order in which they are due, but for changes of the delay. */
  readonly #watched = new BoundedQueue<WatchedCall>(CLIENT_HEDGE_WATCHED_MAX);
  #samples = new Latencies();
  #delayMs: number | undefined;
  #budget = 0;
  #timer: Timer | undefined;

  /** @param onLate called for a read that is not answered after the delay. */
  constructor(
    world: Pick<World, "monotonic" | "scheduler">,
    onLate: (call: Call, nowMs: number) => void,
  ) {
    this.#world = world;
    this.#onLate = onLate;
  }

  /** The delay after which a read is late, ms; undefined before enough reads were answered. */
  get delayMs(): number | undefined {
    return this.#delayMs;
  }

  /** Records how long a read took, ms. */
  answered(ms: number): void {
    const samples = this.#samples;
    samples.record(ms);
    const wanted = this.#delayMs === undefined ? CLIENT_HEDGE_SAMPLES_MIN : WINDOW_SAMPLES;
    if (samples.count < wanted) return;
    const foundMs = samples.percentileMs(DELAY_PERCENT);
    this.#delayMs = Math.min(CLIENT_HEDGE_MS_MAX, Math.max(CLIENT_HEDGE_MS_MIN, foundMs));
    this.#samples = new Latencies();
  }

  /** Watches a read that was sent. If too many are watched, this one is not. */
  watch(call: Call, nowMs: number): void {
    const delayMs = this.#delayMs;
    if (delayMs === undefined) return;
    this.#budget = Math.min(CLIENT_HEDGE_BURST, this.#budget + CLIENT_HEDGE_SHARE);
    if (!this.#watched.push({ call, dueMs: nowMs + delayMs })) return;
    this.#timer ??= this.#world.scheduler.after(delayMs, this.#tick);
  }

  /** Takes one second request from the budget; returns false if it is used up. */
  takeOne(): boolean {
    if (this.#budget < 1) return false;
    this.#budget--;
    return true;
  }

  /** Stops watching. */
  close(): void {
    this.#timer?.cancel();
    while (this.#watched.shift() !== undefined);
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
      if (!first.call.done) this.#onLate(first.call, nowMs);
    }
  };
}
