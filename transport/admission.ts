/**
 * Counts the sessions of a listener, its sessions per remote address and its handshakes in
 * progress, and reports whether there is room for one more. Connections beyond a limit are refused
 * at once, never queued. Pure bookkeeping, without clock or network.
 */
import { HANDSHAKES_MAX, SESSIONS_MAX, SESSIONS_PER_ADDRESS_MAX } from "../src/base/limits.ts";
import type { ListenerLimits, ListenerStats } from "./transport.ts";

/** Returns counters set to 0. */
export function newListenerStats(): ListenerStats {
  return {
    sessions: 0,
    streams: 0,
    handshakes: 0,
    waiting: 0,
    begun: 0,
    waitedMs: 0,
    overdue: 0,
    accepted: 0,
    refused: 0,
    handshakeFailures: 0,
    deadlines: 0,
    streamsRefused: 0,
  };
}

/** The admission control of one listener. */
export class ConnectionAdmission {
  readonly #limits:
    & Required<Pick<ListenerLimits, "sessionsMax" | "sessionsPerAddressMax" | "handshakesMax">>
    & ListenerLimits;
  readonly #stats: ListenerStats;
  readonly #perAddress = new Map<string, number>();

  constructor(limits: ListenerLimits, stats: ListenerStats) {
    this.#limits = {
      sessionsMax: SESSIONS_MAX,
      sessionsPerAddressMax: SESSIONS_PER_ADDRESS_MAX,
      handshakesMax: HANDSHAKES_MAX,
      ...limits,
    };
    this.#stats = stats;
  }

  /** Reports whether one more connection may start its handshake; counts a refusal if not. */
  mayBegin(): boolean {
    const { sessions, handshakes } = this.#stats;
    const room = handshakes < this.#limits.handshakesMax &&
      sessions + handshakes < this.#limits.sessionsMax;
    if (!room) this.#stats.refused++;
    return room;
  }

  /**
   * Counts a handshake from `host`. If the host has too many, counts a refusal and returns false.
   */
  begin(host: string): boolean {
    const key = addressKey(host);
    const count = this.#perAddress.get(key) ?? 0;
    const { sessionsPerAddressMax, limitsLoopback = false } = this.#limits;
    if (count >= sessionsPerAddressMax && (limitsLoopback || !isLoopback(host))) {
      this.#stats.refused++;
      return false;
    }
    this.#perAddress.set(key, count + 1);
    this.#stats.handshakes++;
    return true;
  }

  /** Records that a handshake completed and became a session. */
  complete(): void {
    this.#stats.handshakes--;
    this.#stats.sessions++;
    this.#stats.accepted++;
  }

  /** Records that a handshake failed. */
  fail(host: string): void {
    this.#stats.handshakes--;
    this.#stats.handshakeFailures++;
    this.#forget(host);
  }

  /** Records that a session ended. */
  end(host: string): void {
    this.#stats.sessions--;
    this.#forget(host);
  }

  /** The number of addresses counted now; for tests. */
  get addressCount(): number {
    return this.#perAddress.size;
  }

  #forget(host: string): void {
    const key = addressKey(host);
    const count = this.#perAddress.get(key) ?? 0;
    if (count <= 1) this.#perAddress.delete(key);
    else this.#perAddress.set(key, count - 1);
  }
}

/**
 * Reports whether `host` is an address of this machine, whose processes are limited by other means.
 */
export function isLoopback(host: string): boolean {
  return host === "::1" || host === "localhost" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Returns the key by which one party is counted: its IPv4 address, or the /64 of an IPv6 site. */
export function addressKey(host: string): string {
  if (!host.includes(":")) return host;
  const [head = "", tail] = host.split("%")[0]!.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const last = tail === "" ? [] : tail.split(":");
    while (groups.length + last.length < 8) groups.push("0");
    groups.push(...last);
  }
  return groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "").toLowerCase()).join(":") +
    "::/64";
}
