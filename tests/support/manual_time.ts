/** Time that a test moves by hand: both clocks and their timers, in one object. */
import type { MonotonicClock, Scheduler, Timer, WallClock } from "../../src/base/world.ts";

interface ManualTimer {
  readonly dueMs: number;
  readonly run: () => void;
}

/** Clocks that only `advance` moves; timers run in the order in which they are due. */
export class ManualTime implements MonotonicClock, WallClock, Scheduler {
  #nowMs = 0;
  #unixMs: number;
  readonly #timers = new Set<ManualTimer>();

  constructor(unixMs: number) {
    this.#unixMs = unixMs;
  }

  /** The count of pending timers. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** Time until the next timer is due; `undefined` if there is none. */
  get nextDelayMs(): number | undefined {
    const due = [...this.#timers].map(({ dueMs }) => dueMs - this.#nowMs);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  nowMs(): number {
    return this.#nowMs;
  }

  unixMs(): number {
    return this.#unixMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const timer: ManualTimer = { dueMs: this.#nowMs + delayMs, run };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  nextTurn(run: () => void): void {
    this.after(0, run);
  }

  /** Advances both clocks by `durationMs` and runs the timers that become due. */
  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs;
    for (;;) {
      const next = [...this.#timers].filter(({ dueMs }) => dueMs <= endMs)
        .sort((left, right) => left.dueMs - right.dueMs)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#move(next.dueMs);
      next.run();
    }
    this.#move(endMs);
  }

  /** Moves only the wall clock, as when a machine slept or its clock was set. */
  jumpWall(durationMs: number): void {
    this.#unixMs += durationMs;
  }

  #move(toMs: number): void {
    this.#unixMs += toMs - this.#nowMs;
    this.#nowMs = toMs;
  }
}
