/** The metrics of reads with a bound on their age. */
import { AGE_BOUNDS_MS, type FreshnessCounts } from "../replication/freshness_counts.ts";
import { counter, type Family, histogram, type Sample } from "./metric_families.ts";

const AGE = "crs_follower_read_age_seconds";

/** Returns the metrics of reads with a bound at followers. */
export function freshnessFamilies(counts: () => FreshnessCounts | undefined): readonly Family[] {
  return [
    histogram(
      AGE,
      "Proven age of what followers served to reads with a bound, by part of an answer.",
      () => {
        const of = counts();
        return of === undefined ? [] : ageSamples(of);
      },
    ),
    counter(
      "crs_follower_reads_missed_total",
      "Reads with a bound that followers did not permit, by reason; redirected: with the leader as " +
        "the hint, refused: without one.",
      () => {
        const of = counts();
        if (of === undefined) return [];
        return [...missSamples("redirected", of.redirected), ...missSamples("refused", of.refused)];
      },
    ),
  ];
}

function ageSamples({ ages, agesSumMs, servedCount }: FreshnessCounts): Sample[] {
  let below = 0;
  const buckets = AGE_BOUNDS_MS.map((boundMs, at): Sample => {
    below += ages[at]!;
    const labels = { le: String(boundMs / 1_000) };
    return { metricName: `${AGE}_bucket`, labels, value: below };
  });
  return [
    ...buckets,
    { metricName: `${AGE}_bucket`, labels: { le: "+Inf" }, value: servedCount },
    { metricName: `${AGE}_sum`, labels: {}, value: agesSumMs / 1_000 },
    { metricName: `${AGE}_count`, labels: {}, value: servedCount },
  ];
}

function missSamples(outcome: string, misses: ReadonlyMap<string, number>): Sample[] {
  return Array.from(misses, ([reason, value]) => ({ labels: { outcome, reason }, value }));
}
