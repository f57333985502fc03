/**
 * The wire between the machines of a cluster, nodes and clients: production's transport interface over
 * simulated links, which delay, lose and hold back packets in each direction, as QUIC would see it.
 * Lost data is sent again, so a loss is a delay; data that a cut link holds back arrives once it is
 * healed, unless the session was given up before.
 *
 * All machines have one host name, and each listener its own port. There is no TLS.
 */
import { RegistryError } from "../../../src/base/errors.ts";
import {
  CLIENT_IDLE_MS,
  SESSIONS_BACKLOG_MAX,
  STREAMS_PER_SESSION_MAX,
} from "../../../src/base/limits.ts";
import { SeededEntropy } from "../../../src/base/prng.ts";
import { newListenerStats } from "../../../transport/admission.ts";
import { Handoff } from "../../../transport/handoff.ts";
import { MemoryDialer } from "../../../transport/memory/dialer.ts";
import type { StreamChannel } from "../../../transport/memory/stream.ts";
import type { Dialer, Endpoint, Listener, Session } from "../../../transport/transport.ts";
import type { Machine, Process } from "../machine.ts";
import { CALM_NETWORK, type NetworkSettings } from "../network.ts";
import type { SimWorld } from "../world.ts";
import { WireSession } from "./wire_session.ts";

/** The host name of all machines. */
export const WIRE_HOST = "127.0.0.1";
/** Mean interval at which ends of sessions are checked for silence, ms. */
const CHECK_MS = 400;
/** Delay before a lost packet is sent again, ms; doubled each further time. */
const RESEND_MS = 20;
const RESENDS_MAX = 6;
/** Longest delay until what a healed link held back is sent again, ms. */
const RESUME_MS_MAX = 300;
/** Probability that an end whose peer gave up notices at a check, by the answer to its next packet. */
const RESET = 0.5;
const SESSION_IDS_MIN = 1;
const PORT_MIN_EPHEMERAL = 49_152;

/** The silence after which a side gives up, and the number of streams that it allows. */
export interface WireLimits {
  readonly idleMs?: number;
  readonly streamsPerSessionMax?: number;
}

/** One direction between two machines. */
interface Link {
  isCut: boolean;
  /** Data held until the link is healed, in the order of sending. */
  readonly held: (() => void)[];
}

/** Both ends of a session. */
type Pair = readonly [WireSession, WireSession];

/** All links, listeners and sessions. */
export class SimWire {
  settings: NetworkSettings = CALM_NETWORK;
  /** Returns the properties of a link; by default all links have those of {@link settings}. */
  settingsOf: (from: number, to: number) => NetworkSettings = () => this.settings;
  /** Events that were carried. */
  carried = 0;
  readonly #world: SimWorld;
  readonly #entropy: SeededEntropy;
  readonly #links = new Map<number, Link>();
  readonly #listeners = new Map<number, WireListener>();
  readonly #pairs = new Set<Pair>();
  #nextId = SESSION_IDS_MIN;
  #nextPort = PORT_MIN_EPHEMERAL;

  constructor(world: SimWorld, seed: number) {
    this.#world = world;
    this.#entropy = new SeededEntropy(seed);
  }

  /** Opens a port for a program. */
  listen(machine: Machine, process: Process, port: number, limits: WireLimits = {}): Listener {
    const before = this.#listeners.get(port);
    if (before?.process.isAlive === true) {
      throw new RegistryError("invalid_configuration", `Port ${port} is in use`, { field: "port" });
    }
    const listener = new WireListener(machine, process, port, limits, () => {
      if (this.#listeners.get(port) === listener) this.#listeners.delete(port);
    });
    this.#listeners.set(port, listener);
    return listener;
  }

  /** Returns a dialer for a program. */
  dialer(machine: Machine, process: Process, limits: WireLimits = {}): Dialer {
    const from = { machine, process };
    const connect = (to: Endpoint) => this.connect(from, to, limits);
    return new MemoryDialer({ scheduler: process, connect });
  }

  /** Cuts the link from one machine to another: what is in transit still arrives. */
  cut(from: number, to: number): void {
    this.#link(from, to).isCut = true;
  }

  /** Restores a link. */
  heal(from: number, to: number): void {
    const link = this.#link(from, to);
    if (!link.isCut) return;
    link.isCut = false;
    this.#world.after(this.#entropy.unit() * RESUME_MS_MAX, () => {
      if (link.isCut) return;
      for (const send of link.held.splice(0)) send();
    });
  }

  /** Restores all links. */
  healAll(): void {
    for (const [key, { isCut }] of this.#links) if (isCut) this.heal(key >>> 16, key & 0xffff);
  }

  /** Ends some session silently at one end. @returns the machines of the two; undefined: there is none */
  breakOne(): readonly [number, number] | undefined {
    const pairs = [...this.#pairs].filter(([near, far]) => near.isAlive && far.isAlive);
    if (pairs.length === 0) return undefined;
    const [near, far] = pairs[Math.floor(this.#entropy.unit() * pairs.length)]!;
    const end = this.#entropy.unit() < 0.5 ? near : far;
    end.options.process.enter(() => end.lose("its packets went elsewhere"));
    return [near.options.machine.id, far.options.machine.id];
  }

  #channel(from: WireSession, to: WireSession): StreamChannel {
    const machines = { from: from.options.machine.id, to: to.options.machine.id };
    let isEnded = false;
    let lastMs = 0;
    const send = (deliver: () => void) => {
      const delayMs = this.#delayMs(machines.from, machines.to);
      const atMs = Math.max(this.#world.nowMs + delayMs, lastMs);
      lastMs = atMs;
      this.carried++;
      this.#world.at(atMs, () => {
        if (isEnded || to.ended) return;
        to.options.process.enter(() => {
          if (isEnded || to.ended) return;
          to.heardMs = this.#world.nowMs;
          deliver();
        });
      });
    };
    return {
      send: (deliver) => {
        if (isEnded) return;
        const { isCut, held } = this.#link(machines.from, machines.to);
        // What was held back is sent first.
        if (isCut || held.length > 0) held.push(() => send(deliver));
        else send(deliver);
      },
      end: () => void (isEnded = true),
    };
  }

  /** Establishes a session; for {@link Dialer.dial}. A host that does not listen never answers. */
  connect(
    from: { readonly machine: Machine; readonly process: Process },
    { port }: Endpoint,
    limits: WireLimits,
  ): Promise<WireSession> {
    return new Promise((resolve, reject) => {
      const to = this.#listeners.get(port)?.machine.id;
      if (to === undefined) return;
      this.#pass(from.machine.id, to, () => {
        const listener = this.#listeners.get(port);
        listener?.process.enter(() => {
          const near = this.#establish(from, listener, limits);
          this.#pass(to, from.machine.id, () =>
            from.process.enter(() => {
              if (!near.ended) return resolve(near);
              reject(new RegistryError("connection_lost", "The session ended while it began"));
            }));
        });
      });
    });
  }

  #establish(
    from: { readonly machine: Machine; readonly process: Process },
    listener: WireListener,
    limits: WireLimits,
  ): WireSession {
    const idleMs = Math.min(
      limits.idleMs ?? CLIENT_IDLE_MS,
      listener.limits.idleMs ?? CLIENT_IDLE_MS,
    );
    const shared = { idleMs, nowMs: this.#world.nowMs };
    const near: WireSession = new WireSession({
      ...shared,
      ...from,
      id: this.#nextId++,
      remoteMachine: listener.machine.id,
      remoteAddress: `${WIRE_HOST}:${listener.port}`,
      limits: { streamsMax: limits.streamsPerSessionMax ?? STREAMS_PER_SESSION_MAX },
      newChannel: () => this.#channel(near, far),
      onEnd: () => {},
    });
    const { machine, process } = listener;
    const far: WireSession = new WireSession({
      ...shared,
      machine,
      process,
      id: this.#nextId++,
      remoteMachine: from.machine.id,
      remoteAddress: `${WIRE_HOST}:${this.#nextPort++}`,
      limits: { streamsMax: listener.limits.streamsPerSessionMax ?? STREAMS_PER_SESSION_MAX },
      newChannel: () => this.#channel(far, near),
      onEnd: () => listener.sessions.delete(far),
    });
    WireSession.join(near, far);
    const pair: Pair = [near, far];
    this.#pairs.add(pair);
    this.#watch(pair);
    listener.sessions.add(far);
    if (!listener.ready.push(far)) far.close("overloaded", "too many new sessions");
    return near;
  }

  /** Lets each end notice the silence of the other. */
  #watch(pair: Pair): void {
    this.#world.after(CHECK_MS * (0.5 + this.#entropy.unit()), () => {
      const [near, far] = pair;
      this.#listenTo(near, far);
      this.#listenTo(far, near);
      if (near.isAlive || far.isAlive) this.#watch(pair);
      else this.#pairs.delete(pair);
    });
  }

  #listenTo(end: WireSession, peer: WireSession): void {
    const { machine, process, idleMs } = end.options;
    if (!end.isAlive || machine.state !== "up") return;
    const there = peer.options;
    const isReached = there.process.isAlive && there.machine.state === "up" &&
      !this.#link(there.machine.id, machine.id).isCut;
    if (isReached && !peer.ended) end.heardMs = this.#world.nowMs;
    else if (
      isReached && !this.#link(machine.id, there.machine.id).isCut && this.#entropy.unit() < RESET
    ) {
      process.enter(() => end.lose("the peer has no such session"));
    } else if (this.#world.nowMs - end.heardMs >= idleMs) {
      process.enter(() => end.lose("timed out"));
    }
  }

  /** Carries a packet that belongs to no session yet: it is lost on a cut link. */
  #pass(from: number, to: number, arrive: () => void): void {
    if (!this.#link(from, to).isCut) this.#world.after(this.#delayMs(from, to), arrive);
  }

  #link(from: number, to: number): Link {
    const key = (from << 16) | to;
    let link = this.#links.get(key);
    if (link === undefined) this.#links.set(key, link = { isCut: false, held: [] });
    return link;
  }

  #delayMs(from: number, to: number): number {
    const { delayMs, jitterMs, loss } = this.settingsOf(from, to);
    let sum = delayMs - jitterMs * Math.log(1 - this.#entropy.unit());
    let resendMs = RESEND_MS;
    for (let count = 0; loss > 0 && count < RESENDS_MAX; count++) {
      if (this.#entropy.unit() >= loss) break;
      sum += resendMs;
      resendMs *= 2;
    }
    return sum;
  }
}

class WireListener implements Listener {
  readonly machine: Machine;
  readonly process: Process;
  readonly port: number;
  readonly limits: WireLimits;
  readonly addresses: readonly Endpoint[];
  readonly stats = newListenerStats();
  readonly ready = new Handoff<Session>(SESSIONS_BACKLOG_MAX);
  readonly sessions = new Set<WireSession>();
  readonly #onClose: () => void;

  constructor(
    machine: Machine,
    process: Process,
    port: number,
    limits: WireLimits,
    onClose: () => void,
  ) {
    this.machine = machine;
    this.process = process;
    this.port = port;
    this.limits = limits;
    this.addresses = [{ host: WIRE_HOST, port }];
    this.#onClose = onClose;
  }

  accept(): Promise<Session | undefined> {
    return this.ready.take();
  }

  /** Does nothing: there is no TLS here. */
  rotate(): void {}

  async close(): Promise<void> {
    this.#onClose();
    this.ready.close();
    const sessions = [...this.sessions];
    for (const session of sessions) session.close("shutting_down", "the server is shutting down");
    await Promise.all(sessions.map((session) => session.closed));
  }
}
