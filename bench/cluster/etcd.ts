/**
 * etcd with three members on ephemeral ports, with its default durability, and the load on it in a
 * Node process. For comparison in the same run.
 */
import { LineReader } from "./line_reader.ts";
import { until } from "./polling.ts";
import { freePorts } from "./ports.ts";
import type { EtcdOrder, EtcdResult } from "./etcd_load.ts";

/** The gRPC client of the load, installed for it alone. */
const GRPC_PACKAGE = "@grpc/grpc-js@1.14.7";
const GRPC_FOLDER = new URL("../../tmp/etcd_load", import.meta.url).pathname;
const LOAD = new URL("etcd_load.ts", import.meta.url).pathname;
/** A Node that runs TypeScript files as they are. */
const NODE = ["npx", "-y", "node@24"];
const MEMBERS = [1, 2, 3];
const READY_MS_MAX = 30_000;

/** Returns what is missing to compare with etcd, as one line; undefined if nothing is. */
export async function etcdMissing(): Promise<string | undefined> {
  if (!await runs(["etcd", "--version"])) {
    return "the program etcd is missing; Debian's package etcd-server brings it";
  }
  if (!await runs([...NODE, "--version"])) return "npx cannot run Node 24";
  return undefined;
}

async function runs([command = "", ...args]: readonly string[]): Promise<boolean> {
  try {
    const options = { args, stdin: "null", stdout: "null", stderr: "null" } as const;
    return (await new Deno.Command(command, options).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A running etcd with its load. */
export class Etcd {
  readonly #members: readonly Deno.ChildProcess[];
  readonly #load: Deno.ChildProcess;
  readonly #lines: LineReader;
  readonly #orders: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #folder: string;

  private constructor(
    members: readonly Deno.ChildProcess[],
    load: Deno.ChildProcess,
    folder: string,
  ) {
    this.#members = members;
    this.#load = load;
    this.#lines = new LineReader(load.stdout);
    this.#orders = load.stdin.getWriter();
    this.#folder = folder;
  }

  /** Starts the members, and writes `keys` keys with values of `valueBytes`. */
  static async start(keys: number, valueBytes: number): Promise<Etcd> {
    await installGrpc();
    const folder = await Deno.makeTempDir({ prefix: "crs-bench-" });
    const first = freePorts(2 * MEMBERS.length);
    const members = startMembers(folder, first);
    try {
      const clientPorts = MEMBERS.map((_, at) => first + at);
      for (const port of clientPorts) {
        await until("etcd is healthy", () => isHealthy(port), READY_MS_MAX);
      }
      const load = new Deno.Command(NODE[0]!, {
        args: [
          ...NODE.slice(1),
          "--no-warnings",
          LOAD,
          GRPC_FOLDER,
          clientPorts.join(),
          String(keys),
          String(valueBytes),
        ],
        stdin: "piped",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const etcd = new Etcd(members, load, folder);
      await etcd.#lines.next();
      return etcd;
    } catch (error) {
      await kill(members);
      await Deno.remove(folder, { recursive: true });
      throw error;
    }
  }

  /** Measures one operation. */
  async measure(order: EtcdOrder): Promise<EtcdResult> {
    await this.#orders.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
    return JSON.parse(await this.#lines.next()) as EtcdResult;
  }

  /** Ends all processes and removes the data. */
  async stop(): Promise<void> {
    // The load ends with its input; a signal would reach npx alone.
    await this.#orders.close();
    await this.#load.status;
    await kill(this.#members);
    await Deno.remove(this.#folder, { recursive: true });
  }
}

function startMembers(folder: string, first: number): Deno.ChildProcess[] {
  const clientUrl = (at: number) => `http://127.0.0.1:${first + at}`;
  const peerUrl = (at: number) => `http://127.0.0.1:${first + MEMBERS.length + at}`;
  const all = MEMBERS.map((member, at) => `m${member}=${peerUrl(at)}`).join();
  return MEMBERS.map((member, at) =>
    new Deno.Command("etcd", {
      args: [
        ...["--name", `m${member}`, "--data-dir", `${folder}/m${member}`],
        ...["--listen-client-urls", clientUrl(at), "--advertise-client-urls", clientUrl(at)],
        ...["--listen-peer-urls", peerUrl(at), "--initial-advertise-peer-urls", peerUrl(at)],
        ...["--initial-cluster", all, "--initial-cluster-token", folder],
        ...["--logger", "zap", "--log-level", "error"],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn()
  );
}

async function isHealthy(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/health`);
    return (await response.json() as { readonly health: string }).health === "true";
  } catch {
    // It does not listen yet.
    return false;
  }
}

async function installGrpc(): Promise<void> {
  await Deno.mkdir(GRPC_FOLDER, { recursive: true });
  const { success, stderr } = await new Deno.Command("npm", {
    args: ["install", "--prefix", GRPC_FOLDER, "--no-audit", "--no-fund", GRPC_PACKAGE],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

async function kill(processes: readonly Deno.ChildProcess[]): Promise<void> {
  for (const process of processes) {
    try {
      process.kill("SIGKILL");
    } catch (error) {
      // It has ended already.
      if (!(error instanceof TypeError)) throw error;
    }
  }
  await Promise.all(processes.map(({ status }) => status));
}
