/**
 * Bounds the writes of a node that are in progress while it also serves reads, so that a fleet that comes
 * back, with thousands of writes at once, does not delay the reads of others. A write costs ten times as much
 * as a read, most of it after it was served: for the log, for applying it and for its reply.
 *
 * Writes beyond the bound wait in fair queues: one identity after the other, and of an identity one stream
 * after the other, gets a few of its requests served. They are served when others are answered, or after some
 * milliseconds, so that writes which wait for a partition without a leader hold up no others. A stream whose
 * writes wait is not read, so what waits is bounded by what is read of it at once.
 *
 * Source: Shreedhar and Varghese, "Efficient fair queuing using deficit round robin" (1995), with requests
 * of one kind, so that no deficit is kept.
 */
import { WRITE_HELD_MS, WRITES_ALONE_MS, WRITES_IN_PROGRESS_MAX } from "../base/limits.ts";
import type { MonotonicClock, Scheduler } from "../base/world.ts";
import { isWriteOperation } from "../wire/operations/mod.ts";

/** The dependencies of {@link FairWrites}. */
export interface FairWritesOptions {
  readonly scheduler: Scheduler;
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

/** The writes of one node. */
export class FairWrites {
  readonly #options: FairWritesOptions;
  /** By owner, in the order in which they take their turns; none is empty. */
  readonly #lanes = new Map<object, Waiting[]>();
  /** Writes in progress, of those that are not counted as held. */
  #inProgress = 0;
  /** When a read arrived last, monotonic ms. */
  #readAtMs = -Infinity;
  #isServing = false;
  #isScheduled = false;
  #isTimed = false;
  #counts = { waiting: 0, waited: 0, waitedMs: 0 };

  constructor(options: FairWritesOptions) {
    this.#options = options;
  }

  get counts(): WriteQueueCounts {
    return this.#counts;
  }

  /**
   * Reports whether a request may be served now, and counts it then. Reads always may.
   *
   * @param nowMs when it arrived, monotonic ms.
   */
  mayServe(operationId: number, nowMs: number): boolean {
    if (!isWriteOperation(operationId)) {
      this.#readAtMs = nowMs;
      return true;
    }
    // What waits comes first.
    if (!this.#isServing && this.#lanes.size > 0) return false;
    if (!this.#hasRoom(nowMs)) return false;
    this.#inProgress++;
    return true;
  }

  /** Counts a request that was served as answered. */
  answered(operationId: number): void {
    if (this.#inProgress === 0 || !isWriteOperation(operationId)) return;
    this.#inProgress--;
    if (this.#lanes.size > 0) this.#serveSoon();
  }

  /**
   * Calls `serve` in turns, behind those of the same owner, until it returns false: nothing waits any more.
   *
   * @param owner whose requests they are: an identity, or a session without one.
   * @param serve serves a few requests, as far as they may be served.
   * @returns resolves after the last call, and rejects with what `serve` throws.
   */
  inTurns(owner: object, serve: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#counts.waiting++;
    const sinceMs = this.#options.clock.nowMs();
    this.#queue(owner, { serve, resolve, reject, sinceMs, isServed: false });
    if (this.#hasRoom(sinceMs)) this.#serveSoon();
    else this.#serveLater();
    return promise;
  }

  #queue(owner: object, waiting: Waiting): void {
    const lane = this.#lanes.get(owner);
    if (lane !== undefined) lane.push(waiting);
    else this.#lanes.set(owner, [waiting]);
  }

  #hasRoom(nowMs: number): boolean {
    return this.#inProgress < WRITES_IN_PROGRESS_MAX ||
      // There is no read that writes could delay.
      nowMs - this.#readAtMs >= WRITES_ALONE_MS;
  }

  #serveSoon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#options.scheduler.nextTurn(this.#turn);
  }

  #serveLater(): void {
    if (this.#isTimed) return;
    this.#isTimed = true;
    this.#options.scheduler.after(WRITE_HELD_MS, () => {
      this.#isTimed = false;
      // Those still in progress are held by something else than this node's time.
      this.#inProgress = 0;
      if (this.#lanes.size > 0) this.#serveSoon();
    });
  }

  readonly #turn = (): void => {
    const nowMs = this.#options.clock.nowMs();
    this.#isScheduled = false;
    this.#isServing = true;
    // At most as many streams as there may be writes, so that the loop comes around.
    for (let left = WRITES_IN_PROGRESS_MAX; left > 0 && this.#hasRoom(nowMs); left--) {
      const [next] = this.#lanes;
      if (next === undefined) break;
      this.#serve(next, nowMs);
    }
    this.#isServing = false;
    if (this.#lanes.size === 0) return;
    if (this.#hasRoom(nowMs)) this.#serveSoon();
    else this.#serveLater();
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
