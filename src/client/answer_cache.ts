/**
 * A cache of the last known answers by domain, used by proxies while the registry cannot be asked.
 * A found agent is returned only in that case and is marked stale. A proven absence is returned for
 * as long as the registry allowed. The least recently used entry is evicted first.
 *
 * Different spellings of one domain share an entry. Methods throw `invalid_argument` for an invalid
 * domain.
 */
import { RegistryError } from "../base/errors.ts";
import { CLIENT_CACHE_ENTRIES_MAX } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import { canonicalDomain } from "../record/domain.ts";
import { LruMap } from "./lru_map.ts";
import { agedSource } from "./sources.ts";
import type { ResolvedAgent } from "./types.ts";

interface Entry {
  readonly found: ResolvedAgent | undefined;
  /** Monotonic time at which the registry gave the answer, ms. */
  readonly atMs: number;
  /** For an absence: the monotonic time until which it may be returned. */
  readonly untilMs: number;
}

/** A bounded cache of answers, keyed by canonical domain. */
export class AnswerCache {
  readonly #clock: MonotonicClock;
  readonly #entries: LruMap<Entry>;

  constructor(clock: MonotonicClock, entriesMax: number = CLIENT_CACHE_ENTRIES_MAX) {
    this.#clock = clock;
    this.#entries = new LruMap(entriesMax);
  }

  /** The number of cached answers. */
  get count(): number {
    return this.#entries.size;
  }

  /** Stores a found agent. */
  found(answer: ResolvedAgent): void {
    this.#entries.put(canonicalDomain(answer.domain), {
      found: answer,
      atMs: this.#clock.nowMs(),
      untilMs: 0,
    });
  }

  /**
   * Stores that no agent holds the domain, for `error.fields.cacheMs`; without it, removes the
   * entry.
   */
  absent(domain: string, error: RegistryError): void {
    const nowMs = this.#clock.nowMs();
    const untilMs = nowMs + (error.fields.cacheMs ?? 0);
    const key = canonicalDomain(domain);
    if (untilMs > nowMs) this.#entries.put(key, { found: undefined, atMs: nowMs, untilMs });
    else this.#entries.delete(key);
  }

  /**
   * Returns a `not_found` error if the domain is known to be unheld and that answer is still valid.
   */
  knownAbsent(domain: string): RegistryError | undefined {
    const key = canonicalDomain(domain);
    const entry = this.#entries.peek(key);
    if (entry === undefined || entry.found !== undefined) return undefined;
    const leftMs = entry.untilMs - this.#clock.nowMs();
    if (leftMs <= 0) {
      this.#entries.delete(key);
      return undefined;
    }
    const message = `No live agent holds the domain ${domain} (cached answer)`;
    return new RegistryError("not_found", message, { cacheMs: Math.ceil(leftMs) });
  }

  /** Returns the last found agent, marked stale and with its age. */
  lastKnown(domain: string): ResolvedAgent | undefined {
    const entry = this.#entries.use(canonicalDomain(domain));
    if (entry?.found === undefined) return undefined;
    const ageMs = this.#clock.nowMs() - entry.atMs;
    const { agentSource, gatewaySource } = entry.found;
    return {
      ...entry.found,
      ...(agentSource === undefined ? {} : { agentSource: agedSource(agentSource, ageMs) }),
      ...(gatewaySource === undefined ? {} : { gatewaySource: agedSource(gatewaySource, ageMs) }),
      domain,
      agentRemainingMs: Math.max(0, entry.found.agentRemainingMs - ageMs),
      gatewayRemainingMs: Math.max(0, entry.found.gatewayRemainingMs - ageMs),
      stale: true,
      ageMs,
    };
  }
}
