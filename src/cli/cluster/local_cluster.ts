/**
 * The nodes of a development cluster, each a process of its own with a folder of its own.
 *
 * The first node of a new cluster founds it, and the others join it. Nodes whose folders belong to
 * the cluster already return to it, all at the same time, because none of them can serve alone. A
 * folder that was emptied joins as a new node: a second cluster is never founded beside members. The
 * folder of a node that was removed from the cluster is left alone.
 */
import { defined } from "../../base/assert.ts";
import { RegistryError } from "../../base/errors.ts";
import { readNodeFile } from "../../../identity/files/node_file.ts";
import { formatPin } from "../../../identity/pki/certificate.ts";
import { readClusterFile } from "../../node/cluster_file.ts";
import {
  LocalProcesses,
  type LocalProcessEvents,
  type StartedProcess,
} from "../local_processes.ts";
import type { Terminal } from "../terminal.ts";
import { type ClusterSettings, type LocalNode, nodeFlags } from "./settings.ts";

/** A node that serves. */
export interface NodeProcessState extends StartedProcess {
  readonly node: LocalNode;
  /** The pin of its certificate, as text. */
  readonly pin: string;
}

/** The nodes of a development cluster. */
export class LocalCluster {
  readonly #settings: ClusterSettings;
  readonly #processes: LocalProcesses<LocalNode>;

  constructor(
    settings: ClusterSettings,
    terminal: Pick<Terminal, "environment">,
    events: LocalProcessEvents<LocalNode>,
  ) {
    this.#settings = settings;
    this.#processes = new LocalProcesses(terminal, events);
  }

  /** Resolves when the last node has ended by itself. */
  get allEnded(): Promise<void> {
    return this.#processes.allEnded;
  }

  /**
   * Starts all nodes and waits until they serve.
   *
   * @throws RegistryError the error of the first node that does not start; the others are stopped.
   */
  async start(): Promise<readonly NodeProcessState[]> {
    const nodes = this.#settings.nodes.filter((node) => !wasRemoved(node));
    const members = nodes.filter(isMember);
    const hasRemoved = nodes.length < this.#settings.nodes.length;
    if (members.length === 0 && hasRemoved) throw allRemoved();
    try {
      const first = members.length === 0 ? [defined(nodes[0], "There is a node")] : members;
      const running = await Promise.all(first.map((node) => this.#startNode(node, ["--found"])));
      const joiners = nodes.filter((node) => !first.includes(node));
      const { node: { port }, pin } = defined(running[0], "A node was started");
      const join = ["--join", `127.0.0.1:${port}`, "--pin", pin];
      // In a new cluster each node gets the number of its folder; an emptied folder gets the next one.
      const numbered = (node: LocalNode) =>
        members.length === 0 ? [...join, "--node-id", String(nodes.indexOf(node) + 1)] : join;
      running.push(
        ...await Promise.all(joiners.map((node) => this.#startNode(node, numbered(node)))),
      );
      return running.sort((left, right) => left.node.port - right.node.port);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Stops the nodes that still run, at the same time; each finishes its requests. */
  async stop(): Promise<void> {
    await this.#processes.stop();
  }

  async #startNode(node: LocalNode, flags: readonly string[]): Promise<NodeProcessState> {
    const own = nodeFlags(node, this.#settings);
    const { logLevel } = this.#settings;
    const started = await this.#processes.start(node, [...own, "--log-level", logLevel, ...flags]);
    const { currentPin } = defined(readNodeFile(node.folder), "A node that serves has written it");
    return { node, ...started, pin: formatPin(currentPin) };
  }
}

/** Reports whether a node's folder belongs to a cluster. @throws RegistryError `corrupt`. */
function isMember({ folder }: LocalNode): boolean {
  return readClusterFile(folder)?.membership !== undefined;
}

/** Reports whether a folder is that of a node that was removed from its cluster. @throws as {@link isMember}. */
export function wasRemoved({ folder }: LocalNode): boolean {
  return readClusterFile(folder)?.membership?.isRemoved === true;
}

function allRemoved(): RegistryError {
  return new RegistryError(
    "invalid_configuration",
    "At least one folder must be that of a member: those that belonged to the cluster are of nodes that " +
      "were removed from it. Start more nodes with --nodes, or another cluster with --data",
    { field: "nodes" },
  );
}
