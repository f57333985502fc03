/**
 * The nodes of a development cluster, each a process of its own with a folder of its own.
 *
 * The first node of a new cluster founds it, and the others join it. Nodes whose folders belong to
 * the cluster already return to it, all at the same time, because none of them can serve alone. A
 * folder that was emptied joins as a new node: a second cluster is never founded beside members.
 */
import { defined } from "../../base/assert.ts";
import { RegistryError } from "../../base/errors.ts";
import { readNodeFile } from "../../../identity/files/node_file.ts";
import { formatPin } from "../../../identity/pki/certificate.ts";
import { readClusterFile } from "../../node/cluster_file.ts";
import type { Endpoint } from "../../../transport/transport.ts";
import { type ChildEnd, ChildNode } from "../child_node.ts";
import type { Terminal } from "../terminal.ts";
import { type ClusterSettings, type LocalNode, nodeFlags } from "./settings.ts";

/** The document that a node prints at its start. */
export interface StartedDocument {
  readonly nodeId: number;
  readonly clusterId: string;
  readonly addresses: readonly Endpoint[];
  readonly ops: Endpoint;
  readonly created: boolean;
}

/** A node that serves. */
export interface NodeProcessState {
  readonly node: LocalNode;
  readonly processId: number;
  readonly started: StartedDocument;
  /** The pin of its certificate, as text. */
  readonly pin: string;
}

/** The reports of a cluster's nodes. */
export interface LocalClusterEvents {
  /** Called with a line of a node's log. */
  readonly onLine: (node: LocalNode, line: string) => void;
  /** Called when a node that served has ended although it was not told to stop. */
  readonly onDeath: (node: LocalNode, end: ChildEnd & { readonly processId: number }) => void;
}

/** The nodes of a development cluster. */
export class LocalCluster {
  readonly #settings: ClusterSettings;
  readonly #environment: Terminal["environment"];
  readonly #events: LocalClusterEvents;
  readonly #children = new Map<LocalNode, ChildNode>();
  readonly #allEnded = Promise.withResolvers<void>();
  #isStopping = false;

  constructor(
    settings: ClusterSettings,
    { environment }: Pick<Terminal, "environment">,
    events: LocalClusterEvents,
  ) {
    this.#settings = settings;
    this.#environment = environment;
    this.#events = events;
  }

  /** Resolves when the last node has ended by itself. */
  get allEnded(): Promise<void> {
    return this.#allEnded.promise;
  }

  /**
   * Starts all nodes and waits until they serve.
   *
   * @throws RegistryError the error of the first node that does not start; the others are stopped.
   */
  async start(): Promise<readonly NodeProcessState[]> {
    const { nodes } = this.#settings;
    const members = nodes.filter(isMember);
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
    this.#isStopping = true;
    await Promise.all(Array.from(this.#children.values(), (child) => child.stop()));
  }

  async #startNode(node: LocalNode, flags: readonly string[]): Promise<NodeProcessState> {
    if (this.#isStopping) throw new RegistryError("shutting_down", "The cluster is stopping");
    const { logLevel } = this.#settings;
    const child = new ChildNode({
      name: node.name,
      flags: [...nodeFlags(node, this.#settings), "--log-level", logLevel, ...flags],
      environment: this.#environment,
      onLine: (line) => this.#events.onLine(node, line),
    });
    this.#children.set(node, child);
    const started = await child.ready<StartedDocument>();
    void child.ended.then((end) => this.#ended(node, child, end));
    const { currentPin } = defined(readNodeFile(node.folder), "A node that serves has written it");
    return { node, processId: child.processId, started, pin: formatPin(currentPin) };
  }

  #ended(node: LocalNode, child: ChildNode, end: ChildEnd): void {
    if (child.isStopping) return;
    this.#events.onDeath(node, { ...end, processId: child.processId });
    if ([...this.#children.values()].every(({ hasEnded }) => hasEnded)) this.#allEnded.resolve();
  }
}

/** Reports whether a node's folder belongs to a cluster. @throws RegistryError `corrupt`. */
function isMember({ folder }: LocalNode): boolean {
  return readClusterFile(folder)?.membership !== undefined;
}
