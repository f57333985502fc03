/**
 * The environment of the registry: clocks, timers, turns and randomness, passed to constructors.
 *
 * The production implementation uses the machine; the simulated one derives everything from a seed,
 * so that a whole cluster runs inside one process and can be replayed. Network (`transport/`) and
 * disk (`src/storage/`) have interfaces of their own, because they belong to a higher layer.
 */

/**
 * Milliseconds that never go back while the process lives. Stands still while the machine sleeps.
 */
export interface MonotonicClock {
  nowMs(): number;
}

/** Milliseconds since 1970; may jump. For display, and to detect a suspended machine. */
export interface WallClock {
  unixMs(): number;
}

/** A scheduled call. Its one owner cancels it. */
export interface Timer {
  /** Cancels the call. Does nothing when called again or after the call ran. */
  cancel(): void;
}

/** Timers over the monotonic clock. */
export interface Scheduler {
  /** Calls `run` once, no sooner than `delayMs` from now. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` in a later turn, before any timer that becomes due after now. */
  nextTurn(run: () => void): void;
}

/** A source of randomness: the operating system in production, the seed in a simulation. */
export interface Entropy {
  /** Fills all of `target` with unpredictable bytes. */
  fill(target: Uint8Array): void;
  /** Returns a uniformly distributed number in `[0, 1)`. */
  unit(): number;
}

/** All parts of the environment. */
export interface World {
  readonly monotonic: MonotonicClock;
  readonly wall: WallClock;
  readonly scheduler: Scheduler;
  readonly entropy: Entropy;
}

/** Returns a random integer in `[0, 2^53)`, from 53 bits of `entropy`. */
export function randomUint53(entropy: Entropy): number {
  const bytes = new Uint8Array(7);
  entropy.fill(bytes);
  let value = bytes[0]! & 0x1f;
  for (let index = 1; index < 7; index++) value = value * 256 + bytes[index]!;
  return value;
}
