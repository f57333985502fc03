/**
 * Reads of records and of the best gateways through a cache of last known answers. Each read asks
 * the registry; its last answer is returned, marked stale, only if the registry cannot be asked. A
 * proven absence removes it.
 */
import { toRegistryError } from "../../base/errors.ts";
import { CLIENT_CACHE_ENTRIES_MAX } from "../../base/limits.ts";
import { formatUuid, UUID_BYTES } from "../../base/uuid.ts";
import type { MonotonicClock } from "../../base/world.ts";
import type { CallOptions } from "../call_options.ts";
import { LruMap } from "../lru_map.ts";
import { isUnknown } from "../retry.ts";
import { agedSource } from "../sources.ts";
import type {
  AgentAnswer,
  GatewayAnswer,
  LastKnown,
  ListedGateway,
  Page,
  RecordSource,
  ResolveGatewaysOptions,
} from "../answer_types.ts";
import type { GetCalls } from "./get.ts";
import type { ListCalls } from "./list.ts";

/** Parameters of {@link CachedReads}. */
export interface CachedReadsOptions {
  readonly get: GetCalls;
  readonly list: ListCalls;
  readonly clock: MonotonicClock;
  /** Reports whether there is a connection. Without one, a known answer is returned at once. */
  readonly isConnected: () => boolean;
}

/** The calls GetAgent, GetGateway and ResolveGateways, with a cache. */
export class CachedReads {
  readonly #options: CachedReadsOptions;
  readonly #known = new LruMap<{ readonly answer: unknown; readonly atMs: number }>(
    CLIENT_CACHE_ENTRIES_MAX,
  );

  constructor(options: CachedReadsOptions) {
    this.#options = options;
  }

  /** See `Client.getAgent`. */
  agent(id: string | Uint8Array, options?: CallOptions): Promise<AgentAnswer> {
    return this.#read(
      `agent ${textOf(id)} ${options?.region ?? ""}`,
      () => this.#options.get.agent(id, options),
      aged,
    );
  }

  /** See `Client.getGateway`. */
  gateway(id: string | Uint8Array, options?: CallOptions): Promise<GatewayAnswer> {
    return this.#read(
      `gateway ${textOf(id)} ${options?.region ?? ""}`,
      () => this.#options.get.gateway(id, options),
      aged,
    );
  }

  /** See `Client.resolveGateways`. */
  bestGateways(region: string, options?: ResolveGatewaysOptions): Promise<Page<ListedGateway>> {
    return this.#read(
      `best ${options?.limit ?? ""} ${region}`,
      () => this.#options.list.bestGateways(region, options),
      ({ items, ...page }, ageMs) => ({ ...page, items: items.map((item) => aged(item, ageMs)) }),
    );
  }

  async #read<T extends object>(
    key: string,
    ask: () => Promise<T>,
    age: (answer: T, ageMs: number) => T,
  ): Promise<T & LastKnown> {
    const { clock, isConnected } = this.#options;
    const lastKnown = (): T & LastKnown | undefined => {
      const known = this.#known.use(key);
      if (known === undefined) return undefined;
      const ageMs = clock.nowMs() - known.atMs;
      return { ...age(known.answer as T, ageMs), stale: true, ageMs };
    };
    const known = isConnected() ? undefined : lastKnown();
    if (known !== undefined) return known;
    try {
      const answer = await ask();
      this.#known.put(key, { answer, atMs: clock.nowMs() });
      return answer;
    } catch (cause) {
      const error = toRegistryError(cause);
      if (error.code === "not_found") this.#known.delete(key);
      const standIn = isUnknown(error) ? lastKnown() : undefined;
      if (standIn === undefined) throw error;
      return standIn;
    }
  }
}

function aged<T extends { readonly remainingMs: number; readonly source?: RecordSource }>(
  answer: T,
  ageMs: number,
): T {
  const { source } = answer;
  return {
    ...answer,
    remainingMs: Math.max(0, answer.remainingMs - ageMs),
    ...(source === undefined ? {} : { source: agedSource(source, ageMs) }),
  };
}

function textOf(id: string | Uint8Array): string {
  if (typeof id === "string") return id.toLowerCase();
  // An id of another length, or of another type, is refused by the call.
  return id?.length === UUID_BYTES ? formatUuid(id) : "";
}
