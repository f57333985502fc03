/**
 * A clock and a scheduler that a test moves by hand: turns run when it says so, timers when it lets
 * time pass. Nothing sleeps, and the same calls give the same order.
 */
import type { MonotonicClock, Scheduler, Timer } from "../../src/base/world.ts";

interface Due {
  readonly atMs: number;
  readonly ordinal: number;
  readonly run: () => void;
}

/** Time and turns by hand. */
export class ManualWorld implements MonotonicClock, Scheduler {
  #nowMs = 0;
  #ordinal = 0;
  #turns: (() => void)[] = [];
  #timers: Due[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const due: Due = { atMs: this.#nowMs + delayMs, ordinal: ++this.#ordinal, run };
    this.#timers.push(due);
    return { cancel: () => this.#timers = this.#timers.filter((other) => other !== due) };
  }

  /** Timers that wait. */
  get timerCount(): number {
    return this.#timers.length;
  }

  nextTurn(run: () => void): void {
    this.#turns.push(run);
  }

  /** Runs one turn; false when none waits. */
  turn(): boolean {
    const run = this.#turns.shift();
    run?.();
    return run !== undefined;
  }

  /** Runs all turns until none waits; time stands still. */
  settle(turnsMax = 100_000): void {
    for (let count = 0; this.turn(); count++) {
      if (count === turnsMax) throw new Error(`More than ${turnsMax} turns: it never settles`);
    }
  }

  /** Lets `ms` pass, with all timers and turns that fall into it. */
  pass(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      this.settle();
      const next = this.#timers.filter(({ atMs }) => atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs || a.ordinal - b.ordinal)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = next.atMs;
      next.run();
    }
    this.#nowMs = untilMs;
  }

  /** What was scheduled and has not run, dropped: the process is gone. */
  stop(): void {
    this.#turns = [];
    this.#timers = [];
  }
}
