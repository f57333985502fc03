/**
 * Measures regions: two nodes, each a region of its own, on this machine. The first one mirrors the other:
 * at its first sync beside writes of its own, live at a steady rate, and after a time in which it followed
 * nothing; and then both mirror each other while nothing happens.
 */
import { connectCaller } from "../src/client/client.ts";
import type { OperationCaller } from "../src/client/invoker.ts";
import type { Client } from "../src/client/mod.ts";
import { RegistryError } from "../src/base/errors.ts";
import { processWorld } from "../src/node/process_world.ts";
import { readNodeFile } from "../identity/files/node_file.ts";
import { trustOfDataFolder } from "../identity/trust/credentials.ts";
import { type PeerRegionEntry, REGION_PAUSES } from "../schemas/gen/wire.ts";
import { until } from "./cluster/polling.ts";
import { CountingRelay } from "./counting_relay.ts";
import { agentInput, registerFleet, spreadId } from "./fleet.ts";
import type { ResultFile } from "./harness.ts";
import { LatencyHistogram } from "./latency.ts";
import { closedLoop } from "./load.ts";
import { newDialer, RegistryServer } from "./registry.ts";

const TTL_MS = 3_600_000;
const HERE = "eu-1";
const THERE = "us-1";
/** Records of the first sync; their numbers are from 0. */
const RECORDS = 100_000;
const SYNC_MS_MAX = 120_000;
/** Writers in the destination meanwhile, each with one request in flight, and their rate alone. */
const FOREGROUND_DEPTH = 4;
const ALONE_SECONDS = 4;
/** Live changes: their rate, their count, and which of them are looked for. */
const LIVE_PER_SECOND = 500;
const LIVE_CHANGES = 5_000;
const LOOKED_FOR_EACH = 10;
const LOOK_MS = 1;
/** Pause between two looks at a figure of a node that is under load. */
const FIGURE_MS = 50;
const CHANGES = "crs_region_changes_total";
/** Changes after a pause: what the histories of a node hold. */
const MISSED = 50_000;
/** Time after the last change before an idle pair is measured, and the duration, ms. */
const SETTLED_MS = 15_000;
const IDLE_MS = 20_000;

/** A client that may call any operation. */
type Caller = Client & OperationCaller;

/** A region of one node. */
class Region {
  readonly name: string;
  readonly server: RegistryServer;
  readonly client: Caller;

  private constructor(name: string, server: RegistryServer, client: Caller) {
    this.name = name;
    this.server = server;
    this.client = client;
  }

  static async start(name: string): Promise<Region> {
    const server = await RegistryServer.start({ flags: ["--region", name] });
    const { addresses, clusterId } = readNodeFile(server.folder)!;
    const client = await connectCaller({
      endpoints: addresses.filter(({ transport }) => transport === "quic"),
      dialer: newDialer(),
      trust: trustOfDataFolder(server.folder),
      world: processWorld(),
      credentials: { kind: "development" },
      options: { clusterId, timeoutMs: 20_000 },
    });
    return new Region(name, server, client);
  }

  /** The port of its node for clients. */
  get port(): number {
    const { addresses } = readNodeFile(this.server.folder)!;
    return addresses.find(({ transport }) => transport === "quic")!.port;
  }

  /** Follows another region from now on. */
  async follow({ name, server, port }: Region): Promise<void> {
    const trust = trustOfDataFolder(server.folder);
    const bundle = trust.kind === "ca" ? trust.pem.join("\n") : "";
    const limits = { preference: 0, bytesPerSecondMax: 0, logPercentMax: 0 };
    const request = { name, servers: [`127.0.0.1:${port}`], bundle, ...limits };
    await until("a cluster that knows regions", async () => {
      try {
        await this.client.call("addRegion", request);
        return true;
      } catch (error) {
        if (error instanceof RegistryError && error.code === "overloaded") return false;
        throw error;
      }
    }, SYNC_MS_MAX);
  }

  /** Pauses a region, or resumes it. */
  async pause(name: string, isPaused: boolean): Promise<void> {
    await this.#set(name, { pause: REGION_PAUSES[isPaused ? "pause" : "resume"] });
  }

  /** Reaches a region by another port. */
  async reach(name: string, port: number): Promise<void> {
    await this.#set(name, { servers: [`127.0.0.1:${port}`] });
  }

  async #set(name: string, change: { readonly pause?: number; readonly servers?: string[] }) {
    const limits = { preference: 0, bytesPerSecondMax: 0, logPercentMax: 0 };
    const unchanged = { name, servers: [], bundle: "", pause: REGION_PAUSES.unchanged, ...limits };
    await this.client.call("setRegion", { ...unchanged, ...change });
  }

  async entry(): Promise<PeerRegionEntry> {
    return (await this.client.call("listRegions", {})).regions[0]!;
  }

  /** Waits until everything that the other region has now is mirrored; returns the time, ms. */
  async caughtUp(): Promise<number> {
    const startMs = performance.now();
    await until("a region that is mirrored", async () => {
      const { state, replicatedAgeMs } = await this.entry();
      return state === "following" && replicatedAgeMs < performance.now() - startMs;
    }, SYNC_MS_MAX);
    return performance.now() - startMs;
  }

  /** Returns how many entries its log got so far. */
  async entries(): Promise<number> {
    return await this.server.metric("crs_log_appended_entries_total");
  }

  async stop(): Promise<void> {
    await this.client.close();
    await this.server.stop();
  }
}

/** Measures two regions. */
export async function benchRegions(file: ResultFile): Promise<void> {
  const regions = await Promise.all([HERE, THERE].map((name) => Region.start(name)));
  const [here, there] = regions as [Region, Region];
  try {
    // Each must know the other to be followed by it.
    await there.follow(here);
    await benchFirstSync(file, here, there);
    await benchLive(file, here, there);
    await benchCatchUp(file, here, there);
    await benchIdle(file, here, there);
  } finally {
    await Promise.all(regions.map((region) => region.stop()));
  }
}

/** A first sync, beside writes in the destination. */
async function benchFirstSync(file: ResultFile, here: Region, there: Region): Promise<void> {
  await registerFleet(there.client, { start: 0, end: RECORDS, ttlMs: TTL_MS });
  let next = 0;
  const register = () =>
    here.client.registerAgent({ ...agentInput(0, TTL_MS, false), id: spreadId(7, next++) });
  const load = { depth: FOREGROUND_DEPTH };
  // Compiles the code of both sides.
  await closedLoop(register, { ...load, seconds: 1 }, new LatencyHistogram());
  const alone = new LatencyHistogram();
  await closedLoop(register, { ...load, seconds: ALONE_SECONDS }, alone);
  const entriesBefore = await here.entries();
  const writtenBefore = next;
  await here.follow(there);
  const beside = new LatencyHistogram();
  let isSynced = false as boolean;
  const writing = (async () => {
    while (!isSynced) await closedLoop(register, { ...load, seconds: 0.5 }, beside);
  })();
  const startMs = performance.now();
  await until(
    "all records are mirrored",
    async () => await look(here.entry(), ({ mirrors }) => mirrors >= RECORDS),
    SYNC_MS_MAX,
  );
  const tookMs = performance.now() - startMs;
  isSynced = true;
  await writing;
  await here.caughtUp();
  const entries = await here.entries() - entriesBefore - (next - writtenBefore);
  file.write({
    bench: "regions first sync",
    records: RECORDS,
    seconds: rounded(tookMs / 1_000),
    entriesPerRecord: rounded(entries / RECORDS),
    foregroundP99Ratio: rounded(beside.percentileUs(99) / alone.percentileUs(99)),
    foregroundP99Ms: rounded(beside.percentileUs(99) / 1_000),
    aloneP99Ms: rounded(alone.percentileUs(99) / 1_000),
  });
}

/** Changes at a steady rate; some of them are looked for in the other region. */
async function benchLive(file: ResultFile, here: Region, there: Region): Promise<void> {
  await live(here, there, 8, LIVE_PER_SECOND);
  const entriesBefore = await here.entries();
  const { afterSend, afterAnswer } = await live(here, there, 9, LIVE_CHANGES);
  await here.caughtUp();
  const entries = await here.entries() - entriesBefore;
  file.write({
    bench: "regions live",
    changesPerSecond: LIVE_PER_SECOND,
    changes: LIVE_CHANGES,
    lookedFor: afterSend.count,
    afterSendP50Ms: rounded(afterSend.percentileUs(50) / 1_000),
    afterSendP99Ms: rounded(afterSend.percentileUs(99) / 1_000),
    afterAnswerP50Ms: rounded(afterAnswer.percentileUs(50) / 1_000),
    afterAnswerP99Ms: rounded(afterAnswer.percentileUs(99) / 1_000),
    entriesPerChange: rounded(entries / LIVE_CHANGES),
  });
}

async function live(here: Region, there: Region, kind: number, changes: number) {
  const afterSend = new LatencyHistogram();
  const afterAnswer = new LatencyHistogram();
  const startMs = performance.now();
  const looked: Promise<void>[] = [];
  for (let number = 0; number < changes; number++) {
    const dueMs = startMs + number * 1_000 / LIVE_PER_SECOND;
    if (dueMs > performance.now()) await pause(dueMs - performance.now());
    const id = spreadId(kind, number);
    const sentMs = performance.now();
    const answered = there.client.registerAgent({ ...agentInput(0, TTL_MS, false), id })
      .then(() => performance.now());
    if (number % LOOKED_FOR_EACH > 0) continue;
    looked.push((async () => {
      const answerMs = await answered;
      const seenMs = await seen(here.client, id);
      afterSend.record((seenMs - sentMs) * 1_000);
      afterAnswer.record((seenMs - answerMs) * 1_000);
    })());
  }
  await Promise.all(looked);
  return { afterSend, afterAnswer };
}

/** Returns when a record is first found, performance ms. */
async function seen(client: Client, id: string): Promise<number> {
  for (;;) {
    try {
      await client.getAgent(id);
      return performance.now();
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== "not_found") throw error;
      await pause(LOOK_MS);
    }
  }
}

/** Changes that were missed. */
async function benchCatchUp(file: ResultFile, here: Region, there: Region): Promise<void> {
  await here.pause(THERE, true);
  // Those of the first sync again: each is a change.
  await registerFleet(there.client, { start: 0, end: MISSED, ttlMs: TTL_MS + 1 });
  const entriesBefore = await here.entries();
  await here.pause(THERE, false);
  const changed = await here.server.metric(CHANGES);
  let startMs = 0;
  await until("the first missed change", async () => {
    startMs = performance.now();
    return await look(here.server.metric(CHANGES), (count) => count > changed);
  }, SYNC_MS_MAX);
  await until("the last missed change", async () => {
    return await look(here.server.metric(CHANGES), (count) => count >= changed + MISSED);
  }, SYNC_MS_MAX);
  const tookMs = performance.now() - startMs;
  await here.caughtUp();
  const entries = await here.entries() - entriesBefore;
  file.write({
    bench: "regions catch-up",
    changes: MISSED,
    seconds: rounded(tookMs / 1_000),
    changesPerSecond: Math.round(MISSED / tookMs * 1_000),
    entriesPerChange: rounded(entries / MISSED),
  });
}

/** Two regions that follow each other while nothing happens. */
async function benchIdle(file: ResultFile, here: Region, there: Region): Promise<void> {
  const relays = [here, there].map(({ port }) => new CountingRelay(port)) as [
    CountingRelay,
    CountingRelay,
  ];
  await here.reach(THERE, relays[1].port);
  await there.reach(HERE, relays[0].port);
  await pause(SETTLED_MS);
  await Promise.all([here.caughtUp(), there.caughtUp()]);
  const count = (of: "bytes" | "datagrams") => relays[0][of] + relays[1][of];
  const before = { bytes: count("bytes"), datagrams: count("datagrams") };
  const startMs = performance.now();
  await pause(IDLE_MS);
  const seconds = (performance.now() - startMs) / 1_000;
  file.write({
    bench: "regions idle",
    bytesPerSecond: Math.round((count("bytes") - before.bytes) / seconds),
    datagramsPerSecond: rounded((count("datagrams") - before.datagrams) / seconds),
  });
  for (const relay of relays) relay.close();
}

/** Looks at a figure of a node, not too often: to answer costs the node milliseconds. */
async function look<T>(figure: Promise<T>, holds: (found: T) => boolean): Promise<boolean> {
  if (holds(await figure)) return true;
  await pause(FIGURE_MS);
  return false;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
