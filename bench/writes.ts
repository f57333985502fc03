/**
 * Measures durable registers, sequentially and with many requests in flight, compared with the raw
 * echo of the same sizes, which writes nothing to a disk: the ratio shows the cost of durability
 * and of the three commands for a domain.
 */
import type { Client } from "../src/client/mod.ts";
import { Echo } from "./echo_client.ts";
import { agentInput, spreadId } from "./fleet.ts";
import type { ResultFile } from "./harness.ts";
import { type Ask, compareWithEcho } from "./load.ts";
import { RegistryServer } from "./registry.ts";

const TTL_MS = 3_600_000;
const DEPTHS = [1, 64] as const;

/** Measures registers; writes a line of results for each kind and depth. */
export async function benchWrites(file: ResultFile): Promise<void> {
  const server = await RegistryServer.start();
  const echo = await Echo.start();
  // Every call creates a new record.
  let next = 0;
  const register = (withDomain: boolean) => (client: Client): Ask => () =>
    client.registerAgent({ ...agentInput(next, TTL_MS, withDomain), id: spreadId(3, next++) });
  try {
    for (const withDomain of [false, true]) {
      const bench = withDomain ? "register with domain" : "register";
      const ask = register(withDomain);
      const comparison = { bench, depths: DEPTHS, seconds: 1, rounds: 4, ask };
      for (const result of await compareWithEcho(server, echo, comparison)) file.write(result);
    }
  } finally {
    await echo.stop();
    await server.stop();
  }
}
