/**
 * Sessions that request lists and never read: `deno task soak never_read [seconds]`, by default 40.
 * 45 sessions with 15 streams each against one node, while another client gets and registers.
 */
import { LatencyHistogram } from "../../bench/latency.ts";
import { agentInput, registerFleet, spreadId } from "../../bench/fleet.ts";
import { RegistryServer } from "../../bench/registry.ts";
import { readNodeFile } from "../../identity/files/node_file.ts";
import type { Client } from "../../src/client/mod.ts";
import { startCrowd } from "./crowd.ts";
import type { SoakResult } from "./soak.ts";

const SESSIONS = 45;
const RECORDS = 20_000;
const TTL_MS = 3_600_000;
const BEFORE_SECONDS = 5;
/** Goal: maximum resident memory, divided by that before. */
const RESIDENT_RATIO_MAX = 1.5;

/** Runs the sessions; holds if memory stays bounded and all calls of the other client succeed. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const seconds = Number(args[0] ?? 40);
  const server = await RegistryServer.start();
  try {
    const client = await server.connect();
    await registerFleet(client, { start: 0, end: RECORDS, ttlMs: TTL_MS, withDomain: false });
    const before = await observe(server, client, BEFORE_SECONDS);
    const { addresses, currentPin } = readNodeFile(server.folder)!;
    const crowd = await startCrowd({
      kind: "never_read",
      endpoint: addresses.find(({ transport }) => transport === "quic")!,
      pin: currentPin,
      sessions: SESSIONS,
      region: agentInput(1, TTL_MS, false).region,
    });
    const during = await observe(server, client, seconds);
    const endedSessions = await server.metric("crs_sessions_ended_total");
    crowd.terminate();
    await client.close();
    const residentRatio = during.residentMiB / before.residentMiB;
    const figures = { sessions: SESSIONS, seconds, before, during, residentRatio, endedSessions };
    const holds = residentRatio <= RESIDENT_RATIO_MAX && during.failed === 0 && endedSessions > 0;
    return { figures, holds };
  } finally {
    await server.stop();
  }
}

/** Observes a node as a client for some seconds, and its maximum memory during that time. */
async function observe(server: RegistryServer, client: Client, seconds: number) {
  const gets = new LatencyHistogram();
  const registers = new LatencyHistogram();
  const endMs = performance.now() + seconds * 1_000;
  let residentBytes = 0;
  let failed = 0;
  const timed = async (histogram: LatencyHistogram, call: () => Promise<unknown>) => {
    const startMs = performance.now();
    try {
      await call();
      histogram.record((performance.now() - startMs) * 1_000);
    } catch {
      failed++;
    }
  };
  for (let number = 0; performance.now() < endMs; number++) {
    await timed(gets, () => client.getAgent(spreadId(1, 1 + number % 48)));
    if (number % 20 > 0) continue;
    const agent = { ...agentInput(number, TTL_MS, false), id: spreadId(3, number % 1_000) };
    await timed(registers, () => client.registerAgent(agent));
    residentBytes = Math.max(residentBytes, server.process.residentBytes());
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    residentMiB: Math.round(residentBytes / 2 ** 20),
    gets: gets.count,
    getP50Ms: gets.percentileUs(50) / 1_000,
    getP99Ms: gets.percentileUs(99) / 1_000,
    registers: registers.count,
    registerP99Ms: registers.percentileUs(99) / 1_000,
    failed,
  };
}
