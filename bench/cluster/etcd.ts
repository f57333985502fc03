/**
 * etcd with three members on ephemeral ports, with its default durability, and the load on it in a
 * Node process. For comparison in the same run.
 */
import { GrpcProcess, grpcProcessMissing, runs } from "../grpc_process.ts";
import { until } from "./polling.ts";
import { freePorts } from "./ports.ts";
import type { EtcdOrder, EtcdResult } from "./etcd_load.ts";

const LOAD = new URL("etcd_load.ts", import.meta.url);
const MEMBERS = [1, 2, 3];
const READY_MS_MAX = 30_000;

/** Returns what is missing to compare with etcd, as one line; undefined if nothing is. */
export async function etcdMissing(): Promise<string | undefined> {
  if (!await runs(["etcd", "--version"])) {
    return "the program etcd is missing; Debian's package etcd-server brings it";
  }
  return await grpcProcessMissing();
}

/** A running etcd with its load. */
export class Etcd {
  readonly #members: readonly Deno.ChildProcess[];
  readonly #load: GrpcProcess<EtcdOrder, EtcdResult>;
  readonly #folder: string;

  private constructor(
    members: readonly Deno.ChildProcess[],
    load: GrpcProcess<EtcdOrder, EtcdResult>,
    folder: string,
  ) {
    this.#members = members;
    this.#load = load;
    this.#folder = folder;
  }

  /** Starts the members, and writes `keys` keys with values of `valueBytes`. */
  static async start(keys: number, valueBytes: number): Promise<Etcd> {
    const folder = await Deno.makeTempDir({ prefix: "crs-bench-" });
    const first = freePorts(2 * MEMBERS.length);
    const members = startMembers(folder, first);
    try {
      const clientPorts = MEMBERS.map((_, at) => first + at);
      for (const port of clientPorts) {
        await until("etcd is healthy", () => isHealthy(port), READY_MS_MAX);
      }
      const load = await GrpcProcess.start<EtcdOrder, EtcdResult>(
        LOAD,
        [clientPorts.join(), String(keys), String(valueBytes)],
      );
      return new Etcd(members, load, folder);
    } catch (error) {
      await kill(members);
      await Deno.remove(folder, { recursive: true });
      throw error;
    }
  }

  /** Measures one operation. */
  async measure(order: EtcdOrder): Promise<EtcdResult> {
    return await this.#load.measure(order);
  }

  /** Ends all processes and removes the data. */
  async stop(): Promise<void> {
    await this.#load.stop();
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
