/** The sessions that a dialer opened; they end with it. */
import { RegistryError } from "../src/base/errors.ts";
import { STREAMS_PER_SESSION_MAX } from "../src/base/limits.ts";
import { newListenerStats } from "./admission.ts";
import type { Carrier, CarrierSessionOptions, CarrierSessionOwner } from "./carrier_session.ts";
import { CarrierSession } from "./carrier_session.ts";
import type { Session } from "./transport.ts";

/** The options of a dialer that concern its sessions. */
export interface DialedSessionOptions extends Pick<CarrierSessionOwner, "scheduler" | "onError"> {
  readonly streamsPerSessionMax?: number;
}

/** The open sessions of one dialer. */
export class DialedSessions {
  readonly #sessions = new Set<Session>();
  #owner: CarrierSessionOwner | undefined;
  #nextId = 1;
  #isClosed = false;

  /** @throws RegistryError `shutting_down` once closed. */
  requireOpen(): void {
    if (this.#isClosed) throw new RegistryError("shutting_down", "The dialer is closed");
  }

  /** Starts a session over a connection. All of a dialer have the same options. */
  start(
    carrier: Carrier,
    options: DialedSessionOptions,
    session: Omit<CarrierSessionOptions, "id">,
  ): CarrierSession {
    this.#owner ??= ownerOf(options);
    return this.add(new CarrierSession(carrier, this.#owner, { ...session, id: this.#nextId++ }));
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

function ownerOf(
  { scheduler, onError, streamsPerSessionMax = STREAMS_PER_SESSION_MAX }: DialedSessionOptions,
): CarrierSessionOwner {
  return {
    scheduler,
    onError,
    limits: { streamsMax: streamsPerSessionMax },
    prefaceMsMax: undefined,
    stats: newListenerStats(),
    // Its promise tells the dialer.
    sessionEnded: () => {},
  };
}
