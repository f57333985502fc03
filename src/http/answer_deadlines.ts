/**
 * The deadlines of answers: one timer for all of them instead of one each, as nearly all answers come
 * long before.
 */
import { HTTP_DEADLINE_TICK_MS } from "../base/limits.ts";
import type { MonotonicClock, Scheduler, Timer } from "../base/world.ts";

/** A deadline. */
export interface AnswerDeadline {
  /** Whether it has passed. */
  readonly isLate: boolean;
  /** Ends it; the answer is there. */
  end(): void;
}

/** The deadlines of one face, all of the same length. */
export class AnswerDeadlines {
  readonly #scheduler: Scheduler;
  readonly #clock: MonotonicClock;
  readonly #lengthMs: number;
  /** In the order in which they pass. */
  readonly #open = new Set<Entry>();
  #timer: Timer | undefined;

  constructor(scheduler: Scheduler, clock: MonotonicClock, lengthMs: number) {
    this.#scheduler = scheduler;
    this.#clock = clock;
    this.#lengthMs = lengthMs;
  }

  /** Begins a deadline. @param onLate called when it has passed, or a moment later. */
  begin(onLate: () => void): AnswerDeadline {
    const entry = new Entry(this.#clock.nowMs() + this.#lengthMs, onLate, this.#open);
    this.#open.add(entry);
    this.#timer ??= this.#tickIn(this.#lengthMs);
    return entry;
  }

  /** Ends all of them. */
  close(): void {
    this.#timer?.cancel();
    this.#open.clear();
  }

  #tickIn(delayMs: number): Timer {
    return this.#scheduler.after(Math.max(delayMs, HTTP_DEADLINE_TICK_MS), () => this.#tick());
  }

  #tick(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.nowMs();
    for (const entry of this.#open) {
      if (entry.atMs > nowMs) {
        this.#timer = this.#tickIn(entry.atMs - nowMs);
        return;
      }
      entry.pass();
    }
  }
}

class Entry implements AnswerDeadline {
  readonly atMs: number;
  readonly #onLate: () => void;
  readonly #open: Set<Entry>;
  isLate = false;

  constructor(atMs: number, onLate: () => void, open: Set<Entry>) {
    this.atMs = atMs;
    this.#onLate = onLate;
    this.#open = open;
  }

  pass(): void {
    this.end();
    this.isLate = true;
    this.#onLate();
  }

  end(): void {
    this.#open.delete(this);
  }
}
