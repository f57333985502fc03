/** The filter of a watch: checked, in the form of its request, and the partitions that it concerns. */
import { RegistryError } from "../../base/errors.ts";
import { WATCH_KEYS_MAX, WATCH_LABELS_MAX } from "../../base/limits.ts";
import { parseUuid } from "../../base/uuid.ts";
import { canonicalDomain, canonicalDomainBytes } from "../../record/domain.ts";
import { domainBytes, KIND_ALIAS } from "../../record/key.ts";
import { isRecordKindName, kindNamed, RECORD_KINDS } from "../../record/kinds.ts";
import type { Partitioner } from "../../ring/partition.ts";
import type { WatchFilter } from "../watch_types.ts";

/** A checked filter. */
export interface CheckedFilter {
  /** Number of the kind; 0: agents and gateways. */
  readonly kind: number;
  readonly region: string;
  readonly labels: readonly { readonly key: string; readonly value: string }[];
  /** 16 bytes each; empty: any. */
  readonly ids: readonly Uint8Array[];
  /** Canonical names of aliases. */
  readonly domains: readonly string[];
}

/** Checks the conditions on records. @throws RegistryError `invalid_argument`. */
export function checkedFilter(filter: WatchFilter): CheckedFilter {
  const { kind, region = "", labels = {}, ids = [] } = filter;
  if (kind !== undefined && !isRecordKindName(kind)) {
    throw invalid("kind", `be the name of a kind of record: found ${String(kind)}`);
  }
  if (typeof region !== "string") throw invalid("region", `be text: found ${typeof region}`);
  if (ids.length > WATCH_KEYS_MAX) {
    throw invalid("ids", `be at most ${WATCH_KEYS_MAX}: there are ${ids.length}`);
  }
  const pairs = Object.entries(labels);
  if (pairs.length > WATCH_LABELS_MAX) {
    throw invalid("labels", `be at most ${WATCH_LABELS_MAX}: there are ${pairs.length}`);
  }
  return {
    kind: kind === undefined ? 0 : kindNamed(kind).number,
    region,
    labels: pairs.map(([key, value]) => ({ key, value })),
    ids: ids.map((id) => parseUuid(id, "ids")),
    domains: [],
  };
}

/** Returns the filter of one agent. */
export function agentFilter(id: Uint8Array): CheckedFilter {
  return { ...NO_CONDITION, kind: kindNamed("agent").number, ids: [id] };
}

/** Returns the filter of the alias of a domain. @throws RegistryError `invalid_argument`. */
export function aliasFilter(domain: string): CheckedFilter {
  return { ...NO_CONDITION, kind: KIND_ALIAS, domains: [canonicalDomain(domain)] };
}

const NO_CONDITION: CheckedFilter = { kind: 0, region: "", labels: [], ids: [], domains: [] };

/** Returns the partitions that a filter concerns, in ascending order. */
export function partitionsOf(filter: CheckedFilter, partitioner: Partitioner): readonly number[] {
  const { kind, ids, domains } = filter;
  if (ids.length === 0 && domains.length === 0) {
    return Array.from({ length: partitioner.partitionCount }, (_, partition) => partition);
  }
  const partitions = new Set<number>();
  const kinds = kind === 0 ? RECORD_KINDS.servedRows.map(({ number }) => number) : [kind];
  for (const id of ids) {
    for (const one of kinds) partitions.add(partitioner.partitionOf(one, id, 0, id.length));
  }
  for (const domain of domains) {
    const text = domainBytes(domain);
    const { bytes, start, end } = canonicalDomainBytes(text, 0, text.length);
    partitions.add(partitioner.partitionOf(KIND_ALIAS, bytes, start, end));
  }
  return [...partitions].sort((left, right) => left - right);
}

/** Returns the refusal of an argument. */
export function invalid(field: string, must: string): RegistryError {
  return new RegistryError("invalid_argument", `${field} must ${must}`, { field });
}
