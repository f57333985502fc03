/**
 * The metrics of a node, for Prometheus. The request path only updates typed arrays; prom-client makes
 * names, labels and text at each scrape. The counts that other parts keep themselves (records, log,
 * sessions) are read at that time through one snapshot.
 *
 * Series are bounded: operations and codes are closed sets, and regions beyond a limit are summed.
 */
import process from "node:process";
import { type Metric, Registry } from "prom-client";
import { defined } from "../base/assert.ts";
import { ERROR_TABLE, type ErrorCode } from "../base/errors.ts";
import { METRICS_ERROR_STAGES_MAX, METRICS_REGIONS_MAX } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { WatchStatus } from "../serving/watch/watch_counts.ts";
import type { WriteQueueCounts } from "../serving/fair_writes.ts";
import {
  type ConnectionCounts,
  connectionFamilies,
  writeQueueFamilies,
} from "./connection_metrics.ts";
import { clusterFamilies, type ClusterSnapshot } from "./cluster_metrics.ts";
import { LATENCY_BOUNDS_MS, LatencyHistogram } from "./latency_histogram.ts";
import { counter, type Family, gauge, histogram, type Sample, single } from "./metric_families.ts";
import { planeFamilies, type PlaneSnapshot } from "./plane_metrics.ts";
import { regionFamilies, type RegionsSnapshot } from "./region_metrics.ts";
import { watchFamilies } from "./watch_metrics.ts";

/** An operation, as named in metrics. */
export interface MeasuredOperation {
  /** The operation id on the wire, `[0, 1024)`. */
  readonly id: number;
  readonly name: string;
}

/** The current counts of a node's parts. Counters never decrease. */
export interface NodeSnapshot {
  readonly ready: boolean;
  /** The number of live records. */
  readonly records: readonly {
    /** Name of a kind of record, or `alias`. */
    readonly kind: string;
    readonly region: string;
    readonly count: number;
  }[];
  /** The number of records that expired since the start. */
  readonly expiries: readonly {
    /** Name of a kind of record, or `alias`. */
    readonly kind: string;
    readonly count: number;
  }[];
  /** The number of stale records, and of the decisions of operators that hold expiry. */
  readonly stale: number;
  readonly expiryHolds: number;
  /** Permits to expire records since the start: drawn, and asked for in vain. */
  readonly permits: { readonly granted: number; readonly denied: number };
  readonly log: {
    /** The size on disk now. */
    readonly bytes: number;
    readonly segments: number;
    /** Appended since the start. */
    readonly appendedBytes: number;
    readonly appendedEntries: number;
    /** Whether a sync failed: nothing is acknowledged until a restart. */
    readonly poisoned: boolean;
  };
  /** The number of open sessions, by transport. */
  readonly sessions: readonly { readonly transport: string; readonly count: number }[];
  readonly streams: number;
  /** Since the start: renewals answered, and log entries that extended covers or logged the time. */
  readonly renewals: number;
  readonly renewalsLogged: number;
  /** The number of renewals refused because another node leads or holds the partition, by code. */
  readonly renewalsMisrouted: ReadonlyMap<RoutingMiss, number>;
  /** The number of identities refused since the start, by a closed set of reasons. */
  readonly refusals: ReadonlyMap<string, number>;
  /** The number of them that ended a handshake. */
  readonly handshakesRefused: ReadonlyMap<string, number>;
  /** The memory that sessions make the node hold now, bytes. */
  readonly held: { readonly replies: number; readonly frames: number };
  /** The number of sessions that the node ended since the start, by a closed set of reasons. */
  readonly sessionsEnded: ReadonlyMap<string, number>;
  /** Anonymous sessions: those open now, and those closed for others since the start. */
  readonly anonymous: { readonly count: number; readonly evicted: number };
  /** Delegations of fronts: those open now, and the refusals since the start by code. */
  readonly delegations: {
    readonly open: number;
    readonly refused: ReadonlyMap<ErrorCode, number>;
  };
  /** The number of restarts of services beside the node since the start, by service. */
  readonly serviceRestarts: ReadonlyMap<string, number>;
  /** The number of rebinds of a TCP port that had stopped accepting, since the start, by port. */
  readonly portsReopened: ReadonlyMap<string, number>;
  readonly connections: ConnectionCounts;
  /** Writes that wait, and have waited. */
  readonly writeQueue: WriteQueueCounts;
  /** Its watches; undefined while its groups are not open. */
  readonly watches: WatchStatus | undefined;
  /** The regions that it follows; undefined while its groups are not open. */
  readonly regions: RegionsSnapshot | undefined;
  /** The governed plane; undefined on a node that does not hold one. */
  readonly governed: PlaneSnapshot | undefined;
  /** This node's part in its cluster; undefined while its groups are not open. */
  readonly cluster: ClusterSnapshot | undefined;
}

/** The options of {@link NodeMetrics}. */
export interface NodeMetricsOptions {
  readonly operations: readonly MeasuredOperation[];
  readonly monotonic: MonotonicClock;
  /** Version, node id and region are the labels of `crs_build_info`. */
  readonly version: string;
  readonly nodeId: () => number;
  readonly region: string;
  /** Returns the current counts; called at each scrape. */
  readonly snapshot: () => NodeSnapshot;
}

/** One more than the highest wire number of a code; 0 is success. */
const CODES = 1 + Math.max(...Object.values(ERROR_TABLE).map(({ wire }) => wire));
const CODE_NAMES: readonly string[] = (() => {
  const names = new Array<string>(CODES).fill("");
  names[0] = "ok";
  for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) names[ERROR_TABLE[code].wire] = code;
  return names;
})();

/** The codes by which a request learns that another node leads or holds the partition. */
const ROUTING_MISSES = ["not_leader", "not_replica"] as const;

/** A code by which a request learns that another node leads or holds the partition. */
export type RoutingMiss = typeof ROUTING_MISSES[number];

/** The metrics of one node. */
export class NodeMetrics {
  readonly #options: NodeMetricsOptions;
  readonly #startedMs: number;
  readonly #registry = new Registry();
  /** The row of the arrays by operation id; row 0 is for unknown operations. */
  readonly #rows: Uint16Array;
  readonly #names: readonly string[];
  readonly #requests: Float64Array;
  readonly #latencies: LatencyHistogram;
  readonly #syncs = new LatencyHistogram(1);
  readonly #errors = new Map<string, number>();
  /** Taken once per scrape, as it may iterate over all partitions. */
  #snapshot: NodeSnapshot | undefined;

  constructor(options: NodeMetricsOptions) {
    const { operations, monotonic } = options;
    this.#options = options;
    this.#startedMs = monotonic.nowMs();
    this.#rows = new Uint16Array(1 + Math.max(0, ...operations.map(({ id }) => id)));
    operations.forEach(({ id }, index) => this.#rows[id] = index + 1);
    this.#names = ["unknown", ...operations.map(({ name }) => name)];
    this.#requests = new Float64Array(this.#names.length * CODES);
    this.#latencies = new LatencyHistogram(this.#names.length);
    for (const family of this.#families()) {
      // prom-client's registry uses only the name and `get` of a metric.
      this.#registry.registerMetric(family as unknown as Metric);
    }
  }

  /**
   * Counts one answered request. Implements the streams' `RequestObserver`.
   *
   * @param operationId the id on the wire; an id missing from the table is counted as `unknown`.
   * @param durationMs time from the arrival of the request's bytes to its answer.
   */
  requestDone(operationId: number, code: "ok" | ErrorCode, durationMs: number): void {
    const row = operationId < this.#rows.length ? this.#rows[operationId]! : 0;
    this.#requests[row * CODES + (code === "ok" ? 0 : ERROR_TABLE[code].wire)]!++;
    this.#latencies.record(row, durationMs);
  }

  /** Counts one sync of the log. */
  recordSync(durationMs: number): void {
    this.#syncs.record(0, durationMs);
  }

  /**
   * Counts an error that was caught and handled.
   *
   * @param stage where it was caught: one of a small closed set of words.
   */
  recordError(stage: string): void {
    const known = this.#errors.has(stage) || this.#errors.size < METRICS_ERROR_STAGES_MAX;
    const label = known ? stage : "other";
    this.#errors.set(label, (this.#errors.get(label) ?? 0) + 1);
  }

  /** Returns all metrics in the Prometheus text format, and its media type. */
  async render(): Promise<{ readonly text: string; readonly contentType: string }> {
    this.#snapshot = this.#options.snapshot();
    return { text: await this.#registry.metrics(), contentType: this.#registry.contentType };
  }

  #families(): readonly Family[] {
    const snapshot = () => defined(this.#snapshot, "A scrape takes a snapshot first");
    return [
      ...this.#requestFamilies(),
      ...stateFamilies(snapshot),
      ...clusterFamilies(() => snapshot().cluster),
      ...watchFamilies(() => snapshot().watches),
      ...regionFamilies(() => snapshot().regions),
      ...planeFamilies(() => snapshot().governed),
      histogram(
        "crs_log_sync_seconds",
        "Duration of the write and sync of one batch of the log.",
        () => latencySamples("crs_log_sync_seconds", {}, this.#syncs, 0),
      ),
      counter(
        "crs_errors_caught_total",
        "Errors that were caught and handled, by place.",
        () => [...this.#errors].map(([stage, value]) => ({ labels: { stage }, value })),
      ),
      ...this.#processFamilies(),
    ];
  }

  #requestFamilies(): readonly Family[] {
    return [
      counter("crs_requests_total", "Answered requests by operation and code.", () => {
        const samples: Sample[] = [];
        this.#requests.forEach((value, index) => {
          if (value === 0) return;
          const operation = this.#names[Math.floor(index / CODES)]!;
          samples.push({ labels: { operation, code: CODE_NAMES[index % CODES]! }, value });
        });
        return samples;
      }),
      counter(
        "crs_routing_misses_total",
        "Requests and renewals refused because another node leads or holds the partition, by code.",
        () => this.#routingMisses(),
      ),
      histogram(
        "crs_request_seconds",
        "Time from a request's arrival to its answer, by operation.",
        () =>
          this.#names.flatMap((operation, row) =>
            this.#latencies.count(row) === 0
              ? []
              : latencySamples("crs_request_seconds", { operation }, this.#latencies, row)
          ),
      ),
    ];
  }

  #routingMisses(): Sample[] {
    const renewals = defined(this.#snapshot, "A scrape takes a snapshot first").renewalsMisrouted;
    return ROUTING_MISSES.map((code) => {
      let value = renewals.get(code) ?? 0;
      for (let at = ERROR_TABLE[code].wire; at < this.#requests.length; at += CODES) {
        value += this.#requests[at]!;
      }
      return { labels: { code }, value };
    });
  }

  #processFamilies(): readonly Family[] {
    const { version, nodeId, region, monotonic } = this.#options;
    const labels = { version, node: String(nodeId()), region };
    return [
      gauge(
        "crs_build_info",
        "Always 1; its labels identify the build.",
        () => [{ labels, value: 1 }],
      ),
      gauge(
        "crs_uptime_seconds",
        "Time since the start.",
        () => single((monotonic.nowMs() - this.#startedMs) / 1_000),
      ),
      gauge(
        "process_resident_memory_bytes",
        "Resident memory of the process.",
        () => single(process.memoryUsage().rss),
      ),
      gauge(
        "process_heap_bytes",
        "Used heap of the JavaScript engine.",
        () => single(process.memoryUsage().heapUsed),
      ),
      counter("process_cpu_seconds_total", "Processor time, user and system.", () => {
        const { user, system } = process.cpuUsage();
        return single((user + system) / 1_000_000);
      }),
    ];
  }
}

function stateFamilies(snapshot: () => NodeSnapshot): readonly Family[] {
  return [
    gauge("crs_ready", "1 if /readyz answers 200.", () => single(Number(snapshot().ready))),
    gauge("crs_records", "Live records by kind and region.", () => recordSamples(snapshot())),
    counter(
      "crs_expiries_total",
      "Records that ended by expiry.",
      () => snapshot().expiries.map(({ kind, count }) => ({ labels: { kind }, value: count })),
    ),
    gauge(
      "crs_stale_records",
      "Records that outlive their leases because many ended at once.",
      () => single(snapshot().stale),
    ),
    gauge(
      "crs_expiry_holds",
      "Regions in which an operator holds expiry; a hold of all regions counts as one.",
      () => single(snapshot().expiryHolds),
    ),
    counter(
      "crs_expiry_permits_total",
      "Permits to expire records that the node asked for, by outcome.",
      () =>
        Object.entries(snapshot().permits).map(([outcome, value]) => ({
          labels: { outcome },
          value,
        })),
    ),
    counter("crs_renewals_total", "Renewals answered.", () => single(snapshot().renewals)),
    counter(
      "crs_renewals_logged_total",
      "Log entries written for renewals: covers extended, times logged.",
      () => single(snapshot().renewalsLogged),
    ),
    gauge("crs_log_bytes", "Size of the log on disk.", () => single(snapshot().log.bytes)),
    gauge("crs_log_segments", "Segments of the log.", () => single(snapshot().log.segments)),
    counter(
      "crs_log_appended_bytes_total",
      "Bytes appended to the log.",
      () => single(snapshot().log.appendedBytes),
    ),
    counter(
      "crs_log_appended_entries_total",
      "Entries appended to the log.",
      () => single(snapshot().log.appendedEntries),
    ),
    gauge(
      "crs_log_poisoned",
      "1 after a failed sync, until a restart.",
      () => single(Number(snapshot().log.poisoned)),
    ),
    gauge(
      "crs_sessions",
      "Open sessions by transport.",
      () =>
        snapshot().sessions.map(({ transport, count }) => ({
          labels: { transport },
          value: count,
        })),
    ),
    counter(
      "crs_identity_refusals_total",
      "Handshakes and requests for certificates that were refused, by reason.",
      () => [...snapshot().refusals].map(([reason, value]) => ({ labels: { reason }, value })),
    ),
    counter(
      "crs_handshakes_refused_total",
      "Handshakes that were refused, by reason: the faults of registry-auth/1, or an error code.",
      () =>
        [...snapshot().handshakesRefused].map(([reason, value]) => ({ labels: { reason }, value })),
    ),
    counter(
      "crs_sessions_ended_total",
      "Sessions that the node ended for the memory they held, by reason: replies_not_taken, " +
        "frame_not_finished, memory.",
      () => [...snapshot().sessionsEnded].map(([reason, value]) => ({ labels: { reason }, value })),
    ),
    gauge(
      "crs_sessions_held_bytes",
      "Bytes of replies that peers have not read, and of frames that they have not finished.",
      () => Object.entries(snapshot().held).map(([kind, value]) => ({ labels: { kind }, value })),
    ),
    gauge(
      "crs_anonymous_sessions",
      "Open anonymous sessions, which may only request a certificate.",
      () => single(snapshot().anonymous.count),
    ),
    counter(
      "crs_anonymous_sessions_evicted_total",
      "Idle anonymous sessions that were closed to make room for others.",
      () => single(snapshot().anonymous.evicted),
    ),
    gauge(
      "crs_delegations",
      "Open delegations, by which fronts act for their callers.",
      () => single(snapshot().delegations.open),
    ),
    counter(
      "crs_delegations_refused_total",
      "Refused evidence of delegations, and requests that named none that is open, by code.",
      () =>
        [...snapshot().delegations.refused].map(([code, value]) => ({ labels: { code }, value })),
    ),
    counter(
      "service_restarts_total",
      "Restarts of services that run beside the node, by service.",
      () =>
        [...snapshot().serviceRestarts].map(([service, value]) => ({
          labels: { service },
          value,
        })),
    ),
    counter(
      "crs_ports_reopened_total",
      "Rebinds of a TCP port that had stopped accepting, as after a lack of file descriptors.",
      () => [...snapshot().portsReopened].map(([port, value]) => ({ labels: { port }, value })),
    ),
    ...connectionFamilies(() => snapshot().connections),
    ...writeQueueFamilies(() => snapshot().writeQueue),
    gauge("crs_streams", "Open streams.", () => single(snapshot().streams)),
  ];
}

function recordSamples(snapshot: NodeSnapshot): Sample[] {
  const samples = new Map<string, { labels: Record<string, string>; value: number }>();
  const regions = new Set<string>();
  for (const { kind, region: named, count } of snapshot.records) {
    if (regions.size < METRICS_REGIONS_MAX) regions.add(named);
    const region = regions.has(named) ? named : "other";
    const key = `${kind} ${region}`;
    const sample = samples.get(key) ?? { labels: { kind, region }, value: 0 };
    sample.value += count;
    samples.set(key, sample);
  }
  return [...samples.values()];
}

function latencySamples(
  name: string,
  labels: Readonly<Record<string, string>>,
  latencies: LatencyHistogram,
  series: number,
): Sample[] {
  const cumulative = latencies.cumulative(series);
  const samples: Sample[] = cumulative.map((value, bucket) => {
    const boundMs = LATENCY_BOUNDS_MS[bucket];
    const le = boundMs === undefined ? "+Inf" : String(boundMs / 1_000);
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value };
  });
  samples.push({ metricName: `${name}_sum`, labels, value: latencies.sumMs(series) / 1_000 });
  samples.push({ metricName: `${name}_count`, labels, value: cumulative.at(-1)! });
  return samples;
}
