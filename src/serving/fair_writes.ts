/**
 * Shares a node's time between writes and everything else. A write takes ten times as long as a read, and
 * thousands of them may arrive together: those of a fleet that comes back.
 *
 * Writes are served at once for a limited time, the turn (longer without reads), which ends when the event loop has come around.
 * Those beyond it wait in fair queues: one identity after the other, and of an identity one stream after
 * the other, gets a few of its requests served. While there are reads, there is a rest between two turns, in
 * which they are served, and what the writes have begun is done (list_turns.ts says why a rest is needed). A
 * stream whose writes wait is not read, so what waits is bounded by what is read of it at once.
 *
 * Source: Shreedhar and Varghese, "Efficient fair queuing using deficit round robin" (1995), with requests
 * of one kind, so that no deficit is kept.
 */
import {
  WRITE_REST_MS,
  WRITE_TURN_ALONE_MS,
  WRITE_TURN_MS,
  WRITES_ALONE_MS,
} from "../base/limits.ts";
import type { MonotonicClock, Scheduler } from "../base/world.ts";
import { isWriteOperation } from "../wire/operations/mod.ts";

/** The dependencies of {@link FairWrites}. */
export interface FairWritesOptions {
  readonly scheduler: Scheduler;
  /** A clock that is not held while a chunk is served. */
  readonly clock: MonotonicClock;
}

/** Counts of writes that had to wait. */
export interface WriteQueueCounts {
  /** Streams that wait now. */
  readonly waiting: number;
  /** Streams that have waited for a turn, since the start. */
  readonly waited: number;
  /** The sum of the times until the first of their requests was served, ms. */
  readonly waitedMs: number;
}

/** The turns of one node. */
export class FairWrites {
  readonly #options: FairWritesOptions;
  /** By owner, in the order in which they take their turns; none is empty. */
  readonly #lanes = new Map<object, Waiting[]>();
  #state: "idle" | "turn" | "rest" = "idle";
  #untilMs = 0;
  /** When a read arrived last, monotonic ms. */
  #readAtMs = -Infinity;
  #counts = { waiting: 0, waited: 0, waitedMs: 0 };

  constructor(options: FairWritesOptions) {
    this.#options = options;
  }

  get counts(): WriteQueueCounts {
    return this.#counts;
  }

  /**
   * Reports whether a request may be served at once: reads always may.
   *
   * @param nowMs when it arrived, monotonic ms.
   */
  mayServe(operationId: number, nowMs: number): boolean {
    if (!isWriteOperation(operationId)) {
      this.#readAtMs = nowMs;
      return true;
    }
    if (this.#state === "idle") this.#begin();
    return this.#state === "turn" && this.#options.clock.nowMs() < this.#untilMs;
  }

  /**
   * Calls `serve` in turns, behind those of the same owner, until it returns false: nothing waits any more.
   *
   * @param owner whose requests they are: an identity, or a session without one.
   * @param serve serves a few requests.
   * @returns resolves after the last call, and rejects with what `serve` throws.
   */
  inTurns(owner: object, serve: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#counts.waiting++;
    const sinceMs = this.#options.clock.nowMs();
    this.#queue(owner, { serve, resolve, reject, sinceMs, isServed: false });
    if (this.#state === "idle") this.#begin();
    return promise;
  }

  #queue(owner: object, waiting: Waiting): void {
    const lane = this.#lanes.get(owner);
    if (lane !== undefined) lane.push(waiting);
    else this.#lanes.set(owner, [waiting]);
  }

  #begin(): void {
    const { clock, scheduler } = this.#options;
    this.#state = "turn";
    const nowMs = clock.nowMs();
    this.#untilMs = nowMs + (this.#areAlone(nowMs) ? WRITE_TURN_ALONE_MS : WRITE_TURN_MS);
    scheduler.nextTurn(this.#end);
  }

  readonly #end = (): void => {
    const { clock, scheduler } = this.#options;
    this.#state = this.#lanes.size === 0 ? "idle" : "rest";
    if (this.#state === "idle") return;
    if (this.#areAlone(clock.nowMs())) scheduler.nextTurn(this.#turn);
    else scheduler.after(WRITE_REST_MS, this.#turn);
  };

  /** Reports whether there are no reads that writes could delay. */
  #areAlone(nowMs: number): boolean {
    return nowMs - this.#readAtMs >= WRITES_ALONE_MS;
  }

  readonly #turn = (): void => {
    const { clock } = this.#options;
    this.#begin();
    for (let nowMs = clock.nowMs(); nowMs < this.#untilMs; nowMs = clock.nowMs()) {
      const [next] = this.#lanes;
      if (next === undefined) return;
      this.#serve(next, nowMs);
    }
    // What arrives before the rest must not overtake what waits.
    if (this.#lanes.size > 0) this.#state = "rest";
  };

  /** Serves some of the requests of a lane's oldest stream; both go to the end of their queues. */
  #serve([owner, lane]: [object, Waiting[]], nowMs: number): void {
    const waiting = lane.shift()!;
    this.#lanes.delete(owner);
    if (lane.length > 0) this.#lanes.set(owner, lane);
    if (!waiting.isServed) {
      this.#counts.waited++;
      this.#counts.waitedMs += nowMs - waiting.sinceMs;
      waiting.isServed = true;
    }
    try {
      if (waiting.serve()) return this.#queue(owner, waiting);
      waiting.resolve();
    } catch (error) {
      waiting.reject(error);
    }
    this.#counts.waiting--;
  }
}

/** Requests of one stream. */
interface Waiting {
  readonly serve: () => boolean;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  readonly sinceMs: number;
  isServed: boolean;
}
