/**
 * The cluster under load: three nodes as `crs cluster start` runs them, and clients in this process
 * that use the SDK.
 */
import type { RingMap } from "../../src/ring/ring_map.ts";
import { RegistryError } from "../../src/base/errors.ts";
import { parseUuid } from "../../src/base/uuid.ts";
import { type Client, connect } from "../../src/client/mod.ts";
import { isUnknown } from "../../src/client/retry.ts";
import { nodeFolderOf } from "../../src/cli/local_nodes.ts";
import { readNodeFile } from "../../identity/files/node_file.ts";
import { LOCAL_NODES_MAX } from "../../src/base/limits.ts";
import { defined } from "../../src/base/assert.ts";
import { findTarget } from "../../src/cli/target.ts";
import { processWorld } from "../../src/node/process_world.ts";
import { keyOfId, KIND_AGENT } from "../../src/record/key.ts";
import { Partitioner } from "../../src/ring/partition.ts";
import { placementOf } from "../../src/ring/ring_map.ts";
import { registerFleet } from "../fleet.ts";
import { newDialer } from "../registry.ts";
import { LineReader } from "./line_reader.ts";
import { until } from "./polling.ts";
import { freePorts } from "./ports.ts";

/** Ticks of the CPU times in `/proc`, ms. */
const TICK_MS = 10;
const READY_MS_MAX = 60_000;
/** Time until leaderships are still and records are registered, with 8,192 partitions. */
const SETTLED_MS_MAX = 300_000;
/** Time without a change after which leaderships have stopped moving, ms. */
const STILL_MS = 5_000;

const MAIN = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const NODES = [1, 2, 3];
/** The lines with which the command tells that all nodes serve, and that all hold every partition. */
const SERVING = "Central registry";
const REPLICATED = "Try next";

/** A node of the cluster. */
export interface ServingNode {
  readonly nodeId: number;
  readonly processId: number;
  readonly ops: { readonly host: string; readonly port: number };
}

/** A running cluster of three nodes, each with a replica of every partition; of two once one was killed. */
export class ClusterServers {
  nodes: readonly ServingNode[];
  /** Time from the start of the command until all nodes are ready, ms. */
  readonly readyMs: number;
  /** Time until every partition is on all nodes, ms. */
  readonly replicatedMs: number;
  /** The folder of the cluster, in which commands and clients find it. */
  readonly folder: string;
  readonly #command: Deno.ChildProcess;
  readonly #dialer = newDialer();

  private constructor(
    command: Deno.ChildProcess,
    folder: string,
    times: { readonly readyMs: number; readonly replicatedMs: number },
  ) {
    this.#command = command;
    this.folder = folder;
    this.nodes = servingNodes(folder);
    this.readyMs = times.readyMs;
    this.replicatedMs = times.replicatedMs;
  }

  /** Starts a cluster by `crs cluster start` in a temporary folder. */
  static async start(partitions = 1_024, main = MAIN): Promise<ClusterServers> {
    const folder = await Deno.makeTempDir({ prefix: "crs-bench-" });
    const startMs = performance.now();
    const flags = ["--data", folder, "--port", String(freePorts(3 * LOCAL_NODES_MAX))];
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", main, "cluster", "start", ...flags, "--partitions", String(partitions)],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    try {
      const lines = new LineReader(command.stdout);
      await lines.nextWith(SERVING);
      await Promise.all(servingNodes(folder).map(untilReady));
      const readyMs = performance.now() - startMs;
      await lines.nextWith(REPLICATED);
      const replicatedMs = performance.now() - startMs;
      return new ClusterServers(command, folder, { readyMs, replicatedMs });
    } catch (error) {
      await end(command, folder);
      throw error;
    }
  }

  get nodeIds(): readonly number[] {
    return this.nodes.map(({ nodeId }) => nodeId);
  }

  /** Connects a client. */
  async connect(parameters: { readonly zone?: string } = {}): Promise<Client> {
    const { endpoints, trust } = findTarget({ data: this.folder }, {});
    const options = { timeoutMs: 20_000 };
    return await connect({
      ...{ endpoints, trust, dialer: this.#dialer, world: processWorld() },
      ...{ credentials: { kind: "development" }, options, ...parameters },
    });
  }

  /** Waits until leaderships have stopped moving; returns the leader of each agent's partition. */
  async leaders(client: Client): Promise<(id: string) => number> {
    let map = await client.ringMap();
    let sinceMs = performance.now();
    await until("leaderships that stay where they are", async () => {
      const next = await client.ringMap();
      if (leadersOf(next).join() !== leadersOf(map).join()) sinceMs = performance.now();
      map = next;
      return performance.now() - sinceMs > STILL_MS;
    }, SETTLED_MS_MAX);
    const partitioner = new Partitioner(map.hashKey, map.partitionCount);
    const leaders = leadersOf(map);
    return (id) => leaders[partitioner.partitionOfKey(keyOfId(KIND_AGENT, parseUuid(id)))]!;
  }

  /** Registers a fleet; again if a partition refused for now, as while its leadership moves. */
  async register(client: Client, records: number, ttlMs: number): Promise<void> {
    await until("all records are registered", async () => {
      try {
        await registerFleet(client, { start: 0, end: records, ttlMs });
        return true;
      } catch (error) {
        if (error instanceof RegistryError && isUnknown(error)) return false;
        throw error;
      }
    }, SETTLED_MS_MAX);
  }

  /** Returns the CPU time that each node has used since its start, ms. */
  cpuMs(): number[] {
    return this.nodes.map(({ processId }) => cpuMs(processId));
  }

  /** Kills the last node, which is none of the cluster's nodes here from then on. */
  kill(): void {
    const killed = defined(this.nodes.at(-1), "There is a node");
    this.nodes = this.nodes.slice(0, -1);
    Deno.kill(killed.processId, "SIGKILL");
  }

  async stop(): Promise<void> {
    await this.#dialer.close();
    await end(this.#command, this.folder);
  }
}

/** Ends the command, which ends its nodes, and removes their data. */
async function end(command: Deno.ChildProcess, folder: string): Promise<void> {
  command.kill("SIGTERM");
  await command.status;
  await Deno.remove(folder, { recursive: true });
}

function servingNodes(folder: string): ServingNode[] {
  return NODES.map((number) => {
    const file = readNodeFile(nodeFolderOf(folder, number));
    const { processId, ops } = defined(file, "A node that serves has written it");
    return { nodeId: number, processId, ops };
  });
}

function leadersOf(map: RingMap): number[] {
  return Array.from({ length: map.partitionCount }, (_, at) => placementOf(map, at).leader);
}

async function untilReady({ ops: { host, port } }: ServingNode): Promise<void> {
  await until("a node is ready", async () => {
    const response = await fetch(`http://${host}:${port}/readyz`);
    await response.body?.cancel();
    return response.ok;
  }, READY_MS_MAX);
}

/** Returns the CPU time that a process has used since its start, ms (Linux). */
export function cpuMs(processId: number): number {
  const stat = Deno.readTextFileSync(`/proc/${processId}/stat`);
  // The name in parentheses may contain spaces; user and system time are the fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
