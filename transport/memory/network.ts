/**
 * A network inside one process, for simulation and tests: named hosts, listeners on ports, and
 * links with delay, loss and cuts in each direction. It is driven only by the clock, scheduler and
 * entropy passed in, so the same seed gives the same run.
 *
 * There is no TLS: trust and certificates are accepted and ignored.
 */
import { RegistryError } from "../../src/base/errors.ts";
import {
  CLIENT_IDLE_MS,
  SESSIONS_BACKLOG_MAX,
  STREAMS_PER_SESSION_MAX,
} from "../../src/base/limits.ts";
import { ConnectionAdmission, newListenerStats } from "../admission.ts";
import { Handoff } from "../handoff.ts";
import type { Dialer, Endpoint, Listener, ListenerStats, Session } from "../transport.ts";
import type { ListenerLimits } from "../transport.ts";
import { MemoryDialer } from "./dialer.ts";
import type { LinkQuality, NetworkWorld } from "./link.ts";
import { Channel, MemoryLink } from "./link.ts";
import { MemorySession } from "./session.ts";

/** The amount that QUIC sends to a peer that does not read. */
export const WINDOW_BYTES = 1_250_000;
const PORT_MIN_EPHEMERAL = 49_152;

/** Options of a listener of a memory network. */
export interface MemoryListenOptions {
  readonly host: string;
  /** The port; 0 chooses one. */
  readonly port: number;
  readonly limits?: ListenerLimits;
  readonly idleMs?: number;
}

/** Options of the sessions that a dialer of a memory network opens. */
export interface MemoryConnectOptions {
  readonly idleMs?: number;
  readonly streamsPerSessionMax?: number;
}

/** A network of hosts. */
export class MemoryNetwork {
  readonly world: NetworkWorld;
  readonly #quality: LinkQuality;
  readonly #links = new Map<string, MemoryLink>();
  readonly #listeners = new Map<string, MemoryListener>();
  /** The session ends of each host, in order of creation. */
  readonly #ends = new Map<string, Map<MemorySession, string>>();
  #nextPort = PORT_MIN_EPHEMERAL;
  #nextSessionId = 1;

  /** @param quality default quality of all links: no delay and no loss unless given. */
  constructor(world: NetworkWorld, quality: Partial<LinkQuality> = {}) {
    this.world = world;
    const { delayMsMin = 0, delayMsMax = delayMsMin, lossRate = 0 } = quality;
    this.#quality = { delayMsMin, delayMsMax, lossRate };
  }

  /** Listens on a port of a host. @throws RegistryError `invalid_configuration` if it is taken. */
  listen(options: MemoryListenOptions): Listener {
    const port = options.port === 0 ? this.#nextPort++ : options.port;
    const key = `${options.host} ${port}`;
    if (this.#listeners.has(key)) {
      const message = `Cannot listen on ${options.host} port ${port}: it is in use`;
      throw new RegistryError("invalid_configuration", message, { field: "listen" });
    }
    const listener = new MemoryListener(options, port, () => this.#listeners.delete(key));
    this.#listeners.set(key, listener);
    return listener;
  }

  /** Returns a dialer whose sessions come from `host`. */
  dialer(host: string, options: MemoryConnectOptions = {}): Dialer {
    const { scheduler } = this.world;
    return new MemoryDialer({ scheduler, connect: (to) => this.connect(host, to, options) });
  }

  /** Returns the direction `from` → `to`. */
  link(from: string, to: string): MemoryLink {
    const key = `${from} ${to}`;
    let link = this.#links.get(key);
    if (link === undefined) this.#links.set(key, link = new MemoryLink(this.world, this.#quality));
    return link;
  }

  /**
   * Cuts the direction `from` → `to`: events in transit are held, and both sides give up when idle.
   */
  cut(from: string, to: string): void {
    const link = this.link(from, to);
    if (link.cutAtMs !== undefined) return;
    link.cut();
    for (const [session, remote] of [...this.#endsOf(to)]) {
      if (remote === from) session.onInboundCut(link);
    }
  }

  /** Heals the direction `from` → `to`. */
  heal(from: string, to: string): void {
    this.link(from, to).heal();
  }

  /** Removes a host at once: its listeners and sessions are gone, and nobody is notified. */
  crash(host: string): void {
    for (const [key, listener] of [...this.#listeners]) {
      if (key.startsWith(`${host} `)) listener.vanish();
    }
    for (const session of [...this.#endsOf(host).keys()]) session.lose("crashed");
  }

  /** Creates both ends of a session; for {@link Dialer.dial} of this network. */
  connect(from: string, to: Endpoint, options: MemoryConnectOptions): Promise<Session> {
    const there = new Channel(this.link(from, to.host));
    const back = new Channel(this.link(to.host, from));
    return new Promise((resolve, reject) => {
      there.send(() => {
        const listener = this.#listeners.get(`${to.host} ${to.port}`);
        const outcome = listener === undefined
          ? new RegistryError("connection_lost", `Nobody listens on ${to.host} port ${to.port}`)
          : this.#establish(from, to, options, listener);
        back.send(() => {
          if (outcome instanceof RegistryError) reject(outcome);
          else resolve(outcome);
        });
      });
    });
  }

  #establish(
    from: string,
    to: Endpoint,
    options: MemoryConnectOptions,
    listener: MemoryListener,
  ): MemorySession | RegistryError {
    if (!listener.admit(from)) {
      return new RegistryError("overloaded", `${to.host} has no room for another session`);
    }
    const idleMs = Math.min(options.idleMs ?? CLIENT_IDLE_MS, listener.idleMs);
    const { scheduler } = this.world;
    const shared = { windowBytes: WINDOW_BYTES, idleMs, scheduler };
    const near = new MemorySession({
      ...shared,
      id: this.#nextSessionId++,
      remoteAddress: `${to.host}:${to.port}`,
      limits: { streamsMax: options.streamsPerSessionMax ?? STREAMS_PER_SESSION_MAX },
      newChannel: () => new Channel(this.link(from, to.host)),
      stats: newListenerStats(),
      onEnd: (session) => this.#endsOf(from).delete(session),
    });
    const far = new MemorySession({
      ...shared,
      id: this.#nextSessionId++,
      remoteAddress: `${from}:${this.#nextPort++}`,
      limits: { streamsMax: listener.streamsMax },
      newChannel: () => new Channel(this.link(to.host, from)),
      stats: listener.stats,
      onEnd: (session) => {
        this.#endsOf(to.host).delete(session);
        listener.onSessionEnd(session, from);
      },
    });
    MemorySession.join(near, far);
    this.#endsOf(from).set(near, to.host);
    this.#endsOf(to.host).set(far, from);
    listener.onSession(far);
    return near;
  }

  #endsOf(host: string): Map<MemorySession, string> {
    let ends = this.#ends.get(host);
    if (ends === undefined) this.#ends.set(host, ends = new Map());
    return ends;
  }
}

class MemoryListener implements Listener {
  readonly addresses: readonly Endpoint[];
  readonly port: number;
  readonly stats: ListenerStats = newListenerStats();
  readonly idleMs: number;
  readonly streamsMax: number;
  readonly #admission: ConnectionAdmission;
  readonly #ready: Handoff<Session>;
  readonly #sessions = new Set<MemorySession>();
  readonly #onClose: () => void;

  constructor(options: MemoryListenOptions, port: number, onClose: () => void) {
    const limits = options.limits ?? {};
    this.port = port;
    this.addresses = [{ host: options.host, port }];
    this.idleMs = options.idleMs ?? CLIENT_IDLE_MS;
    this.streamsMax = limits.streamsPerSessionMax ?? STREAMS_PER_SESSION_MAX;
    this.#ready = new Handoff(limits.sessionsBacklogMax ?? SESSIONS_BACKLOG_MAX);
    this.#admission = new ConnectionAdmission(limits, this.stats);
    this.#onClose = onClose;
  }

  accept(): Promise<Session | undefined> {
    return this.#ready.take();
  }

  /** Does nothing: there is no TLS here. */
  rotate(): void {}

  async close(): Promise<void> {
    this.vanish();
    const sessions = [...this.#sessions];
    for (const session of sessions) session.close("shutting_down", "the server is shutting down");
    await Promise.all(sessions.map((session) => session.closed));
  }

  /** Stops accepting, without notifying anybody. */
  vanish(): void {
    this.#onClose();
    this.#ready.close();
  }

  /** Counts a session from `host`; returns false if there is no room. */
  admit(host: string): boolean {
    return this.#admission.mayBegin() && this.#admission.begin(host);
  }

  /** Adds a session that was admitted. */
  onSession(session: MemorySession): void {
    this.#admission.complete();
    this.#sessions.add(session);
    if (this.#ready.push(session)) return;
    this.stats.refused++;
    session.close("overloaded", "too many new sessions");
  }

  onSessionEnd(session: MemorySession, host: string): void {
    this.#sessions.delete(session);
    this.#admission.end(host);
  }
}
