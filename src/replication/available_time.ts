/**
 * Available time: the node's monotonic time without the stretches in which the node could neither
 * serve nor log. The time of every group that this node leads runs from it, so no lease ends because
 * of an outage of the node itself.
 *
 * An outage is a turn of the event loop that came far too late (the process was stopped, or one turn
 * took that long), a suspended machine, a log that refuses writes (no room, or poisoned), and a write
 * or sync that takes too long, counted from when it was handed over. After each outage a grace is left
 * out too, in which owners get through again: requests wait in sockets, and clients whose sessions
 * died are backing off before they connect again.
 *
 * Contract: readings never go back and never run faster than the monotonic clock, so what a lease
 * gains is at most too much. Readings go on even if outages recur: an outage by a late turn or a
 * pending write begins one pulse after the last one ended at the earliest, and graces are paid from a
 * credit that only running time refills, at half its rate. Hence a dead owner's lease ends as long as
 * turns happen and writes complete. Raft and liveness must not use this clock: what two nodes promise
 * each other rests on true time, which goes on at the other node.
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

/** A client's back-off doubles, so it waits for at most about twice as long as the outage lasted. */
const GRACE_PER_OUTAGE = 2;
/** Share of running time by which the credit for graces grows. */
const CREDIT_PER_RUN = 0.5;
/** The same write is still the oldest if its handover moved by no more than this, ms. */
const SAME_WRITE_MS = 1;

/** When an outage is one, and how long owners get after it; all ms. */
export interface OutageTiming {
  /** Between two looks at the clocks and the log. */
  readonly pulseMs: number;
  /** A pulse this late, or a wall clock this far ahead, means that the node stood still. */
  readonly turnLateMs: number;
  /** A write pending for longer than this stalls. */
  readonly stallMs: number;
  /** The least and the most grace after an outage. */
  readonly graceMsMin: number;
  readonly graceMsMax: number;
  /** The most credit for graces. */
  readonly graceCreditMs: number;
}

/** The timing of production. */
export const OUTAGE_TIMING: OutageTiming = {
  pulseMs: AVAILABLE_PULSE_MS,
  turnLateMs: TURN_LATE_MS,
  stallMs: STALL_MS,
  graceMsMin: OUTAGE_GRACE_MS_MIN,
  graceMsMax: OUTAGE_GRACE_MS_MAX,
  graceCreditMs: OUTAGE_GRACE_CREDIT_MS,
};

/** What available time is reckoned from. */
export interface AvailableTimeOptions {
  readonly monotonic: MonotonicClock;
  readonly wall: WallClock;
  readonly scheduler: Scheduler;
  readonly log: Pick<SharedLog, "stats">;
  readonly timing?: OutageTiming;
}

/** An outage of the log that goes on. */
interface LogOutage {
  readonly fromMs: number;
  /** When the write that stalls was handed over; undefined: the log refuses writes. */
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
  /** What is left out of the monotonic clock; Infinity while an outage of the log goes on. */
  #lostMs = 0;
  /** A reading later than this shows that the pulse is far too late; Infinity: it does not run. */
  #lateFromMs = Infinity;
  #pulseDueMs = Infinity;
  /** Wall minus monotonic clock at the last look. */
  #offsetMs = 0;
  #outage: LogOutage | undefined;
  #lostBeforeOutageMs = 0;
  /** When the last outage ended, and when the grace after it does. */
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
   * Starts to look for outages.
   *
   * @param isRestart whether owners may hold leases from an earlier run: the node was out until now,
   *   for nobody knows how long.
   */
  start(isRestart: boolean): void {
    const nowMs = this.#clock.nowMs();
    this.#offsetMs = this.#wall.unixMs() - nowMs;
    if (isRestart) this.#leaveOut(nowMs, nowMs, Infinity);
    this.#arm(nowMs);
  }

  /** Ends it: from now on no outage is noticed. */
  stop(): void {
    this.#timer?.cancel();
    this.#lateFromMs = Infinity;
  }

  /** Available time, ms. */
  nowMs(): number {
    const nowMs = this.#clock.nowMs();
    // Whatever runs first after the process stood still must not see that time as passed.
    if (nowMs > this.#lateFromMs) this.#look(nowMs);
    const readingMs = nowMs - this.#lostMs;
    if (readingMs > this.#shownMs) this.#shownMs = readingMs;
    return this.#shownMs;
  }

  /**
   * How much of the current reading may yet be left out, ms: nothing may expire that was not due that
   * long ago. A write that is pending may turn out to stall, and then the time since its handover does
   * not count; the same holds for what was shown before a stall was noticed, until the clock has
   * caught up. Infinity: nothing may expire now.
   */
  unsettledMs(): number {
    const shownMs = this.nowMs();
    if (this.#outage !== undefined) return Infinity;
    const aheadMs = shownMs - (this.#clock.nowMs() - this.#lostMs);
    return Math.max(0, aheadMs) + this.#log.stats().oldestPendingMs;
  }

  /** The log refuses writes from now on. */
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

  /** Notices a late turn and a suspended machine. */
  #look(nowMs: number): void {
    const { turnLateMs } = this.#timing;
    const offsetMs = this.#wall.unixMs() - nowMs;
    const suspendedMs = offsetMs - this.#offsetMs;
    this.#offsetMs = offsetMs;
    const lateMs = nowMs - this.#pulseDueMs;
    const isLate = nowMs > this.#lateFromMs;
    if (isLate) this.#expectPulse(nowMs);
    // An outage of the log that goes on covers this one.
    if (this.#outage !== undefined) return;
    const isSuspended = suspendedMs > turnLateMs;
    if (!isLate && !isSuspended) return;
    // The monotonic clock stood still during a suspend. A wall clock that was set looks like one;
    // that only costs a grace.
    const lengthMs = (isLate ? lateMs : 0) + (isSuspended ? suspendedMs : 0);
    this.#leaveOut(isLate ? this.#stoppedFromMs(nowMs, nowMs - lateMs) : nowMs, nowMs, lengthMs);
  }

  /**
   * From when on a late turn is left out: when it was due, or when the oldest write was handed over
   * that may have stalled before. One pulse after the last outage counts in any case.
   */
  #stoppedFromMs(nowMs: number, dueMs: number): number {
    const { oldestPendingMs } = this.#log.stats();
    const fromMs = oldestPendingMs > 0 ? Math.min(dueMs, nowMs - oldestPendingMs) : dueMs;
    return Math.max(fromMs, Math.min(dueMs, this.#upSinceMs + this.#timing.pulseMs));
  }

  /** Notices the begin and the end of an outage of the log. */
  #watchLog(nowMs: number): void {
    const { oldestPendingMs, poisoned, writable } = this.#log.stats();
    const refuses = poisoned || !writable;
    const stalls = oldestPendingMs > this.#timing.stallMs;
    const handedOverMs = nowMs - oldestPendingMs;
    const outage = this.#outage;
    if (outage !== undefined) {
      // If another write is the oldest now, the one that stalled has completed.
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

  /** Leaves `[fromMs, toMs)` out, and a grace by how long the outage lasted. */
  #leaveOut(fromMs: number, toMs: number, lengthMs: number): void {
    const { graceCreditMs, graceMsMax, graceMsMin } = this.#timing;
    this.#shownMs = Math.max(this.#shownMs, fromMs - this.#lostMs);
    const ranMs = Math.max(0, fromMs - Math.max(this.#upSinceMs, this.#graceUntilMs));
    this.#creditMs = Math.min(graceCreditMs, this.#creditMs + CREDIT_PER_RUN * ranMs);
    // What an outage takes of an earlier grace is still owed after it.
    const owedMs = Math.max(0, this.#graceUntilMs - fromMs);
    const wantedMs = Math.min(graceMsMax, graceMsMin + GRACE_PER_OUTAGE * lengthMs);
    const givenMs = Math.min(this.#creditMs, Math.max(0, wantedMs - owedMs));
    this.#creditMs -= givenMs;
    this.#lostMs += toMs - fromMs + givenMs;
    this.#graceUntilMs = toMs + owedMs + givenMs;
    this.#upSinceMs = toMs;
  }
}
