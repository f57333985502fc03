/**
 * A clock and a scheduler that a test moves by hand: turns and timers run only when it says so.
 * Nothing sleeps, and the same calls give the same order.
 */
import type { MonotonicClock, Scheduler, Timer } from "../../src/base/world.ts";

interface Due {
  readonly atMs: number;
  readonly ordinal: number;
  readonly run: () => void;
}

/** Manual time and turns. */
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

  /** The count of pending timers. */
  get timerCount(): number {
    return this.#timers.length;
  }

  nextTurn(run: () => void): void {
    this.#turns.push(run);
  }

  /** Runs one turn; returns false if there is none. */
  turn(): boolean {
    const run = this.#turns.shift();
    run?.();
    return run !== undefined;
  }

  /** Runs all turns until none is left; time stands still. */
  settle(turnsMax = 100_000): void {
    for (let count = 0; this.turn(); count++) {
      if (count === turnsMax) throw new Error(`More than ${turnsMax} turns: it never settles`);
    }
  }

  /** Advances time by `ms`, running all timers and turns that become due. */
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

  /** Drops everything that is scheduled, as when the process dies. */
  stop(): void {
    this.#turns = [];
    this.#timers = [];
  }
}
