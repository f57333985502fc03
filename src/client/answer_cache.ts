/**
 * Last known answers to domains: what a proxy goes by while the registry cannot be asked. A found
 * agent is given out only then, marked stale; a proven absence for as long as the registry said that
 * it holds. The least recently used goes first.
 *
 * Spellings of one domain are one entry. Methods throw `invalid_argument` for what is no domain.
 */
import { RegistryError } from "../base/errors.ts";
import { CLIENT_CACHE_ENTRIES_MAX } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import { canonicalDomain } from "../record/domain.ts";
import type { ResolvedAgent } from "./types.ts";

interface Entry {
  readonly found: ResolvedAgent | undefined;
  /** When the registry gave the answer. */
  readonly atMs: number;
  /** An absence: until when it may be given out. */
  readonly untilMs: number;
}

/** Answers by canonical domain. */
export class AnswerCache {
  readonly #clock: MonotonicClock;
  readonly #entriesMax: number;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();

  constructor(clock: MonotonicClock, entriesMax: number = CLIENT_CACHE_ENTRIES_MAX) {
    this.#clock = clock;
    this.#entriesMax = entriesMax;
  }

  /** How many answers are kept. */
  get count(): number {
    return this.#entries.size;
  }

  /** Keeps what was found. */
  found(answer: ResolvedAgent): void {
    this.#put(canonicalDomain(answer.domain), {
      found: answer,
      atMs: this.#clock.nowMs(),
      untilMs: 0,
    });
  }

  /** Keeps that nothing was found, for as long as the error allows; forgets what was known. */
  absent(domain: string, error: RegistryError): void {
    const nowMs = this.#clock.nowMs();
    const untilMs = nowMs + (error.fields.cacheMs ?? 0);
    const key = canonicalDomain(domain);
    if (untilMs > nowMs) this.#put(key, { found: undefined, atMs: nowMs, untilMs });
    else this.#entries.delete(key);
  }

  /** The error of a domain that is known to be held by nobody, while that may be believed. */
  knownAbsent(domain: string): RegistryError | undefined {
    const key = canonicalDomain(domain);
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.found !== undefined) return undefined;
    const leftMs = entry.untilMs - this.#clock.nowMs();
    if (leftMs <= 0) {
      this.#entries.delete(key);
      return undefined;
    }
    const message = `No live agent holds the domain ${domain} (known from before)`;
    return new RegistryError("not_found", message, { cacheMs: Math.ceil(leftMs) });
  }

  /** What was found last, marked stale, with its age. */
  lastKnown(domain: string): ResolvedAgent | undefined {
    const key = canonicalDomain(domain);
    const entry = this.#entries.get(key);
    if (entry?.found === undefined) return undefined;
    this.#put(key, entry);
    const ageMs = this.#clock.nowMs() - entry.atMs;
    return {
      ...entry.found,
      domain,
      agentRemainingMs: Math.max(0, entry.found.agentRemainingMs - ageMs),
      gatewayRemainingMs: Math.max(0, entry.found.gatewayRemainingMs - ageMs),
      stale: true,
      ageMs,
    };
  }

  #put(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size <= this.#entriesMax) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }
}
