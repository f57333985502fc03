/** Routes that find records and describe the node: resolution, service discovery, status. */
import { z } from "zod";
import { resolvedJson } from "../../answers/record_json.ts";
import { HTTP_TARGETS_MAX, LIST_ITEMS_MAX } from "../../base/limits.ts";
import { type CommandKind, RECORD_CALLS } from "../../answers/record_calls.ts";
import { pagesOf } from "../pages.ts";
import type { NodeCondition } from "../../faces/node_condition.ts";
import { resolvedSchema } from "../record_schemas.ts";
import { type HttpRoute, route } from "../route.ts";
import { maxStaleness, nameText, readQuery } from "../schemas.ts";
import { targetGroup } from "../targets.ts";
import { readOptions, staleness } from "./records.ts";

/** Returns these routes. */
export function nodeRoutes(node: NodeCondition): readonly HttpRoute[] {
  return [resolveRoute(), targetsRoute(node), statusRoute()];
}

function resolveRoute(): HttpRoute {
  return route({
    method: "GET",
    path: "/v1/resolve",
    name: "resolve",
    tag: "records",
    summary: "Resolves a domain to its agent and gateway",
    query: readQuery.extend({ domain: nameText.describe("domain of an agent") }),
    answers: { 200: { description: "the agent, and its gateway", schema: resolvedSchema } },
    errors: ["NotFound"],
    handle: async ({ query: { domain, ...query } }, { client, signal }) => {
      const resolved = await client.resolveAgent(domain, { ...readOptions(query), signal });
      return { body: resolvedJson(resolved) };
    },
  });
}

const targetsSchema = z.array(z.looseObject({
  targets: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
}));

function targetsRoute(node: NodeCondition): HttpRoute {
  return route({
    method: "GET",
    path: "/v1/targets",
    name: "list_targets",
    tag: "records",
    summary: "Lists records as targets, for Prometheus HTTP service discovery",
    query: z.strictObject({
      kind: z.enum(["agent", "gateway"]).optional().describe("kind of record (default: gateway)"),
      region: nameText.optional().describe("region (default: that of the node)"),
      max_staleness_ms: maxStaleness,
    }),
    answers: {
      200: {
        description: "one group for each record that has an address and a port",
        schema: targetsSchema,
      },
    },
    handle: async ({ query }, { client, signal }) => {
      const kind: CommandKind = query.kind ?? "gateway";
      const region = query.region ?? await node.region();
      const groups = [];
      const list = (options: { readonly cursor?: Uint8Array }) =>
        RECORD_CALLS[kind].list(client, region, {
          ...options,
          ...staleness(query.max_staleness_ms),
          limit: LIST_ITEMS_MAX,
          signal,
        });
      for await (const { record } of pagesOf(list, HTTP_TARGETS_MAX)) {
        const group = targetGroup(kind, record);
        if (group !== undefined) groups.push(group);
      }
      return { body: groups };
    },
  });
}

function statusRoute(): HttpRoute {
  return route({
    method: "GET",
    path: "/v1/status",
    name: "get_status",
    tag: "node",
    summary: "Shows the status of the node that answers the front",
    answers: {
      200: {
        description: "the status; `ready` says whether the node serves",
        schema: z.looseObject({
          nodeId: z.int(),
          version: z.string(),
          region: z.string(),
          clusterId: z.string(),
          ready: z.boolean(),
          reason: z.string(),
        }),
      },
    },
    handle: async (_, { client, signal }) => ({ body: await client.nodeStatus({ signal }) }),
  });
}
