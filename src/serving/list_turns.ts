/**
 * The turns of lists. A list reads many records, so it is worked in slices: each turn of the event loop
 * gives lists a little time, and sessions take it one after the other. What else arrives is served in
 * between, however many lists are asked for; and no page is made that its peer has no room for.
 */
import { LIST_TURN_MS } from "../base/limits.ts";
import type { MonotonicClock, Scheduler } from "../base/world.ts";

/** A list under way. */
export interface ListWork {
  /** True while its answer may be made: the peer takes what it is sent. */
  readonly hasRoom: boolean;
  /** Resolves when that may be so again, or the session is over. */
  room(): Promise<void>;
  /**
   * Works, at most until `untilMs` and at least one step. Never throws.
   *
   * @returns true when it is done, false when there is more to do, a promise while it has to wait.
   */
  work(untilMs: number): boolean | Promise<void>;
}

/** What the turns stand on. */
export interface ListTurnsOptions {
  readonly scheduler: Scheduler;
  readonly clock: MonotonicClock;
}

/** The lists of one session, in their order. */
interface Lane {
  readonly session: object;
  readonly works: ListWork[];
}

/** Works the lists of all sessions. */
export class ListTurns {
  readonly #options: ListTurnsOptions;
  readonly #lanes = new Map<object, Lane>();
  /** Lanes that may go on; the others wait for room, or for permission to read. */
  #ready: Lane[] = [];
  #scheduled = false;

  constructor(options: ListTurnsOptions) {
    this.#options = options;
  }

  /** Works `work` after the other lists of `session`, from the next turn on. */
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
