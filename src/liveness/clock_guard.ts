/**
 * Detection of pauses of this process: the machine was suspended (the monotonic clock stopped, the
 * wall clock did not), or a turn came far too late (the process was paused).
 *
 * The wall clock and the monotonic clock are compared at every look. The guard follows their
 * difference only as fast as correct clocks drift apart, so many short suspends add up and are
 * detected like one long suspend: hardly more than `jumpMs` ever stays hidden, unless the wall
 * clock is set back while the machine is suspended. Any other step of the wall clock looks like a
 * suspend. That is harmless: a false alarm costs one beat's round trip of lease.
 */
import type { MonotonicClock, WallClock } from "../base/world.ts";
import type { LivenessTiming } from "./timing.ts";

/** Watches the two clocks of one node. */
export class ClockGuard {
  readonly #monotonic: MonotonicClock;
  readonly #wall: WallClock;
  readonly #jumpMs: number;
  readonly #turnLateMs: number;
  readonly #slewPerMs: number;
  #nowMs: number;
  /** The followed difference, wall clock minus monotonic clock, in ms. */
  #offsetMs: number;

  constructor(monotonic: MonotonicClock, wall: WallClock, timing: LivenessTiming) {
    this.#monotonic = monotonic;
    this.#wall = wall;
    this.#jumpMs = timing.jumpMs;
    this.#turnLateMs = timing.turnLateMs;
    this.#slewPerMs = timing.slewPpm / 1_000_000;
    this.#nowMs = monotonic.nowMs();
    this.#offsetMs = wall.unixMs() - this.#nowMs;
  }

  /** The monotonic time of the last look. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /**
   * Checks both clocks. Returns false if nothing that depends on an earlier look may be relied on.
   */
  look(): boolean {
    const nowMs = this.#monotonic.nowMs();
    const elapsedMs = nowMs - this.#nowMs;
    const offsetMs = this.#wall.unixMs() - nowMs;
    const partedMs = offsetMs - this.#offsetMs;
    this.#nowMs = nowMs;
    // A monotonic clock must not go back. NaN makes the comparison below false.
    if (!(elapsedMs >= 0 && elapsedMs <= this.#turnLateMs && Math.abs(partedMs) <= this.#jumpMs)) {
      this.#offsetMs = offsetMs;
      return false;
    }
    // A wall clock that was set back a little is followed at once, or it would hide a suspend.
    this.#offsetMs += Math.min(elapsedMs * this.#slewPerMs, partedMs);
    return true;
  }
}
