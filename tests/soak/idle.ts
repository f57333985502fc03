/**
 * Measures the CPU time of idle nodes: `deno task soak idle [seconds]`, by default 120.
 *
 * An empty node with 1,024 partitions, one with 8,192, and one that holds 100,000 records with an
 * hour's ttl, compared with a Deno process that has only a QUIC listener. All four idle
 * concurrently. Time is user and system time from `/proc/<pid>/stat`, which is hardly affected by
 * the load of other programs.
 */
import { registerFleet } from "../../bench/fleet.ts";
import { ServerProcess } from "../../bench/harness.ts";
import { RegistryServer } from "../../bench/registry.ts";
import type { SoakResult } from "./soak.ts";

const RECORDS = 100_000;
/** Count of records with a domain among them: each is registered once more, and has an alias. */
const ALIASED = 20_000;
const TTL_MS = 3_600_000;
/** Time after which start and load are over, and the runtime has compiled and collected. */
const SETTLE_MS = 20_000;
/**
 * Ticks of `/proc/<pid>/stat` per second, `sysconf(_SC_CLK_TCK)`: 100 on every Linux that runs
 * Deno.
 */
const CLOCK_TICKS_PER_SECOND = 100;
const FLOOR = new URL("../../bench/session_floor.ts", import.meta.url).pathname;

/** Goals, percent of a core. */
const EMPTY_1024_MAX = 1;
const EMPTY_8192_MAX = 1.5;
const FULL_MAX = 1.5;

/** Runs the nodes; holds if each stays below its goal. */
export async function run(args: readonly string[]): Promise<SoakResult> {
  const seconds = Number(args[0] ?? 120);
  const floor = await ServerProcess.start({ args: ["run", "-A", FLOOR, "serve"] });
  const servers: RegistryServer[] = [];
  try {
    for (const partitions of [1_024, 8_192, 1_024]) {
      const flags = ["--partitions", String(partitions)];
      servers.push(await RegistryServer.start({ flags }));
    }
    const [small, large, full] = servers as [RegistryServer, RegistryServer, RegistryServer];
    await fill(full);
    await delay(SETTLE_MS);
    const processes = [floor, small.process, large.process, full.process];
    const percents = await cpuPercents(processes.map(({ pid }) => pid), seconds);
    const [floorPercent, empty1024Percent, empty8192Percent, fullPercent] = percents;
    const records = await full.metric("crs_records");
    const figures = {
      seconds,
      floorPercent,
      empty1024Percent,
      empty8192Percent,
      records,
      ttlMs: TTL_MS,
      fullPercent,
      empty1024MiB: Math.round(small.process.residentBytes() / 2 ** 20),
      empty8192MiB: Math.round(large.process.residentBytes() / 2 ** 20),
    };
    const holds = records >= RECORDS && empty1024Percent! <= EMPTY_1024_MAX &&
      empty8192Percent! <= EMPTY_8192_MAX && fullPercent! <= FULL_MAX;
    return { figures, holds };
  } finally {
    for (const server of servers) await server.stop();
    await floor.stop("SIGKILL");
  }
}

async function fill(server: RegistryServer): Promise<void> {
  const client = await server.connect();
  await registerFleet(client, { start: 0, end: RECORDS, ttlMs: TTL_MS });
  // Aliases are registered in addition.
  await registerFleet(client, { start: 0, end: ALIASED, ttlMs: TTL_MS, withDomain: true });
  await client.close();
}

/** Returns the CPU time of processes over `seconds`, each in percent of a core. */
async function cpuPercents(pids: readonly number[], seconds: number): Promise<number[]> {
  const startMs = performance.now();
  const before = pids.map(cpuTicks);
  await delay(seconds * 1_000);
  const ticksMax = (performance.now() - startMs) / 1_000 * CLOCK_TICKS_PER_SECOND;
  return pids.map((pid, at) => Math.round((cpuTicks(pid) - before[at]!) / ticksMax * 1e4) / 100);
}

/** Returns the user and system time of a process so far (proc_pid_stat(5), fields 14 and 15). */
function cpuTicks(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
