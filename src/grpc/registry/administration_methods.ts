/** Bans, the audit log, identities, and removals by right of administration. */
import { AUDIT_ACTION_NAMES, auditEntryCodec } from "../../../schemas/gen/audit.ts";
import { BAN_KIND_NAMES, BAN_KINDS } from "../../../schemas/gen/wire.ts";
import { AUDIT_PAGE_ENTRIES, BANS_PAGE_MAX } from "../../base/limits.ts";
import { callOptionsOf } from "../service.ts";
import { grantsMessage } from "./identity_methods.ts";
import type { RegistryFunctions } from "./registry_functions.ts";
import { nameOf, numberOf, RECORD_KIND_NAMES, required } from "./request_fields.ts";

type BanFunctions = Pick<
  RegistryFunctions,
  | "ban"
  | "liftBan"
  | "listBans"
>;

/** The kinds of bans, by their numbers less one; those of the wire are the same. */
const KINDS = BAN_KIND_NAMES.slice(1) as (keyof typeof BAN_KINDS)[];
type AdministrationFunctions = Pick<
  RegistryFunctions,
  | "readAudit"
  | "whoAmI"
  | "getLineage"
  | "removeRecord"
  | "removeMember"
>;

/** Returns the functions of bans. */
export function banMethods(): BanFunctions {
  return {
    ban: async ({ kind, name, reason, untilUnixMs }, context) => {
      const order = {
        kind: banKind(kind),
        name,
        reason,
        ...(untilUnixMs === undefined ? {} : { untilMs: numberOf(untilUnixMs, "until_unix_ms") }),
      };
      const made = await context.client.identities.ban(order, callOptionsOf(context));
      return { name: made.name, known: made.known };
    },
    liftBan: async ({ kind, name, reason }, context) => {
      const order = { kind: banKind(kind), name, reason };
      await context.client.identities.unban(order, callOptionsOf(context));
      return {};
    },
    listBans: async ({ first, limit }, context) => {
      const { identities } = context.client;
      const page = await identities.bans(first, limit || BANS_PAGE_MAX, callOptionsOf(context));
      return {
        bans: page.bans.map(({ kind, name, reason, untilMs, writer, madeAtMs }) => ({
          kind: BAN_KINDS[kind],
          name,
          reason,
          ...(untilMs === null ? {} : { untilUnixMs: BigInt(untilMs) }),
          writer: BigInt(writer),
          madeAtUnixMs: BigInt(madeAtMs),
        })),
        count: page.count,
      };
    },
  };
}

/** Returns the functions of the audit log and of removals. */
export function administrationMethods(): AdministrationFunctions {
  return {
    readAudit: async (request, context) => {
      const { identities } = context.client;
      const first = numberOf(request.first, "first") || 1;
      const limit = request.limit || AUDIT_PAGE_ENTRIES;
      const page = await identities.audit(first, limit, callOptionsOf(context));
      return {
        entries: page.entries.map((encoded) => {
          const { number, unixS, action, writer, subject, detail, previous } = auditEntryCodec
            .decode(encoded);
          return {
            number: BigInt(number),
            unixS: BigInt(unixS),
            action: AUDIT_ACTION_NAMES[action] ?? String(action),
            writer: BigInt(writer),
            subject,
            detail,
            previous,
            encoded,
          };
        }),
        count: BigInt(page.count),
        anchor: page.anchor,
        head: page.head,
      };
    },
    whoAmI: async (_request, context) => {
      const known = await context.client.identities.whoAmI(callOptionsOf(context));
      const { lineage, expiresAtMs, grants, scopes, ...identity } = known;
      return {
        ...identity,
        lineage: BigInt(lineage),
        ...(expiresAtMs === null ? {} : { expiresAtUnixMs: BigInt(expiresAtMs) }),
        grants: grantsMessage(grants),
        scopes: [...scopes],
      };
    },
    getLineage: async (request, context) => {
      const lineage = numberOf(request.lineage, "lineage");
      const found = await context.client.identities.lineage(lineage, callOptionsOf(context));
      const { subject, generation, stopped, notAfterMs } = found;
      return { subject, generation, stopped, notAfterUnixMs: BigInt(notAfterMs) };
    },
    removeRecord: async ({ kind, id }, context) => {
      const { identities } = context.client;
      const name = required(nameOf(kind, RECORD_KIND_NAMES, "kind"), "kind");
      return { removed: await identities.removeRecord(name, id, callOptionsOf(context)) };
    },
    removeMember: async ({ nodeId }, context) => {
      await context.client.identities.removeMember(nodeId, callOptionsOf(context));
      return {};
    },
  };
}

function banKind(kind: number): keyof typeof BAN_KINDS {
  return required(nameOf(kind, KINDS, "kind"), "kind");
}
