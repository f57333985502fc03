/**
 * Answers about records as JSON documents with stable fields: what `crs --json` prints and what HTTP
 * answers. Absent values are `null` in a document, never omitted.
 */
import { toHex } from "../base/bytes.ts";
import type {
  Deregistered,
  Incarnation,
  Page,
  Receipt,
  RecordSource,
  Registered,
  Reported,
  ResolvedAgent,
} from "../client/mod.ts";
import { kindNamed, type RecordKindName } from "../record/kinds.ts";
import type { Leased } from "./record_calls.ts";
import type { Writer } from "./writer.ts";

/** A JSON document. */
export type JsonDocument = Readonly<Record<string, unknown>>;

/** Items of one or more pages of a list. */
export type Listed<T> = Pick<Page<T>, "items" | "nextCursor" | "receipts">;

/** Formats an incarnation as `generation.index`. */
export function incarnationText({ generation, index }: Incarnation): string {
  return `${generation}.${index}`;
}

/** Returns the document of a registration. */
export function registeredJson(kind: RecordKindName, registered: Registered): JsonDocument {
  const { id, incarnation, revision, remainingMs, renewAfterMs, created, receipts } = registered;
  return { kind, id, incarnation, revision, remainingMs, renewAfterMs, created, receipts };
}

/** Returns the document of one record. */
export function recordJson(
  kind: RecordKindName,
  { record, remainingMs, source, receipts }: Leased & { readonly receipts: readonly Receipt[] },
  writer?: Writer,
): JsonDocument {
  return {
    [kind]: record,
    remainingMs,
    source: sourceJson(source),
    receipts,
    writer: writer ?? null,
  };
}

/** Returns the document of some records of a kind in a region. */
export function recordsJson(
  kind: RecordKindName,
  region: string,
  { items, nextCursor, receipts }: Listed<Leased>,
): JsonDocument {
  const records = items.map(({ record, remainingMs, source }) => ({
    [kind]: record,
    remainingMs,
    source: sourceJson(source),
  }));
  return {
    region,
    [kindNamed(kind).plural]: records,
    nextCursor: nextCursor === undefined ? null : toHex(nextCursor),
    receipts,
  };
}

/** Returns the document of an agent and its gateway. */
export function resolvedJson(resolved: ResolvedAgent): JsonDocument {
  const { domain, agent, gateway, gatewayId, agentRemainingMs, gatewayRemainingMs } = resolved;
  const { agentSource, gatewaySource, stale, ageMs, receipts } = resolved;
  return {
    domain,
    agent,
    gateway: gateway ?? null,
    gatewayId: gatewayId ?? null,
    agentRemainingMs,
    gatewayRemainingMs,
    agentSource: sourceJson(agentSource),
    gatewaySource: sourceJson(gatewaySource),
    stale,
    ageMs,
    receipts,
  };
}

/** Returns the document of a change of draining. */
export function drainedJson(
  kind: RecordKindName,
  id: string,
  draining: boolean,
  { revision, receipts }: Reported,
): JsonDocument {
  return { kind, id, draining, revision, receipts };
}

/** Returns the document of a deregistration. */
export function deregisteredJson(
  kind: RecordKindName,
  id: string,
  { removed, receipts }: Deregistered,
): JsonDocument {
  return { kind, id, removed, receipts };
}

/** Returns the origin of a record; `null` of an own one. */
function sourceJson(source: RecordSource | undefined) {
  return source === undefined ? null : { ...source, ageMs: source.ageMs ?? null };
}
