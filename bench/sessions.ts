/**
 * Measures the memory of idle clients: thousands of sessions past their handshake, from separate
 * processes, and the growth of the node's resident memory. Measures in the same run the share of
 * the runtime itself: bare QUIC connections, without a stream and with the one stream that a
 * session has.
 */
import { type ResultFile, ServerProcess } from "./harness.ts";
import { RegistryServer } from "./registry.ts";
import { settledBytes } from "./settled.ts";

const SESSIONS = 10_000;
const PROCESSES = 2;
/** Sessions opened before the first measurement, so that code is compiled; they stay open. */
const WARM_UP_SESSIONS = 500;
const CONNECTED_MS_MAX = 120_000;

function script(name: string, ...args: readonly (string | number)[]): Promise<ServerProcess> {
  const path = new URL(name, import.meta.url).pathname;
  return ServerProcess.start({
    args: ["run", "-A", "--no-check", path, ...args.map(String)],
    readyMsMax: CONNECTED_MS_MAX,
  });
}

/** Figures of {@link measureSessions}. */
export interface SessionFigures {
  readonly sessions: number;
  readonly emptyMiB: number;
  readonly fullMiB: number;
  readonly bytesPerSession: number;
  readonly bareConnectionBytes: number;
  readonly bareConnectionOneStreamBytes: number;
  readonly connectsPerSecond: number;
}

/** Measures the resident memory per session. */
export async function benchSessions(file: ResultFile): Promise<void> {
  file.write({ bench: "sessions", ...await measureSessions(SESSIONS) });
}

/** Measures idle sessions, and as many bare connections, one server after the other. */
export async function measureSessions(sessions: number): Promise<SessionFigures> {
  const bareConnectionBytes = await floorBytes(0, sessions);
  const bareConnectionOneStreamBytes = await floorBytes(1, sessions);
  const server = await RegistryServer.start();
  const loads: ServerProcess[] = [];
  try {
    loads.push(await script("session_load.ts", server.folder, WARM_UP_SESSIONS));
    const emptyBytes = await settledBytes(server.process);
    const startMs = performance.now();
    for (let process = 0; process < PROCESSES; process++) {
      loads.push(await script("session_load.ts", server.folder, sessions / PROCESSES));
    }
    const connectSeconds = (performance.now() - startMs) / 1_000;
    const fullBytes = await settledBytes(server.process);
    return {
      sessions: await server.metric("crs_sessions") - WARM_UP_SESSIONS,
      emptyMiB: Math.round(emptyBytes / 2 ** 20),
      fullMiB: Math.round(fullBytes / 2 ** 20),
      bytesPerSession: Math.round((fullBytes - emptyBytes) / sessions),
      bareConnectionBytes,
      bareConnectionOneStreamBytes,
      connectsPerSecond: Math.round(sessions / connectSeconds),
    };
  } finally {
    await Promise.all(loads.map((load) => load.stop("SIGKILL")));
    await server.stop();
  }
}

/** Returns the resident memory of a bare server per connection with `streams` streams. */
async function floorBytes(streams: number, connections: number): Promise<number> {
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
    await open(connections);
    return Math.round((await settledBytes(server) - emptyBytes) / connections);
  } finally {
    await Promise.all(loads.map((load) => load.stop("SIGKILL")));
    await server.stop("SIGKILL");
    Deno.removeSync(path);
  }
}
