/** The sessions that a dialer opened; they end with it. */
import { RegistryError } from "../src/base/errors.ts";
import { STREAMS_PER_SESSION_MAX } from "../src/base/limits.ts";
import { newListenerStats } from "./admission.ts";
import type { Carrier, CarrierSessionOptions } from "./carrier_session.ts";
import { CarrierSession } from "./carrier_session.ts";
import type { Session } from "./transport.ts";

/** The options of a dialer that concern its sessions. */
export interface DialedSessionOptions extends Pick<CarrierSessionOptions, "scheduler" | "onError"> {
  readonly streamsPerSessionMax?: number;
}

/** The open sessions of one dialer. */
export class DialedSessions {
  readonly #sessions = new Set<Session>();
  readonly #stats = newListenerStats();
  #nextId = 1;
  #isClosed = false;

  /** @throws RegistryError `shutting_down` once closed. */
  requireOpen(): void {
    if (this.#isClosed) throw new RegistryError("shutting_down", "The dialer is closed");
  }

  /** Starts a session over a connection. */
  start(
    carrier: Carrier,
    { scheduler, onError, streamsPerSessionMax = STREAMS_PER_SESSION_MAX }: DialedSessionOptions,
    session: Pick<
      CarrierSessionOptions,
      "transport" | "remoteAddress" | "authenticatesPeers" | "peerCertificate"
    >,
  ): CarrierSession {
    return this.add(
      new CarrierSession(carrier, {
        ...session,
        id: this.#nextId++,
        limits: { streamsMax: streamsPerSessionMax },
        scheduler,
        onError,
        stats: this.#stats,
      }),
    );
  }

  /** Adds a session that was opened; aborts it if the dialer was closed meanwhile. */
  add<Opened extends Session>(session: Opened): Opened {
    this.#sessions.add(session);
    void session.closed.then(() => this.#sessions.delete(session));
    if (this.#isClosed) session.abort("the dialer was closed");
    return session;
  }

  /** Aborts all sessions, and waits for their end. Further ones are refused. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const sessions = [...this.#sessions];
    for (const session of sessions) session.abort("the dialer was closed");
    await Promise.all(sessions.map((session) => session.closed));
  }
}
