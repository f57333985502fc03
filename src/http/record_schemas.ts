/**
 * Schemas of records, derived from the description of each kind (src/record), so that a field that is
 * added there needs no change here.
 */
import { z } from "zod";
import type { Field } from "../record/field.ts";
import { DIMENSIONS } from "../record/field_types.ts";
import { type AnyKindRow, kindNamed } from "../record/kinds.ts";
import { RECORD_SCOPES, RECORD_STATES } from "../record/plain.ts";
import type { CommandKind } from "../answers/record_calls.ts";
import { position, receipts, source } from "./schemas.ts";

const amounts = z.strictObject(
  Object.fromEntries([...DIMENSIONS.keys()].map((name) => [name, z.number().min(0).nullish()])),
).describe("cpu in cores, memory and storage in MiB, bandwidth in Mbit/s");

/** Returns the schema of a field's value in JSON, as programs send it. */
function valueSchema({ name, type }: Field): z.ZodType {
  switch (type.form) {
    case "text":
      return name === "scope" ? z.enum(RECORD_SCOPES) : z.string();
    case "number":
    case "duration":
      return z.number();
    case "draining":
      return z.enum(RECORD_STATES);
    case "labels":
      return z.record(z.string(), z.string());
    case "amounts":
      return amounts;
  }
}

/** Returns the names that a kind's fields have in JSON, with the schemas of their values. */
function inputShape(
  { name: kind, sharedFields, ownFields }: AnyKindRow,
): Record<string, z.ZodType> {
  const shape: Record<string, z.ZodType> = {};
  for (const field of [...sharedFields, ...ownFields]) {
    const value = valueSchema(field).nullish();
    const help = field.flags?.[0]?.help;
    shape[field.name] = help === undefined ? value : value.describe(help);
    const others = (field.aliases ?? []).map(({ name }) => name);
    if (field.suffix !== undefined) others.push(`${kind}_${field.suffix}`);
    for (const other of others) shape[other] ??= value.describe(`as ${field.name}`);
  }
  // The only name whose unit differs from that of the field.
  shape["ttl"] = z.number().nullish().describe("as ttlMs, in seconds");
  return shape;
}

/** Returns the schema of a record as it is registered: our names of fields, or those of others. */
function inputSchema(kind: CommandKind): z.ZodType<Record<string, unknown>> {
  const id = `${capital(kind)}Input`;
  return z.strictObject(inputShape(kindNamed(kind))).meta({ id });
}

/** Returns the schema of a record as it is answered. */
function recordSchema(kind: CommandKind): z.ZodType {
  const shape: Record<string, z.ZodType> = {};
  const { sharedFields, ownFields }: AnyKindRow = kindNamed(kind);
  for (const field of [...sharedFields, ...ownFields]) shape[field.name] = valueSchema(field);
  return z.looseObject({
    ...shape,
    isStale: z.boolean().describe(
      "whether its lease is over and it stays, because many ended at once: it may be alive",
    ),
    incarnation: position,
    revision: position,
    lastSeenUnixMs: z.number(),
    writer: z.int(),
  }).meta({ id: capital(kind) });
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** The schemas of one kind. */
export interface KindSchemas {
  readonly input: z.ZodType<Record<string, unknown>>;
  readonly record: z.ZodType;
  /** A record with its lease and receipts. */
  readonly answer: z.ZodType;
  readonly page: z.ZodType;
}

function schemasOf(kind: CommandKind): KindSchemas {
  const record = recordSchema(kind);
  const leased = { [kind]: record, remainingMs: z.number(), source };
  return {
    input: inputSchema(kind),
    record,
    answer: z.looseObject({ ...leased, receipts, writer: z.unknown() }),
    page: z.looseObject({
      region: z.string(),
      [kindNamed(kind).plural]: z.array(z.looseObject(leased)),
      nextCursor: z.string().nullable(),
      receipts,
    }),
  };
}

/** The schemas of all kinds that have routes. */
export const RECORD_SCHEMAS: Readonly<Record<CommandKind, KindSchemas>> = {
  agent: schemasOf("agent"),
  gateway: schemasOf("gateway"),
};

/** The answer to a registration. */
export const registeredSchema = z.looseObject({
  kind: z.string(),
  id: z.string(),
  incarnation: position,
  revision: position,
  remainingMs: z.number(),
  renewAfterMs: z.number(),
  created: z.boolean(),
  receipts,
}).meta({ id: "Registered" });

/** The answer to a resolution. */
export const resolvedSchema = z.looseObject({
  domain: z.string(),
  agent: RECORD_SCHEMAS.agent.record,
  gateway: RECORD_SCHEMAS.gateway.record.nullable(),
  gatewayId: z.string().nullable(),
  agentRemainingMs: z.number(),
  gatewayRemainingMs: z.number(),
  agentSource: source,
  gatewaySource: source,
  stale: z.boolean(),
  ageMs: z.number(),
  receipts,
});
