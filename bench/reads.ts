/**
 * Measures get and resolve, sequentially and with many requests in flight, compared with the raw
 * echo.
 */
import type { Client } from "../src/client/mod.ts";
import { Echo } from "./echo_client.ts";
import { domainOf, RECORDS_PER_GATEWAY, registerFleet, spreadId } from "./fleet.ts";
import type { ResultFile } from "./harness.ts";
import { type Ask, compareWithEcho } from "./load.ts";
import { RegistryServer } from "./registry.ts";

/** Count of records, which are read in turn. */
const RECORDS = 10_000;
const TTL_MS = 3_600_000;
/** A stride that visits only agents, in an order that does not favour caches. */
const AGENTS = RECORDS - RECORDS / RECORDS_PER_GATEWAY;
const STRIDE = 7_919;

function agentNumber(call: number): number {
  const agent = (call * STRIDE) % AGENTS;
  return agent + Math.floor(agent / (RECORDS_PER_GATEWAY - 1)) + 1;
}

/** Measures reads; writes a line of results for each operation and depth. */
export async function benchReads(file: ResultFile): Promise<void> {
  const server = await RegistryServer.start();
  const echo = await Echo.start();
  try {
    const owner = await server.connect();
    await registerFleet(owner, { start: 0, end: RECORDS, ttlMs: TTL_MS, withDomain: true });
    await owner.close();
    const ids = Array.from({ length: AGENTS }, (_, call) => spreadId(1, agentNumber(call)));
    const domains = Array.from({ length: AGENTS }, (_, call) => domainOf(agentNumber(call)));
    const measure = async (
      bench: string,
      depths: readonly number[],
      ask: (client: Client) => Ask,
    ) => {
      const comparison = { bench, depths, seconds: 1, rounds: 4, ask };
      for (const result of await compareWithEcho(server, echo, comparison)) file.write(result);
    };
    await measure("get", [1, 64, 256], (client) => (call) => client.getAgent(ids[call % AGENTS]!));
    await measure(
      "get stored",
      [1, 64, 256],
      (client) => (call) => client.getAgentStored(ids[call % AGENTS]!),
    );
    await measure(
      "resolve",
      [1, 64],
      (client) => (call) => client.resolveAgent(domains[call % AGENTS]!),
    );
  } finally {
    await echo.stop();
    await server.stop();
  }
}
