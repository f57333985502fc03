/**
 * Calls that wait for no node in particular: each is routed again after a pause, or at once when
 * the client learns something that may help it. Clock: monotonic.
 */
import type { World } from "../base/world.ts";
import { type Call, rejectCall } from "./call.ts";
import { lateError } from "./call_queue.ts";
import { CoarseTimer } from "./coarse_timer.ts";

/** The parked calls of a client. */
export class ParkedCalls {
  readonly #timer: CoarseTimer;
  readonly #resume: (call: Call, nowMs: number) => void;
  #calls: Call[] = [];

  /** @param resume routes a call whose pause is over; it may park the call again. */
  constructor(world: World, resume: (call: Call, nowMs: number) => void) {
    this.#resume = resume;
    this.#timer = new CoarseTimer(world, (nowMs) => this.#tick(nowMs));
  }

  get count(): number {
    return this.#calls.length;
  }

  /** Parks a call until `call.resumeAtMs`. */
  add(call: Call, nowMs: number): void {
    this.#calls.push(call);
    this.#timer.want(Math.min(call.resumeAtMs, call.deadlineMs), nowMs);
  }

  /** Ends all pauses. */
  wake(nowMs: number): void {
    this.#run(nowMs, true);
  }

  /** Returns and forgets all calls. */
  takeAll(): Call[] {
    this.#timer.cancel();
    const calls = this.#calls;
    this.#calls = [];
    return calls;
  }

  #tick(nowMs: number): number {
    this.#run(nowMs, false);
    let next = Infinity;
    for (const { resumeAtMs, deadlineMs } of this.#calls) {
      next = Math.min(next, resumeAtMs, deadlineMs);
    }
    return next;
  }

  #run(nowMs: number, all: boolean): void {
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) {
      if (call.done) continue;
      if (call.deadlineMs <= nowMs) rejectCall(call, lateError(call, undefined));
      else if (all || call.resumeAtMs <= nowMs) this.#resume(call, nowMs);
      else this.#calls.push(call);
    }
  }
}
