/**
 * The world as the registry sees it: clocks, timers, turns and randomness, passed to constructors.
 *
 * The production world reads the machine; the simulated one reads a seed, so that a whole cluster
 * runs inside one process and replays. Network (`transport/`) and disk (`src/storage/`) stand
 * beside it as interfaces of their own, for they live on a higher floor.
 */

/** Milliseconds that never go back while the process lives; stands still while a machine sleeps. */
export interface MonotonicClock {
  nowMs(): number;
}

/** Milliseconds since 1970; may jump. For people, and to notice a suspended machine. */
export interface WallClock {
  unixMs(): number;
}

/** A scheduled call, with one owner that ends it. */
export interface Timer {
  /** Ends it; a second call, or one after it ran, does nothing. */
  cancel(): void;
}

/** Timers over the monotonic clock. */
export interface Scheduler {
  /** Calls `run` once, `delayMs` from now or later. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` in a later turn, before any timer that is due after now. */
  nextTurn(run: () => void): void;
}

/** Randomness; production draws from the operating system, a simulation from its seed. */
export interface Entropy {
  /** Fills all of `target` with unpredictable bytes. */
  fill(target: Uint8Array): void;
  /** A uniformly distributed number in `[0, 1)`. */
  unit(): number;
}

/** All of it, by name. */
export interface World {
  readonly monotonic: MonotonicClock;
  readonly wall: WallClock;
  readonly scheduler: Scheduler;
  readonly entropy: Entropy;
}

/** A random integer in `[0, 2^53)`, from 53 bits of `entropy`. */
export function randomUint53(entropy: Entropy): number {
  const bytes = new Uint8Array(7);
  entropy.fill(bytes);
  let value = bytes[0]! & 0x1f;
  for (let index = 1; index < 7; index++) value = value * 256 + bytes[index]!;
  return value;
}
