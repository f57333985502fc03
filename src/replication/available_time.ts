/**
 * Available time: the node's monotonic time without the stretches in which the node could neither
 * serve nor log. It drives the time of every group that this node leads, so no lease ends because of
 * an outage of the node itself.
 *
 * An outage is a turn of the event loop that starts far too late (the process was stopped, or one turn
 * took that long), a suspended machine, a log that refuses writes (disk full, or poisoned), or a write
 * or sync that takes too long, counted from when it was submitted. After each outage a grace period is
 * excluded too, in which owners can reach the node again: requests wait in sockets, and clients whose
 * sessions died are backing off before they reconnect.
 *
 * Contract: readings never decrease and never run faster than the monotonic clock, so a lease can only
 * last longer than its term, never shorter. Readings advance even if outages recur: an outage by a
 * late turn or a pending write starts one pulse after the end of the previous one at the earliest, and
 * graces are paid from a credit that only running time refills, at half its rate. Hence a dead owner's
 * lease ends as long as turns happen and writes complete. Raft and liveness must not use this clock:
 * the promises between two nodes depend on true time, which advances at the other node.
 */
import {
  AVAILABLE_PULSE_MS,
  OUTAGE_GRACE_CREDIT_MS,
  OUTAGE_GRACE_MS_MAX,
  OUTAGE_GRACE_MS_MIN,
  STALL_MS,
  TURN_LATE_MS,
} from "../base/limits.ts";
import type { MonotonicClock, Scheduler, Timer, WallClock } from "../base/world.ts";
import type { SharedLog } from "../storage/shared_log.ts";
import type { GroupClock } from "./group_interface.ts";

/** A client's back-off doubles, so it waits at most about twice as long as the outage lasted. */
const GRACE_PER_OUTAGE = 2;
/** Share of running time by which the credit for graces grows. */
const CREDIT_PER_RUN = 0.5;
/** The oldest write is still the same one if its submission time moved by at most this, ms. */
const SAME_WRITE_MS = 1;

/** Thresholds that define an outage, and the grace after it; all ms. */
export interface OutageTiming {
  /** The interval between two checks of the clocks and the log. */
  readonly pulseMs: number;
  /** A pulse this late, or a wall clock this far ahead, means that the node was stopped. */
  readonly turnLateMs: number;
  /** A write that is pending for longer than this is stalled. */
  readonly stallMs: number;
  /** The shortest and the longest grace after an outage. */
  readonly graceMsMin: number;
  readonly graceMsMax: number;
  /** The maximum credit for graces. */
  readonly graceCreditMs: number;
}

/** The timing used in production. */
export const OUTAGE_TIMING: OutageTiming = {
  pulseMs: AVAILABLE_PULSE_MS,
  turnLateMs: TURN_LATE_MS,
  stallMs: STALL_MS,
  graceMsMin: OUTAGE_GRACE_MS_MIN,
  graceMsMax: OUTAGE_GRACE_MS_MAX,
  graceCreditMs: OUTAGE_GRACE_CREDIT_MS,
};

/** The inputs of available time. */
export interface AvailableTimeOptions {
  readonly monotonic: MonotonicClock;
  readonly wall: WallClock;
  readonly scheduler: Scheduler;
  readonly log: Pick<SharedLog, "stats">;
  readonly timing?: OutageTiming;
}

/** An ongoing outage of the log. */
interface LogOutage {
  readonly fromMs: number;
  /** When the stalled write was submitted; undefined if the log refuses writes. */
  readonly handedOverMs: number | undefined;
}

/** The available time of one node. */
export class AvailableTime implements GroupClock {
  readonly #clock: MonotonicClock;
  readonly #wall: WallClock;
  readonly #scheduler: Scheduler;
  readonly #log: Pick<SharedLog, "stats">;
  readonly #timing: OutageTiming;
  #timer: Timer | undefined;
  /** The last reading. */
  #shownMs: number;
  /** The time excluded from the monotonic clock; Infinity during an outage of the log. */
  #lostMs = 0;
  /** A reading later than this means that the pulse is far too late; Infinity if no pulse runs. */
  #lateFromMs = Infinity;
  #pulseDueMs = Infinity;
  /** Wall clock minus monotonic clock at the last check. */
  #offsetMs = 0;
  #outage: LogOutage | undefined;
  #lostBeforeOutageMs = 0;
  /** When the last outage ended, and when its grace ends. */
  #upSinceMs: number;
  #graceUntilMs: number;
  #creditMs: number;

  constructor(options: AvailableTimeOptions) {
    this.#clock = options.monotonic;
    this.#wall = options.wall;
    this.#scheduler = options.scheduler;
    this.#log = options.log;
    this.#timing = options.timing ?? OUTAGE_TIMING;
    this.#shownMs = this.#clock.nowMs();
    this.#upSinceMs = this.#graceUntilMs = this.#shownMs;
    this.#creditMs = this.#timing.graceCreditMs;
  }

  /**
   * Starts to detect outages.
   *
   * @param isRestart whether owners may hold leases from an earlier run: then the node was down until
   *   now, for an unknown time.
   */
  start(isRestart: boolean): void {
    const nowMs = this.#clock.nowMs();
    this.#offsetMs = this.#wall.unixMs() - nowMs;
    if (isRestart) this.#leaveOut(nowMs, nowMs, Infinity);
    this.#arm(nowMs);
  }

  /** Stops detecting outages. */
  stop(): void {
    this.#timer?.cancel();
    this.#lateFromMs = Infinity;
  }

  /** Returns the available time, ms. */
  nowMs(): number {
    const nowMs = this.#clock.nowMs();
    // The first code to run after the process was stopped must not see that time as passed.
    if (nowMs > this.#lateFromMs) this.#look(nowMs);
    const readingMs = nowMs - this.#lostMs;
    if (readingMs > this.#shownMs) this.#shownMs = readingMs;
    return this.#shownMs;
  }

  /**
   * Returns how much of the current reading may still be excluded, ms: nothing may expire unless it
   * was due that long ago. A pending write may turn out to stall, and then the time since its
   * submission does not count; the same holds for readings taken before a stall was noticed, until the
   * clock has caught up. With Infinity nothing may expire now.
   */
  unsettledMs(): number {
    const shownMs = this.nowMs();
    if (this.#outage !== undefined) return Infinity;
    const aheadMs = shownMs - (this.#clock.nowMs() - this.#lostMs);
    return Math.max(0, aheadMs) + this.#log.stats().oldestPendingMs;
  }

  /** Records that the log refuses writes from now on. */
  logRefuses(): void {
    const nowMs = this.#clock.nowMs();
    this.#look(nowMs);
    this.#watchLog(nowMs);
  }

  #arm(nowMs: number): void {
    this.#expectPulse(nowMs);
    this.#timer = this.#scheduler.after(this.#timing.pulseMs, () => {
      const pulseMs = this.#clock.nowMs();
      this.#look(pulseMs);
      this.#watchLog(pulseMs);
      this.#arm(pulseMs);
    });
  }

  #expectPulse(nowMs: number): void {
    this.#pulseDueMs = nowMs + this.#timing.pulseMs;
    this.#lateFromMs = this.#pulseDueMs + this.#timing.turnLateMs;
  }

  /** Detects a late turn and a suspended machine. */
  #look(nowMs: number): void {
    const { turnLateMs } = this.#timing;
    const offsetMs = this.#wall.unixMs() - nowMs;
    const suspendedMs = offsetMs - this.#offsetMs;
    this.#offsetMs = offsetMs;
    const lateMs = nowMs - this.#pulseDueMs;
    const isLate = nowMs > this.#lateFromMs;
    if (isLate) this.#expectPulse(nowMs);
    // An ongoing outage of the log covers this one.
    if (this.#outage !== undefined) return;
    const isSuspended = suspendedMs > turnLateMs;
    if (!isLate && !isSuspended) return;
    // The monotonic clock does not run during a suspend. Setting the wall clock looks like a suspend;
    // that only costs a grace.
    const lengthMs = (isLate ? lateMs : 0) + (isSuspended ? suspendedMs : 0);
    this.#leaveOut(isLate ? this.#stoppedFromMs(nowMs, nowMs - lateMs) : nowMs, nowMs, lengthMs);
  }

  /**
   * Returns when the time excluded for a late turn begins: when the turn was due, or when the oldest
   * write, which may have stalled before, was submitted. One pulse after the last outage always counts.
   */
  #stoppedFromMs(nowMs: number, dueMs: number): number {
    const { oldestPendingMs } = this.#log.stats();
    const fromMs = oldestPendingMs > 0 ? Math.min(dueMs, nowMs - oldestPendingMs) : dueMs;
    return Math.max(fromMs, Math.min(dueMs, this.#upSinceMs + this.#timing.pulseMs));
  }

  /** Detects the start and the end of an outage of the log. */
  #watchLog(nowMs: number): void {
    const { oldestPendingMs, poisoned, writable } = this.#log.stats();
    const refuses = poisoned || !writable;
    const stalls = oldestPendingMs > this.#timing.stallMs;
    const handedOverMs = nowMs - oldestPendingMs;
    const outage = this.#outage;
    if (outage !== undefined) {
      // If another write is the oldest now, the stalled one has completed.
      const isSameWrite = outage.handedOverMs !== undefined &&
        handedOverMs <= outage.handedOverMs + SAME_WRITE_MS;
      if (refuses || (stalls && isSameWrite)) return;
      this.#outage = undefined;
      this.#lostMs = this.#lostBeforeOutageMs;
      this.#leaveOut(outage.fromMs, nowMs, nowMs - outage.fromMs);
    } else if (refuses || stalls) {
      const fromMs = Math.max(handedOverMs, this.#upSinceMs + this.#timing.pulseMs);
      if (!refuses && fromMs >= nowMs) return;
      this.nowMs();
      this.#outage = {
        fromMs: Math.min(fromMs, nowMs),
        handedOverMs: refuses ? undefined : handedOverMs,
      };
      this.#lostBeforeOutageMs = this.#lostMs;
      this.#lostMs = Infinity;
    }
  }

  /** Excludes `[fromMs, toMs)`, and a grace that depends on how long the outage lasted. */
  #leaveOut(fromMs: number, toMs: number, lengthMs: number): void {
    const { graceCreditMs, graceMsMax, graceMsMin } = this.#timing;
    this.#shownMs = Math.max(this.#shownMs, fromMs - this.#lostMs);
    const ranMs = Math.max(0, fromMs - Math.max(this.#upSinceMs, this.#graceUntilMs));
    this.#creditMs = Math.min(graceCreditMs, this.#creditMs + CREDIT_PER_RUN * ranMs);
    // The part of an earlier grace that this outage overlaps is still owed after it.
    const owedMs = Math.max(0, this.#graceUntilMs - fromMs);
    const wantedMs = Math.min(graceMsMax, graceMsMin + GRACE_PER_OUTAGE * lengthMs);
    const givenMs = Math.min(this.#creditMs, Math.max(0, wantedMs - owedMs));
    this.#creditMs -= givenMs;
    this.#lostMs += toMs - fromMs + givenMs;
    this.#graceUntilMs = toMs + owedMs + givenMs;
    this.#upSinceMs = toMs;
  }
}
