/**
 * The sessions of a node: accepts them, lets each serve itself (open_session.ts), sends them ring
 * maps, and ends them all when the node stops.
 */
import { RING_PUSH_MS, RING_PUSH_SESSION_MS } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Timer } from "../base/world.ts";
import type { Listener, Session } from "../../transport/transport.ts";
import { AnsweredRequests } from "../serving/answered_requests.ts";
import { DelegationCounts } from "../serving/delegations.ts";
import { FairWrites } from "../serving/fair_writes.ts";
import { SessionBudget } from "../serving/session_budget.ts";
import { StallWatch } from "../serving/stall_watch.ts";
import { OpenSession, type SessionServices } from "./open_session.ts";
import { AnonymousSessions } from "./anonymous_sessions.ts";

/** The dependencies of a node's sessions. */
export interface SessionsOptions extends
  Omit<
    SessionServices,
    "budget" | "watch" | "answered" | "anonymous" | "delegations" | "writes"
  > {
  readonly listener: Listener;
  readonly logger: Logger;
  /** Default: the limits of a node. */
  readonly budget?: SessionBudget;
}

/** The interval at which a drain checks for requests in progress, ms. */
const DRAIN_LOOK_MS = 10;

/** All sessions of a node. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #services: SessionServices;
  readonly #open = new Set<OpenSession>();
  /** The anonymous sessions. */
  readonly anonymous: AnonymousSessions;
  /** The memory that sessions make the node hold, and the count of those ended for that. */
  readonly budget: SessionBudget;
  /** Counts of the delegations that fronts have opened on sessions. */
  readonly delegations = new DelegationCounts();
  /** The writes in progress, and those that wait. */
  readonly writes: FairWrites;
  readonly #watch: StallWatch;
  #closing = false;
  #ringPush: Timer | undefined;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.budget = options.budget ?? new SessionBudget();
    const { clock, world: { scheduler, monotonic } } = options;
    this.anonymous = new AnonymousSessions(scheduler);
    this.#watch = new StallWatch({ scheduler, clock });
    this.writes = new FairWrites({ scheduler, clock: monotonic });
    const { budget, anonymous, delegations, writes } = this;
    const answered = new AnsweredRequests();
    this.#services = {
      ...options,
      ...{ answered, budget, anonymous, delegations, writes, watch: this.#watch },
    };
  }

  /** The number of open sessions. */
  get count(): number {
    return this.#open.size;
  }

  /** Returns the number of open sessions by transport. */
  countByTransport(): { readonly transport: string; readonly count: number }[] {
    const counts = new Map<string, number>([["quic", 0], ["webtransport", 0]]);
    for (const { session: { transport } } of this.#open) {
      counts.set(transport, (counts.get(transport) ?? 0) + 1);
    }
    return Array.from(counts, ([transport, count]) => ({ transport, count }));
  }

  /** Accepts sessions until the listener is closed. */
  async run(): Promise<void> {
    for (;;) {
      const session = await this.#options.listener.accept();
      if (session === undefined) return;
      this.#begin(session);
    }
  }

  /** Sends the ring map to every client soon, together with what changes until then. */
  pushRingMapSoon(): void {
    if (this.#closing || this.#ringPush !== undefined) return;
    const delayMs = RING_PUSH_MS + this.#open.size * RING_PUSH_SESSION_MS;
    this.#ringPush = this.#options.world.scheduler.after(delayMs, () => {
      this.#ringPush = undefined;
      this.pushRingMap();
    });
  }

  /** Sends the current ring map to every client. */
  pushRingMap(): void {
    for (const open of this.#open) open.pushRingMap();
  }

  /**
   * Waits at most `drainMs` for requests in progress, then says goodbye to all clients and ends their
   * sessions; resolves when that is done.
   */
  async close(drainMs: number): Promise<void> {
    this.#closing = true;
    this.#ringPush?.cancel();
    await this.#settled(drainMs);
    await Promise.all(Array.from(this.#open, sayStopping));
    this.#watch.close();
  }

  /** Resolves when no request is in progress, or after `drainMs`. */
  #settled(drainMs: number): Promise<void> {
    const { scheduler, monotonic } = this.#options.world;
    const untilMs = monotonic.nowMs() + drainMs;
    return new Promise((resolve) => {
      const look = () => {
        let inFlight = 0;
        for (const open of this.#open) inFlight += open.inFlight;
        if (inFlight === 0 || monotonic.nowMs() >= untilMs) resolve();
        else scheduler.after(DRAIN_LOOK_MS, look);
      };
      look();
    });
  }

  #begin(session: Session): void {
    const open = new OpenSession(session, this.#services, this.#onOver);
    if (this.#closing) return void sayStopping(open);
    this.#open.add(open);
    void open.begin();
  }

  readonly #onOver = (open: OpenSession): void => void this.#open.delete(open);
}

function sayStopping(open: OpenSession): Promise<void> {
  return open.goodbye("shutting_down", "The node is stopping");
}
