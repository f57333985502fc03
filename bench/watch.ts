/**
 * Measures watches of one node: one watcher of everything that follows it, and that catches up with
 * it; and ten thousand watchers of one domain each, by the memory that the node needs for one and by
 * the registers that it serves beside them.
 */
import type { Client, Watch } from "../src/client/mod.ts";
import { until } from "./cluster/polling.ts";
import { agentInput, domainOf, registerFleet, spreadId } from "./fleet.ts";
import type { ResultFile } from "./harness.ts";
import { LatencyHistogram } from "./latency.ts";
import { closedLoop } from "./load.ts";
import { RegistryServer } from "./registry.ts";

const TTL_MS = 3_600_000;
/** Changes that one watcher of everything gets: what a node's history holds. */
const CHANGES = 60_000;
const CHANGES_MS_MAX = 60_000;
const WATCHERS = 10_000;
/** Watchers before the first measurement, so that code is compiled; they stay. */
const WARM_UP = 200;
/** Interval at which each of many watchers is told that nothing is missing, ms. */
const PROGRESS_MS = 10_000;
/** Watchers that are started together. */
const TOGETHER = 500;
const BEGIN_MS = 60_000;
const ROUNDS = 3;
const SECONDS = 1;
const DEPTH = 64;

/** Measures one watcher of everything. */
export async function benchWatchEverything(file: ResultFile): Promise<void> {
  const server = await RegistryServer.start();
  try {
    const writer = await server.connect();
    const reader = await server.connect();
    // Compiles the code of both sides.
    await followed(reader, writer, 0, CHANGES / 10);
    const live = await followed(reader, writer, CHANGES, 2 * CHANGES);
    file.write({ bench: "watch everything", changes: CHANGES, ...live });
    await writer.close();
    await reader.close();
  } finally {
    await server.stop();
  }
}

/** Writes records `[start, end)` under one watcher of everything, and then lets another catch up. */
async function followed(reader: Client, writer: Client, start: number, end: number) {
  const watch = reader.watch();
  await watch.begun;
  const first = (await watch[Symbol.asyncIterator]().next()).value!;
  const startMs = performance.now();
  const written = registerFleet(writer, { start, end, ttlMs: TTL_MS })
    .then(() => performance.now() - startMs);
  const liveMs = await received(watch, end - start, startMs);
  const writtenMs = await written;
  const againMs = performance.now();
  const behind = reader.watch({}, { from: first.token });
  const behindMs = await received(behind, end - start, againMs);
  return {
    eventsPerSecond: Math.round((end - start) / behindMs * 1_000),
    liveEventsPerSecond: Math.round((end - start) / liveMs * 1_000),
    writesPerSecond: Math.round((end - start) / writtenMs * 1_000),
  };
}

/** Reads `count` changes and ends the watch; returns the time since `startMs`. */
async function received(watch: Watch, count: number, startMs: number): Promise<number> {
  let seen = 0;
  const timer = setTimeout(() => watch.close(), CHANGES_MS_MAX);
  for await (const event of watch) {
    if (event.type === "reset") throw new Error("The history is too short for the measurement");
    if (event.type === "put" && ++seen === count) break;
  }
  clearTimeout(timer);
  if (seen < count) throw new Error(`${seen} of ${count} changes came within ${CHANGES_MS_MAX} ms`);
  return performance.now() - startMs;
}

/** Measures many watchers of one domain each, whose agents do not change. */
export async function benchWatchDomains(file: ResultFile): Promise<void> {
  const server = await RegistryServer.start();
  try {
    const client = await server.connect();
    await registerFleet(client, {
      start: 0,
      end: Math.ceil(WATCHERS * 1.05),
      ttlMs: TTL_MS,
      withDomain: true,
    });
    const watcher = await server.connect();
    const domains = Array.from({ length: Math.ceil(WATCHERS * 1.05) }, (_, number) => number)
      .filter((number) => number % 50 !== 0)
      .map(domainOf);
    await watched(watcher, domains.slice(0, WARM_UP));
    let next = 0;
    const register = () =>
      client.registerAgent({ ...agentInput(next, TTL_MS, false), id: spreadId(3, next++) });
    const rate = async () => {
      const { operations, seconds } = await closedLoop(
        register,
        { depth: DEPTH, seconds: SECONDS },
        new LatencyHistogram(),
      );
      return operations / seconds;
    };
    await rate();
    const without: number[] = [];
    const beside: number[] = [];
    const bytesPerWatcher: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      without.push(await rate());
      const withoutBytes = await server.heldBytes();
      const watches = await watched(watcher, domains.slice(WARM_UP, WARM_UP + WATCHERS));
      bytesPerWatcher.push((await server.heldBytes() - withoutBytes) / WATCHERS);
      beside.push(await rate());
      for (const watch of watches) watch.close();
      await until(
        "watches that have ended",
        async () => await server.metric("crs_watches") <= 2 * WARM_UP,
        BEGIN_MS,
      );
    }
    file.write({
      bench: "watch domains",
      watchers: WATCHERS,
      progressMs: PROGRESS_MS,
      bytesPerWatcher: Math.round(median(bytesPerWatcher)),
      registersPerSecond: Math.round(median(beside)),
      registersPerSecondWithout: Math.round(median(without)),
      rateRatio: Math.round(median(beside) / median(without) * 1_000) / 1_000,
    });
    await watcher.close();
    await client.close();
  } finally {
    await server.stop();
  }
}

/** Starts a watch of each domain. */
async function watched(client: Client, domains: readonly string[]): Promise<Watch[]> {
  const watches: Watch[] = [];
  for (let at = 0; at < domains.length; at += TOGETHER) {
    const some = domains.slice(at, at + TOGETHER).map((domain) =>
      client.watch({ domain }, { progressMs: PROGRESS_MS, state: true, timeoutMs: BEGIN_MS })
    );
    // Of its state a watch is told last that it is complete.
    await Promise.all(some.map(async (watch) => {
      const events = watch[Symbol.asyncIterator]();
      for (;;) {
        const { value } = await events.next();
        if (value!.type === "complete") break;
      }
    }));
    watches.push(...some);
  }
  return watches;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1]!;
}
