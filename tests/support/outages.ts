/**
 * Owners that keep leases at a real node through an outage: a stopped process, a full disk, a
 * stalled write. Counts the fate of the leases and the replies to readers.
 */
import { agentInput, spreadId } from "../../bench/fleet.ts";
import { connectTo, newDialer } from "../../bench/registry.ts";
import { ERROR_TABLE, RegistryError } from "../../src/base/errors.ts";
import { REGISTER_ITEMS_MAX } from "../../src/base/limits.ts";
import type { Client } from "../../src/client/mod.ts";
import { type CrsProcess, startCrs } from "./crs_process.ts";
import type { WriteStaller } from "./stalled_write.ts";
import { until } from "./until.ts";

/**
 * Time within which owners get through again, ms: the longest back-off, dial and request, with a
 * margin.
 */
const RENEWED_MS_MAX = 45_000;
/** Timeout of the reads, which run one at a time; a reader does not wait for a stalled node. */
const READ_TIMEOUT_MS = 500;
const READ_PAUSE_MS = 5;
/** Registrations that use up the disk space that the log has preallocated, several times over. */
const FILLING_WRITES_MAX = 5_000;

/** The node of an outage, and a client that keeps no leases. */
export interface Sufferer {
  readonly process: CrsProcess;
  readonly dataFolder: string;
  readonly client: Client;
}

/** The results of an outage. */
export interface OutageFigures {
  readonly leases: number;
  readonly ttlMs: number;
  readonly outageMs: number;
  /** Leases whose record expired, or that ended. */
  readonly leasesEnded: number;
  readonly reads: number;
  /** Reads answered during the outage, and the time of the slowest hundredth, ms. */
  readonly readsInOutage: number;
  readonly readMsP99InOutage: number;
  readonly provenNotFound: number;
  /** Time from the end of the outage until every owner had renewed, ms. */
  readonly allRenewedMs: number;
}

/** The leases to keep, and the outage. */
export interface KeepPlan {
  readonly dataFolder: string;
  readonly leases: number;
  readonly ttlMs: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly outage: (node: Sufferer) => Promise<void>;
}

/** Starts a node, keeps leases at it, and counts their fate during the outage and after it. */
export async function keepThrough(plan: KeepPlan): Promise<OutageFigures> {
  const { dataFolder, leases, outage, ttlMs } = plan;
  const { process } = await startCrs(dataFolder, plan.env === undefined ? {} : { env: plan.env });
  const dialer = newDialer();
  try {
    const [owner, reader, client] = [
      await connectTo(dataFolder, dialer),
      await connectTo(dataFolder, dialer),
      await connectTo(dataFolder, dialer),
    ];
    const kept = await Kept.open(owner, leases, ttlMs);
    const reads = new Reads(reader, kept.ids);
    const startMs = performance.now();
    reads.beginOutage();
    await outage({ process, dataFolder, client });
    reads.endOutage();
    const endMs = performance.now();
    const isWell = () => kept.ended > 0 || reads.notFound > 0 || kept.renewedAllSince(endMs);
    await until("every owner has renewed", isWell, RENEWED_MS_MAX);
    const allRenewedMs = performance.now() - endMs;
    await reads.stop();
    const figures = {
      leases,
      ttlMs,
      outageMs: Math.round(endMs - startMs),
      leasesEnded: kept.ended,
      reads: reads.count,
      readsInOutage: reads.timesMs.length,
      readMsP99InOutage: percentile99(reads.timesMs),
      provenNotFound: reads.notFound,
      allRenewedMs: Math.round(allRenewedMs),
    };
    for (const each of [owner, reader, client]) await each.close();
    return figures;
  } finally {
    await dialer.close();
    process.kill("SIGKILL");
    await process.ended();
  }
}

/** Returns an outage in which the node's process is stopped. */
export function stopped(durationMs: number): KeepPlan["outage"] {
  return async ({ process }) => {
    process.kill("SIGSTOP");
    await passed(durationMs);
    process.kill("SIGCONT");
  };
}

/** Returns an outage in which one write of the node's log stalls. */
export function stalled(staller: WriteStaller, durationMs: number): KeepPlan["outage"] {
  return async ({ client }) => {
    const began = staller.begin(durationMs);
    const written = client.registerAgent(spareAgent(), { timeoutMs: durationMs + 30_000 });
    await began;
    await until("the write goes on", async () => !await staller.isStalled(), durationMs + 30_000);
    await written;
  };
}

/** Returns an outage in which the small file system of the data folder is full. */
export function full(durationMs: number): KeepPlan["outage"] {
  return async ({ client, dataFolder }) => {
    const filler = `${dataFolder}/filler`;
    await fill(filler);
    await untilRefused(client);
    await passed(durationMs);
    await Deno.remove(filler);
  };
}

/**
 * Mounts a small file system in memory at `folder`, which is created; only root may do this.
 * Returns the function that unmounts it.
 */
export async function mountSmall(folder: string, mebibytes = 32): Promise<() => Promise<void>> {
  await Deno.mkdir(folder, { recursive: true });
  await run("mount", "-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", folder);
  return () => run("umount", "--lazy", folder);
}

async function run(command: string, ...args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  if (!success) throw new Error(`${command} failed: ${new TextDecoder().decode(stderr)}`);
}

/** All leases of one client, and the events reported for them. */
class Kept {
  readonly ids: readonly string[];
  ended = 0;
  readonly #renewedMs: number[];

  private constructor(ids: readonly string[]) {
    this.ids = ids;
    this.#renewedMs = ids.map(() => 0);
  }

  static async open(client: Client, count: number, ttlMs: number): Promise<Kept> {
    const ids = Array.from({ length: count }, (_, at) => spreadId(1, at + 1));
    const kept = new Kept(ids);
    for (let lo = 0; lo < count; lo += REGISTER_ITEMS_MAX) {
      const items = ids.slice(lo, lo + REGISTER_ITEMS_MAX).map((id, at) => ({
        kind: "agent" as const,
        agent: { ...agentInput(lo + at + 1, ttlMs, false), id },
      }));
      const outcomes = await client.keepMany(items, {
        onEvent: ({ kind }, { id }) => {
          if (kind === "renewed") kept.#renewedMs[ids.indexOf(id)] = performance.now();
          if (kind === "expired" || kind === "ended") kept.ended++;
        },
      });
      for (const { error } of outcomes) if (error !== undefined) throw error;
    }
    return kept;
  }

  renewedAllSince(ms: number): boolean {
    return this.#renewedMs.every((renewedMs) => renewedMs > ms);
  }
}

/** Reads one record after another, until it is stopped. */
class Reads {
  count = 0;
  notFound = 0;
  /** Times of reads answered during the outage, ms each. */
  readonly timesMs: number[] = [];
  readonly #ended: Promise<void>;
  #isInOutage = false;
  #isStopped = false;

  constructor(client: Client, ids: readonly string[]) {
    this.#ended = this.#run(client, ids);
  }

  beginOutage(): void {
    this.#isInOutage = true;
  }

  endOutage(): void {
    this.#isInOutage = false;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#ended;
  }

  async #run(client: Client, ids: readonly string[]): Promise<void> {
    for (let at = 0; !this.#isStopped; at = (at + 1) % ids.length) {
      const startMs = performance.now();
      const isInOutage = this.#isInOutage;
      try {
        await client.getAgent(ids[at]!, { timeoutMs: READ_TIMEOUT_MS });
        if (isInOutage) this.timesMs.push(performance.now() - startMs);
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        if (error.code === "not_found") this.notFound++;
      }
      this.count++;
      await passed(READ_PAUSE_MS);
    }
  }
}

function spareAgent() {
  return { ...agentInput(1, 60_000, false), id: spreadId(2, 1) };
}

/** Writes zeros until the disk is full. */
export async function fill(path: string): Promise<void> {
  const file = await Deno.open(path, { write: true, create: true });
  try {
    for (let size = 1024 * 1024; size >= 1; size = Math.floor(size / 2)) {
      const zeros = new Uint8Array(size);
      try {
        while (await file.write(zeros) === size);
      } catch (error) {
        if (!isNoSpace(error)) throw error;
      }
    }
  } finally {
    file.close();
  }
}

function isNoSpace(error: unknown): boolean {
  return error instanceof Error && (error as Error & { code?: string }).code === "ENOSPC";
}

/** Writes to the log until it refuses a write. */
async function untilRefused(client: Client): Promise<void> {
  for (let write = 0; write < FILLING_WRITES_MAX; write++) {
    try {
      await client.registerAgent(spareAgent(), { timeoutMs: READ_TIMEOUT_MS });
    } catch (error) {
      if (error instanceof RegistryError && ERROR_TABLE[error.code].class === "unavailable") return;
      throw error;
    }
  }
  throw new Error("The log of a full disk takes everything");
}

function percentile99(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99));
  return Math.round((sorted[at] ?? 0) * 100) / 100;
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
