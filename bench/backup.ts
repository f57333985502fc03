/**
 * Measures backups: a node with 100,000 records, most with a domain, of which a client resolves some all the
 * time, alone and while `crs backup` runs; then how long it takes to check the backup, to restore it, and to
 * start that. One node makes all images here; of three, each makes a third.
 */
import { readNodeFile } from "../identity/files/node_file.ts";
import { domainOf, RECORDS_PER_GATEWAY, registerFleet } from "./fleet.ts";
import type { ResultFile } from "./harness.ts";
import { LatencyHistogram } from "./latency.ts";
import { RegistryServer } from "./registry.ts";

const RECORDS = 100_000;
const TTL_MS = 3_600_000;
const PARTITIONS = 1_024;
/** Reads in flight, their time alone, and the pause between two: the backup is to be seen, not the load. */
const DEPTH = 4;
const ALONE_MS = 5_000;
const PAUSE_MS = 1;
const MAIN = new URL("../src/cli/main.ts", import.meta.url).pathname;

/** Runs a command of `crs` to its end. @returns its duration, ms. */
async function crs(...args: string[]): Promise<number> {
  const startMs = performance.now();
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, ...args],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  return performance.now() - startMs;
}

/** Reads all the time until `during` ends. @returns the latencies. */
async function whileReading<T>(
  read: (number: number) => Promise<unknown>,
  during: Promise<T>,
): Promise<{ readonly latencies: LatencyHistogram; readonly result: T }> {
  const latencies = new LatencyHistogram();
  let [isOver, number] = [false, 0];
  const readers = Array.from({ length: DEPTH }, async () => {
    while (!isOver) {
      const startMs = performance.now();
      await read(number++);
      latencies.record((performance.now() - startMs) * 1_000);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  });
  const result = await during.finally(() => isOver = true);
  await Promise.all(readers);
  return { latencies, result };
}

function milliseconds(microseconds: number): number {
  return Math.round(microseconds / 10) / 100;
}

/** Measures a backup and its restore. */
export async function benchBackup(file: ResultFile): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "crs-bench-backup-" });
  const server = await RegistryServer.start({ flags: ["--partitions", String(PARTITIONS)] });
  try {
    const client = await server.connect({ timeoutMs: 20_000 });
    await registerFleet(client, { start: 0, end: RECORDS, ttlMs: TTL_MS, withDomain: true });
    const read = (number: number) => {
      const agent = number * 7_919 % RECORDS;
      return client.resolveAgent(domainOf(agent % RECORDS_PER_GATEWAY === 0 ? agent + 1 : agent));
    };
    const alone = await whileReading(read, new Promise((end) => setTimeout(end, ALONE_MS)));
    const backup = `${folder}/backup`;
    const taken = await whileReading(read, crs("backup", backup, "--data", server.folder));
    await client.close();
    const verifyMs = await crs("backup", backup, "--verify");
    const restoreMs = await crs("restore", backup, "--found", "--data", `${folder}/data`);
    const bytes = [...Deno.readDirSync(backup)]
      .reduce((sum, { name }) => sum + Deno.statSync(`${backup}/${name}`).size, 0);
    const startMs = await started(`${folder}/data`);
    file.write({
      ...{ bench: "backup", records: RECORDS, partitions: PARTITIONS, bytes },
      backupSeconds: taken.result / 1_000,
      verifySeconds: verifyMs / 1_000,
      restoreSeconds: restoreMs / 1_000,
      startSeconds: startMs / 1_000,
      readP50MsAlone: milliseconds(alone.latencies.percentileUs(50)),
      readP99MsAlone: milliseconds(alone.latencies.percentileUs(99)),
      readP50MsBeside: milliseconds(taken.latencies.percentileUs(50)),
      readP99MsBeside: milliseconds(taken.latencies.percentileUs(99)),
    });
  } finally {
    await server.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Starts a node in a restored folder, and ends it. @returns the time until it serves, ms. */
async function started(data: string): Promise<number> {
  const startMs = performance.now();
  const server = await RegistryServer.start({ folder: data });
  const tookMs = performance.now() - startMs;
  if (readNodeFile(server.folder)?.nodeId !== 2) throw new Error("It is not the restored node");
  await server.stop();
  return tookMs;
}
