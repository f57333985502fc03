/**
 * Routes of the records of one kind: get, list, register, renew, report, drain, deregister. The ETag of
 * a record is its incarnation, the fencing token that `If-Match` names; without it, the owner's
 * request applies to whatever incarnation there is.
 */
import { z } from "zod";
import { type CommandKind, RECORD_CALLS } from "../../answers/record_calls.ts";
import {
  deregisteredJson,
  drainedJson,
  incarnationText,
  recordJson,
  recordsJson,
  registeredJson,
} from "../../answers/record_json.ts";
import { writerOf } from "../../answers/writer.ts";
import { fromHex } from "../../base/bytes.ts";
import { HTTP_PAGE_DEFAULT } from "../../base/limits.ts";
import type { CallOptions, Incarnation } from "../../client/mod.ts";
import type { NodeCondition } from "../../faces/node_condition.ts";
import { type KindCalls, registerFor } from "../../faces/register_for.ts";
import { type AnyKindRow, type InputOf, kindNamed } from "../../record/kinds.ts";
import { recordFromJson } from "../../record/vocabulary.ts";
import { badRequest } from "../errors.ts";
import { RECORD_SCHEMAS, registeredSchema } from "../record_schemas.ts";
import { type HttpRoute, route } from "../route.ts";
import { idParams, listQuery, position, readQuery, receipts, uuid } from "../schemas.ts";

/** The parts that the routes of one kind share. */
interface Subject {
  readonly kind: CommandKind;
  readonly calls: KindCalls;
  /** `/v1/agents` */
  readonly base: string;
  readonly tag: string;
  readonly node: NodeCondition;
}

const IF_MATCH = {
  "If-Match": "the incarnation to which the request applies, as an ETag had it (default: any)",
};
const ETAG = { ETag: "the record's incarnation" };

/** Returns the routes of a kind. */
export function recordRoutes(kind: CommandKind, node: NodeCondition): readonly HttpRoute[] {
  const { plural }: AnyKindRow = kindNamed(kind);
  const subject: Subject = {
    kind,
    calls: RECORD_CALLS[kind] as unknown as KindCalls,
    base: `/v1/${plural}`,
    tag: plural,
    node,
  };
  return [
    listRoute(subject),
    getRoute(subject),
    registerRoute(subject),
    renewRoute(subject),
    drainRoute(subject),
    deregisterRoute(subject),
  ];
}

function listRoute({ kind, calls, base, tag, node }: Subject): HttpRoute {
  return route({
    method: "GET",
    path: base,
    name: `list_${tag}`,
    tag,
    summary: `Lists the ${tag} of a region, page by page`,
    query: listQuery,
    answers: { 200: { description: "one page", schema: RECORD_SCHEMAS[kind].page } },
    handle: async ({ query }, { client, signal }) => {
      const { cursor, limit = HTTP_PAGE_DEFAULT } = query;
      const region = query.region ?? await node.region();
      const page = await calls.list(client, region, {
        ...staleness(query.max_staleness_ms),
        ...(cursor === undefined ? {} : { cursor: fromHex(cursor)! }),
        limit,
        signal,
      });
      return { body: recordsJson(kind, region, page) };
    },
  });
}

function getRoute({ kind, calls, base, tag }: Subject): HttpRoute {
  return route({
    method: "GET",
    path: `${base}/{id}`,
    name: `get_${kind}`,
    tag,
    summary: `Gets one ${kind}`,
    params: idParams,
    query: readQuery.extend({
      writer: z.boolean().optional().describe("whether the certificate that wrote it is looked up"),
    }),
    answers: {
      200: { description: "the record", schema: RECORD_SCHEMAS[kind].answer, headers: ETAG },
    },
    errors: ["NotFound"],
    handle: async ({ path, query }, { client, signal }) => {
      const answer = await calls.get(client, path.id, {
        ...readOptions(query),
        signal,
      });
      const isAsked = query.writer === true && answer.source === undefined;
      const writer = isAsked ? await writerOf(client, answer.record.writer) : undefined;
      return {
        body: recordJson(kind, answer, writer),
        headers: { etag: etagOf(answer.record.incarnation) },
      };
    },
  });
}

function registerRoute({ kind, calls, base, tag, node }: Subject): HttpRoute {
  return route({
    method: "POST",
    path: base,
    name: `register_${kind}`,
    tag,
    summary:
      `Registers the ${kind}, or renews it with new content; another process's is taken over`,
    requestHeaders: IF_MATCH,
    query: z.strictObject({
      take_over: z.boolean().optional().describe(
        "false refuses a record that another process holds (default: true)",
      ),
    }),
    body: RECORD_SCHEMAS[kind].input,
    answers: {
      201: {
        description: "it was created, or taken over with a new incarnation",
        schema: registeredSchema,
        headers: { ...ETAG, Location: "the record" },
      },
      200: { description: "it was updated", schema: registeredSchema, headers: ETAG },
    },
    errors: ["StaleVersion", "NotFound"],
    handle: async ({ query, body }, { client, signal, header }) => {
      const row: AnyKindRow = kindNamed(kind);
      const region = body["region"] ?? await node.region();
      const record = recordFromJson(row, { ...body, region }) as unknown as InputOf<"agent">;
      const expected = ifMatch(header("if-match"));
      const registered = await registerFor(client, calls, record, {
        ...(expected === undefined ? {} : { expected }),
        takeOver: query.take_over !== false,
        signal,
      });
      return {
        status: registered.created ? 201 : 200,
        body: registeredJson(kind, registered),
        headers: {
          etag: etagOf(registered.incarnation),
          ...(registered.created ? { location: `${base}/${registered.id}` } : {}),
        },
      };
    },
  });
}

const renewedSchema = z.looseObject({
  kind: z.string(),
  id: uuid,
  incarnation: position,
  renewAfterMs: z.number().describe("time until the registry wants the next renewal, ms"),
});

function renewRoute({ kind, calls, base, tag }: Subject): HttpRoute {
  return route({
    method: "POST",
    path: `${base}/{id}/renew`,
    name: `renew_${kind}`,
    tag,
    summary: `Renews the lease of the ${kind}`,
    requestHeaders: IF_MATCH,
    params: idParams,
    answers: { 200: { description: "it was renewed", schema: renewedSchema, headers: ETAG } },
    errors: ["NotFound", "StaleVersion"],
    handle: async ({ path: { id } }, { client, signal, header }) => {
      const incarnation = ifMatch(header("if-match")) ??
        (await calls.get(client, id, { signal })).record.incarnation;
      const { failures: [failure], renewAfterMs } = await client.renew(
        [{ kind, id, incarnation }],
        { signal },
      );
      if (failure !== undefined) throw failure.error;
      return {
        body: { kind, id, incarnation, renewAfterMs },
        headers: { etag: etagOf(incarnation) },
      };
    },
  });
}

const drainedSchema = z.looseObject({
  kind: z.string(),
  id: uuid,
  draining: z.boolean(),
  revision: position,
  receipts,
});

function drainRoute({ kind, calls, base, tag }: Subject): HttpRoute {
  return route({
    method: "POST",
    path: `${base}/{id}/drain`,
    name: `drain_${kind}`,
    tag,
    summary: `Marks the ${kind} as draining: it stays, but should receive nothing new`,
    requestHeaders: IF_MATCH,
    params: idParams,
    body: z.strictObject({
      draining: z.boolean().optional().describe("false ends it (default: true)"),
    }).optional(),
    answers: { 200: { description: "it is told to others", schema: drainedSchema } },
    errors: ["NotFound", "StaleVersion"],
    handle: async ({ path: { id }, body }, { client, signal, header }) => {
      const draining = body?.draining ?? true;
      const incarnation = ifMatch(header("if-match"));
      const reported = await calls.report(client, id, {
        ...(incarnation === undefined ? {} : { incarnation }),
        draining,
        signal,
      });
      return { body: drainedJson(kind, id, draining, reported) };
    },
  });
}

const deregisteredSchema = z.looseObject({
  kind: z.string(),
  id: uuid,
  removed: z.int(),
  receipts,
});

function deregisterRoute({ kind, calls, base, tag }: Subject): HttpRoute {
  const agents = z.boolean().optional().describe("whether its agents are deregistered, too");
  return route({
    method: "DELETE",
    path: `${base}/{id}`,
    name: `deregister_${kind}`,
    tag,
    summary: `Deregisters the ${kind}`,
    requestHeaders: IF_MATCH,
    params: idParams,
    query: kind === "gateway" ? z.strictObject({ with_agents: agents }) : z.strictObject({}),
    answers: { 200: { description: "it is gone", schema: deregisteredSchema } },
    errors: ["NotFound", "StaleVersion"],
    handle: async ({ path: { id }, query }, { client, signal, header }) => {
      const incarnation = ifMatch(header("if-match"));
      const answer = await calls.deregister(client, id, {
        ...(incarnation === undefined ? {} : { incarnation }),
        withAgents: "with_agents" in query && query.with_agents === true,
        signal,
      });
      return { body: deregisteredJson(kind, id, answer) };
    },
  });
}

/** Returns the incarnation that an `If-Match` names; `undefined` for any. */
function ifMatch(header: string | null): Incarnation | undefined {
  if (header === null || header.trim() === "*") return undefined;
  const [, generation, index] = /^\s*"(\d{1,15})\.(\d{1,15})"\s*$/.exec(header) ?? [];
  if (generation !== undefined && index !== undefined) {
    return { generation: Number(generation), index: Number(index) };
  }
  throw badRequest(
    `If-Match must be one ETag of a record, such as "1.42": found ${
      JSON.stringify(header.slice(0, 64))
    }`,
    "Copy the ETag of the registration, with its quotes.",
  );
}

/** Formats an incarnation as an ETag. */
function etagOf(incarnation: Incarnation): string {
  return `"${incarnationText(incarnation)}"`;
}

/** Returns the option for the age that an answer may have, ms. */
export function staleness(ms: number | undefined): Pick<CallOptions, "maxStalenessMs"> {
  return ms === undefined ? {} : { maxStalenessMs: ms };
}

/** Returns the options of a read of one record. */
export function readOptions(
  { region, max_staleness_ms }: z.output<typeof readQuery>,
): Pick<CallOptions, "maxStalenessMs" | "region"> {
  return {
    ...staleness(max_staleness_ms),
    ...(region === undefined ? {} : { region }),
  };
}
