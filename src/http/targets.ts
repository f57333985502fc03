/**
 * Records as target groups of Prometheus HTTP service discovery. Labels have the prefix of meta labels,
 * from which the scrape configuration takes what it wants.
 */
import type { RecordKindName } from "../record/kinds.ts";
import type { RecordInfo } from "../record/plain.ts";

/** A target group. */
export interface TargetGroup {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** Returns the group of a record; `undefined` if it has no place that can be dialed. */
export function targetGroup(kind: RecordKindName, record: RecordInfo): TargetGroup | undefined {
  const { address, domain, port } = record;
  const host = address === "" ? domain : address.includes(":") ? `[${address}]` : address;
  if (host === "" || port === 0) return undefined;
  const labels: Record<string, string> = {};
  for (const [key, value] of Object.entries(record.labels)) {
    // Two keys that differ in such characters only share a name; the later one counts.
    labels[`__meta_registry_label_${key.replace(/[^A-Za-z0-9_]/g, "_")}`] = value;
  }
  return {
    targets: [`${host}:${port}`],
    labels: {
      ...labels,
      __meta_registry_kind: kind,
      __meta_registry_id: record.id,
      __meta_registry_domain: domain,
      __meta_registry_region: record.region,
      __meta_registry_state: record.state,
    },
  };
}
