/** Routes that read descriptors from the copy of the log, with their age. */
import { z } from "zod";
import { descriptorJson } from "../../answers/governed_json.ts";
import { RegistryError } from "../../base/errors.ts";
import { GOVERNED_WAIT_MS_MAX, HTTP_PAGE_DEFAULT, LIST_ITEMS_MAX } from "../../base/limits.ts";
import type { GovernedView } from "../../client/mod.ts";
import type { AppliedEntry } from "../../governance/governed_log.ts";
import {
  type GovernedRead,
  headsAfter,
  readDescriptor,
  readView,
} from "../../faces/governed_reads.ts";
import {
  descriptorId,
  descriptorSchema,
  pathNumber,
  regionMapSchema,
  waitQuery,
} from "../governed/governed_schemas.ts";
import { type DescriptorsView, type GovernedSource, planeOf } from "../../faces/governed_source.ts";
import { descriptorTag, WrittenDescriptors } from "../governed/written_descriptors.ts";
import { type HttpRoute, route, type RouteAnswer, type RouteContext } from "../route.ts";

/** Where the governed plane's routes are. */
export const REGISTRY = "/v1/registry";
const TAG = "governed";
const ETAG = { ETag: "names this answer", "X-Registry-Age-Ms": "age of the answer" };
const IF_NONE_MATCH = { "If-None-Match": "an ETag; 304 if the answer would be the same" };
const NOT_MODIFIED = { 304: { description: "it is the one that If-None-Match names" } };
const params = z.strictObject({ id: descriptorId });

type Wait = z.output<typeof waitQuery>;

/** Returns these routes. @param readCache the number of descriptors that are kept as they are answered. */
export function descriptorRoutes(
  source: GovernedSource,
  readCache: number | undefined,
): readonly HttpRoute[] {
  const written = new WrittenDescriptors(readCache);
  return [
    versionRoute(source, `${REGISTRY}/version`, "get_registry_version"),
    versionRoute(source, "/version", "get_version"),
    listRoute(source),
    headRoute(source, written),
    versionsRoute(source),
    oneVersionRoute(source, written),
    regionMapRoute(source),
  ];
}

function versionRoute(source: GovernedSource, path: string, name: string): HttpRoute {
  // The alias of other registries.
  const isAlias = path === "/version";
  const answerOf = (context: Conditions, view: GovernedView): RouteAnswer => {
    const answer = matched(context, view, `"${view.version}"`, () => ({ version: view.version }));
    return isAlias
      ? {
        ...answer,
        headers: {
          ...answer.headers,
          // RFC 9745: since the first version of this program.
          deprecation: "@1767225600",
          link: `<${REGISTRY}/version>; rel="successor-version"`,
        },
      }
      : answer;
  };
  return route({
    method: "GET",
    path,
    name,
    tag: TAG,
    summary: isAlias ? "Deprecated: use /v1/registry/version" : "Shows the global version",
    query: waitQuery,
    requestHeaders: IF_NONE_MATCH,
    answers: {
      200: {
        description: "the number of changes ever applied; 0 while nothing is governed",
        schema: z.looseObject({ version: z.int() }),
        headers: ETAG,
      },
      ...NOT_MODIFIED,
    },
    handle: async ({ query }, context) =>
      answerOf(
        context,
        await readView(source, context.client, readOf(query, context), (view) => view.version),
      ),
    atOnce: (_, context) => {
      const openView = source.openViewFor(context.client);
      return openView === undefined ? undefined : answerOf(context, openView);
    },
  });
}

function listRoute(source: GovernedSource): HttpRoute {
  return route({
    method: "GET",
    path: `${REGISTRY}/descriptors`,
    name: "list_descriptors",
    tag: TAG,
    summary: "Lists the newest version of each descriptor, in the order of their changes",
    query: waitQuery.extend({
      limit: z.int().min(1).max(LIST_ITEMS_MAX).optional().describe("on a page (default: 100)"),
      kind: z.string().min(1).max(40).optional().describe("only descriptors of this kind"),
    }),
    requestHeaders: IF_NONE_MATCH,
    answers: {
      200: {
        description: "those that changed after `after`; `next` continues as `after`",
        schema: z.looseObject({
          version: z.int(),
          descriptors: z.array(descriptorSchema),
          next: z.int().nullable(),
        }),
        headers: ETAG,
      },
      ...NOT_MODIFIED,
    },
    handle: async ({ query }, context) => {
      const { after = 0, limit = HTTP_PAGE_DEFAULT, kind } = query;
      const view = await readView(
        source,
        context.client,
        readOf(query, context),
        (view) => view.version,
      );
      const descriptors = () => listed(view, { after, limit, kind });
      return matched(context, view, `"${view.version}"`, descriptors);
    },
  });
}

/** Returns one page of the newest versions of descriptors, in the order of their changes. */
function listed(
  view: GovernedView,
  { after, limit, kind }: {
    readonly after: number;
    readonly limit: number;
    readonly kind: string | undefined;
  },
) {
  const found: AppliedEntry[] = [];
  for (const applied of headsAfter(view, after, kind)) {
    if (found.push(applied) > limit) break;
  }
  const page = found.slice(0, limit);
  return {
    version: view.version,
    descriptors: page.map((applied) => descriptorJson(applied, planeOf(view).log)),
    next: found.length > limit ? page.at(-1)!.entry.version : null,
  };
}

function headRoute(source: GovernedSource, written: WrittenDescriptors): HttpRoute {
  const answerOf = answers(written);
  return route({
    method: "GET",
    path: `${REGISTRY}/descriptors/{id}`,
    name: "get_descriptor",
    tag: TAG,
    summary: "Gets the newest version of a descriptor; with `after`, waits for a newer one",
    params,
    query: waitQuery,
    requestHeaders: IF_NONE_MATCH,
    answers: {
      200: { description: "the signed descriptor", schema: descriptorSchema, headers: ETAG },
      304: { description: "there is none newer than `after`, or than If-None-Match names" },
    },
    errors: ["NotFound"],
    handle: async ({ path: { id }, query }, context) => {
      const view = await readDescriptor(
        source,
        context.client,
        id,
        readOf(query, context),
        ({ plane }) => plane?.log.headOf(id)?.entry.version ?? 0,
      );
      const head = planeOf(view).log.headOf(id);
      if (head === undefined) throw noDescriptor(id);
      if (query.after !== undefined && head.entry.version <= query.after) {
        return notModified(view, descriptorTag(head, planeOf(view).log));
      }
      return answerOf(context, view, head);
    },
    atOnce: ({ id }, context) => {
      const openView = source.openViewFor(context.client);
      const head = openView?.plane?.log.headOf(id);
      return head === undefined ? undefined : answerOf(context, openView!, head);
    },
  });
}

function versionsRoute(source: GovernedSource): HttpRoute {
  return route({
    method: "GET",
    path: `${REGISTRY}/descriptors/{id}/versions`,
    name: "list_descriptor_versions",
    tag: TAG,
    summary: "Lists all versions of a descriptor, from the first on",
    params,
    query: waitQuery.pick({ max_staleness_ms: true }).extend({
      after: z.int().min(0).optional().describe("version of the descriptor after which to begin"),
      limit: z.int().min(1).max(LIST_ITEMS_MAX).optional().describe("on a page (default: 100)"),
    }),
    answers: {
      200: {
        description: "one page; `next` continues as `after`",
        schema: z.looseObject({
          id: z.string(),
          versions: z.array(descriptorSchema),
          next: z.int().nullable(),
        }),
      },
    },
    errors: ["NotFound"],
    handle: async ({ path: { id }, query }, context) => {
      const { after = 0, limit = HTTP_PAGE_DEFAULT } = query;
      const { max_staleness_ms } = query;
      const view = await readDescriptor(
        source,
        context.client,
        id,
        readOf({ max_staleness_ms }, context),
      );
      const { log } = planeOf(view);
      const all = log.versionsOf(id);
      if (all.length === 0) throw noDescriptor(id);
      const page = all.slice(after, after + limit);
      return {
        body: {
          id,
          versions: page.map((applied) => descriptorJson(applied, log)),
          next: after + limit < all.length ? after + limit : null,
        },
        headers: ageHeaders(view),
      };
    },
  });
}

function oneVersionRoute(source: GovernedSource, written: WrittenDescriptors): HttpRoute {
  const answerOf = answers(written);
  return route({
    method: "GET",
    path: `${REGISTRY}/descriptors/{id}/versions/{version}`,
    name: "get_descriptor_version",
    tag: TAG,
    summary: "Gets one version of a descriptor",
    params: params.extend({ version: pathNumber }),
    query: waitQuery.pick({ max_staleness_ms: true }),
    requestHeaders: IF_NONE_MATCH,
    answers: {
      200: { description: "the signed descriptor", schema: descriptorSchema, headers: ETAG },
      ...NOT_MODIFIED,
    },
    errors: ["NotFound"],
    handle: async ({ path: { id, version }, query }, context) => {
      const view = await readDescriptor(source, context.client, id, readOf(query, context));
      const applied = planeOf(view).log.versionsOf(id)[Number(version) - 1];
      if (applied === undefined) throw noDescriptor(`version ${version} of ${id}`);
      return answerOf(context, view, applied);
    },
    atOnce: ({ id, version }, context) => {
      const openView = source.openViewFor(context.client);
      const applied = openView?.plane?.log.versionsOf(id)[Number(version) - 1];
      return applied === undefined ? undefined : answerOf(context, openView!, applied);
    },
  });
}

function regionMapRoute(source: GovernedSource): HttpRoute {
  return route({
    method: "GET",
    path: `${REGISTRY}/regions/map`,
    name: "get_region_map",
    tag: TAG,
    summary: "Shows the services of each region, from the published region descriptors",
    query: waitQuery,
    requestHeaders: IF_NONE_MATCH,
    answers: {
      200: { description: "the map", schema: regionMapSchema, headers: ETAG },
      ...NOT_MODIFIED,
    },
    handle: async ({ query }, context) => {
      const mapOf = ({ plane }: GovernedView) => plane?.log.regionMap;
      const view = await readView(
        source,
        context.client,
        readOf(query, context),
        (view) => mapOf(view)?.version ?? 0,
      );
      const map = mapOf(view) ?? { version: 0, regions: {} };
      return matched(context, view, `"${map.version}"`, () => map);
    },
  });
}

/** Returns the options of a read that a query asks for. */
function readOf(
  { after, wait, max_staleness_ms: ageMsMax }: Wait,
  { signal }: RouteContext,
): GovernedRead {
  return {
    ...(ageMsMax === undefined ? {} : { ageMsMax }),
    ...(after === undefined || wait === undefined ? {} : { wait: { after, ms: waitMsOf(wait) } }),
    signal,
  };
}

function waitMsOf(text: string): number {
  const amount = parseInt(text, 10);
  return Math.min(text.endsWith("ms") ? amount : amount * 1_000, GOVERNED_WAIT_MS_MAX);
}

/** The part of a request's context on which the answer depends. */
type Conditions = Pick<RouteContext, "header">;

/** Returns a function that answers with a version of a descriptor. */
function answers(written: WrittenDescriptors) {
  return (context: Conditions, view: DescriptorsView, applied: AppliedEntry): RouteAnswer => {
    const { text, etag } = written.of(applied, planeOf(view).log);
    const { id, idVersion: version } = applied.entry;
    return { ...matched(context, view, etag, () => text), facts: { descriptor_id: id, version } };
  };
}

/** Returns an answer with its ETag, or 304, for which no body is made, if the caller has it. */
function matched(
  { header }: Conditions,
  view: Pick<DescriptorsView, "ageMs">,
  etag: string,
  bodyOf: () => unknown,
): RouteAnswer {
  const wanted = header("if-none-match")?.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  if (wanted?.some((tag) => tag === etag || tag === "*") === true) return notModified(view, etag);
  return { body: bodyOf(), headers: { etag, "cache-control": "no-cache", ...ageHeaders(view) } };
}

function notModified(view: Pick<DescriptorsView, "ageMs">, etag: string): RouteAnswer {
  return { status: 304, headers: { etag, ...ageHeaders(view) } };
}

function ageHeaders(view: Pick<DescriptorsView, "ageMs">): Record<string, string> {
  return { "x-registry-age-ms": String(Math.max(0, Math.ceil(view.ageMs()))) };
}

function noDescriptor(what: string): RegistryError {
  return new RegistryError("not_found", `There is no descriptor ${what}`);
}
