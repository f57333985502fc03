/** The metrics of watches. */
import type { WatchStatus } from "../serving/watch/watch_counts.ts";
import { counter, type Family, gauge, type Sample, single } from "./metric_families.ts";

/** Returns the metrics of a node's watches; there are none while its groups are not open. */
export function watchFamilies(status: () => WatchStatus | undefined): readonly Family[] {
  const samples = (of: (status: WatchStatus) => Sample[]) => () => {
    const known = status();
    return known === undefined ? [] : of(known);
  };
  return [
    gauge("crs_watches", "Watches.", samples(({ counts }) => single(counts.watches))),
    gauge(
      "crs_watch_subscriptions",
      "Different records and partitions that are watched: the cost of a change grows with these.",
      samples(({ subscriptions }) => single(subscriptions)),
    ),
    gauge(
      "crs_watches_blocked",
      "Watches with changes for peers that take nothing.",
      samples(({ blocked }) => single(blocked)),
    ),
    gauge(
      "crs_watch_lag_seconds",
      "The longest time for which one of these peers has taken nothing.",
      samples(({ lagMs }) => single(lagMs / 1_000)),
    ),
    gauge(
      "crs_watch_history_bytes",
      "Memory of the latest changes, from which watches continue.",
      samples(({ historyBytes }) => single(historyBytes)),
    ),
    counter(
      "crs_watch_events_total",
      "Events sent to watches.",
      samples(({ counts }) => single(counts.events)),
    ),
    counter(
      "crs_watch_resets_total",
      "Partitions of watches that began anew, as their history was gone.",
      samples(({ counts }) => single(counts.resets)),
    ),
    counter(
      "crs_watches_ended_total",
      "Watches that ended, by reason: canceled by the client, closed with its stream, or a code.",
      samples(({ counts }) => byLabel("reason", counts.ended)),
    ),
    counter(
      "crs_watch_partitions_ended_total",
      "Partitions that a watch was refused, or in which it ended alone, by code.",
      samples(({ counts }) => byLabel("code", counts.partitionsEnded)),
    ),
  ];
}

function byLabel(label: string, counts: ReadonlyMap<string, number>): Sample[] {
  return Array.from(counts, ([name, value]) => ({ labels: { [label]: name }, value }));
}
