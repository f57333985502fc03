/**
 * Scheduling of lists. A list reads many records, so it runs in slices: each turn of the event loop
 * gives lists a limited time, which sessions share in round-robin order. Other requests are served
 * in between, regardless of the number of lists, and no page is made while its peer has no room for
 * it.
 */
import { LIST_TURN_MS } from "../base/limits.ts";
import type { MonotonicClock, Scheduler } from "../base/world.ts";

/** List in progress. */
export interface ListWork {
  /** True while the answer may be made, as the peer reads what it is sent. */
  readonly hasRoom: boolean;
  /** Resolves when {@link hasRoom} may be true again, or the session is over. */
  room(): Promise<void>;
  /**
   * Works until `untilMs` at most, and at least one step. Never throws.
   *
   * @returns true when done, false if more work remains, a promise while it has to wait.
   */
  work(untilMs: number): boolean | Promise<void>;
}

/** Dependencies of {@link ListTurns}. */
export interface ListTurnsOptions {
  readonly scheduler: Scheduler;
  readonly clock: MonotonicClock;
}

/** Queue of the lists of one session. */
interface Lane {
  readonly session: object;
  readonly works: ListWork[];
}

/** Runs the lists of all sessions. */
export class ListTurns {
  readonly #options: ListTurnsOptions;
  readonly #lanes = new Map<object, Lane>();
  /** Lanes that may proceed; the others wait for room, or for permission to read. */
  #ready: Lane[] = [];
  #scheduled = false;

  constructor(options: ListTurnsOptions) {
    this.#options = options;
  }

  /**
   * Queues `work` behind the other lists of `session`; it starts in the next turn at the earliest.
   */
  add(session: object, work: ListWork): void {
    const lane = this.#lanes.get(session);
    if (lane !== undefined) return void lane.works.push(work);
    const begun: Lane = { session, works: [work] };
    this.#lanes.set(session, begun);
    this.#resume(begun);
  }

  #resume(lane: Lane): void {
    this.#ready.push(lane);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.scheduler.nextTurn(this.#turn);
  }

  readonly #turn = (): void => {
    const { clock, scheduler } = this.#options;
    const untilMs = clock.nowMs() + LIST_TURN_MS;
    do {
      const lane = this.#ready.shift();
      if (lane === undefined) break;
      this.#work(lane, untilMs);
    } while (clock.nowMs() < untilMs);
    this.#scheduled = this.#ready.length > 0;
    if (this.#scheduled) scheduler.nextTurn(this.#turn);
  };

  #work(lane: Lane, untilMs: number): void {
    const [work] = lane.works;
    if (work === undefined) return void this.#lanes.delete(lane.session);
    const outcome = work.hasRoom ? work.work(untilMs) : work.room();
    if (typeof outcome === "boolean") {
      if (outcome) lane.works.shift();
      if (lane.works.length > 0) this.#ready.push(lane);
      else this.#lanes.delete(lane.session);
      return;
    }
    void outcome.then(() => this.#resume(lane));
  }
}
