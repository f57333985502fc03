/**
 * The metrics of the regions that a cluster follows. Every node has the ages, which decide what it serves;
 * what is behind, refused and received is known by the nodes that pull. Series are bounded, as a cluster
 * follows at most `PEER_REGIONS_MAX` regions.
 */
import type { PullerState } from "../../schemas/gen/wire.ts";
import type { PullerCounts } from "../region/puller.ts";
import { SOURCE_AGE_UNKNOWN } from "../wire/record_source.ts";
import { counter, type Family, gauge, type Sample } from "./metric_families.ts";

/** Snapshot of the regions that a node knows. */
export interface RegionsSnapshot {
  /** The peer regions, with the age of their mirrors, if it is known, and the number held here. */
  readonly regions: readonly {
    readonly name: string;
    readonly ageMs: number | undefined;
    readonly mirrors: number;
  }[];
  /** The pullers on this node. */
  readonly pullers: readonly PullerState[];
  /** Counts of the pullers on this node since its start, by region. */
  readonly counts: ReadonlyMap<string, PullerCounts>;
  /** Bytes that this node has received, by region. */
  readonly received: ReadonlyMap<string, number>;
}

type Take = () => RegionsSnapshot | undefined;

/** Returns the metrics of the regions; without samples while there is no registry. */
export function regionFamilies(snapshot: Take): readonly Family[] {
  return [
    gauge(
      "crs_region_replicated_age_seconds",
      "Age of a region's mirrors: its changes up to that long ago are mirrored. Absent while unknown.",
      () =>
        samplesOf(
          snapshot,
          ({ regions }) =>
            regions.flatMap(({ name, ageMs }) =>
              ageMs === undefined ? [] : [[name, ageMs / 1_000]]
            ),
        ),
    ),
    gauge(
      "crs_region_mirrors",
      "Mirrors of a region that this node holds.",
      () =>
        samplesOf(snapshot, ({ regions }) => regions.map(({ name, mirrors }) => [name, mirrors])),
    ),
    gauge(
      "crs_region_contact_age_seconds",
      "Time since a region answered the pullers on this node.",
      () =>
        samplesOf(
          snapshot,
          ({ pullers }) =>
            perRegion(pullers, ({ contactAgeMs }) => contactAgeMs, Math.min)
              .flatMap(([name, ms]) => ms === SOURCE_AGE_UNKNOWN ? [] : [[name, ms / 1_000]]),
        ),
    ),
    gauge(
      "crs_region_lag_entries",
      "Changes of a region that this node has received and that are not applied.",
      () => samplesOf(snapshot, ({ pullers }) => total(pullers, ({ lagEntries }) => lagEntries)),
    ),
    gauge(
      "crs_region_lag_bytes",
      "Size of a region's changes that this node has received and that are not applied.",
      () => samplesOf(snapshot, ({ pullers }) => total(pullers, ({ lagBytes }) => lagBytes)),
    ),
    ...counters(snapshot),
  ];
}

function counters(snapshot: Take): readonly Family[] {
  const counted = (of: (counts: PullerCounts) => number) => () =>
    samplesOf(snapshot, ({ counts }) => Array.from(counts, ([name, one]) => [name, of(one)]));
  return [
    counter(
      "crs_region_changes_total",
      "Changes of a region that this node has mirrored.",
      counted(({ changes }) => changes),
    ),
    counter(
      "crs_region_entries_total",
      "Entries of the log in which this node has mirrored changes of a region.",
      counted(({ entries }) => entries),
    ),
    counter(
      "crs_region_refused_total",
      "Changes of a region that were received and cannot be mirrored.",
      counted(({ refused }) => refused),
    ),
    counter(
      "crs_region_resyncs_total",
      "Partitions of a region that were listed anew, as their history was gone there.",
      counted(({ resyncs }) => resyncs),
    ),
    counter(
      "crs_region_received_bytes_total",
      "Bytes that this node has received from a region.",
      () => samplesOf(snapshot, ({ received }) => [...received]),
    ),
  ];
}

type Values = readonly (readonly [region: string, value: number])[];

function samplesOf(snapshot: Take, of: (regions: RegionsSnapshot) => Values): Sample[] {
  const known = snapshot();
  if (known === undefined) return [];
  return of(known).map(([region, value]) => ({ labels: { region }, value }));
}

function total(pullers: readonly PullerState[], of: (puller: PullerState) => number): Values {
  return perRegion(pullers, of, (left, right) => left + right);
}

/** Returns one value for each region of its pullers' values. */
function perRegion(
  pullers: readonly PullerState[],
  of: (puller: PullerState) => number,
  merge: (left: number, right: number) => number,
): Values {
  const values = new Map<string, number>();
  for (const puller of pullers) {
    const { region } = puller;
    const known = values.get(region);
    values.set(region, known === undefined ? of(puller) : merge(known, of(puller)));
  }
  return [...values];
}
