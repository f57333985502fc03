/**
 * One client with 1,000 leases and no server: measures the rate of its renewal attempts after 10 s,
 * their cost, and whether every lease is still held when the node is back.
 *
 *     deno task soak renewal_retries [seconds]
 */
import process from "node:process";
import { connect, processWorld, QuicDialer, trustOfDataFolder } from "../../mod.ts";
import { guardRejections } from "../../transport/guard.ts";
import { startCrs } from "../support/crs_process.ts";
import { until } from "../support/until.ts";
import type { Soak } from "./soak.ts";

const LEASES = 1_000;
/** Time in which the back-off grows. */
const SETTLE_MS = 10_000;
const SECONDS_DEFAULT = 60;
/** Goal: rounds per second. */
const ROUNDS_GOAL = 1;
const BACK_MS_MAX = 60_000;

export const run: Soak = async ([seconds = String(SECONDS_DEFAULT)]) => {
  const folder = await Deno.makeTempDir({ prefix: "crs-soak-" });
  const first = await startCrs(folder);
  const { port } = first.node.addresses[0]!;
  const guard = guardRejections(globalThis, () => {});
  const world = processWorld();
  const dialer = new QuicDialer({ scheduler: world.scheduler, onError: () => {} });
  const counts = { failed: 0, renewed: 0, lost: 0, expired: 0 };
  let attempts = 0;
  const client = await connect({
    endpoints: [{ host: "127.0.0.1", port }],
    dialer,
    trust: trustOfDataFolder(folder),
    world,
    options: { onConnection: ({ kind }) => void (kind === "attempt_failed" && attempts++) },
  });
  const outcomes = await client.keepMany(
    Array.from({ length: LEASES }, (_, index) => ({
      kind: "gateway" as const,
      gateway: {
        id: crypto.randomUUID(),
        region: "global",
        address: "192.0.2.1",
        port: index + 1,
      },
    })),
    {
      onEvent: ({ kind }) => {
        if (kind === "renewal_failed") counts.failed++;
        else if (kind === "renewed") counts.renewed++;
        else if (kind === "expired") counts.expired++;
        else if (kind === "ended") counts.lost++;
      },
    },
  );
  const kept = outcomes.filter(({ lease }) => lease !== undefined).length;
  first.process.kill("SIGKILL");
  await first.process.ended();
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

  counts.failed = 0;
  attempts = 0;
  const before = process.cpuUsage();
  const startMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1_000));
  const elapsedS = (performance.now() - startMs) / 1_000;
  const { user, system } = process.cpuUsage(before);
  const perSecond = (count: number) => Number((count / elapsedS).toFixed(3));
  const outage = {
    roundsPerSecond: perSecond(counts.failed / LEASES),
    idsPerSecond: perSecond(counts.failed),
    connectionAttemptsPerSecond: perSecond(attempts),
    clientCpuPercent: Number(((user + system) / 10_000 / elapsedS).toFixed(2)),
  };

  counts.renewed = 0;
  const second = await startCrs(folder, { flags: ["--port", String(port)] });
  const backMs = performance.now();
  await until("every lease is renewed", () => counts.renewed >= LEASES, BACK_MS_MAX);
  const renewedAgainMs = Math.round(performance.now() - backMs);
  const { lost, expired } = counts;
  await client.close();
  await dialer.close();
  guard.remove();
  second.process.kill("SIGTERM");
  await second.process.ended();
  await Deno.remove(folder, { recursive: true });
  return {
    figures: {
      leases: kept,
      elapsedS: Math.round(elapsedS),
      ...outage,
      renewedAgainMs,
      lost,
      expired,
    },
    holds: kept === LEASES && outage.roundsPerSecond <= ROUNDS_GOAL && lost === 0 && expired === 0,
  };
};
