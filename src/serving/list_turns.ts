/**
 * Scheduling of lists. A list reads many records, so it runs in slices: a turn of lists takes a
 * limited time, which sessions share in round-robin order. Other requests are served in between,
 * regardless of the number of lists, and no page is made while its peer has no room for it.
 *
 * After their turns lists rest for as long as they worked, or as sending their pages takes. Without
 * the rest, a turn that follows another at once does not let the other requests in: Deno looks at
 * its sockets only when it has no other work, or after 61 pieces of work (`event_interval` of
 * tokio), such as a turn of lists, or the sending of 20 datagrams of one connection.
 */
import { LIST_BYTES_PER_MS, LIST_TURN_MS } from "../base/limits.ts";
import type { MonotonicClock, Scheduler } from "../base/world.ts";

/** List in progress. */
export interface ListWork {
  /** True while the answer may be made, as the peer reads what it is sent. */
  readonly hasRoom: boolean;
  /** Bytes of the answer; 0 until it is made. */
  readonly answerBytes: number;
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
  /** End of the rest that is due after the turns so far. */
  #restUntilMs = 0;

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
    if (!this.#scheduled) this.#schedule(this.#options.clock.nowMs());
  }

  #schedule(nowMs: number): void {
    const { scheduler } = this.#options;
    this.#scheduled = true;
    const restMs = this.#restUntilMs - nowMs;
    // Short rests add up until they are worth a timer.
    if (restMs < LIST_TURN_MS) scheduler.nextTurn(this.#turn);
    else scheduler.after(restMs, this.#turn);
  }

  readonly #turn = (): void => {
    const { clock } = this.#options;
    const startMs = clock.nowMs();
    const untilMs = startMs + LIST_TURN_MS;
    let [nowMs, bytes] = [startMs, 0];
    do {
      const lane = this.#ready.shift();
      if (lane === undefined) break;
      bytes += this.#work(lane, untilMs);
      nowMs = clock.nowMs();
    } while (nowMs < untilMs);
    const restMs = Math.max(nowMs - startMs, bytes / LIST_BYTES_PER_MS);
    this.#restUntilMs = Math.max(this.#restUntilMs, startMs) + nowMs - startMs + restMs;
    this.#scheduled = false;
    if (this.#ready.length > 0) this.#schedule(nowMs);
  };

  /** Works on the first list of a lane; returns the bytes of the answer if it made one. */
  #work(lane: Lane, untilMs: number): number {
    const [work] = lane.works;
    if (work === undefined) {
      this.#lanes.delete(lane.session);
      return 0;
    }
    const outcome = work.hasRoom ? work.work(untilMs) : work.room();
    if (typeof outcome !== "boolean") {
      void outcome.then(() => this.#resume(lane));
      return 0;
    }
    if (outcome) lane.works.shift();
    if (lane.works.length > 0) this.#ready.push(lane);
    else this.#lanes.delete(lane.session);
    return work.answerBytes;
  }
}
