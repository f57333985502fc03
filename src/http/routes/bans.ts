/** Routes of controllers: bans, and the audit log. */
import { z } from "zod";
import { auditEntryJson, banJson } from "../../answers/identity_json.ts";
import { toHex } from "../../base/bytes.ts";
import { AUDIT_PAGE_ENTRIES, BANS_PAGE_MAX } from "../../base/limits.ts";
import type { WallClock } from "../../base/world.ts";
import { type HttpRoute, route } from "../route.ts";
import { IDENTITY } from "./identity.ts";

const TAG = "identity";
const target = z.strictObject({
  kind: z.enum(["subject", "lineage", "token", "capability"]),
  name: z.string().min(1).max(512).describe("SPIFFE id, number of the lineage, or id"),
});
const banSchema = z.looseObject({
  kind: z.string(),
  name: z.string(),
  reason: z.string(),
  untilMs: z.number().nullable(),
  writer: z.int(),
  madeAtMs: z.number(),
  ended: z.boolean(),
});

/** Returns these routes. */
export function banRoutes(wall: WallClock): readonly HttpRoute[] {
  return [listRoute(wall), banRoute(), liftRoute(), auditRoute()];
}

function listRoute(wall: WallClock): HttpRoute {
  return route({
    method: "GET",
    path: `${IDENTITY}/bans`,
    name: "list_bans",
    tag: TAG,
    summary: "Lists the bans that were not lifted",
    query: z.strictObject({
      first: z.int().min(0).optional().describe("index of the first one (default: 0)"),
      limit: z.int().min(1).max(BANS_PAGE_MAX).optional().describe("on a page"),
    }),
    answers: {
      200: {
        description: "one page, in the order of their creation",
        schema: z.looseObject({ bans: z.array(banSchema), count: z.int() }),
      },
    },
    handle: async ({ query }, { client, signal }) => {
      const { first = 0, limit = BANS_PAGE_MAX } = query;
      const { bans, count } = await client.identities.bans(first, limit, { signal });
      const nowMs = wall.unixMs();
      return { body: { bans: bans.map((ban) => banJson(ban, nowMs)), count } };
    },
  });
}

function banRoute(): HttpRoute {
  return route({
    method: "POST",
    path: `${IDENTITY}/bans`,
    name: "ban",
    tag: TAG,
    summary: "Bans an identity, token or capability: open sessions end within a second",
    body: target.extend({
      reason: z.string().max(512).optional().describe("for the audit log"),
      untilMs: z.int().min(1).optional().describe("end, Unix ms (default: until it is lifted)"),
    }),
    answers: {
      201: {
        description: "it holds; `known` says whether the registry knows of its target",
        schema: z.looseObject({ kind: z.string(), name: z.string(), known: z.boolean() }),
      },
    },
    handle: async ({ body }, { client, signal }) => {
      const { kind, name, reason = "", untilMs } = body;
      const order = { kind, name, reason, ...(untilMs === undefined ? {} : { untilMs }) };
      const made = await client.identities.ban(order, { signal });
      return {
        body: { kind, name: made.name, known: made.known, banned: true, untilMs: untilMs ?? null },
      };
    },
  });
}

function liftRoute(): HttpRoute {
  return route({
    method: "DELETE",
    path: `${IDENTITY}/bans`,
    name: "lift_ban",
    tag: TAG,
    summary: "Lifts a ban",
    query: target.extend({
      reason: z.string().max(512).optional().describe("for the audit log"),
    }),
    answers: {
      200: {
        description: "it is lifted",
        schema: z.looseObject({ kind: z.string(), name: z.string(), banned: z.boolean() }),
      },
    },
    errors: ["NotFound"],
    handle: async ({ query: { kind, name, reason = "" } }, { client, signal }) => {
      await client.identities.unban({ kind, name, reason }, { signal });
      return { body: { kind, name, banned: false, untilMs: null } };
    },
  });
}

function auditRoute(): HttpRoute {
  return route({
    method: "GET",
    path: `${IDENTITY}/audit`,
    name: "read_audit",
    tag: TAG,
    summary: "Shows what was issued, renewed, banned and administered, as a hash chain",
    query: z.strictObject({
      first: z.int().min(1).optional().describe("number of the first entry (default: 1)"),
      limit: z.int().min(1).max(AUDIT_PAGE_ENTRIES).optional().describe("on a page"),
    }),
    answers: {
      200: {
        description: "one page, oldest first; `anchor` and `head` are the ends of the chain",
        schema: z.looseObject({
          entries: z.array(z.looseObject({
            number: z.int(),
            unixS: z.number(),
            action: z.string(),
            writer: z.int(),
            subject: z.string(),
            detail: z.string(),
            previous: z.string(),
          })),
          count: z.int(),
          anchor: z.string(),
          head: z.string(),
        }),
      },
    },
    handle: async ({ query }, { client, signal }) => {
      const { first = 1, limit = AUDIT_PAGE_ENTRIES } = query;
      const page = await client.identities.audit(first, limit, { signal });
      return {
        body: {
          entries: page.entries.map(auditEntryJson),
          count: page.count,
          anchor: toHex(page.anchor),
          head: toHex(page.head),
        },
      };
    },
  });
}
