/**
 * What an idle client costs: thousands of sessions, each greeted, from processes of their own, and the growth of the node's resident memory. Beside it, in the same
 * run, what the runtime itself takes: bare QUIC connections, without a stream and with the one that
 * a session has.
 */
import { type ResultFile, ServerProcess } from "./harness.ts";
import { RegistryServer } from "./registry.ts";
import { settledBytes } from "./settled.ts";

const SESSIONS = 10_000;
const PROCESSES = 2;
/** The floor needs no more to be known. */
const FLOOR_SESSIONS = 2_000;
/** Sessions before anything is measured, so that code is compiled; they stay. */
const WARM_UP_SESSIONS = 500;
const CONNECTED_MS_MAX = 120_000;

function script(name: string, ...args: readonly (string | number)[]): Promise<ServerProcess> {
  const path = new URL(name, import.meta.url).pathname;
  return ServerProcess.start({
    args: ["run", "-A", "--no-check", path, ...args.map(String)],
    readyMsMax: CONNECTED_MS_MAX,
  });
}

/** Measures resident memory a session. */
export async function benchSessions(file: ResultFile): Promise<void> {
  const floor = [await floorBytes(0), await floorBytes(1)];
  const server = await RegistryServer.start();
  const loads: ServerProcess[] = [];
  try {
    loads.push(await script("session_load.ts", server.folder, WARM_UP_SESSIONS));
    const emptyBytes = await settledBytes(server.process);
    const startMs = performance.now();
    for (let process = 0; process < PROCESSES; process++) {
      loads.push(await script("session_load.ts", server.folder, SESSIONS / PROCESSES));
    }
    const connectSeconds = (performance.now() - startMs) / 1_000;
    const fullBytes = await settledBytes(server.process);
    file.write({
      bench: "sessions",
      sessions: await server.metric("crs_sessions") - WARM_UP_SESSIONS,
      emptyMiB: Math.round(emptyBytes / 2 ** 20),
      fullMiB: Math.round(fullBytes / 2 ** 20),
      bytesPerSession: Math.round((fullBytes - emptyBytes) / SESSIONS),
      bareConnectionBytes: floor[0]!,
      bareConnectionOneStreamBytes: floor[1]!,
      connectsPerSecond: Math.round(SESSIONS / connectSeconds),
    });
  } finally {
    await Promise.all(loads.map((load) => load.stop("SIGKILL")));
    await server.stop();
  }
}

/** Resident memory of a bare server for each connection with so many streams. */
async function floorBytes(streams: number): Promise<number> {
  const server = await script("session_floor.ts", "serve");
  const { port, cert } = JSON.parse(server.readyLine) as { port: number; cert: string };
  const path = Deno.makeTempFileSync({ suffix: ".pem" });
  const loads: ServerProcess[] = [];
  try {
    Deno.writeTextFileSync(path, cert);
    const open = async (count: number): Promise<void> => {
      loads.push(await script("session_floor.ts", "load", port, path, count, streams));
    };
    await open(WARM_UP_SESSIONS);
    const emptyBytes = await settledBytes(server);
    await open(FLOOR_SESSIONS);
    return Math.round((await settledBytes(server) - emptyBytes) / FLOOR_SESSIONS);
  } finally {
    await Promise.all(loads.map((load) => load.stop("SIGKILL")));
    await server.stop("SIGKILL");
    Deno.removeSync(path);
  }
}
