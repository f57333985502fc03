/**
 * What an idle client costs: thousands of sessions, each greeted and with its request stream open,
 * from processes of their own, and the growth of the node's resident memory.
 */
import { type ResultFile, ServerProcess } from "./harness.ts";
import { RegistryServer } from "./registry.ts";
import { settledBytes } from "./settled.ts";

const SESSIONS = 10_000;
const PROCESSES = 2;
/** Sessions that come and go before anything is measured, so that code is compiled. */
const WARM_UP_SESSIONS = 500;
const CONNECTED_MS_MAX = 60_000;

async function openSessions(folder: string, count: number): Promise<ServerProcess> {
  return await ServerProcess.start({
    args: [
      "run",
      "-A",
      "--no-check",
      new URL("session_load.ts", import.meta.url).pathname,
      folder,
      String(count),
    ],
    readyMsMax: CONNECTED_MS_MAX,
  });
}

/** Measures resident memory a session. */
export async function benchSessions(file: ResultFile): Promise<void> {
  const server = await RegistryServer.start();
  const loads: ServerProcess[] = [];
  try {
    const warmUp = await openSessions(server.folder, WARM_UP_SESSIONS);
    await warmUp.stop();
    const emptyBytes = await settledBytes(server.process);
    const startMs = performance.now();
    for (let process = 0; process < PROCESSES; process++) {
      loads.push(await openSessions(server.folder, SESSIONS / PROCESSES));
    }
    const connectSeconds = (performance.now() - startMs) / 1_000;
    const fullBytes = await settledBytes(server.process);
    file.write({
      bench: "sessions",
      sessions: await server.metric("crs_sessions"),
      emptyMiB: Math.round(emptyBytes / 2 ** 20),
      fullMiB: Math.round(fullBytes / 2 ** 20),
      bytesPerSession: Math.round((fullBytes - emptyBytes) / SESSIONS),
      connectsPerSecond: Math.round(SESSIONS / connectSeconds),
    });
  } finally {
    await Promise.all(loads.map((load) => load.stop("SIGKILL")));
    await server.stop();
  }
}
