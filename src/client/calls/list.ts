/**
 * Lists records of a region: the best gateways, and pages of agents or gateways, also of those of the
 * Maps protocol. On a single node a page is ordered by partition and id; in a cluster its nodes are asked
 * in parallel, and the order is that of their answers.
 */
import { RegistryError } from "../../base/errors.ts";
import { LIST_ITEMS_MAX, RESOLVE_GATEWAYS_MAX } from "../../base/limits.ts";
import { AGENT } from "../../record/agent.ts";
import { GATEWAY } from "../../record/gateway.ts";
import { MAPS_AGENT } from "../../record/maps/maps_agent.ts";
import { MAPS_SEEDER, type MapsSeederInfo } from "../../record/maps/maps_seeder.ts";
import { capacityRank, MAPS_GATEWAY } from "../../record/maps/maps_gateway.ts";
import type { OwnedView, ReadableKind } from "../../record/kind_row.ts";
import {
  decodeListCursor,
  encodeListCursor,
  isListCursor,
  type ListCursor,
  listCursorOfSingle,
  newListCursor,
} from "../../wire/list_cursor.ts";
import { OPERATIONS } from "../../wire/operations/mod.ts";
import type { Decode } from "../call.ts";
import type { ClusterRouting } from "../cluster_routing.ts";
import type { Invoker } from "../invoker.ts";
import type { GatewayInfo } from "../records.ts";
import { scatter, type ScatteredRead } from "../scatter.ts";
import { withSource } from "../sources.ts";
import type {
  CallOptions,
  ListedAgent,
  ListedGateway,
  ListedMapsAgent,
  ListedMapsGateway,
  ListOptions,
  Page,
  Receipt,
  ResolveGatewaysOptions,
} from "../types.ts";
import { receiptsOf } from "./get.ts";

/** Default limit of ResolveGateways: enough gateways to choose from. */
const RESOLVE_GATEWAYS_DEFAULT = 16;
const NO_CURSOR = new Uint8Array(0);
/** Rounds of requests after which a page ends early. */
const PAGE_ROUNDS_MAX = 4;
const CAPACITIES = ["cpu", "memoryMiB", "storageMiB", "bandwidthMbps", "connections"] as const;

/** The operations that return pages. */
type PageName =
  | "listAgentsByRegion"
  | "listGatewaysByRegion"
  | "listMapsAgents"
  | "listMapsGateways"
  | "listMapsSeeders";

/** A list of the first few by rank. */
interface RankedList<Item> {
  readonly name: "resolveGateways" | "bestMapsGateways";
  readonly decode: Decode<Page<Item>>;
  /** Returns the rank, as the nodes compute it: the highest comes first. */
  readonly rankOf: (item: Item) => number;
}

/** The calls that list records. */
export class ListCalls {
  readonly #invoker: Invoker;
  readonly #reply = OPERATIONS.listAgentsByRegion.reply.newView();
  readonly #agents = this.#decoder(AGENT, (agent, remainingMs) => ({ agent, remainingMs }));
  readonly #gateways = this.#decoder(GATEWAY, (gateway, remainingMs) => ({ gateway, remainingMs }));
  readonly #mapsAgents = this.#decoder(
    MAPS_AGENT,
    (agent, remainingMs) => ({ agent, remainingMs }),
  );
  readonly #mapsSeeders = this.#decoder(MAPS_SEEDER, (seeder) => ({ seeder }));
  readonly #mapsGateways = this.#decoder(MAPS_GATEWAY, (gateway, remainingMs) => ({
    gateway,
    remainingMs,
  }));

  constructor(invoker: Invoker) {
    this.#invoker = invoker;
  }

  /** See `Client.resolveGateways`. */
  bestGateways(region: string, options?: ResolveGatewaysOptions): Promise<Page<ListedGateway>> {
    return this.#best(
      {
        name: "resolveGateways",
        decode: this.#gateways,
        rankOf: ({ gateway }) => freeFraction(gateway),
      },
      region,
      options,
    );
  }

  /** See `MapsClient.bestGateways`. */
  bestMapsGateways(
    region: string,
    options?: ResolveGatewaysOptions,
  ): Promise<Page<ListedMapsGateway>> {
    return this.#best(
      {
        name: "bestMapsGateways",
        decode: this.#mapsGateways,
        rankOf: ({ gateway }) => capacityRank(gateway),
      },
      region,
      options,
    );
  }

  /** See `Client.listAgents`. */
  agents(region: string, options: ListOptions = {}): Promise<Page<ListedAgent>> {
    return this.#page("listAgentsByRegion", region, options, this.#agents);
  }

  /** See `Client.listGateways`. */
  gateways(region: string, options: ListOptions = {}): Promise<Page<ListedGateway>> {
    return this.#page("listGatewaysByRegion", region, options, this.#gateways);
  }

  /** See `MapsClient.listAgents`. */
  mapsAgents(region: string, options: ListOptions = {}): Promise<Page<ListedMapsAgent>> {
    return this.#page("listMapsAgents", region, options, this.#mapsAgents);
  }

  /** See `MapsClient.listSeeders`. */
  mapsSeeders(
    region: string,
    options: ListOptions = {},
  ): Promise<Page<{ readonly seeder: MapsSeederInfo }>> {
    return this.#page("listMapsSeeders", region, options, this.#mapsSeeders);
  }

  /** See `MapsClient.listGateways`. */
  mapsGateways(region: string, options: ListOptions = {}): Promise<Page<ListedMapsGateway>> {
    return this.#page("listMapsGateways", region, options, this.#mapsGateways);
  }

  #page<T>(
    name: PageName,
    region: string,
    options: ListOptions,
    decode: Decode<Page<T>>,
  ): Promise<Page<T>> {
    const { cursor = NO_CURSOR, limit = LIST_ITEMS_MAX } = options;
    const { cluster } = this.#invoker;
    if (cluster === undefined) {
      return this.#invoker.invoke(name, { region, cursor, limit }, decode, options);
    }
    return pageOfCluster(
      cluster,
      { cursor, limit, options },
      (request, left, part) =>
        this.#invoker.invoke(name, { region, ...request }, decode, left, part),
    );
  }

  async #best<Item extends ListedGateway | ListedMapsGateway>(
    { name, decode, rankOf }: RankedList<Item>,
    region: string,
    options: ResolveGatewaysOptions = {},
  ): Promise<Page<Item>> {
    const { cluster } = this.#invoker;
    const { limit: asked = RESOLVE_GATEWAYS_DEFAULT } = options;
    if (cluster === undefined) {
      const body = { region, limit: asked, cursor: NO_CURSOR };
      return await this.#invoker.invoke(name, body, decode, options);
    }
    const limit = checkedLimit(asked, RESOLVE_GATEWAYS_MAX);
    const pages: Page<Item>[] = [];
    await scatter<Page<Item>>(cluster, {
      cursor: newListCursor(cluster.partitioner.partitionCount),
      options,
      // Each node may have all of the best.
      wanted: (nodes) => nodes * limit,
      ask: ({ cursor }, left, part) =>
        this.#invoker.invoke(name, { region, limit, cursor }, decode, left, part),
      take: (page) => pages.push(page),
    });
    const items = pages.flatMap((page) => page.items)
      .map((item) => ({
        item,
        rank: rankOf(item),
        tier: tierOf(item),
      }))
      .sort((left, right) =>
        left.tier - right.tier || right.rank - left.rank ||
        (left.item.gateway.id < right.item.gateway.id ? -1 : 1)
      )
      .slice(0, limit)
      .map(({ item }) => item);
    return { items, nextCursor: undefined, receipts: pages.flatMap(({ receipts }) => receipts) };
  }

  #decoder<View extends OwnedView, Info, Item extends object>(
    row: ReadableKind<View, Info>,
    listed: (info: Info, remainingMs: number) => Item,
  ): Decode<Page<Item>> {
    const record = row.codec.newView();
    return (response, view, bytes) => {
      const reply = response.bodyInto(this.#reply);
      const items: Item[] = [];
      const found = reply.items;
      for (let index = 0; index < found.count; index++) {
        const item = found.at(index);
        const start = item.recordOffset;
        const info = row.decode(record.wrap(view, bytes, start, start + item.recordLength));
        items.push(withSource(listed(info, item.remainingMs), item));
      }
      return { items, nextCursor: cursorOf(reply.nextCursor), receipts: receiptsOf(response) };
    };
  }
}

/**
 * Yields the items of all pages from the cursor of `options` on; each page is fetched when the previous one
 * is used up.
 */
export async function* allPages<T>(
  fetch: (options: ListOptions) => Promise<Page<T>>,
  options: ListOptions,
): AsyncGenerator<T, void, void> {
  let { cursor } = options;
  do {
    const page = await fetch(cursor === undefined ? options : { ...options, cursor });
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

/** Reads one page of a list over all nodes of a cluster. */
export async function pageOfCluster<T>(
  cluster: ClusterRouting,
  { cursor: start, limit: asked, options }: {
    readonly cursor: Uint8Array;
    readonly limit: number;
    readonly options: CallOptions;
  },
  ask: ScatteredRead<Page<T>>["ask"],
): Promise<Page<T>> {
  const limit = checkedLimit(asked, LIST_ITEMS_MAX);
  const cursor = cursorIn(start, cluster.partitioner.partitionCount);
  const items: T[] = [];
  const receipts: Receipt[] = [];
  let rounds = 0;
  await scatter<Page<T>>(cluster, {
    cursor,
    options,
    // A page may have fewer records than its limit, but not none while there are some.
    wanted: () => rounds++ >= PAGE_ROUNDS_MAX && items.length > 0 ? 0 : limit - items.length,
    ask,
    take: (page) => {
      items.push(...page.items);
      receipts.push(...page.receipts);
    },
  });
  const nextCursor = cursor.finished.isFull ? undefined : encodeListCursor(cursor);
  return { items, nextCursor, receipts };
}

/** Returns the position of a cursor of this cluster, or of one from when it had a single node. */
function cursorIn(bytes: Uint8Array, partitionCount: number): ListCursor {
  if (bytes.length === 0) return newListCursor(partitionCount);
  const cursor = isListCursor(bytes)
    ? decodeListCursor(bytes, partitionCount)
    : listCursorOfSingle(bytes, partitionCount);
  if (cursor !== undefined) return cursor;
  throw new RegistryError(
    "invalid_argument",
    "cursor must be one that an earlier page of this cluster returned",
    { field: "cursor" },
  );
}

/** Returns the limit of a page, as a node reads it: 0 asks for its default. */
function checkedLimit(limit: number, max: number): number {
  if (Number.isInteger(limit) && limit >= 0 && limit <= max) return limit || Math.min(100, max);
  throw new RegistryError(
    "invalid_argument",
    `limit must be an integer in [0, ${max}]: current value is ${limit}`,
    { field: "limit" },
  );
}

/** Returns the tier of a gateway, as nodes order them: live, stale, or of a region out of reach. */
function tierOf({ gateway, source }: ListedGateway | ListedMapsGateway): number {
  if (source?.suspended === true) return 2;
  return gateway.isStale ? 1 : 0;
}

/** Returns the smallest free fraction of a gateway's capacities, by which gateways are ranked. */
function freeFraction({ capacity, used }: GatewayInfo): number {
  const fractions = CAPACITIES.flatMap((name) =>
    capacity[name] > 0 ? [(capacity[name] - used[name]) / capacity[name]] : []
  );
  return fractions.length === 0 ? 0 : Math.min(...fractions);
}

function cursorOf(bytes: Uint8Array): Uint8Array | undefined {
  return bytes.length === 0 ? undefined : bytes.slice();
}
