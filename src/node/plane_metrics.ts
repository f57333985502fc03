/** The metrics of the governed plane on a node that holds it. */
import { counter, type Family, gauge, type Sample } from "./metric_families.ts";

/** Snapshot of the governed plane. */
export interface PlaneSnapshot {
  /** The number of applied payloads. */
  readonly version: number;
  /** The region that is mirrored; empty at the home. */
  readonly home: string;
  /** Time since the home answered this node; undefined if this node does not follow it. */
  readonly contactAgeMs: number | undefined;
  /** Batches of the home's entries that were ever refused. */
  readonly refused: number;
}

/** Returns the metrics of the plane; without samples on a node that does not hold one. */
export function planeFamilies(take: () => PlaneSnapshot | undefined): readonly Family[] {
  const one = (of: (plane: PlaneSnapshot) => number) => (): Sample[] => {
    const plane = take();
    return plane === undefined ? [] : [{ labels: {}, value: of(plane) }];
  };
  return [
    gauge("crs_governed_version", "Payloads that were applied.", one(({ version }) => version)),
    gauge(
      "crs_governed_home_contact_age_seconds",
      "Time since the home of the governed plane answered this node, which follows it.",
      () => {
        const { home = "", contactAgeMs } = take() ?? {};
        if (contactAgeMs === undefined) return [];
        return [{ labels: { region: home }, value: contactAgeMs / 1_000 }];
      },
    ),
    counter(
      "crs_governed_mirror_refused_total",
      "Batches of entries of the home that were refused, as they were not what signers decided.",
      one(({ refused }) => refused),
    ),
  ];
}
