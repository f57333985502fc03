/**
 * Runs soaks: outages, attacks and rotations that take too long for the test suite.
 *
 *     deno task soak --minutes 10         hurts a cluster in every way at once, which is the soak `chaos`
 *     deno task soak <name> [arguments]
 *
 * Each prints its figures as one JSON line, which is stored in `bench/results/soak_<name>.ndjson`.
 * The exit code is 1 if a goal was missed.
 */
import { ResultFile } from "../../bench/harness.ts";
import type { Soak } from "./soak.ts";

/** Every soak by name, loaded only when it is run. */
const SOAKS: Readonly<Record<string, () => Promise<{ readonly run: Soak }>>> = {
  chaos: () => import("./chaos.ts"),
  cluster_faults: () => import("./cluster_faults.ts"),
  cluster_kills: () => import("./cluster_kills.ts"),
  follower_reads: () => import("./follower_reads.ts"),
  fresh_node: () => import("./fresh_node.ts"),
  go_clients: () => import("./go_clients.ts"),
  h3_connections: () => import("./h3_connections.ts"),
  herd: () => import("./herd.ts"),
  http_events: () => import("./http_events.ts"),
  idle_sessions: () => import("./idle_sessions.ts"),
  identity_rotation: () => import("./identity_rotation.ts"),
  idle: () => import("./idle.ts"),
  list_flood: () => import("./list_flood.ts"),
  never_read: () => import("./never_read.ts"),
  renewal_retries: () => import("./renewal_retries.ts"),
  anonymous: () => import("./anonymous.ts"),
  tls_anonymous: () => import("./tls_anonymous.ts"),
  truncations: () => import("./truncations.ts"),
  pause: () => import("./pause.ts"),
  session_memory: () => import("./session_memory.ts"),
  reshaping: () => import("./reshaping.ts"),
  stalled_write: () => import("./stalled_write.ts"),
  disk_full: () => import("./disk_full.ts"),
  watch: () => import("./watch.ts"),
};

const isNamed = Deno.args[0] !== undefined && !Deno.args[0].startsWith("--");
const [name = "", ...args] = isNamed ? Deno.args : ["chaos", ...Deno.args];
const load = SOAKS[name];
if (load === undefined) {
  console.error(`Unknown soak "${name}": known are ${Object.keys(SOAKS).join(", ")}`);
  Deno.exit(2);
}
const { run } = await load();
const { figures, holds } = await run(args);
new ResultFile(`soak_${name}`, new Date().toISOString()).write({ soak: name, ...figures, holds });
Deno.exit(holds ? 0 : 1);
