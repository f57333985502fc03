/** A cluster of three real nodes, run by `crs cluster start` in a temporary folder. */
import {
  type ClusterSettings,
  clusterSettings,
  type LocalNode,
  nodeFlags,
} from "../../src/cli/cluster/settings.ts";
import { defined } from "../../src/base/assert.ts";
import { LOCAL_NODES_MAX } from "../../src/base/limits.ts";
import { nodeFolderOf } from "../../src/cli/local_nodes.ts";
import { readNodeFile } from "../../identity/files/node_file.ts";
import { formatPin } from "../../identity/pki/certificate.ts";
import { crsInProcess } from "./crs_in_process.ts";
import { type CrsOptions, CrsProcess, documentIn, type StartedNode } from "./crs_process.ts";
import { UdpRelay } from "./udp_relay.ts";
import { until } from "./until.ts";
import { freePorts, isFree } from "../../bench/cluster/ports.ts";

/** The document that `crs cluster start --json` prints for a node. */
export interface ClusterNode {
  readonly name: string;
  readonly nodeId: number;
  readonly processId: number;
  readonly zone: string;
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly peerPort: number;
  readonly ops: { readonly host: string; readonly port: number };
  readonly pin: string;
  readonly dataFolder: string;
}

/** A running cluster. */
export interface RunningCluster {
  readonly process: CrsProcess;
  readonly clusterId: string;
  readonly nodes: readonly ClusterNode[];
}

/**
 * Ports of a cluster: three for each of up to nine nodes. The last three are those of nodes behind
 * relays, as there are three nodes here.
 */
const PORTS = 27;
const WHOLE_MS_MAX = 30_000;
const STOP_MS_MAX = 15_000;
const STATUS_PAUSE_MS = 200;

/** Returns the first of as many free ports in a row as a cluster needs. */
export function freeClusterPorts(): number {
  return freePorts(PORTS);
}

/** Part of the document that `crs cluster status --json` prints. */
interface ClusterShown {
  readonly partitionCount: number;
  readonly partitions: {
    readonly withoutLeader: number;
    readonly underReplicated: number;
    readonly moving: number;
  };
  readonly group0: { readonly leader: number; readonly voters: readonly number[] };
  readonly nodes: readonly {
    readonly nodeId: number;
    readonly replicas: number | null;
    readonly leading: number | null;
  }[];
}

/** Reports whether nothing moves, and every group has a leader and the replicas that it should have. */
function isAtRest({ partitions, group0 }: ClusterShown): boolean {
  const { withoutLeader, underReplicated, moving } = partitions;
  return withoutLeader + underReplicated + moving === 0 && group0.leader !== 0 &&
    group0.voters.length >= 3;
}

function isWholeBy(shown: ClusterShown): boolean {
  const { partitionCount, nodes } = shown;
  return isAtRest(shown) && nodes.length === 3 &&
    nodes.every(({ replicas }) => replicas === partitionCount);
}

/** Reports whether a process has ended. */
export function hasEnded(processId: number): boolean {
  try {
    Deno.kill(processId, "SIGCONT");
    return false;
  } catch {
    return true;
  }
}

/** A folder for a cluster, and its ports, which stay the same over restarts. */
export class ThreeNodes {
  readonly folder: string;
  readonly port = freeClusterPorts();
  /** The source of the program that starts from now on; undefined: this one. */
  source: string | undefined;
  readonly #processes: CrsProcess[] = [];
  readonly #relays = new Map<number, UdpRelay>();
  readonly #partitions: string;

  private constructor(folder: string, partitions: number) {
    this.folder = folder;
    this.#partitions = String(partitions);
  }

  /** Returns a cluster in an empty folder, not started; {@link end} must follow. */
  static async open(partitions = 16): Promise<ThreeNodes> {
    return new ThreeNodes(await Deno.makeTempDir(), partitions);
  }

  /** Calls `use` with a cluster in an empty folder, and then ends it. */
  static async run(
    use: (nodes: ThreeNodes) => Promise<void>,
    partitions = 16,
  ): Promise<void> {
    const nodes = await ThreeNodes.open(partitions);
    try {
      await use(nodes);
    } finally {
      await nodes.end();
    }
  }

  /** Starts the cluster, new or from its folder, and waits until its nodes serve. */
  async start(...flags: string[]): Promise<RunningCluster> {
    const process = this.process([
      ...["cluster", "start", "--data", this.folder, "--port", String(this.port)],
      ...["--partitions", this.#partitions, ...flags, "--json"],
    ]);
    const document = await process.printed(
      "a document",
      documentIn<Omit<RunningCluster, "process"> & { readonly error?: unknown }>,
    );
    if (document.error !== undefined) throw new Error(process.stderr);
    return { process, ...document };
  }

  /** Restarts one node of the cluster, which has ended, and waits until it serves. */
  async restart(
    number: number,
    flags: readonly string[] = [],
    options: CrsOptions = {},
  ): Promise<StartedNode> {
    const local = this.#local(number);
    const { peerPort } = local;
    const behind = String(this.#portBehindRelay(number));
    const relayed = this.#relays.has(number)
      ? ["--peer-port", behind, "--advertise-peer-port", String(peerPort)]
      : [];
    const process = this.process(
      ["start", ...nodeFlags(local, this.#settings), ...relayed, ...flags, "--json"],
      options,
    );
    return await process.printed("a document", documentIn<StartedNode>);
  }

  /**
   * Returns the relay through which nodes with lower numbers reach a node. It listens on that node's
   * port for other nodes, so the node must have ended at the first call; it is behind the relay from
   * its next restart on.
   */
  relayTo(number: number): UdpRelay {
    let relay = this.#relays.get(number);
    if (relay === undefined) {
      relay = new UdpRelay(this.#portBehindRelay(number), this.#local(number).peerPort);
      this.#relays.set(number, relay);
    }
    return relay;
  }

  /** Kills a node that serves by SIGKILL, and waits until its ports are free. */
  async kill(number: number): Promise<void> {
    this.signal(number, "SIGKILL");
    const { port, peerPort } = this.#local(number);
    const bound = this.#relays.has(number) ? this.#portBehindRelay(number) : peerPort;
    await until(`the end of node ${number}`, () => isFree(port) && isFree(bound));
  }

  /** Stops a node that serves by SIGTERM, and waits until its process has ended. */
  async stop(number: number): Promise<void> {
    const processId = this.processIdOf(number);
    Deno.kill(processId, "SIGTERM");
    await until(`the end of node ${number}`, () => hasEnded(processId), STOP_MS_MAX);
  }

  /** Returns the flags with which a node that has no data joins by the first node. */
  joinFlags(): string[] {
    const file = defined(readNodeFile(nodeFolderOf(this.folder, 1)), "The first node serves");
    return ["--join", `127.0.0.1:${this.port}`, "--pin", formatPin(file.currentPin)];
  }

  /** Starts one more node, in an empty folder, which joins, and waits until it serves. */
  async join(zone: string, ...flags: string[]): Promise<StartedNode> {
    const joining = this.process([
      ...[
        "start",
        "--data",
        `${this.folder}/joined`,
        "--zone",
        zone,
        ...this.joinFlags(),
        ...flags,
      ],
      ...["--port", "0", "--ops-port", "0", "--peer-port", "0", "--partitions", this.#partitions],
      ...["--node-ca", `${this.folder}/node-ca`, "--json"],
    ]);
    return await joining.printed("a document", documentIn<StartedNode>);
  }

  /** Returns the metrics of a node. */
  async metrics(number: number): Promise<string> {
    const { opsPort } = this.#local(number);
    return await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
  }

  /** Returns what a node says about its readiness. */
  async readiness(number: number): Promise<string> {
    return await (await this.#readyz(number)).text();
  }

  /** Reports whether a node says that it is ready. */
  async isReady(number: number): Promise<boolean> {
    const reply = await this.#readyz(number);
    await reply.body?.cancel();
    return reply.ok;
  }

  async #readyz(number: number): Promise<Response> {
    const { opsPort } = this.#local(number);
    return await fetch(`http://127.0.0.1:${opsPort}/readyz`);
  }

  /** Sends a signal to a node that serves. */
  signal(number: number, signal: Deno.Signal): void {
    Deno.kill(this.processIdOf(number), signal);
  }

  /** Returns the process id of a node that serves. */
  processIdOf(number: number): number {
    const file = readNodeFile(nodeFolderOf(this.folder, number));
    return defined(file, "A node that serves has written it").processId;
  }

  /**
   * Waits until, as reported by all nodes, every partition has a leader and a replica on each of
   * three nodes. Returns the node that leads group 0.
   */
  async whole(): Promise<number> {
    return await this.#shownAs("three replicas of each partition", isWholeBy);
  }

  /**
   * Waits until nothing moves and each of `nodes` nodes holds partitions and leads some of them. Returns
   * the node that leads group 0.
   */
  async spread(nodes = 3): Promise<number> {
    return await this.#shownAs(`leaders on ${nodes} nodes`, (shown) => {
      return isAtRest(shown) && shown.nodes.length === nodes &&
        shown.nodes.every(({ replicas, leading }) => (replicas ?? 0) > 0 && (leading ?? 0) > 0);
    });
  }

  async #shownAs(what: string, isAs: (shown: ClusterShown) => boolean): Promise<number> {
    let last = "";
    try {
      await until(what, async () => {
        const status = ["cluster", "status", "--data", this.folder, "--json"];
        const { code, stdout } = await crsInProcess(status);
        last = stdout;
        if (code === 0 && isAs(JSON.parse(stdout) as ClusterShown)) return true;
        // Asking costs all nodes time.
        await new Promise((resolve) => setTimeout(resolve, STATUS_PAUSE_MS));
        return false;
      }, WHOLE_MS_MAX);
    } catch (error) {
      throw new Error(last, { cause: error });
    }
    return (JSON.parse(last) as ClusterShown).group0.leader;
  }

  get #settings(): ClusterSettings {
    // A cluster may be started with more nodes than three.
    const nodes = String(LOCAL_NODES_MAX);
    const { folder: data, port } = this;
    return clusterSettings({ data, port: String(port), nodes, partitions: this.#partitions });
  }

  #portBehindRelay(number: number): number {
    return this.port + PORTS - number;
  }

  #local(number: number): LocalNode {
    return defined(this.#settings.nodes[number - 1], "There are nodes up to this number");
  }

  /** Starts a command that ends with the test. */
  process(args: readonly string[], options: CrsOptions = {}): CrsProcess {
    const { source } = this;
    const process = new CrsProcess(args, {
      ...(source === undefined ? {} : { source }),
      ...options,
    });
    this.#processes.push(process);
    return process;
  }

  /** Ends all processes, nodes with the command that started them, and removes the folder. */
  async end(): Promise<void> {
    for (const process of this.#processes) process.kill("SIGTERM");
    await Promise.all(this.#processes.map((process) => process.ended()));
    for (const relay of this.#relays.values()) relay.close();
    await Deno.remove(this.folder, { recursive: true });
  }
}
