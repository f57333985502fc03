/**
 * One timer shared by many deadlines. It wakes its owner at or shortly after the earliest deadline
 * and does not run while nothing waits. Clock: monotonic. Lateness: at most CLIENT_TICK_MS plus the
 * scheduler's own.
 */
import { CLIENT_TICK_MS } from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";

/** A timer that calls `run` when a deadline is due. */
export class CoarseTimer {
  readonly #world: Pick<World, "monotonic" | "scheduler">;
  readonly #run: (nowMs: number) => number;
  #timer: Timer | undefined;
  #wakeAtMs = Infinity;

  /**
   * @param run handles what is due and returns the time at which to run next; Infinity for none.
   */
  constructor(world: Pick<World, "monotonic" | "scheduler">, run: (nowMs: number) => number) {
    this.#world = world;
    this.#run = run;
  }

  /** Ensures that `run` is called within a tick after `dueMs`. Usually costs one comparison. */
  want(dueMs: number, nowMs: number): void {
    if (dueMs + CLIENT_TICK_MS >= this.#wakeAtMs) return;
    this.#timer?.cancel();
    // Fires half a tick later than asked, so that deadlines close together share a wakeup.
    const delayMs = Math.max(dueMs - nowMs, 0) + CLIENT_TICK_MS / 2;
    this.#wakeAtMs = nowMs + delayMs;
    this.#timer = this.#world.scheduler.after(delayMs, () => this.#fire());
  }

  /** Cancels the timer; {@link want} starts it again. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#wakeAtMs = Infinity;
  }

  #fire(): void {
    this.#timer = undefined;
    this.#wakeAtMs = Infinity;
    const nowMs = this.#world.monotonic.nowMs();
    const nextMs = this.#run(nowMs);
    if (nextMs < Infinity) this.want(nextMs, nowMs);
  }
}
