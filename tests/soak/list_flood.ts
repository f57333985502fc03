/**
 * A flood of lists over 300,000 records: `deno task soak list_flood [seconds [records]]`, by
 * default 15 seconds. Sessions request pages of 1,000 as fast as they are answered, while another
 * client gets one record at a time.
 */
import { LatencyHistogram } from "../../bench/latency.ts";
import { agentInput, registerFleet, spreadId } from "../../bench/fleet.ts";
import { RegistryServer } from "../../bench/registry.ts";
import { readNodeFile } from "../../identity/files/node_file.ts";
import type { Client } from "../../src/client/mod.ts";
import { startCrowd } from "./crowd.ts";
import type { SoakResult } from "./soak.ts";

const RECORDS_DEFAULT = 300_000;
const TTL_MS = 3_600_000;
const SESSIONS = 8;
const BEFORE_SECONDS = 5;
/** Goal on two cores that node, flood and client share, ms. */
const GET_P99_MS_MAX = 10;

/** Runs the flood; holds if gets of the other client take single-digit milliseconds. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const seconds = Number(args[0] ?? 15);
  const records = Number(args[1] ?? RECORDS_DEFAULT);
  const server = await RegistryServer.start();
  try {
    const client = await server.connect();
    await registerFleet(client, { start: 0, end: records, ttlMs: TTL_MS, withDomain: false });
    const before = await gets(client, BEFORE_SECONDS);
    const { addresses, currentPin } = readNodeFile(server.folder)!;
    const endpoint = addresses.find(({ transport }) => transport === "quic")!;
    const crowd = await startCrowd({
      kind: "lists",
      endpoint,
      pin: currentPin,
      sessions: SESSIONS,
      region: agentInput(1, TTL_MS, false).region,
    });
    const [pagesBefore, cpuBefore] = await counted(server);
    const droppedBefore = datagramsDropped(endpoint.port);
    const during = await gets(client, seconds);
    const droppedAfter = datagramsDropped(endpoint.port);
    const [pagesAfter, cpuAfter] = await counted(server);
    const asked = pagesAfter - pagesBefore;
    const nodeCpuPercent = Math.round(100 * (cpuAfter - cpuBefore) / seconds);
    crowd.terminate();
    await client.close();
    const pagesPerSecond = Math.round((asked - during.gets) / seconds);
    const figures = {
      records,
      sessions: SESSIONS,
      seconds,
      pagesPerSecond,
      nodeCpuPercent,
      nodeDropped: droppedAfter - droppedBefore,
      before,
      during,
    };
    return { figures, holds: during.getP99Ms < GET_P99_MS_MAX && pagesPerSecond > 0 };
  } finally {
    await server.stop();
  }
}

/**
 * Returns the count of datagrams that a UDP port of this machine has dropped because its receive
 * buffer was full (proc(5)). The runtime cannot set the size of that buffer;
 * `net.core.rmem_default` does.
 */
function datagramsDropped(port: number): number {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return ["/proc/net/udp", "/proc/net/udp6"].flatMap((file) =>
    Deno.readTextFileSync(file).trimEnd().split("\n").slice(1).map((line) =>
      line.trim().split(/\s+/)
    )
  ).filter(([, local]) => local!.endsWith(suffix))
    .reduce((sum, fields) => sum + Number(fields.at(-1)), 0);
}

/** Returns the count of requests that a node answered, and its processor time in seconds. */
async function counted(server: RegistryServer): Promise<[requests: number, cpuSeconds: number]> {
  return [
    await server.metric("crs_requests_total"),
    await server.metric("process_cpu_seconds_total"),
  ];
}

async function gets(client: Client, seconds: number) {
  const histogram = new LatencyHistogram();
  const endMs = performance.now() + seconds * 1_000;
  for (let number = 0; performance.now() < endMs; number++) {
    const startMs = performance.now();
    await client.getAgent(spreadId(1, 1 + number % 48));
    histogram.record((performance.now() - startMs) * 1_000);
  }
  return {
    gets: histogram.count,
    getP50Ms: histogram.percentileUs(50) / 1_000,
    getP99Ms: histogram.percentileUs(99) / 1_000,
    getMaxMs: histogram.maxUs / 1_000,
  };
}
