/**
 * Counts what a listener holds and says whether there is room for one more: sessions, sessions of
 * one remote address, handshakes in progress. What is beyond a limit is refused at once, never kept
 * waiting. Pure bookkeeping, without clock or network.
 */
import type { ListenerStats } from "./transport.ts";

/** The limits of a listener. */
export interface AdmissionLimits {
  readonly sessionsMax: number;
  readonly sessionsPerAddressMax: number;
  readonly handshakesMax: number;
}

/** Fresh counters. */
export function newListenerStats(): ListenerStats {
  return {
    sessions: 0,
    streams: 0,
    handshakes: 0,
    accepted: 0,
    refused: 0,
    handshakeFailures: 0,
    deadlines: 0,
    streamsRefused: 0,
  };
}

/** The admission of one listener. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #stats: ListenerStats;
  readonly #perAddress = new Map<string, number>();

  constructor(limits: AdmissionLimits, stats: ListenerStats) {
    this.#limits = limits;
    this.#stats = stats;
  }

  /** Whether one more connection may begin its handshake; counts a refusal. */
  mayBegin(): boolean {
    const { sessions, handshakes } = this.#stats;
    const room = handshakes < this.#limits.handshakesMax &&
      sessions + handshakes < this.#limits.sessionsMax;
    if (!room) this.#stats.refused++;
    return room;
  }

  /** Counts a handshake in progress from `host`; false, and a refusal, when it has too many. */
  begin(host: string): boolean {
    const key = addressKey(host);
    const count = this.#perAddress.get(key) ?? 0;
    if (count >= this.#limits.sessionsPerAddressMax && !isLoopback(host)) {
      this.#stats.refused++;
      return false;
    }
    this.#perAddress.set(key, count + 1);
    this.#stats.handshakes++;
    return true;
  }

  /** A handshake that began has become a session. */
  complete(): void {
    this.#stats.handshakes--;
    this.#stats.sessions++;
    this.#stats.accepted++;
  }

  /** A handshake that began came to nothing. */
  fail(host: string): void {
    this.#stats.handshakes--;
    this.#stats.handshakeFailures++;
    this.#forget(host);
  }

  /** A session is over. */
  end(host: string): void {
    this.#stats.sessions--;
    this.#forget(host);
  }

  /** Addresses that are counted now; for tests. */
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

/** True for an address of this machine itself, whose processes are limited by other means. */
export function isLoopback(host: string): boolean {
  return host === "::1" || host === "localhost" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** What one party is taken to have: an IPv4 address, or the /64 that an IPv6 site is given. */
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
