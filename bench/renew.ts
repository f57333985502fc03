/**
 * Measures renewals with 1,000 uniformly spread ids per request: the maximum rate that the node can
 * take, and the cost in the log if every record is renewed once per third of its ttl, as owners do.
 */
import type { RenewItem } from "../src/client/types.ts";
import type { Client, Incarnation } from "../src/client/mod.ts";
import { identityOf, registerFleet } from "./fleet.ts";
import type { ResultFile } from "./harness.ts";
import { LatencyHistogram } from "./latency.ts";
import { closedLoop } from "./load.ts";
import { RegistryServer } from "./registry.ts";

const RECORDS = 100_000;
const ITEMS = 1_000;
/** A shorter ttl leaves less time to gather extensions, so 12 s gives a conservative result. */
const TTL_MS = 12_000;
const PACED_SECONDS = 24;
/** Requests in flight when the load is not paced. */
const DEPTH = 4;
const UNPACED = { depth: DEPTH, seconds: 5 } as const;

/** Measures renewals; writes a paced and an unpaced line of results. */
export async function benchRenew(file: ResultFile): Promise<void> {
  const server = await RegistryServer.start();
  try {
    const client = await server.connect();
    const batches = await registerBatches(client);
    await renewPaced(client, batches, TTL_MS);
    file.write(await measurePaced(server, client, batches));
    file.write(await measureUnpaced(client, batches));
    await client.close();
  } finally {
    await server.stop();
  }
}

/** Registers the records; batch `b` of `n` renews every n-th of them, starting with the b-th. */
async function registerBatches(client: Client): Promise<RenewItem[][]> {
  const batches: RenewItem[][] = Array.from({ length: RECORDS / ITEMS }, () => []);
  const fleet = { start: 0, end: RECORDS, ttlMs: TTL_MS };
  await registerFleet(client, fleet, (number: number, incarnation: Incarnation) => {
    batches[number % batches.length]!.push({ ...identityOf(number), incarnation });
  });
  return batches;
}

/** Renews each batch once per third of the ttl, evenly spread, for `durationMs`. */
async function renewPaced(
  client: Client,
  batches: readonly RenewItem[][],
  durationMs: number,
): Promise<number> {
  const stepMs = TTL_MS / 3 / batches.length;
  const startMs = performance.now();
  const pending: Promise<void>[] = [];
  let renewed = 0;
  for (let step = 0; step * stepMs < durationMs; step++) {
    const waitMs = startMs + step * stepMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const answer = client.renew(batches[step % batches.length]!);
    pending.push(answer.then((reply) => {
      if (reply.failures.length > 0) throw reply.failures[0]!.error;
      renewed += reply.renewed;
    }));
  }
  await Promise.all(pending);
  return renewed;
}

async function measurePaced(
  server: RegistryServer,
  client: Client,
  batches: readonly RenewItem[][],
): Promise<object> {
  const loggedBefore = await server.metric("crs_renewals_logged_total");
  const renewedBefore = await server.metric("crs_renewals_total");
  await renewPaced(client, batches, PACED_SECONDS * 1_000);
  const renewals = await server.metric("crs_renewals_total") - renewedBefore;
  const logged = await server.metric("crs_renewals_logged_total") - loggedBefore;
  return {
    bench: "renew paced",
    records: RECORDS,
    itemsPerRequest: ITEMS,
    ttlMs: TTL_MS,
    intervalMs: TTL_MS / 3,
    seconds: PACED_SECONDS,
    renewals,
    logEntries: logged,
    logEntriesPerRenewal: Math.round(logged / renewals * 1e5) / 1e5,
  };
}

async function measureUnpaced(client: Client, batches: readonly RenewItem[][]): Promise<object> {
  const histogram = new LatencyHistogram();
  const ask = async (call: number): Promise<void> => {
    const { failures } = await client.renew(batches[call % batches.length]!);
    if (failures.length > 0) throw failures[0]!.error;
  };
  const { operations, seconds } = await closedLoop(ask, UNPACED, histogram);
  const { p50Us, p99Us } = histogram.summary();
  return {
    bench: "renew",
    records: RECORDS,
    itemsPerRequest: ITEMS,
    depth: DEPTH,
    renewalsPerSecond: Math.round(operations * ITEMS / seconds),
    requestP50Us: p50Us,
    requestP99Us: p99Us,
  };
}
