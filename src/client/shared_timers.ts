/**
 * Timers that share one of the runtime's: for deadlines, nearly all of which are cancelled long before they
 * are due. Beginning and cancelling one is an insertion into a set and its removal. Lateness: that of
 * CoarseTimer.
 */
import { CoarseTimer } from "./coarse_timer.ts";
import type { Scheduler, Timer, World } from "../base/world.ts";

/** A scheduler whose timers share one. What they run must not throw. */
export class SharedTimers implements Scheduler {
  readonly #world: Pick<World, "monotonic" | "scheduler">;
  readonly #open = new Set<SharedTimer>();
  readonly #timer: CoarseTimer;
  #isClosed = false;

  constructor(world: Pick<World, "monotonic" | "scheduler">) {
    this.#world = world;
    this.#timer = new CoarseTimer(world, (nowMs) => this.#fire(nowMs));
  }

  after(delayMs: number, run: () => void): Timer {
    const nowMs = this.#world.monotonic.nowMs();
    const timer = new SharedTimer(nowMs + delayMs, run, (ended) => this.#end(ended));
    this.#open.add(timer);
    this.#timer.want(timer.dueMs, nowMs);
    return timer;
  }

  /** Gives the runtime's timer back as soon as none is open; those that are still run. */
  close(): void {
    this.#isClosed = true;
    this.#rest();
  }

  nextTurn(run: () => void): void {
    this.#world.scheduler.nextTurn(run);
  }

  #end(timer: SharedTimer): void {
    this.#open.delete(timer);
    this.#rest();
  }

  #rest(): void {
    if (this.#isClosed && this.#open.size === 0) this.#timer.cancel();
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
  readonly #end: (timer: SharedTimer) => void;

  constructor(dueMs: number, run: () => void, end: (timer: SharedTimer) => void) {
    this.dueMs = dueMs;
    this.#run = run;
    this.#end = end;
  }

  fire(): void {
    this.cancel();
    this.#run();
  }

  cancel(): void {
    this.#end(this);
  }
}
