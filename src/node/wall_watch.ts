/**
 * Detection of steps of the wall clock: it was set, or the machine was suspended, during which the
 * monotonic clock stands still. Certificates, grants, bans and sessions end by the wall clock, while
 * timers run by the monotonic one; whatever planned a timer for such an end is notified of a step.
 *
 * Steps that add up to less than WALL_STEP_MS, and clocks that only run at different rates, are
 * noticed once their sum exceeds it. A notification without need costs one check.
 */
import { WALL_LOOK_MS, WALL_STEP_MS } from "../base/limits.ts";
import type { MonotonicClock, Scheduler, Timer, WallClock } from "../base/world.ts";

/** Watches the wall clock of a node. */
export class WallWatch {
  readonly #wall: WallClock;
  readonly #monotonic: MonotonicClock;
  readonly #scheduler: Scheduler;
  readonly #listeners = new Set<() => void>();
  /** Wall clock minus monotonic clock at the last notification, ms. */
  #offsetMs = 0;
  #timer: Timer | undefined;

  constructor(
    { wall, monotonic, scheduler }: {
      readonly wall: WallClock;
      readonly monotonic: MonotonicClock;
      readonly scheduler: Scheduler;
    },
  ) {
    this.#wall = wall;
    this.#monotonic = monotonic;
    this.#scheduler = scheduler;
  }

  /** Starts to compare the clocks. */
  start(): void {
    this.#offsetMs = this.#wall.unixMs() - this.#monotonic.nowMs();
    this.#arm();
  }

  /** Stops comparing the clocks. */
  stop(): void {
    this.#timer?.cancel();
  }

  /**
   * Calls `listener` after each step of the wall clock, at most WALL_LOOK_MS after it. The listener
   * must not throw.
   *
   * @returns a function that removes the listener.
   */
  readonly onStep = (listener: () => void): () => void => {
    // Wrapped, so that a listener that is added twice is called and removed twice.
    const own = () => listener();
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  };

  #arm(): void {
    this.#timer = this.#scheduler.after(WALL_LOOK_MS, () => {
      this.#look();
      this.#arm();
    });
  }

  #look(): void {
    const offsetMs = this.#wall.unixMs() - this.#monotonic.nowMs();
    if (Math.abs(offsetMs - this.#offsetMs) < WALL_STEP_MS) return;
    this.#offsetMs = offsetMs;
    for (const listener of [...this.#listeners]) listener();
  }
}
