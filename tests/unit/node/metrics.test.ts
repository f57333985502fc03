/** Metrics: counts appear in the output, in text that parses, with bounded series. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ManualTime } from "../../support/manual_time.ts";
import { NODE_SNAPSHOT as SNAPSHOT } from "../../support/node_snapshot.ts";
import { LATENCY_BOUNDS_MS, LatencyHistogram } from "../../../src/node/latency_histogram.ts";
import { NodeMetrics, type NodeSnapshot } from "../../../src/node/metrics.ts";

function metrics(snapshot: () => NodeSnapshot = () => SNAPSHOT) {
  const time = new ManualTime(0);
  return {
    time,
    metrics: new NodeMetrics({
      operations: [{ id: 1, name: "getAgent" }, { id: 32, name: "renew" }],
      monotonic: time,
      version: "0.1.0",
      nodeId: () => 7,
      region: 'a"b\\c\nd',
      snapshot,
    }),
  };
}

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Parses the text form (Prometheus, exposition formats 0.0.4), refusing anything else. */
function parse(text: string): { samples: Sample[]; types: Map<string, string> } {
  const samples: Sample[] = [];
  const types = new Map<string, string>();
  assert.match(text, /\n$/);
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("# HELP ")) continue;
    const type = /^# TYPE ([a-z_:]+) (counter|gauge|histogram)$/.exec(line);
    if (type !== null) {
      assert.not.ok(types.has(type[1]!), `${type[1]} twice`);
      types.set(type[1]!, type[2]!);
      continue;
    }
    const parts = /^([a-z_:]+)(\{.*\})? (\S+)$/.exec(line);
    assert.ok(parts, line);
    const labels: Record<string, string> = {};
    for (const [, name, value] of (parts[2] ?? "").matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"[,}]/g)) {
      labels[name!] = value!.replace(/\\n/g, "\n").replace(/\\(["\\])/g, "$1");
    }
    const value = Number(parts[3]);
    assert.not.ok(Number.isNaN(value), line);
    samples.push({ name: parts[1]!, labels, value });
  }
  return { samples, types };
}

async function scrape(from: NodeMetrics) {
  const { text, contentType } = await from.render();
  assert.match(contentType, /^text\/plain; version=0\.0\.4/);
  const { samples, types } = parse(text);
  const value = (name: string, labels: Record<string, string> = {}) =>
    samples.find((sample) =>
      sample.name === name &&
      Object.entries(labels).every(([key, wanted]) => sample.labels[key] === wanted)
    )?.value;
  return { samples, types, value };
}

test("NodeMetrics counts requests by operation and code", async () => {
  const { metrics: counted } = metrics();
  for (let count = 0; count < 3; count++) counted.requestDone(1, "ok", 0.06);
  counted.requestDone(1, "not_found", 0.06);
  counted.requestDone(32, "internal", 7);
  for (const unknown of [0, 2, 33, 65_535]) counted.requestDone(unknown, "unknown_operation", 1);
  const { value, samples } = await scrape(counted);
  assert.is(value("crs_requests_total", { operation: "getAgent", code: "ok" }), 3);
  assert.is(value("crs_requests_total", { operation: "getAgent", code: "not_found" }), 1);
  assert.is(value("crs_requests_total", { operation: "renew", code: "internal" }), 1);
  assert.is(value("crs_requests_total", { operation: "unknown", code: "unknown_operation" }), 4);
  assert.is(samples.filter(({ name }) => name === "crs_requests_total").length, 4);
});

test("NodeMetrics latency histogram is cumulative and ends in the count", async () => {
  const { metrics: counted } = metrics();
  for (const durationMs of [0.01, 0.05, 0.051, 3, 9_999]) counted.requestDone(1, "ok", durationMs);
  const { value, samples, types } = await scrape(counted);
  const bucket = (le: string) => value("crs_request_seconds_bucket", { operation: "getAgent", le });
  assert.is(types.get("crs_request_seconds"), "histogram");
  assert.is(bucket("0.00005"), 2, "a bound belongs to its bucket");
  assert.is(bucket("0.0001"), 3);
  assert.is(bucket("0.002"), 3);
  assert.is(bucket("0.005"), 4);
  assert.is(bucket("5"), 4);
  assert.is(bucket("+Inf"), 5);
  assert.is(value("crs_request_seconds_count", { operation: "getAgent" }), 5);
  const sum = value("crs_request_seconds_sum", { operation: "getAgent" })!;
  assert.ok(Math.abs(sum - 10.002111) < 1e-9, String(sum));
  const buckets = samples.filter(({ name }) => name === "crs_request_seconds_bucket");
  assert.is(buckets.length, LATENCY_BOUNDS_MS.length + 1, "only operations that were called");
});

test("NodeMetrics shows the snapshot, taken once a scrape", async () => {
  let taken = 0;
  const { metrics: counted, time } = metrics(() => {
    taken++;
    return { ...SNAPSHOT, streams: taken };
  });
  time.advance(2_500);
  counted.recordSync(0.3);
  counted.recordError("incoming");
  counted.recordError("incoming");
  const { value, types } = await scrape(counted);
  assert.is(taken, 1);
  assert.is(value("crs_ready"), 1);
  assert.is(value("crs_records", { kind: "agent", region: "eu-1" }), 3);
  assert.is(value("crs_records", { kind: "gateway", region: "eu-1" }), 1);
  assert.is(value("crs_expiries_total", { kind: "agent" }), 2);
  assert.is(value("crs_stale_records"), 7);
  assert.is(value("crs_expiry_holds"), 1);
  assert.is(value("crs_expiry_permits_total", { outcome: "granted" }), 40);
  assert.is(value("crs_expiry_permits_total", { outcome: "denied" }), 60);
  assert.is(value("crs_log_bytes"), 4096);
  assert.is(value("crs_log_segments"), 2);
  assert.is(value("crs_log_appended_bytes_total"), 999);
  assert.is(value("crs_log_poisoned"), 0);
  assert.is(value("crs_log_sync_seconds_count"), 1);
  assert.is(value("crs_log_sync_seconds_bucket", { le: "0.0005" }), 1);
  assert.is(value("crs_log_sync_seconds_bucket", { le: "0.0002" }), 0);
  assert.is(value("crs_sessions", { transport: "quic" }), 5);
  assert.is(value("crs_streams"), 1);
  assert.is(value("crs_connections_refused_total"), 6);
  assert.is(value("crs_connections_waiting"), 2);
  assert.is(value("crs_connections_begun_total"), 30);
  assert.is(value("crs_connections_waited_seconds_total"), 1.5);
  assert.is(value("crs_connections_overdue_total"), 4);
  assert.is(value("crs_renewals_total"), 100);
  assert.is(value("crs_renewals_logged_total"), 4);
  assert.is(value("crs_identity_refusals_total", { reason: "unknown_token" }), 6);
  assert.is(value("crs_handshakes_refused_total", { reason: "anonymous" }), 3);
  assert.is(value("crs_sessions_held_bytes", { kind: "frames" }), 8);
  assert.is(value("crs_watch_subscriptions"), 21);
  assert.is(value("crs_watches_blocked"), 22);
  assert.is(value("crs_watch_lag_seconds"), 2.5);
  assert.is(value("crs_watch_history_bytes"), 23);
  assert.is(value("crs_watches"), 24);
  assert.is(value("crs_watch_events_total"), 25);
  assert.is(value("crs_watch_resets_total"), 26);
  assert.is(value("crs_watches_ended_total", { reason: "canceled" }), 27);
  assert.is(value("crs_watch_partitions_ended_total", { code: "not_replica" }), 1);
  assert.is(value("crs_sessions_ended_total", { reason: "memory" }), 9);
  assert.is(value("crs_anonymous_sessions_evicted_total"), 4);
  assert.is(value("service_restarts_total", { service: "front" }), 3);
  assert.is(value("crs_delegations"), 28);
  assert.is(value("crs_delegations_refused_total", { code: "unauthenticated" }), 29);
  assert.is(value("crs_errors_caught_total", { stage: "incoming" }), 2);
  assert.is(value("crs_uptime_seconds"), 2.5);
  assert.ok(value("process_resident_memory_bytes")! > 1_000_000);
  assert.is(types.get("crs_records"), "gauge");
  assert.is((await scrape(counted)).value("crs_streams"), 2);
});

test("NodeMetrics shows the regions that the node follows", async () => {
  const { value } = await scrape(metrics().metrics);
  const of = (name: string, region = "us-1") => value(`crs_region_${name}`, { region });
  assert.is(of("replicated_age_seconds"), 1.5);
  assert.is(of("replicated_age_seconds", "ap-1"), undefined, "absent while it is not known");
  assert.equal([of("mirrors"), of("mirrors", "ap-1")], [31, 0]);
  assert.is(of("contact_age_seconds"), 0.4, "of the shard that was answered last");
  assert.equal([of("lag_entries"), of("lag_bytes")], [6, 200]);
  assert.equal([of("resyncs_total"), of("refused_total")], [32, 33]);
  assert.equal([of("changes_total"), of("entries_total")], [34, 35]);
  assert.is(of("received_bytes_total"), 36);
});

test("NodeMetrics shows the governed plane, and the home that it follows", async () => {
  const { value } = await scrape(metrics().metrics);
  assert.is(value("crs_governed_version"), 17);
  assert.is(value("crs_governed_home_contact_age_seconds", { region: "us-1" }), 2.5);
  assert.is(value("crs_governed_mirror_refused_total"), 37);
});

test("NodeMetrics shows the node's part in its cluster, and each link by its node", async () => {
  const { value, samples } = await scrape(metrics().metrics);
  assert.is(value("crs_cluster_members"), 3);
  assert.is(value("crs_partitions", { state: "held" }), 1_024);
  assert.is(value("crs_partitions", { state: "leading" }), 341);
  assert.is(value("crs_partitions", { state: "leaderless" }), 2);
  assert.is(value("crs_partitions", { state: "under_replicated" }), 3);
  assert.is(value("crs_elections_total"), 12);
  assert.is(value("crs_leaderships_total", { change: "won" }), 350);
  assert.is(value("crs_leaderships_total", { change: "lost" }), 9);
  assert.is(value("crs_strangers_refused_total", { reason: "permission_denied" }), 4);
  const peer = (name: string, labels: Record<string, string> = {}, node = 2) =>
    value(`crs_peer_${name}`, { peer: String(node), ...labels });
  assert.is(peer("connected"), 1);
  assert.is(peer("connected", {}, 3), 0);
  assert.is(peer("round_trip_seconds"), 0.002);
  assert.is(peer("round_trip_seconds", {}, 3), undefined, "not known without a session");
  assert.is(peer("backlog_bytes"), 11);
  assert.is(peer("sessions_total"), 9);
  assert.is(peer("dials_failed_total"), 10);
  assert.is(peer("support_ended_total", { side: "received" }), 3);
  assert.is(peer("support_ended_total", { side: "given" }), 4);
  assert.is(peer("rejected_total", { reason: "unknown_peer" }), 1);
  assert.is(peer("beats_total", { direction: "out" }), 1);
  assert.is(peer("beats_total", { direction: "in" }), 2);
  assert.is(peer("frames_total", { direction: "out" }), 2_000);
  assert.is(peer("frames_total", { direction: "out" }, 3), 3_000);
  assert.is(peer("frames_total", { direction: "in" }), 2);
  assert.is(peer("frames_total", { direction: "dropped" }), 5);
  assert.is(peer("bytes_total", { direction: "out" }), 3);
  assert.is(peer("bytes_total", { direction: "in" }), 4);
  assert.is(peer("images_total", { direction: "out" }), 6);
  assert.is(peer("images_total", { direction: "lost" }), 7);
  assert.is(peer("images_total", { direction: "in" }), 8);
  assert.is(peer("probes_total", { direction: "out" }), 2);
  assert.is(peer("probes_total", { direction: "in" }), 1);
  assert.is(peer("probe_bytes_total", { direction: "out" }), 190);
  assert.is(peer("probe_bytes_total", { direction: "in" }), 70);
  const age = "crs_follower_read_age_seconds";
  assert.is(value(`${age}_bucket`, { le: "0.005" }), 1);
  assert.is(value(`${age}_bucket`, { le: "0.02" }), 3);
  assert.is(value(`${age}_bucket`, { le: "+Inf" }), 4);
  assert.is(value(`${age}_count`), 4);
  assert.is(value(`${age}_sum`), 0.739);
  const missed = "crs_follower_reads_missed_total";
  assert.is(value(missed, { outcome: "redirected", reason: "too_old" }), 1);
  assert.is(value(missed, { outcome: "refused", reason: "no_leader" }), 1);
  const none = await scrape(metrics(() => ({ ...SNAPSHOT, cluster: undefined })).metrics);
  assert.ok(samples.some(({ name }) => name.startsWith("crs_peer_")));
  assert.not.ok(none.samples.some(({ name }) => /^crs_(peer|partitions|cluster)/.test(name)));
});

test("NodeMetrics counts requests and renewals that another node had to serve, by code", async () => {
  const { metrics: counted } = metrics();
  counted.requestDone(1, "not_leader", 1);
  counted.requestDone(32, "not_leader", 1);
  counted.requestDone(32, "not_replica", 1);
  counted.requestDone(1, "not_found", 1);
  const { value } = await scrape(counted);
  assert.is(value("crs_routing_misses_total", { code: "not_leader" }), 42);
  assert.is(value("crs_routing_misses_total", { code: "not_replica" }), 1);
});

test("NodeMetrics escapes labels that came from outside", async () => {
  const region = 'x"} 1\ncrs_forged{a="';
  const { metrics: counted } = metrics(() => ({
    ...SNAPSHOT,
    records: [{ kind: "agent", region, count: 1 }],
  }));
  const { value, samples } = await scrape(counted);
  assert.is(value("crs_records", { region }), 1);
  assert.is(value("crs_build_info", { region: 'a"b\\c\nd', node: "7" }), 1);
  assert.not.ok(samples.some(({ name }) => name === "crs_forged"));
});

test("NodeMetrics sums regions and stages beyond their limits", async () => {
  const records = Array.from({ length: 1_000 }, (_, index) => ({
    kind: "agent" as const,
    region: `r${index}`,
    count: 2,
  }));
  const { metrics: counted } = metrics(() => ({ ...SNAPSHOT, records }));
  for (let index = 0; index < 1_000; index++) counted.recordError(`stage${index}`);
  const { value, samples } = await scrape(counted);
  assert.is(samples.filter(({ name }) => name === "crs_records").length, 257);
  assert.is(value("crs_records", { region: "other" }), (1_000 - 256) * 2);
  assert.is(samples.filter(({ name }) => name === "crs_errors_caught_total").length, 65);
  assert.is(value("crs_errors_caught_total", { stage: "other" }), 1_000 - 64);
});

test("LatencyHistogram keeps series apart and counts a negative duration as none", () => {
  const histogram = new LatencyHistogram(2);
  histogram.record(1, -5);
  histogram.record(1, 1);
  assert.is(histogram.count(0), 0);
  assert.is(histogram.count(1), 2);
  assert.is(histogram.sumMs(1), 1);
  assert.is(histogram.cumulative(1)[0], 1);
  assert.is(histogram.cumulative(1).at(-1), 2);
});

test.run();
