/**
 * Combines several listeners: one `accept` returns the sessions of all of them, and `rotate`
 * applies to all. Each listener keeps its own limits.
 */
import { assert, defined } from "../src/base/assert.ts";
import { newListenerStats } from "./admission.ts";
import type { Endpoint, Listener, ListenerStats, Session, TlsCertificate } from "./transport.ts";

/** Joins one or more listeners and takes ownership of them. The port is that of the first. */
export function joinListeners(listeners: readonly Listener[]): Listener {
  const [first] = listeners;
  return listeners.length === 1 ? first! : new JoinedListener(listeners);
}

class JoinedListener implements Listener {
  readonly addresses: readonly Endpoint[];
  readonly port: number;
  readonly #listeners: readonly Listener[];
  /** Listeners whose next session has been requested. */
  readonly #asked = new Set<Listener>();
  readonly #over = new Set<Listener>();
  /**
   * Holds at most one session per listener, which is asked for another only after that one is
   * taken.
   */
  readonly #arrived: Session[] = [];
  #waiting: ((session: Session | undefined) => void) | undefined;

  constructor(listeners: readonly Listener[]) {
    this.#listeners = listeners;
    this.addresses = listeners.flatMap(({ addresses }) => addresses);
    this.port = defined(listeners[0], "A joined listener has at least one listener").port;
  }

  get stats(): ListenerStats {
    const sum = newListenerStats();
    for (const { stats } of this.#listeners) {
      for (const name of Object.keys(sum) as (keyof ListenerStats)[]) sum[name] += stats[name];
    }
    return sum;
  }

  accept(): Promise<Session | undefined> {
    assert(this.#waiting === undefined, "One accept may wait at a time");
    const session = this.#arrived.shift();
    if (session !== undefined) return Promise.resolve(session);
    return new Promise((resolve) => {
      this.#waiting = resolve;
      for (const listener of this.#listeners) this.#ask(listener);
      this.#endIfOver();
    });
  }

  rotate(certificate: TlsCertificate): void {
    for (const listener of this.#listeners) listener.rotate(certificate);
  }

  async close(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    for (const session of this.#arrived.splice(0)) session.abort("The listener was closed");
  }

  #ask(listener: Listener): void {
    if (this.#asked.has(listener) || this.#over.has(listener)) return;
    this.#asked.add(listener);
    listener.accept().then((session) => {
      this.#asked.delete(listener);
      if (session === undefined) {
        this.#over.add(listener);
        this.#endIfOver();
      } else if (this.#waiting === undefined) this.#arrived.push(session);
      else this.#give(session);
    });
  }

  #endIfOver(): void {
    if (this.#over.size === this.#listeners.length) this.#give(undefined);
  }

  #give(session: Session | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(session);
  }
}
