/**
 * One timer for many deadlines: it wakes its owner at or shortly after the earliest, and sleeps
 * while nothing waits. Clock: monotonic; lateness: at most CLIENT_TICK_MS and the scheduler's own.
 */
import { CLIENT_TICK_MS } from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";

/** Calls `run` when something is due. */
export class CoarseTimer {
  readonly #world: Pick<World, "monotonic" | "scheduler">;
  readonly #run: (nowMs: number) => number;
  #timer: Timer | undefined;
  #wakeAtMs = Infinity;

  /** @param run does what is due, and returns when it wants to run next; Infinity: not. */
  constructor(world: Pick<World, "monotonic" | "scheduler">, run: (nowMs: number) => number) {
    this.#world = world;
    this.#run = run;
  }

  /** Makes sure that `run` is called within a tick after `dueMs`. Costs a comparison mostly. */
  want(dueMs: number, nowMs: number): void {
    if (dueMs + CLIENT_TICK_MS >= this.#wakeAtMs) return;
    this.#timer?.cancel();
    // Half a tick later than asked, so that deadlines that are close together share a wakeup.
    const delayMs = Math.max(dueMs - nowMs, 0) + CLIENT_TICK_MS / 2;
    this.#wakeAtMs = nowMs + delayMs;
    this.#timer = this.#world.scheduler.after(delayMs, () => this.#fire());
  }

  /** Ends it; {@link want} starts it anew. */
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
