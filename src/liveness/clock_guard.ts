/**
 * Notices that this process did not run as its clock says: the machine was suspended (the monotonic
 * clock stood still, the wall clock did not), or a turn came far too late (it was paused).
 *
 * Wall and monotonic clock are compared at every look. What they part by is followed only as slowly
 * as honest clocks part, so that many short suspends add up and are noticed like one long one: hardly
 * more than `jumpMs` is ever hidden, unless a wall clock is set back while the machine is suspended.
 * One that is set otherwise looks like a suspend; that is harmless, for a false alarm costs one beat's
 * round trip of lease.
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
  /** Wall minus monotonic, as followed. */
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

  /** The own monotonic time of the last look. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Looks at both clocks; false: nothing that rests on an earlier look may be counted on. */
  look(): boolean {
    const nowMs = this.#monotonic.nowMs();
    const elapsedMs = nowMs - this.#nowMs;
    const offsetMs = this.#wall.unixMs() - nowMs;
    const partedMs = offsetMs - this.#offsetMs;
    this.#nowMs = nowMs;
    // A clock that went back is no clock; the comparison below is false for what is no number.
    if (!(elapsedMs >= 0 && elapsedMs <= this.#turnLateMs && Math.abs(partedMs) <= this.#jumpMs)) {
      this.#offsetMs = offsetMs;
      return false;
    }
    // A wall clock that was set back a little is followed at once, or it would hide a suspend.
    this.#offsetMs += Math.min(elapsedMs * this.#slewPerMs, partedMs);
    return true;
  }
}
