/**
 * A world in which turns and timers run only when a test says so, and promises and calls of WebCrypto
 * settle in between: for whole nodes and clients in one process. Time stands still unless it is moved, so the same
 * calls give the same run.
 *
 * A program that dies separately gets a {@link Process}: its timers and turns end with it.
 */
import { SeededEntropy } from "../../src/base/prng.ts";
import type {
  Entropy,
  MonotonicClock,
  Scheduler,
  Timer,
  WallClock,
  World,
} from "../../src/base/world.ts";
import { cryptoSettled, watchCrypto } from "./crypto_watch.ts";

interface Due {
  readonly atMs: number;
  readonly run: () => void;
  canceled: boolean;
}

/** The wall clock when a world begins: 2025-01-01. */
export const STARTED_UNIX_MS = 1_735_689_600_000;

/** Time, turns and randomness controlled by hand. */
export class SteppedWorld implements World, MonotonicClock, WallClock, Scheduler {
  readonly monotonic: MonotonicClock = this;
  readonly wall: WallClock = this;
  readonly scheduler: Scheduler = this;
  readonly entropy: Entropy;
  /** Offset of the wall clock only. */
  wallOffsetMs = STARTED_UNIX_MS;
  #nowMs = 0;
  #turns: (() => void)[] = [];
  /** In the order in which they are due; those due at the same time in the order of creation. */
  readonly #timers: Due[] = [];
  /** Count of timers that have run, so of a program's wake-ups. */
  timersRun = 0;

  constructor(seed = 1) {
    watchCrypto();
    this.entropy = new SeededEntropy(seed);
  }

  nowMs(): number {
    return this.#nowMs;
  }

  unixMs(): number {
    return this.wallOffsetMs + this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const due: Due = { atMs: this.#nowMs + Math.max(0, delayMs), run, canceled: false };
    let at = this.#timers.length;
    while (at > 0 && this.#timers[at - 1]!.atMs > due.atMs) at--;
    this.#timers.splice(at, 0, due);
    return { cancel: () => void (due.canceled = true) };
  }

  nextTurn(run: () => void): void {
    this.#turns.push(run);
  }

  /** Runs the waiting turns, and lets all promises settle; returns false if none waited. */
  async turn(): Promise<boolean> {
    const turns = this.#turns;
    this.#turns = [];
    for (const run of turns) run();
    await cryptoSettled();
    return turns.length > 0;
  }

  /** Runs turns until none is left; time stands still. */
  async settle(turnsMax = 100_000): Promise<void> {
    await cryptoSettled();
    for (let count = 0; this.#turns.length > 0; count++) {
      if (count === turnsMax) throw new Error(`More than ${turnsMax} turns: it never settles`);
      await this.turn();
    }
  }

  /** Advances time by `ms`, running all timers and turns that become due. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.settle();
    while (await this.#nextTimer(untilMs)) await this.settle();
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /**
   * Advances time by `ms` without running anything, as for a stopped process: timers are late then.
   */
  stop(ms: number): void {
    this.#nowMs += ms;
  }

  /**
   * Returns the value of `promise`, advancing time by at most `withinMs`; then fails and names it.
   */
  async wait<T>(promise: Promise<T>, withinMs = 60_000): Promise<T> {
    let settled = false;
    const settle = () => settled = true;
    promise.then(settle, settle);
    const untilMs = this.#nowMs + withinMs;
    await this.settle();
    while (!settled) {
      if (!await this.#nextTimer(untilMs)) throw new Error(`Not within ${withinMs} ms`);
      await this.settle();
    }
    return await promise;
  }

  /** Advances to the next timer up to `untilMs` and runs it; returns false if there is none. */
  async #nextTimer(untilMs: number): Promise<boolean> {
    for (;;) {
      const next = this.#timers[0];
      if (next === undefined || next.atMs > untilMs) return false;
      this.#timers.shift();
      if (next.canceled) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.timersRun++;
      next.run();
      await cryptoSettled();
      return true;
    }
  }
}

/** A program in a world: it sees the same time, and nothing of it runs after it was killed. */
export class Process implements World, Scheduler {
  readonly monotonic: MonotonicClock;
  readonly wall: WallClock;
  readonly scheduler: Scheduler = this;
  readonly entropy: Entropy;
  readonly #world: SteppedWorld;
  #alive = true;

  constructor(world: SteppedWorld) {
    this.#world = world;
    this.monotonic = world;
    this.wall = world;
    this.entropy = world.entropy;
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#world.after(delayMs, () => {
      if (this.#alive) run();
    });
  }

  nextTurn(run: () => void): void {
    this.#world.nextTurn(() => {
      if (this.#alive) run();
    });
  }

  /** Ends the program between two turns, without notice. */
  kill(): void {
    this.#alive = false;
  }
}
