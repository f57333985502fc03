/**
 * Admits connections to their handshakes in turns, so that sessions which are open keep their latency
 * when thousands of clients connect at once.
 *
 * A turn begins handshakes for a limited time, in round-robin order over the remote addresses. Then it
 * rests for as long as the event loop took to come around, up to a limit, which includes the later steps of
 * handshakes begun before: about half of the time is for others, however busy the node is. A connection waits for
 * a limited time only, less than its client's attempt lasts: a handshake that its client has given up is
 * work for nothing. Those that wait too long, or beyond the limit of the queue, are refused. When the
 * queue is full, the address with the most waiting connections loses its newest one, but only to an address
 * that has fewer.
 */
import {
  HANDSHAKE_REST_MS_MAX,
  HANDSHAKE_TURN_MS,
  HANDSHAKE_WAIT_MS_MAX,
  HANDSHAKES_WAITING_MAX,
} from "../src/base/limits.ts";
import type { MonotonicClock, Scheduler } from "../src/base/world.ts";
import type { ListenerStats } from "./transport.ts";

/** A connection that waits for its handshake. Neither method may throw; one of them is called once. */
export interface WaitingConnection {
  /** Begins the handshake; returns once the part that is done at once is done. */
  begin(): void;
  /** Refuses the connection. */
  refuse(): void;
}

/** Dependencies of {@link HandshakeTurns}. */
export interface HandshakeTurnsOptions {
  readonly scheduler: Scheduler;
  readonly clock: MonotonicClock;
  readonly stats: Pick<ListenerStats, "waiting" | "begun" | "waitedMs" | "overdue" | "refused">;
  /** Maximum number of waiting connections. Default `HANDSHAKES_WAITING_MAX`. */
  readonly waitingMax?: number | undefined;
  /** Maximum time for which one waits, ms. Default `HANDSHAKE_WAIT_MS_MAX`. */
  readonly waitMsMax?: number | undefined;
}

interface Waiting {
  readonly connection: WaitingConnection;
  readonly sinceMs: number;
}

/** The turns of one listener. */
export class HandshakeTurns {
  readonly #options: HandshakeTurnsOptions;
  readonly #waitingMax: number;
  readonly #waitMsMax: number;
  /** By address, in the order in which they take their turns; none is empty. */
  readonly #lanes = new Map<string, Waiting[]>();
  #isScheduled = false;
  #isClosed = false;

  constructor(options: HandshakeTurnsOptions) {
    this.#options = options;
    this.#waitingMax = options.waitingMax ?? HANDSHAKES_WAITING_MAX;
    this.#waitMsMax = options.waitMsMax ?? HANDSHAKE_WAIT_MS_MAX;
  }

  /**
   * Begins the handshake of a connection, at once if the turns are at rest.
   *
   * @param address the remote address, as `addressKey` returns it; "" if it is not known yet.
   */
  add(address: string, connection: WaitingConnection): void {
    if (this.#isClosed) return connection.refuse();
    const lane = this.#lanes.get(address);
    if (this.#options.stats.waiting >= this.#waitingMax && !this.#makeRoom(lane?.length ?? 0)) {
      return this.#refuse(connection);
    }
    const waiting = { connection, sinceMs: this.#options.clock.nowMs() };
    this.#options.stats.waiting++;
    if (lane !== undefined) lane.push(waiting);
    else this.#lanes.set(address, [waiting]);
    if (!this.#isScheduled) this.#turn();
  }

  /** Refuses all that wait, and those that are added later. */
  close(): void {
    this.#isClosed = true;
    for (const lane of this.#lanes.values()) {
      for (const { connection } of lane) connection.refuse();
    }
    this.#lanes.clear();
    this.#options.stats.waiting = 0;
  }

  /**
   * Refuses the newest connection of the longest lane, unless the newcomer's lane would then be as long as that.
   *
   * @param length connections in the lane of the newcomer, without it.
   */
  #makeRoom(length: number): boolean {
    let longest: Waiting[] = [];
    for (const lane of this.#lanes.values()) if (lane.length > longest.length) longest = lane;
    if (longest.length <= length + 1) return false;
    this.#options.stats.waiting--;
    this.#refuse(longest.pop()!.connection);
    return true;
  }

  readonly #turn = (): void => {
    const { clock, scheduler } = this.#options;
    const startMs = clock.nowMs();
    this.#dropOverdue(startMs);
    this.#isScheduled = this.#lanes.size > 0;
    if (!this.#isScheduled) return;
    do {
      this.#beginNext(startMs);
    } while (this.#lanes.size > 0 && clock.nowMs() < startMs + HANDSHAKE_TURN_MS);
    scheduler.nextTurn(() => {
      const restMs = Math.min(clock.nowMs() - startMs, HANDSHAKE_REST_MS_MAX);
      scheduler.after(restMs, this.#turn);
    });
  };

  /** Begins the oldest handshake of the lane whose turn it is. */
  #beginNext(nowMs: number): void {
    const [next] = this.#lanes;
    if (next === undefined) return;
    const [address, lane] = next;
    const { connection, sinceMs } = lane.shift()!;
    this.#lanes.delete(address);
    if (lane.length > 0) this.#lanes.set(address, lane);
    const { stats } = this.#options;
    stats.waiting--;
    stats.begun++;
    stats.waitedMs += nowMs - sinceMs;
    connection.begin();
  }

  #dropOverdue(nowMs: number): void {
    const { stats } = this.#options;
    for (const [address, lane] of this.#lanes) {
      while (lane.length > 0 && nowMs - lane[0]!.sinceMs > this.#waitMsMax) {
        stats.waiting--;
        this.#refuse(lane.shift()!.connection);
      }
      if (lane.length === 0) this.#lanes.delete(address);
    }
  }

  #refuse(connection: WaitingConnection): void {
    const { stats } = this.#options;
    stats.overdue++;
    stats.refused++;
    connection.refuse();
  }
}
