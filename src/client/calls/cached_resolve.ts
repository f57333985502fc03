/**
 * Resolves domains through the answer cache. A cached absence that is still valid is returned
 * without a request; the last known agent is returned while the registry cannot be asked.
 */
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import type { AnswerCache } from "../answer_cache.ts";
import { isUnknown } from "../retry.ts";
import type { CallOptions, ResolvedAgent, ResolveOutcome } from "../types.ts";
import type { ResolveCalls } from "./resolve.ts";

/** Parameters of {@link CachedResolveCalls}. */
export interface CachedResolveOptions {
  readonly calls: ResolveCalls;
  readonly cache: AnswerCache;
  /** Reports whether there is a connection. Without one, a cached agent is returned at once. */
  readonly isConnected: () => boolean;
}

/** The calls ResolveAgent and ResolveMany, with a cache. */
export class CachedResolveCalls {
  readonly #calls: ResolveCalls;
  readonly #cache: AnswerCache;
  readonly #isConnected: () => boolean;

  constructor({ calls, cache, isConnected }: CachedResolveOptions) {
    this.#calls = calls;
    this.#cache = cache;
    this.#isConnected = isConnected;
  }

  /** See `Client.resolveAgent`. */
  async agent(domain: string, options?: CallOptions): Promise<ResolvedAgent> {
    // What is kept is what a domain resolves to, not what it is in one region.
    if (options?.region !== undefined) return await this.#calls.agent(domain, options);
    const known = this.#answerNow(domain);
    if (known instanceof RegistryError) throw known;
    if (known !== undefined) return known;
    try {
      const answer = await this.#calls.agent(domain, options);
      this.#cache.found(answer);
      return answer;
    } catch (error) {
      const standIn = this.#standIn(domain, toRegistryError(error));
      if (standIn !== undefined) return standIn;
      throw error;
    }
  }

  /** See `Client.resolveAgents`. */
  async agents(domains: readonly string[], options?: CallOptions): Promise<ResolveOutcome[]> {
    if (options?.region !== undefined) return await this.#calls.agents(domains, options);
    const outcomes: (ResolveOutcome | undefined)[] = domains.map((domain) => {
      const known = this.#answerOrMistake(domain);
      if (known === undefined) return undefined;
      return known instanceof RegistryError ? { domain, error: known } : { domain, found: known };
    });
    const asked = domains.filter((_, index) => outcomes[index] === undefined);
    if (asked.length === 0) return outcomes as ResolveOutcome[];
    const answers = (await this.#ask(asked, options)).values();
    return outcomes.map((outcome) => outcome ?? answers.next().value as ResolveOutcome);
  }

  async #ask(
    domains: readonly string[],
    options: CallOptions | undefined,
  ): Promise<ResolveOutcome[]> {
    let outcomes: ResolveOutcome[];
    try {
      outcomes = await this.#calls.agents(domains, options);
    } catch (cause) {
      const error = toRegistryError(cause);
      outcomes = domains.map((domain) => ({ domain, error }));
    }
    return outcomes.map((outcome) => {
      if (outcome.error === undefined) {
        this.#cache.found(outcome.found);
        return outcome;
      }
      const { domain, error } = outcome;
      const found = this.#standIn(domain, error);
      return found === undefined ? outcome : { domain, found };
    });
  }

  #answerOrMistake(domain: string): ResolvedAgent | RegistryError | undefined {
    try {
      return this.#answerNow(domain);
    } catch (error) {
      return toRegistryError(error);
    }
  }

  /**
   * Returns the cached answer, if one may be used now. @throws RegistryError `invalid_argument`.
   */
  #answerNow(domain: string): ResolvedAgent | RegistryError | undefined {
    const absent = this.#cache.knownAbsent(domain);
    if (absent !== undefined) return absent;
    return this.#isConnected() ? undefined : this.#cache.lastKnown(domain);
  }

  #standIn(domain: string, error: RegistryError): ResolvedAgent | undefined {
    if (error.code === "not_found") this.#cache.absent(domain, error);
    return isUnknown(error) ? this.#cache.lastKnown(domain) : undefined;
  }
}
