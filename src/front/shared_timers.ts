/**
 * Timers that share one of the runtime's: for deadlines, nearly all of which are cancelled long before they
 * are due. Beginning and cancelling one is an insertion into a set and its removal. Lateness: that of
 * CoarseTimer.
 */
import { CoarseTimer } from "../client/coarse_timer.ts";
import type { Scheduler, Timer, World } from "../base/world.ts";

/** A scheduler whose timers share one. What they run must not throw. */
export class SharedTimers implements Scheduler {
  readonly #world: Pick<World, "monotonic" | "scheduler">;
  readonly #open = new Set<SharedTimer>();
  readonly #timer: CoarseTimer;

  constructor(world: Pick<World, "monotonic" | "scheduler">) {
    this.#world = world;
    this.#timer = new CoarseTimer(world, (nowMs) => this.#fire(nowMs));
  }

  after(delayMs: number, run: () => void): Timer {
    const nowMs = this.#world.monotonic.nowMs();
    const timer = new SharedTimer(nowMs + delayMs, run, this.#open);
    this.#open.add(timer);
    this.#timer.want(timer.dueMs, nowMs);
    return timer;
  }

  /** Gives the runtime's timer back unless one is open, which still runs. */
  close(): void {
    if (this.#open.size === 0) this.#timer.cancel();
  }

  nextTurn(run: () => void): void {
    this.#world.scheduler.nextTurn(run);
  }

  #fire(nowMs: number): number {
    let nextMs = Infinity;
    for (const timer of this.#open) {
      if (timer.dueMs > nowMs) nextMs = Math.min(nextMs, timer.dueMs);
      else timer.fire();
    }
    return nextMs;
  }
}

class SharedTimer implements Timer {
  readonly dueMs: number;
  readonly #run: () => void;
  readonly #open: Set<SharedTimer>;

  constructor(dueMs: number, run: () => void, open: Set<SharedTimer>) {
    this.dueMs = dueMs;
    this.#run = run;
    this.#open = open;
  }

  fire(): void {
    this.cancel();
    this.#run();
  }

  cancel(): void {
    this.#open.delete(this);
  }
}
