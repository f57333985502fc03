/**
 * Measures how long a cluster of four real nodes takes to change its shape, and what others notice:
 * `deno task soak reshaping [records]`, by default 100,000.
 *
 * First a node with one partition of 10,000 records is drained: the partition moves within 3 s, and reads take
 * at most twice as long at the 99th percentile meanwhile. Then a node of a cluster with 64 partitions is killed
 * and replaced by another: all partitions have three replicas again within 60 s. No call of the readers, which
 * have 3 s each, may fail.
 */
import { cpuMs } from "../../bench/cluster/servers.ts";
import { domainOf, registerFleet } from "../../bench/fleet.ts";
import { LatencyHistogram } from "../../bench/latency.ts";
import { newDialer } from "../../bench/registry.ts";
import { DEPARTURE_GOALS } from "../../schemas/gen/wire.ts";
import { toRegistryError } from "../../src/base/errors.ts";
import { findTarget } from "../../src/cli/target.ts";
import { connectCaller } from "../../src/client/client.ts";
import type { OperationCaller } from "../../src/client/invoker.ts";
import type { Client } from "../../src/client/mod.ts";
import { isUnknown } from "../../src/client/retry.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { placementOf } from "../../src/ring/ring_map.ts";
import { ThreeNodes } from "../support/three_nodes.ts";
import { until } from "../support/until.ts";
import { pause } from "./chaos/hurts.ts";
import type { SoakResult } from "./soak.ts";

const NODES = 4;
const RECORDS = 100_000;
const MOVED_RECORDS = 10_000;
const PARTITIONS = 64;
const TTL_MS = 3_600_000;
/** Agents with domains, which readers resolve; and the pause of a reader between two reads. */
const DOMAINS = 49;
const READERS = 4;
const PAUSE_MS = 5;
const CALL_MS = 3_000;
const QUIET_MS = 5_000;
/** Goals. */
const MOVED_MS_MAX = 3_000;
const SLOWER_MAX = 2;
const REPLACED_MS_MAX = 60_000;
/** The time limit of everything, ms. */
const DONE_MS_MAX = 300_000;

type Caller = Client & OperationCaller;

/** Runs both. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const records = Number(args[0] ?? RECORDS);
  const moved = await measure(1, MOVED_RECORDS, drained);
  const replaced = await measure(PARTITIONS, records, killedAndReplaced);
  const slower = moved.msP99 / moved.quietMsP99;
  const failed = moved.failed + replaced.failed;
  return {
    figures: { records, movedRecords: MOVED_RECORDS, slower, moved, replaced },
    holds: failed === 0 && moved.tookMs < MOVED_MS_MAX && slower <= SLOWER_MAX &&
      replaced.tookMs < REPLACED_MS_MAX,
  };
}

/** Changes a cluster that holds so many records, and returns what that took and what readers noticed. */
async function measure(
  partitions: number,
  records: number,
  change: (cluster: ThreeNodes, client: Caller) => Promise<number>,
) {
  const cluster = await ThreeNodes.open(partitions);
  const dialer = newDialer();
  try {
    await cluster.start("--nodes", String(NODES));
    const client = await connectCaller({
      ...findTarget({ data: cluster.folder }, {}),
      ...{ dialer, world: processWorld(), options: { timeoutMs: 20_000 } },
    });
    await settled(client, NODES);
    await registered(client, { start: 1, end: 1 + DOMAINS, ttlMs: TTL_MS, withDomain: true });
    await registered(client, { start: 1 + DOMAINS, end: records, ttlMs: TTL_MS });
    const readers = new Readers(client);
    await pause(QUIET_MS);
    const quiet = readers.next();
    const nodes = Array.from({ length: NODES }, (_, at) => cluster.processIdOf(at + 1));
    const cpuBeforeMs = nodes.map((processId) => cpuMs(processId));
    const tookMs = await change(cluster, client);
    const meanwhile = readers.next();
    // A node that was killed has none any more.
    const usedMs = nodes.map((processId, at) => ifAlive(() => cpuMs(processId) - cpuBeforeMs[at]!));
    await readers.end();
    await client.close();
    return {
      ...{ partitions, tookMs: Math.round(tookMs), cpuMs: usedMs },
      ...{ quietMsP99: quiet.msP99, msP99: meanwhile.msP99, msMax: meanwhile.msMax },
      ...{ reads: meanwhile.reads, failed: readers.failed.length, failures: readers.failed },
    };
  } finally {
    await dialer.close();
    await cluster.end();
  }
}

/** Drains a node that holds the only partition and does not lead it. */
async function drained(_cluster: ThreeNodes, client: Caller): Promise<number> {
  const { leader, replicas } = placementOf(await client.ringMap(), 0);
  const nodeId = replicas.find((replica) => replica !== leader)!;
  const beganMs = performance.now();
  const goal = DEPARTURE_GOALS.drained;
  await client.call("depart", { nodeId, goal, successor: 0, isFewerAllowed: false });
  await until("the end of the drain", async () => {
    const { departures } = await client.call("listDepartures", {});
    return departures.find((departure) => departure.nodeId === nodeId)?.holds === 0;
  }, DONE_MS_MAX);
  return performance.now() - beganMs;
}

/** Kills a node and replaces it; returns the time from the operator's command on. */
async function killedAndReplaced(cluster: ThreeNodes, client: Caller): Promise<number> {
  const { systemLeader } = await client.call("clusterStatus", {});
  const nodeId = systemLeader === NODES ? NODES - 1 : NODES;
  const successor = systemLeader === 1 ? 2 : 1;
  await cluster.kill(nodeId);
  // Its connections are lost, and it does not count as one that can be reached.
  await pause(QUIET_MS);
  const beganMs = performance.now();
  const goal = DEPARTURE_GOALS.removed;
  await client.call("depart", { nodeId, goal, successor, isFewerAllowed: false });
  await settled(client, NODES - 1);
  return performance.now() - beganMs;
}

/** Waits until there are so many members, and every partition has its replicas. */
async function settled(client: Caller, members: number): Promise<void> {
  await until("a settled cluster", async () => {
    try {
      const reply = await client.call("clusterStatus", {});
      return reply.members.length === members && reply.moving === 0 &&
        reply.members.every(({ departure }) => departure === 0);
    } catch (error) {
      toRegistryError(error);
      return false;
    }
  }, DONE_MS_MAX);
}

/** Registers a fleet; again if a partition refused for now, as while its leadership moves. */
async function registered(client: Client, fleet: Parameters<typeof registerFleet>[1]) {
  await until("a registered fleet", async () => {
    try {
      await registerFleet(client, fleet);
      return true;
    } catch (error) {
      if (!isUnknown(toRegistryError(error))) throw error;
      return false;
    }
  }, DONE_MS_MAX);
}

/** Returns what is read of a process; undefined if it has ended. */
function ifAlive(read: () => number): number | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Readers that resolve domains, one after another each. */
class Readers {
  readonly failed: string[] = [];
  readonly #client: Client;
  #latencies = new LatencyHistogram();
  #isOver = false;
  readonly #loops: Promise<void>[];

  constructor(client: Client) {
    this.#client = client;
    this.#loops = Array.from({ length: READERS }, (_, reader) => this.#read(reader));
  }

  /** Returns the figures since the last call, and begins anew. */
  next() {
    const latencies = this.#latencies;
    this.#latencies = new LatencyHistogram();
    return {
      reads: latencies.count,
      msP99: Math.round(latencies.percentileUs(99)) / 1_000,
      msMax: Math.round(latencies.maxUs) / 1_000,
    };
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }

  async #read(reader: number): Promise<void> {
    for (let round = 0; !this.#isOver; round++) {
      const beganMs = performance.now();
      const domain = domainOf(1 + (reader * 13 + round) % DOMAINS);
      try {
        await this.#client.resolveAgent(domain, { timeoutMs: CALL_MS });
      } catch (error) {
        const { code, message } = toRegistryError(error);
        if (this.failed.push(`${code}: ${message}`) > 100) throw error;
      }
      this.#latencies.record((performance.now() - beganMs) * 1_000);
      await pause(PAUSE_MS);
    }
  }
}
