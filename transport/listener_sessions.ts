/**
 * The sessions of a listener: admits connections, starts the session of each one whose handshake is
 * complete, hands it to `accept`, and ends all sessions when the listener closes.
 */
import { SESSIONS_BACKLOG_MAX, STREAMS_PER_SESSION_MAX } from "../src/base/limits.ts";
import type { Scheduler } from "../src/base/world.ts";
import { ConnectionAdmission, newListenerStats } from "./admission.ts";
import type { Carrier, CarrierSessionOptions, CarrierSessionOwner } from "./carrier_session.ts";
import { CarrierSession } from "./carrier_session.ts";
import { Handoff } from "./handoff.ts";
import { hostOf } from "./host_address.ts";
import type {
  ListenerLimits,
  ListenerStats,
  OnError,
  Session,
  SessionLimits,
} from "./transport.ts";

/** The options of a listener that concern its sessions. */
export interface ListenerSessionOptions extends Pick<CarrierSessionOwner, "scheduler" | "onError"> {
  readonly limits?: ListenerLimits;
}

/** The sessions of one listener. */
export class ListenerSessions implements CarrierSessionOwner {
  readonly stats: ListenerStats = newListenerStats();
  readonly admission: ConnectionAdmission;
  readonly limits: SessionLimits;
  readonly prefaceMsMax: number | undefined;
  readonly scheduler: Scheduler;
  readonly onError: OnError;
  readonly #ready: Handoff<Session>;
  readonly #sessions = new Set<CarrierSession>();
  #nextId = 1;
  #isClosed = false;

  constructor(options: ListenerSessionOptions) {
    const { limits = {} } = options;
    this.limits = { streamsMax: limits.streamsPerSessionMax ?? STREAMS_PER_SESSION_MAX };
    this.prefaceMsMax = limits.prefaceMsMax;
    this.scheduler = options.scheduler;
    this.onError = options.onError;
    this.#ready = new Handoff(limits.sessionsBacklogMax ?? SESSIONS_BACKLOG_MAX);
    this.admission = new ConnectionAdmission(limits, this.stats);
  }

  /** See `Listener.accept`. */
  accept(): Promise<Session | undefined> {
    return this.#ready.take();
  }

  /** Starts the session of a connection that was admitted and completed its handshake. */
  start(carrier: Carrier, session: Omit<CarrierSessionOptions, "id">): void {
    this.admission.complete();
    const started = new CarrierSession(carrier, this, { ...session, id: this.#nextId++ });
    this.#sessions.add(started);
    if (this.#isClosed) {
      started.refuse("shutting_down", "the server is shutting down");
    } else if (!this.#ready.push(started)) {
      this.stats.refused++;
      started.refuse("overloaded", "too many new sessions");
    }
  }

  /** Implements {@link CarrierSessionOwner.sessionEnded}. */
  sessionEnded(session: CarrierSession): void {
    this.#sessions.delete(session);
    this.admission.end(hostOf(session.remoteAddress));
  }

  /** Ends all sessions, aborting those that were not accepted; resolves when they have ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const session of this.#ready.close()) session.abort("the server is shutting down");
    const sessions = [...this.#sessions];
    for (const session of sessions) session.refuse("shutting_down", "the server is shutting down");
    await Promise.all(sessions.map((session) => session.closed));
  }
}
