/**
 * Measures the HTTP face with 10,000 descriptors: reads of descriptors at 64 connections beside a bare
 * server with a fixed answer of that size, in turns; applies until they are published at a front; and
 * the time until a node and its front are ready again.
 */
import { descriptorOf, govern, idOf, publish, SIGNERS } from "./governed_fleet.ts";
import type { ResultFile } from "./harness.ts";
import { type HttpTurn, httpTurn } from "./http_load.ts";
import { startBareServer } from "./http_servers.ts";
import { LatencyHistogram } from "./latency.ts";
import { until } from "./cluster/polling.ts";
import { freePorts } from "./cluster/ports.ts";
import { RegistryServer } from "./registry.ts";

const DESCRIPTORS = 10_000;
const CONNECTIONS = 64;
const ROUNDS = 5;
const SECONDS = 2;
/** Descriptors whose applies are timed one after the other. */
const APPLIES = 200;
const READY_MS_MAX = 60_000;

/** Measures reads of descriptors, applies, and a start. */
export async function benchHttp(file: ResultFile): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "crs-bench-" });
  const port = freePorts(1);
  const flags = ["--partitions", "64", "--http", `127.0.0.1:${port}`];
  let server = await RegistryServer.start({ folder, flags });
  try {
    const client = await server.connect();
    await govern(client);
    await publish(client, DESCRIPTORS);
    await until("the front has all", () => isAt(port, DESCRIPTORS), READY_MS_MAX);
    await benchReads(file, port);
    await benchApplies(file, port, client);
    await client.close();
    await server.stop("SIGINT");
    const startMs = performance.now();
    server = await RegistryServer.start({ folder, flags });
    const nodeMs = server.readyMs;
    await until("the front has all again", () => isAt(port, DESCRIPTORS), READY_MS_MAX);
    file.write({
      bench: "http start",
      descriptors: DESCRIPTORS,
      nodeReadyMs: Math.round(nodeMs),
      frontReadyMs: Math.round(performance.now() - startMs),
    });
  } finally {
    await server.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

async function isAt(port: number, version: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/v1/registry/version`);
    return (await response.json() as { version?: number }).version! >= version;
  } catch {
    // It does not listen yet.
    return false;
  }
}

async function benchReads(file: ResultFile, port: number): Promise<void> {
  const path = (at: number) => `/v1/registry/descriptors/${idOf(at)}`;
  const paths = Array.from({ length: DESCRIPTORS }, (_, at) => path(at * 7_919 % DESCRIPTORS));
  const answer = await (await fetch(`http://127.0.0.1:${port}${paths[0]}`)).arrayBuffer();
  const floor = await startBareServer(answer.byteLength);
  try {
    const load = { paths, connections: CONNECTIONS, seconds: SECONDS };
    const ours: HttpTurn[] = [];
    const theirs: HttpTurn[] = [];
    await httpTurn({ ...load, port });
    await httpTurn({ ...load, port: floor.port });
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(await httpTurn({ ...load, port }));
      theirs.push(await httpTurn({ ...load, port: floor.port }));
    }
    const of = (turns: readonly HttpTurn[], field: keyof HttpTurn) =>
      turns.map((turn) => turn[field]).toSorted((left, right) => left - right)[ROUNDS >> 1]!;
    file.write({
      bench: "http descriptor",
      descriptors: DESCRIPTORS,
      answerBytes: answer.byteLength,
      connections: CONNECTIONS,
      p50Ms: of(ours, "p50Ms"),
      p95Ms: of(ours, "p95Ms"),
      p99Ms: of(ours, "p99Ms"),
      perSecond: of(ours, "perSecond"),
      floorPerSecond: of(theirs, "perSecond"),
      floorP95Ms: of(theirs, "p95Ms"),
      rateRatio: rounded(of(ours, "perSecond") / of(theirs, "perSecond")),
      p95Ratio: rounded(of(ours, "p95Ms") / of(theirs, "p95Ms")),
    });
  } finally {
    await floor.process.stop("SIGKILL");
  }
}

/** Times an apply until it is published: committed by the registry, and told to an HTTP reader. */
async function benchApplies(
  file: ResultFile,
  port: number,
  client: Parameters<typeof publish>[0],
): Promise<void> {
  const applied = new LatencyHistogram();
  const published = new LatencyHistogram();
  for (let at = 0; at < APPLIES; at++) {
    const { payload, signatures } = await descriptorOf(DESCRIPTORS + at);
    const { proposal } = await client.governed.propose(payload, signatures);
    const before = DESCRIPTORS + at;
    const waiting = fetch(`http://127.0.0.1:${port}/v1/registry/version?after=${before}&wait=10s`);
    const startMs = performance.now();
    await client.governed.apply(proposal);
    applied.record((performance.now() - startMs) * 1_000);
    await (await waiting).arrayBuffer();
    published.record((performance.now() - startMs) * 1_000);
  }
  const ms = (histogram: LatencyHistogram, percent: number) =>
    Math.round(histogram.percentileUs(percent)) / 1_000;
  file.write({
    bench: "http apply",
    descriptors: DESCRIPTORS,
    signers: SIGNERS,
    appliedP50Ms: ms(applied, 50),
    appliedP95Ms: ms(applied, 95),
    publishedP50Ms: ms(published, 50),
    publishedP95Ms: ms(published, 95),
  });
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
