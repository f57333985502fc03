/** A cluster of three real nodes, run by `crs cluster start` in a temporary folder. */
import { CrsProcess, documentIn } from "./crs_process.ts";

/** What `crs cluster start --json` prints of a node. */
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

/** Ports that a cluster of up to nine nodes uses. */
const PORTS = 27;
/** Below the ports that Linux chooses itself. */
const FIRST_PORT = 12_000;
const PORT_RANGES = 700;

/** Returns the first of as many free ports in a row as a cluster needs. */
export function freePorts(): number {
  for (;;) {
    const first = FIRST_PORT + PORTS * Math.floor(Math.random() * PORT_RANGES);
    if (Array.from({ length: PORTS }, (_, at) => first + at).every(isFree)) return first;
  }
}

function isFree(port: number): boolean {
  try {
    Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port }).close();
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}

/** A folder for a cluster, and its ports, which stay the same over restarts. */
export class ThreeNodes {
  readonly folder: string;
  readonly port = freePorts();
  readonly #processes: CrsProcess[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Calls `use` with an empty folder; ends what was started in it. */
  static async run(use: (nodes: ThreeNodes) => Promise<void>): Promise<void> {
    const nodes = new ThreeNodes(await Deno.makeTempDir());
    try {
      await use(nodes);
    } finally {
      await nodes.end();
      await Deno.remove(nodes.folder, { recursive: true });
    }
  }

  /** Starts the cluster, anew or as its folder has it, and waits until its nodes serve. */
  async start(...flags: string[]): Promise<RunningCluster> {
    const process = this.process(
      "cluster",
      "start",
      ...["--data", this.folder, "--port", String(this.port), "--partitions", "16"],
      ...[...flags, "--json"],
    );
    const document = await process.printed(
      "a document",
      documentIn<Omit<RunningCluster, "process"> & { readonly error?: unknown }>,
    );
    if (document.error !== undefined) throw new Error(process.stderr);
    return { process, ...document };
  }

  /** Starts a command that ends with the test. */
  process(...args: string[]): CrsProcess {
    const process = new CrsProcess(args);
    this.#processes.push(process);
    return process;
  }

  /** Ends all processes, gracefully first: the nodes end with the command that started them. */
  async end(): Promise<void> {
    for (const process of this.#processes) process.kill("SIGTERM");
    await Promise.all(this.#processes.map((process) => process.ended()));
  }
}
