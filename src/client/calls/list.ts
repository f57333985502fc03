/** Lists records of a region: the best gateways, and pages of agents or gateways ordered by id. */
import { agentCodec, gatewayCodec } from "../../../schemas/gen/record.ts";
import type { ResponseView } from "../../../schemas/gen/wire.ts";
import { LIST_ITEMS_MAX } from "../../base/limits.ts";
import { OPERATIONS } from "../../wire/operations/mod.ts";
import type { Invoker } from "../invoker.ts";
import { agentOf, gatewayOf } from "../record_decoder.ts";
import type {
  ListedAgent,
  ListedGateway,
  ListOptions,
  Page,
  ResolveGatewaysOptions,
} from "../types.ts";
import { receiptsOf } from "./get.ts";

/** Default limit of ResolveGateways: enough gateways to choose from. */
const RESOLVE_GATEWAYS_DEFAULT = 16;
const NO_CURSOR = new Uint8Array(0);

/** The calls ResolveGateways, ListAgentsByRegion and ListGatewaysByRegion. */
export class ListCalls {
  readonly #invoker: Invoker;
  readonly #reply = OPERATIONS.listAgentsByRegion.reply.newView();
  readonly #agent = agentCodec.newView();
  readonly #gateway = gatewayCodec.newView();

  constructor(invoker: Invoker) {
    this.#invoker = invoker;
  }

  /** See `Client.resolveGateways`. */
  bestGateways(region: string, options: ResolveGatewaysOptions = {}): Promise<Page<ListedGateway>> {
    const body = { region, limit: options.limit ?? RESOLVE_GATEWAYS_DEFAULT, cursor: NO_CURSOR };
    return this.#invoker.invoke("resolveGateways", body, this.#decodeGateways, options);
  }

  /** See `Client.listAgents`. */
  agents(region: string, options: ListOptions = {}): Promise<Page<ListedAgent>> {
    return this.#invoker.invoke(
      "listAgentsByRegion",
      listRequest(region, options),
      this.#decodeAgents,
      options,
    );
  }

  /** See `Client.listGateways`. */
  gateways(region: string, options: ListOptions = {}): Promise<Page<ListedGateway>> {
    return this.#invoker.invoke(
      "listGatewaysByRegion",
      listRequest(region, options),
      this.#decodeGateways,
      options,
    );
  }

  readonly #decodeAgents = (
    response: ResponseView,
    view: DataView,
    bytes: Uint8Array,
  ): Page<ListedAgent> => {
    const reply = response.bodyInto(this.#reply);
    const items: ListedAgent[] = [];
    const found = reply.items;
    for (let index = 0; index < found.count; index++) {
      const item = found.at(index);
      const start = item.recordOffset;
      const agent = this.#agent.wrap(view, bytes, start, start + item.recordLength);
      items.push({ agent: agentOf(agent), remainingMs: item.remainingMs });
    }
    return { items, nextCursor: cursorOf(reply.nextCursor), receipts: receiptsOf(response) };
  };

  readonly #decodeGateways = (
    response: ResponseView,
    view: DataView,
    bytes: Uint8Array,
  ): Page<ListedGateway> => {
    const reply = response.bodyInto(this.#reply);
    const items: ListedGateway[] = [];
    const found = reply.items;
    for (let index = 0; index < found.count; index++) {
      const item = found.at(index);
      const start = item.recordOffset;
      const gateway = this.#gateway.wrap(view, bytes, start, start + item.recordLength);
      items.push({ gateway: gatewayOf(gateway), remainingMs: item.remainingMs });
    }
    return { items, nextCursor: cursorOf(reply.nextCursor), receipts: receiptsOf(response) };
  };
}

/** Yields the items of all pages; each page is fetched when the previous one is used up. */
export async function* allPages<T>(
  fetch: (cursor: Uint8Array | undefined) => Promise<Page<T>>,
  start: Uint8Array | undefined,
): AsyncGenerator<T, void, void> {
  let cursor = start;
  do {
    const page = await fetch(cursor);
    yield* page.items;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

function listRequest(region: string, { cursor = NO_CURSOR, limit = LIST_ITEMS_MAX }: ListOptions) {
  return { region, cursor, limit };
}

function cursorOf(bytes: Uint8Array): Uint8Array | undefined {
  return bytes.length === 0 ? undefined : bytes.slice();
}
