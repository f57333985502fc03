/**
 * The sessions of a listener: admits connections, starts the session of each one whose handshake is
 * complete, hands it to `accept`, and ends all sessions when the listener closes.
 */
import { SESSIONS_BACKLOG_MAX, STREAMS_PER_SESSION_MAX } from "../src/base/limits.ts";
import { ConnectionAdmission, newListenerStats } from "./admission.ts";
import type { Carrier, CarrierSessionOptions } from "./carrier_session.ts";
import { CarrierSession } from "./carrier_session.ts";
import { Handoff } from "./handoff.ts";
import type { ListenerLimits, ListenerStats, Session } from "./transport.ts";

/** The options of a listener that concern its sessions. */
export interface ListenerSessionOptions
  extends Pick<CarrierSessionOptions, "scheduler" | "onError"> {
  readonly limits?: ListenerLimits;
}

/** The sessions of one listener. */
export class ListenerSessions {
  readonly stats: ListenerStats = newListenerStats();
  readonly admission: ConnectionAdmission;
  readonly #options: ListenerSessionOptions;
  readonly #ready: Handoff<Session>;
  readonly #sessions = new Set<CarrierSession>();
  #nextId = 1;
  #isClosed = false;

  constructor(options: ListenerSessionOptions) {
    const { limits = {} } = options;
    this.#options = options;
    this.#ready = new Handoff(limits.sessionsBacklogMax ?? SESSIONS_BACKLOG_MAX);
    this.admission = new ConnectionAdmission(limits, this.stats);
  }

  get streamsMax(): number {
    return this.#options.limits?.streamsPerSessionMax ?? STREAMS_PER_SESSION_MAX;
  }

  /** See `Listener.accept`. */
  accept(): Promise<Session | undefined> {
    return this.#ready.take();
  }

  /** Starts the session of a connection from `host` that was admitted and completed its handshake. */
  start(
    carrier: Carrier,
    host: string,
    session: Pick<
      CarrierSessionOptions,
      "transport" | "remoteAddress" | "authenticatesPeers" | "peerCertificate"
    >,
  ): void {
    const { limits = {}, scheduler, onError } = this.#options;
    this.admission.complete();
    const started = new CarrierSession(carrier, {
      ...session,
      id: this.#nextId++,
      limits: { streamsMax: this.streamsMax },
      ...(limits.prefaceMsMax === undefined ? {} : { prefaceMsMax: limits.prefaceMsMax }),
      scheduler,
      onError,
      stats: this.stats,
      onEnd: (ended) => {
        this.#sessions.delete(ended);
        this.admission.end(host);
      },
    });
    this.#sessions.add(started);
    if (this.#isClosed) {
      started.refuse("shutting_down", "the server is shutting down");
    } else if (!this.#ready.push(started)) {
      this.stats.refused++;
      started.refuse("overloaded", "too many new sessions");
    }
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
