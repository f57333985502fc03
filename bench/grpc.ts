/**
 * Measures the gRPC face of a front beside a node: unary calls that ask the registry beside one that is
 * answered from memory, registrations of agents in the cluster beside a Redis that syncs each of them, and
 * the front's CPU time for the heartbeats of a fleet. The load runs by Node.
 */
import { FRONT_V8_FLAGS } from "../src/cli/child_command.ts";
import { toHex } from "../src/base/bytes.ts";
import { freePorts } from "./cluster/ports.ts";
import { until } from "./cluster/polling.ts";
import { cpuMs } from "./cluster/servers.ts";
import { field, type GrpcRate } from "./grpc_client.ts";
import type { GrpcCall, GrpcOrder, GrpcResult } from "./grpc_load.ts";
import { GrpcProcess, grpcProcessMissing, runs } from "./grpc_process.ts";
import { type ResultFile, ServerProcess } from "./harness.ts";
import { RegistryServer } from "./registry.ts";

const MAIN = new URL("../src/cli/main.ts", import.meta.url).pathname;
const LOAD = new URL("grpc_load.ts", import.meta.url);
const FLOOR = new URL("grpc_floor.ts", import.meta.url).pathname;
const AERO = "/aeroarc.registry.v1.AeroRegistry/";
const CHECK: GrpcCall = ["/grpc.health.v1.Health/Check", ""];
const RELAY = "r1";
/** For measurements without heartbeats. */
const LONG_LIVES = ["--relay-ttl", "1h", "--agent-ttl", "1h"];
/** The status of a heartbeat of one that is not alive any more. */
const NOT_FOUND = 5;
const AGENTS = 5_000;
/** The pace at which all agents are registered. */
const REGISTERED_PER_MS = 1;
const DEPTH = 64;
const ROUNDS = 5;
const SECONDS = 2;
/** The fleet's heartbeats: each agent once in that time, and for how long. */
const HEARTBEAT_MS = 10_000;
const HEARTBEAT_SECONDS = 60;
/** For how long calls are answered at that pace by a bare server. */
const FLOOR_SECONDS = 20;
const READY_MS_MAX = 60_000;

const text = (number: number, value: string) => field(number, new TextEncoder().encode(value));
const call = (
  method: string,
  ...fields: readonly Uint8Array[]
): GrpcCall => [AERO + method, fields.map(toHex).join("")];
const agents = Array.from({ length: AGENTS }, (_, number) => `agent-${number}`);
const registerRelay = call(
  "RegisterRelay",
  field(1, Uint8Array.from([...text(1, RELAY), ...text(2, "192.0.2.1")])),
);
const registrations = agents.map((agent) =>
  call("RegisterAgent", field(1, text(1, agent)), text(2, RELAY))
);
const heartbeats = agents.map((agent) => call("HeartbeatAgent", text(1, agent), text(3, RELAY)));
const placements = agents.map((agent) => call("GetAgentPlacement", text(1, agent)));

/** A front that serves gRPC, with its load. */
class GrpcFront {
  readonly process: ServerProcess;
  readonly #load: GrpcProcess<GrpcOrder, GrpcResult>;

  private constructor(process: ServerProcess, load: GrpcProcess<GrpcOrder, GrpcResult>) {
    this.process = process;
    this.#load = load;
  }

  /** Starts a front of the node with that data folder. */
  static async start(folder: string, flags: readonly string[] = []): Promise<GrpcFront> {
    const port = freePorts(1);
    const process = await ServerProcess.start({
      args: [
        ...["run", "-A", FRONT_V8_FLAGS, MAIN, "front", "--grpc", `127.0.0.1:${port}`],
        ...["--data", folder, "--json", ...flags],
      ],
    });
    await until("the front listens", () => listens(port), READY_MS_MAX);
    const front = new GrpcFront(process, await GrpcProcess.start(LOAD, [`${port}`]));
    await front.measure({ calls: [registerRelay], seconds: 0.001, depth: 1 });
    return front;
  }

  async measure(order: GrpcOrder): Promise<GrpcResult> {
    return await this.#load.measure(order);
  }

  /** Registers each agent once. */
  async registerAll(): Promise<void> {
    const everyMs = AGENTS / REGISTERED_PER_MS;
    const { failures } = await this.measure({
      calls: registrations,
      seconds: everyMs / 1_000,
      everyMs,
    });
    const codes = Object.keys(failures);
    if (codes.length > 0) throw new Error(`Registrations failed by status ${codes.join()}`);
  }

  async stop(): Promise<void> {
    await this.#load.stop();
    await this.process.stop("SIGKILL");
  }
}

async function listens(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}

/** Measures all of it. */
export async function benchGrpc(file: ResultFile): Promise<void> {
  const missing = await grpcProcessMissing();
  if (missing !== undefined) return console.log(`skipped: ${missing}`);
  const server = await RegistryServer.start();
  try {
    await withFront(server.folder, LONG_LIVES, async (front) => {
      await benchUnary(file, front);
      await benchRegistrations(file, front, server.folder);
    });
    // Here relays and agents live for the default time.
    await withFront(server.folder, [], (front) => benchHeartbeats(file, front));
  } finally {
    await server.stop();
  }
}

async function withFront(
  folder: string,
  flags: readonly string[],
  use: (front: GrpcFront) => Promise<void>,
): Promise<void> {
  const front = await GrpcFront.start(folder, flags);
  try {
    await use(front);
  } finally {
    await front.stop();
  }
}

/** Placements beside a call that needs no registry, in turns. */
async function benchUnary(file: ResultFile, front: GrpcFront): Promise<void> {
  await front.registerAll();
  for (const depth of [1, DEPTH]) {
    const asked: GrpcResult[] = [];
    const constant: GrpcResult[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      asked.push(await front.measure({ calls: placements, seconds: SECONDS, depth }));
      constant.push(await front.measure({ calls: [CHECK], seconds: SECONDS, depth }));
    }
    const of = (results: readonly GrpcResult[], key: keyof GrpcRate) =>
      median(results.map((result) => result[key]));
    file.write({
      bench: depth === 1 ? "grpc one placement" : "grpc placements",
      depth,
      agents: AGENTS,
      perSecond: of(asked, "perSecond"),
      p50Us: of(asked, "p50Us"),
      p99Us: of(asked, "p99Us"),
      constantPerSecond: of(constant, "perSecond"),
      constantP50Us: of(constant, "p50Us"),
      rateRatio: rounded(of(asked, "perSecond") / of(constant, "perSecond")),
    });
  }
}

/** Registrations beside those at a front whose relays are in Redis, in turns. */
async function benchRegistrations(
  file: ResultFile,
  front: GrpcFront,
  folder: string,
): Promise<void> {
  if (!await runs(["redis-server", "--version"])) {
    return console.log(
      "skipped: the program redis-server is missing; Debian's package redis-server brings it",
    );
  }
  const port = freePorts(1);
  const redisFolder = Deno.makeTempDirSync({ prefix: "crs-bench-" });
  const redis = new Deno.Command("redis-server", {
    args: [
      ...["--port", `${port}`, "--bind", "127.0.0.1", "--dir", redisFolder, "--save", ""],
      ...["--appendonly", "yes", "--appendfsync", "always"],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await until("Redis listens", () => listens(port), READY_MS_MAX);
    const flags = [...LONG_LIVES, "--relay-backend", `redis://127.0.0.1:${port}`];
    await withFront(folder, flags, async (other) => {
      const ours: number[] = [];
      const theirs: number[] = [];
      const order = { calls: registrations, seconds: SECONDS, depth: DEPTH };
      for (let round = 0; round < ROUNDS; round++) {
        ours.push((await front.measure(order)).perSecond);
        theirs.push((await other.measure(order)).perSecond);
      }
      file.write({
        bench: "grpc registrations",
        depth: DEPTH,
        perSecond: median(ours),
        redisPerSecond: median(theirs),
        rateRatio: rounded(median(ours) / median(theirs)),
      });
    });
  } finally {
    redis.kill("SIGKILL");
    await redis.status;
    await Deno.remove(redisFolder, { recursive: true });
  }
}

/** The heartbeats of a fleet and of its relay, at their own pace. */
async function benchHeartbeats(file: ResultFile, front: GrpcFront): Promise<void> {
  const renewRelay = call("HeartbeatRelay", text(1, RELAY));
  await front.registerAll();
  const [result, cpuPercent] = await cpuPercentOf(
    front.process.pid,
    HEARTBEAT_SECONDS,
    () =>
      front.measure({
        calls: [renewRelay, ...heartbeats],
        seconds: HEARTBEAT_SECONDS,
        everyMs: HEARTBEAT_MS,
      }),
  );
  const { perSecond, p50Us, p99Us, failures } = result;
  file.write({
    bench: "grpc heartbeats",
    agents: AGENTS,
    seconds: HEARTBEAT_SECONDS,
    perSecond,
    p50Us,
    p99Us,
    expired: failures[NOT_FOUND] ?? 0,
    failed: Object.values(failures).reduce((sum, count) => sum + count, 0),
    frontCpuPercent: cpuPercent,
    bareCpuPercent: await benchFloor(),
  });
}

/** Returns the CPU time of a bare server that gets calls at the pace of the heartbeats, % of a core. */
async function benchFloor(): Promise<number> {
  const server = await ServerProcess.start({ args: ["run", "-A", FRONT_V8_FLAGS, FLOOR] });
  const { port } = JSON.parse(server.readyLine) as { readonly port: number };
  const load = await GrpcProcess.start<GrpcOrder, GrpcResult>(LOAD, [`${port}`]);
  try {
    const calls = Array.from({ length: AGENTS }, () => CHECK);
    const order = { calls, seconds: FLOOR_SECONDS, everyMs: HEARTBEAT_MS };
    const [, cpuPercent] = await cpuPercentOf(server.pid, FLOOR_SECONDS, () => load.measure(order));
    return cpuPercent;
  } finally {
    await load.stop();
    await server.stop("SIGKILL");
  }
}

/** Returns a result and the CPU time that a process took meanwhile, % of a core. */
async function cpuPercentOf(
  pid: number,
  seconds: number,
  measure: () => Promise<GrpcResult>,
): Promise<[GrpcResult, number]> {
  const beforeMs = cpuMs(pid);
  const result = await measure();
  return [result, rounded((cpuMs(pid) - beforeMs) / (seconds * 10))];
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1]!;
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
