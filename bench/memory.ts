/**
 * Measures the memory of records: resident memory of the node beyond that of a node with few
 * records, the time of its start with all of them after a kill, and the size of typical records.
 * Load comes from this process.
 *
 * Memory per record is a slope: resident memory with all records less that with the first `WARM_UP`
 * of them, which were registered repeatedly, divided by the number of records in between. Memory
 * per alias is the difference of two such slopes, of agents with and without a domain, less the
 * bytes of the domain in the agent's own record.
 */
import type { Client } from "../src/client/mod.ts";
import { identityOf, registerFleet } from "./fleet.ts";
import type { ResultFile } from "./harness.ts";
import { RegistryServer } from "./registry.ts";
import { settledBytes } from "./settled.ts";

const RECORDS = 1_000_000;
/**
 * Count of records that are registered repeatedly before the first measurement, so that code is
 * compiled, buffers are allocated and the runtime's heap has the size that the load requires.
 */
const WARM_UP = 20_000;
const WARM_UP_ROUNDS = 12;
/**
 * Count of agents with a domain: fewer, because each costs three commands; the first ones warm that
 * path up.
 */
const ALIASED = 600_000;
const ALIASED_WARM_UP = 100_000;
const TTL_MS = 86_400_000;
/** Count of records whose stored form is read back for the average. */
const SAMPLES = 2_000;
const SAMPLE_STRIDE = 7_919;

/** Measures the memory per record. */
export async function benchMemory(file: ResultFile, records: number = RECORDS): Promise<void> {
  const server = await RegistryServer.start();
  try {
    const client = await server.connect();
    const emptyBytes = server.process.residentBytes();
    await warmUp(client);
    const warmBytes = await settledBytes(server.process);
    const startMs = performance.now();
    await registerFleet(client, { start: WARM_UP, end: records, ttlMs: TTL_MS });
    const seconds = (performance.now() - startMs) / 1_000;
    const fullBytes = await settledBytes(server.process);
    const status = await client.nodeStatus();
    file.write({
      bench: "memory",
      records: status.agents + status.gateways,
      emptyMiB: Math.round(emptyBytes / 2 ** 20),
      warmMiB: Math.round(warmBytes / 2 ** 20),
      fullMiB: Math.round(fullBytes / 2 ** 20),
      bytesPerRecord: Math.round((fullBytes - warmBytes) / (records - WARM_UP)),
      encodedBytes: Math.round(await meanStoredBytes(client, records)),
      registersPerSecond: Math.round((records - WARM_UP) / seconds),
      logMiB: Math.round(status.logBytes / 2 ** 20),
    });
    await client.close();
  } finally {
    await server.stop();
  }
}

/** Measures a start with as many records in the log, after a kill. */
export async function benchRestart(file: ResultFile): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "crs-bench-" });
  try {
    const killed = await RegistryServer.start({ folder });
    const owner = await killed.connect();
    await registerFleet(owner, { start: 0, end: RECORDS, ttlMs: TTL_MS });
    await owner.close();
    await killed.stop("SIGKILL");
    const server = await RegistryServer.start({ folder });
    const client = await server.connect();
    const { agents, gateways, logBytes } = await client.nodeStatus();
    file.write({
      bench: "restart",
      records: agents + gateways,
      lost: RECORDS - agents - gateways,
      readyMs: Math.round(server.readyMs),
      logMiB: Math.round(logBytes / 2 ** 20),
      residentMiB: Math.round(server.process.residentBytes() / 2 ** 20),
    });
    await client.close();
    await server.stop();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Measures the memory per alias, and the average record of agents with domains and their gateways.
 */
export async function benchAliases(file: ResultFile): Promise<void> {
  const server = await RegistryServer.start();
  try {
    const client = await server.connect();
    const slope = async (start: number, end: number, withDomain: boolean): Promise<number> => {
      const before = await settledBytes(server.process);
      await registerFleet(client, { start, end, ttlMs: TTL_MS, withDomain });
      return (await settledBytes(server.process) - before) / (end - start);
    };
    await warmUp(client);
    const start = WARM_UP + ALIASED_WARM_UP;
    const aliasedEnd = start + ALIASED;
    const plainEnd = aliasedEnd + ALIASED;
    await registerFleet(client, { start: WARM_UP, end: start, ttlMs: TTL_MS, withDomain: true });
    const aliased = await slope(start, aliasedEnd, true);
    const plain = await slope(aliasedEnd, plainEnd, false);
    const aliasedEncoded = await meanStoredBytes(client, aliasedEnd, start);
    const plainEncoded = await meanStoredBytes(client, plainEnd, aliasedEnd);
    const status = await client.nodeStatus();
    const count = status.agents + status.gateways + status.aliases;
    file.write({
      bench: "aliases",
      aliases: status.aliases,
      bytesPerRecord: Math.round(plain),
      bytesPerAliasedRecord: Math.round(aliased),
      domainBytesInRecord: Math.round(aliasedEncoded - plainEncoded),
      bytesPerAlias: Math.round(aliased - plain - (aliasedEncoded - plainEncoded)),
      encodedBytesWithDomain: Math.round(aliasedEncoded),
      encodedBytesAverage: Math.round(status.recordBytes / count),
    });
    await client.close();
  } finally {
    await server.stop();
  }
}

async function warmUp(client: Client): Promise<void> {
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    await registerFleet(client, { start: 0, end: WARM_UP, ttlMs: TTL_MS });
  }
}

/** Returns the mean size of the stored form of some records of `[start, end)`, bytes. */
async function meanStoredBytes(client: Client, end: number, start = 0): Promise<number> {
  let bytes = 0;
  for (let sample = 0; sample < SAMPLES; sample++) {
    // A prime stride samples gateways in proportion to their number.
    const { kind, id } = identityOf(start + (sample * SAMPLE_STRIDE) % (end - start));
    const stored = kind === "agent" ? client.getAgentStored(id) : client.getGatewayStored(id);
    bytes += (await stored).bytes.length;
  }
  return bytes / SAMPLES;
}
