/**
 * The heartbeats of event streams: one timer for all of them instead of one each. They are spread over the
 * interval as the streams began, so that thousands do not all beat at once.
 */
import { HTTP_HEARTBEAT_MS, HTTP_HEARTBEAT_TICK_MS } from "../base/limits.ts";
import type { Scheduler, Timer } from "../base/world.ts";

const TICKS = HTTP_HEARTBEAT_MS / HTTP_HEARTBEAT_TICK_MS;

/** Something that beats. */
export interface Beating {
  beat(): void;
}

/** The heartbeats of one face. */
export class Heartbeats {
  readonly #scheduler: Scheduler;
  /** Who beats at each tick of the interval. */
  readonly #turns: readonly Set<Beating>[] = Array.from({ length: TICKS }, () => new Set());
  #count = 0;
  #tick = 0;
  #timer: Timer | undefined;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Has `one` beat at each interval from now on. @returns the turn by which that is ended. */
  begin(one: Beating): number {
    this.#turns[this.#tick]!.add(one);
    this.#count++;
    if (this.#timer === undefined) this.#tickLater();
    return this.#tick;
  }

  /** Ends the heartbeats of `one`. Idempotent. */
  end(one: Beating, turn: number): void {
    if (!this.#turns[turn]!.delete(one)) return;
    this.#count--;
    if (this.#count > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #tickLater(): void {
    this.#timer = this.#scheduler.after(HTTP_HEARTBEAT_TICK_MS, () => {
      this.#tick = (this.#tick + 1) % TICKS;
      this.#tickLater();
      for (const one of this.#turns[this.#tick]!) one.beat();
    });
  }
}
