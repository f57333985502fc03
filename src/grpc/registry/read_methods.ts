/** Reads of records, lists, and the condition of the cluster. */
import { RESOLVE_ITEMS_MAX } from "../../base/limits.ts";
import { leadingOf } from "../../answers/watch_json.ts";
import type { ListOptions, Page } from "../../client/mod.ts";
import { type CallContext, callOptionsOf } from "../service.ts";
import { statusMessageOf } from "../status.ts";
import {
  agentMessage,
  gatewayMessage,
  listedAgentMessage,
  listedGatewayMessage,
  receiptsOf,
  resolvedMessage,
  sourceOf,
} from "./record_messages.ts";
import type { RegistryFunctions, RegistryParts } from "./registry_functions.ts";
import { checkCount, readOptionsOf } from "./request_fields.ts";

type ReadFunctions = Pick<
  RegistryFunctions,
  | "getAgent"
  | "getGateway"
  | "resolveAgent"
  | "resolveAgents"
  | "resolveGateways"
>;
type ListFunctions = Pick<
  RegistryFunctions,
  | "listAgents"
  | "listGateways"
>;
type NodeFunctions = Pick<
  RegistryFunctions,
  | "getNodeStatus"
  | "getRingMap"
>;

/** Returns the functions that read some records. */
export function readMethods({ region }: RegistryParts): ReadFunctions {
  return {
    getAgent: async (request, context) => {
      const { client } = context;
      const answer = await client.getAgent(request.id, readOptionsOf(request, context));
      const { agent, remainingMs, source } = answer;
      return {
        agent: agentMessage(agent),
        remainingMs,
        ...sourceOf(source),
        ...receiptsOf(answer),
      };
    },
    getGateway: async (request, context) => {
      const { client } = context;
      const answer = await client.getGateway(request.id, readOptionsOf(request, context));
      const { gateway, remainingMs, source } = answer;
      return {
        gateway: gatewayMessage(gateway),
        remainingMs,
        ...sourceOf(source),
        ...receiptsOf(answer),
      };
    },
    resolveAgent: async (request, context) => {
      const options = readOptionsOf(request, context);
      return {
        resolved: resolvedMessage(await context.client.resolveAgent(request.domain, options)),
      };
    },
    resolveAgents: async ({ domains, ...request }, context) => {
      checkCount(domains.length, RESOLVE_ITEMS_MAX, "domains");
      const options = readOptionsOf(request, context);
      const outcomes = await context.client.resolveAgents(domains, options);
      return {
        outcomes: outcomes.map(({ domain, found, error }) => ({
          domain,
          outcome: found === undefined
            ? { case: "error" as const, value: statusMessageOf(error) }
            : { case: "resolved" as const, value: resolvedMessage(found) },
        })),
      };
    },
    resolveGateways: async ({ region: asked, limit, ...request }, context) => {
      const page = await context.client.resolveGateways(asked || await region(), {
        ...readOptionsOf(request, context),
        ...(limit === 0 ? {} : { limit }),
      });
      return { gateways: page.items.map(listedGatewayMessage), ...receiptsOf(page) };
    },
  };
}

/** Returns the functions that list records. */
export function listMethods({ region }: RegistryParts): ListFunctions {
  return {
    listAgents: async function* ({ region: asked, ...request }, context) {
      const name = asked || await region();
      const list = (options: ListOptions) => context.client.listAgents(name, options);
      for await (const page of pages(list, request, context)) {
        yield { agents: page.items.map(listedAgentMessage), ...restOf(page) };
      }
    },
    listGateways: async function* ({ region: asked, ...request }, context) {
      const name = asked || await region();
      const list = (options: ListOptions) => context.client.listGateways(name, options);
      for await (const page of pages(list, request, context)) {
        yield { gateways: page.items.map(listedGatewayMessage), ...restOf(page) };
      }
    },
  };
}

/** Returns the functions of the condition of the cluster. */
export function nodeMethods(): NodeFunctions {
  return {
    getNodeStatus: async (_request, context) => {
      const status = await context.client.nodeStatus(callOptionsOf(context));
      return {
        ...status,
        nodeId: BigInt(status.nodeId),
        agents: BigInt(status.agents),
        gateways: BigInt(status.gateways),
        sessions: BigInt(status.sessions),
        uptimeMs: BigInt(Math.floor(status.uptimeMs)),
      };
    },
    getRingMap: async (_request, context) => {
      const map = await context.client.ringMap(callOptionsOf(context));
      const { epoch: { generation, number }, partitionCount, nodes } = map;
      const leading = leadingOf(map);
      return {
        epoch: { generation: BigInt(generation), number: BigInt(number) },
        partitionCount,
        nodes: nodes.map(({ nodeId, zone, addresses }) => ({
          nodeId: BigInt(nodeId),
          zone,
          addresses: addresses.map(({ transport, host, port }) => ({ transport, host, port })),
          leading: leading.get(nodeId) ?? 0,
        })),
      };
    },
  };
}

/** The fields of a request for a list. */
interface ListRequest {
  readonly pageSize: number;
  readonly pageToken: Uint8Array;
  readonly limit: number;
  readonly maxStalenessMs?: number | undefined;
}

/** Reads a list page by page, each when the one before was taken. */
async function* pages<Item>(
  list: (options: ListOptions) => Promise<Page<Item>>,
  { pageSize, pageToken, limit, ...request }: ListRequest,
  context: CallContext,
): AsyncGenerator<Page<Item>> {
  let left = limit === 0 ? Infinity : limit;
  let cursor = pageToken.length === 0 ? undefined : pageToken;
  do {
    const atOnce = Math.min(left, pageSize === 0 ? Infinity : pageSize);
    // The time that is left differs from page to page.
    const page: Page<Item> = await list({
      ...readOptionsOf(request, context),
      ...(atOnce === Infinity ? {} : { limit: atOnce }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    yield page;
    left -= page.items.length;
    cursor = page.nextCursor;
  } while (cursor !== undefined && left > 0);
}

function restOf(page: Pick<Page<unknown>, "nextCursor" | "receipts">) {
  const { nextCursor } = page;
  return {
    ...(nextCursor === undefined ? {} : { nextPageToken: nextCursor }),
    ...receiptsOf(page),
  };
}
