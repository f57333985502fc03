/**
 * Runs the benches and prints their tables. Load and server are separate processes; results go to
 * `bench/results/<name>.ndjson`.
 *
 *     deno task bench              runs all benches
 *     deno task bench <name …>     runs those named in BENCHES or GROUPS
 *     deno task bench table        prints the tables of the stored results
 */
import { type Machine, machineSentence, ResultFile } from "./harness.ts";
import { benchAuthority } from "./authority.ts";
import { benchBackup } from "./backup.ts";
import { benchClusterFollowers, benchClusterFollowersMost } from "./cluster/followers.ts";
import { benchClusterFailover } from "./cluster/failover.ts";
import { benchClusterIdle, benchClusterIdleMost } from "./cluster/idle.ts";
import { benchClusterLoad } from "./cluster/load.ts";
import { benchClusterWatches } from "./cluster/watches.ts";
import { benchGrpc } from "./grpc.ts";
import { benchHandshake } from "./handshake.ts";
import { benchHttp } from "./http.ts";
import { benchHttpReaders } from "./http_readers.ts";
import { benchIdentity } from "./identity.ts";
import { benchAliases, benchMemory, benchRestart } from "./memory.ts";
import { benchReads } from "./reads.ts";
import { benchRegions } from "./regions.ts";
import { benchRenew } from "./renew.ts";
import { benchSessions } from "./sessions.ts";
import { benchStart } from "./start.ts";
import { type Line, tables } from "./tables.ts";
import { benchWatchDomains, benchWatchEverything } from "./watch.ts";
import { benchWrites } from "./writes.ts";

const BENCHES: Readonly<Record<string, (file: ResultFile) => Promise<void>>> = {
  start: benchStart,
  reads: benchReads,
  writes: benchWrites,
  renew: benchRenew,
  sessions: benchSessions,
  memory: benchMemory,
  restart: benchRestart,
  aliases: benchAliases,
  identity: benchIdentity,
  authority: benchAuthority,
  handshake: benchHandshake,
  cluster_load: benchClusterLoad,
  cluster_idle: benchClusterIdle,
  cluster_idle_most: benchClusterIdleMost,
  cluster_failover: benchClusterFailover,
  followers: benchClusterFollowers,
  followers_most: benchClusterFollowersMost,
  watch_everything: benchWatchEverything,
  watch_domains: benchWatchDomains,
  watch_cluster: benchClusterWatches,
  regions: benchRegions,
  backup: benchBackup,
  http: benchHttp,
  http_readers: benchHttpReaders,
  grpc: benchGrpc,
};
/** Benches that are run together. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  cluster: ["cluster_load", "cluster_idle", "cluster_failover"],
  watch: ["watch_everything", "watch_domains", "watch_cluster"],
};

/** Returns the stored results, those of the newest machine last. */
function readResults(): { machine: Machine; lines: Line[] } | undefined {
  const lines: Line[] = [];
  let machine: Machine | undefined;
  for (const name of Object.keys(BENCHES)) {
    let text: string;
    try {
      text = Deno.readTextFileSync(new URL(`results/${name}.ndjson`, import.meta.url));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue;
      throw error;
    }
    const [head, ...rest] = text.trimEnd().split("\n").map((line) => JSON.parse(line));
    machine = head.machine;
    lines.push(...rest);
  }
  return machine === undefined ? undefined : { machine, lines };
}

if (import.meta.main) {
  const names = Deno.args.length > 0
    ? Deno.args.flatMap((name) => GROUPS[name] ?? [name])
    : Object.keys(BENCHES);
  const date = new Date().toISOString();
  for (const name of names) {
    if (name === "table") continue;
    const bench = BENCHES[name];
    if (bench === undefined) {
      console.error(`No bench is called ${name}: known are ${Object.keys(BENCHES).join(", ")}`);
      Deno.exit(2);
    }
    await bench(new ResultFile(name, date));
  }
  const results = readResults();
  if (results !== undefined) {
    console.log(`\n${machineSentence(results.machine)}\n\n${tables(results.lines)}`);
  }
  Deno.exit(0);
}
