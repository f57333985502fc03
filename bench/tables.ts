/** Tables of the README, made from result lines. */
import { markdownTable } from "./harness.ts";

/** A line of a results file. */
export type Line = Readonly<Record<string, string | number>>;

/**
 * Returns a table of latencies and rates compared with the raw echo, then a table of the other
 * figures and their goals.
 */
export function tables(lines: readonly Line[]): string {
  const compared = lines.filter((line) => "echoP50Us" in line);
  const rows = compared.map((line) => [
    `${line["bench"]}, ${line["depth"]} in flight`,
    line["perSecond"]!,
    line["p50Us"]!,
    line["p99Us"]!,
    line["echoPerSecond"]!,
    `${line["echoP50Us"]} / ${line["echoP99Us"]}`,
    `${line["p50Ratio"]} / ${line["p99Ratio"]}`,
  ]);
  const head = [
    "",
    "per second",
    "p50 µs",
    "p99 µs",
    "raw echo/s",
    "echo p50 / p99",
    "ratio p50 / p99",
  ];
  const others = OTHERS.flatMap(({ bench, field, name, goal }) => {
    const value = lines.find((line) => line["bench"] === bench)?.[field];
    return value === undefined ? [] : [[name, value, goal]];
  });
  return [
    ...rows.length > 0 ? [markdownTable([head, ...rows])] : [],
    ...others.length > 0 ? [markdownTable([["", "measured", "goal"], ...others])] : [],
  ].join("\n\n");
}

const OTHERS = [
  {
    bench: "renew",
    field: "renewalsPerSecond",
    name: "renewals a second, 1,000 ids a request",
    goal: "≥ 200,000",
  },
  {
    bench: "renew paced",
    field: "logEntriesPerRenewal",
    name: "log entries a renewal, every ttl/3",
    goal: "≤ 0.05",
  },
  {
    bench: "sessions",
    field: "bytesPerSession",
    name: "bytes an idle session, 10,000 of them",
    goal: "≤ 25,600",
  },
  {
    bench: "memory",
    field: "bytesPerRecord",
    name: "resident bytes a record, 1 M of them",
    goal: "≤ 230",
  },
  { bench: "memory", field: "encodedBytes", name: "of that: its encoded form", goal: "" },
  { bench: "aliases", field: "bytesPerAlias", name: "resident bytes an alias", goal: "≤ 100" },
  {
    bench: "aliases",
    field: "encodedBytesWithDomain",
    name: "average encoded record, with domain",
    goal: "≤ 200",
  },
  {
    bench: "restart",
    field: "readyMs",
    name: "ready after kill -9 with 1 M records, ms",
    goal: "< 5,000",
  },
  { bench: "start", field: "firstMs", name: "first start to ready, ms", goal: "< 1,000" },
  { bench: "start", field: "againMs", name: "later start to ready, ms", goal: "< 1,000" },
  { bench: "token", field: "firstUs", name: "check of a token, µs, cached key", goal: "≤ 150" },
  {
    bench: "token",
    field: "signatureAloneUs",
    name: "beside it: the signature alone by WebCrypto, µs",
    goal: "",
  },
  {
    bench: "token",
    field: "repeatedUs",
    name: "the same token again on one session, µs",
    goal: "≤ 2",
  },
  {
    bench: "handshake quic",
    field: "p50Ms",
    name: "session with registry-auth/1, connect to first reply by QUIC, p50 ms",
    goal: "≤ 8",
  },
  {
    bench: "handshake tls",
    field: "p50Ms",
    name: "the same by TLS with client certificates, p50 ms",
    goal: "≤ 8",
  },
  {
    bench: "handshake unproven",
    field: "p50Ms",
    name: "without identities by QUIC, p50 ms",
    goal: "",
  },
  { bench: "issue", field: "issuePerSecond", name: "certificates issued, 1/s", goal: "≥ 300" },
  {
    bench: "issue",
    field: "renewalsPerSecond",
    name: "renewals: request checked, leaf issued, 1/s",
    goal: "",
  },
  { bench: "validate", field: "shownCaUs", name: "a chain of leaf and CA believed, µs", goal: "" },
  {
    bench: "admission",
    field: "mostUs",
    name: "access rules at admission, µs a request",
    goal: "≤ 1",
  },
  {
    bench: "watch latency",
    field: "afterAnswerP50Ms",
    name: "event at a watcher of a follower after the answer to the write, p50 ms",
    goal: "≤ 5",
  },
  { bench: "watch latency", field: "afterAnswerP99Ms", name: "the same, p99 ms", goal: "≤ 50" },
  {
    bench: "watch everything",
    field: "eventsPerSecond",
    name: "events a second, one watcher of everything",
    goal: "≥ 50,000",
  },
  {
    bench: "watch domains",
    field: "bytesPerWatcher",
    name: "heap and buffers a watcher of one domain, 10,000 of them, bytes",
    goal: "≤ 4,096",
  },
  {
    bench: "watch domains",
    field: "rateRatio",
    name: "registers a second beside them, of those without",
    goal: "≥ 0.8",
  },
  {
    bench: "watch beside etcd",
    field: "rateRatio",
    name: "events a second, 100 watchers, of etcd's",
    goal: "≥ 3",
  },
  {
    bench: "regions live",
    field: "afterSendP50Ms",
    name: "register until the other region has it, 500 a second, p50 ms",
    goal: "≤ 50",
  },
  { bench: "regions live", field: "afterSendP99Ms", name: "the same, p99 ms", goal: "≤ 250" },
  {
    bench: "regions live",
    field: "entriesPerChange",
    name: "log entries a change there",
    goal: "≤ 1.1",
  },
  {
    bench: "regions catch-up",
    field: "changesPerSecond",
    name: "missed changes a second",
    goal: "≥ 20,000",
  },
  {
    bench: "regions catch-up",
    field: "entriesPerChange",
    name: "log entries a missed change",
    goal: "≤ 0.125",
  },
  {
    bench: "regions first sync",
    field: "seconds",
    name: "first sync of 100,000 records, s",
    goal: "< 15",
  },
  {
    bench: "regions first sync",
    field: "foregroundP99Ratio",
    name: "p99 of registers beside it, of those alone",
    goal: "≤ 2",
  },
  {
    bench: "regions idle",
    field: "bytesPerSecond",
    name: "bytes a second of two idle regions that follow each other",
    goal: "≤ 1,024",
  },
  {
    bench: "http descriptor",
    field: "p50Ms",
    name: "GET descriptor at 64 connections, p50 ms",
    goal: "≤ 2",
  },
  { bench: "http descriptor", field: "p95Ms", name: "the same, p95 ms", goal: "≤ 5" },
  { bench: "http descriptor", field: "p99Ms", name: "the same, p99 ms", goal: "≤ 10" },
  {
    bench: "http descriptor",
    field: "rateRatio",
    name: "GET descriptor a second, of a bare server's fixed answer",
    goal: "≥ 0.6",
  },
  {
    bench: "http apply",
    field: "appliedP95Ms",
    name: "apply of a proposal among 10,000 descriptors, p95 ms",
    goal: "≤ 50",
  },
  {
    bench: "http apply",
    field: "publishedP95Ms",
    name: "the same until an HTTP reader has it, p95 ms",
    goal: "≤ 50",
  },
  {
    bench: "http start",
    field: "nodeReadyMs",
    name: "start to ready with 10,000 descriptors, ms",
    goal: "< 1,000",
  },
  {
    bench: "http readers",
    field: "p99Ms",
    name: "an event at 5,000 readers by HTTP, one of them stuck, p99 ms",
    goal: "≤ 100",
  },
  {
    bench: "http readers",
    field: "bytesRatio",
    name: "memory of a reader, of a bare server's open stream",
    goal: "≤ 1.2",
  },
  {
    bench: "grpc one placement",
    field: "p50Us",
    name: "GetAgentPlacement by gRPC, 1 in flight, p50 µs",
    goal: "≤ 1,500",
  },
  { bench: "grpc one placement", field: "p99Us", name: "the same, p99 µs", goal: "≤ 5,000" },
  {
    bench: "grpc placements",
    field: "rateRatio",
    name: "the same a second, 64 in flight, of an answer from the front's memory",
    goal: "≥ 0.6",
  },
  {
    bench: "grpc registrations",
    field: "rateRatio",
    name: "RegisterAgent a second, of those in a Redis that syncs each of them",
    goal: "≥ 0.7",
  },
  {
    bench: "grpc heartbeats",
    field: "frontCpuPercent",
    name: "CPU of a front with 5,000 agents' heartbeats every 10 s, % of a core",
    goal: "≤ 10",
  },
  {
    bench: "grpc heartbeats",
    field: "bareCpuPercent",
    name: "beside it: a bare HTTP/2 server with a fixed answer",
    goal: "",
  },
  { bench: "grpc heartbeats", field: "expired", name: "agents that ended meanwhile", goal: "0" },
] as const;
