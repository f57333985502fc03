/** Nodes on this machine that one command runs, each in a process of its own. */
import { RegistryError } from "../base/errors.ts";
import type { Endpoint } from "../../transport/transport.ts";
import { ChildCommand, type ChildEnd } from "./child_command.ts";
import type { Terminal } from "./terminal.ts";

/** The document that a node prints at its start. */
export interface StartedDocument {
  readonly nodeId: number;
  readonly clusterId: string;
  readonly addresses: readonly Endpoint[];
  readonly ops: Endpoint;
  readonly created: boolean;
}

/** The reports of nodes. */
export interface LocalProcessEvents<Node> {
  /** Called with a line of a node's log. */
  readonly onLine: (node: Node, line: string) => void;
  /** Called when a node that served has ended although it was not told to stop. */
  readonly onDeath: (node: Node, end: ChildEnd & { readonly processId: number }) => void;
}

/** A node that serves. */
export interface StartedProcess {
  readonly processId: number;
  readonly started: StartedDocument;
}

/** Starts and stops nodes. */
export class LocalProcesses<Node extends { readonly name: string }> {
  readonly #environment: Terminal["environment"];
  readonly #events: LocalProcessEvents<Node>;
  readonly #children = new Map<Node, ChildCommand>();
  readonly #allEnded = Promise.withResolvers<void>();
  #isStopping = false;

  constructor({ environment }: Pick<Terminal, "environment">, events: LocalProcessEvents<Node>) {
    this.#environment = environment;
    this.#events = events;
  }

  /** Resolves when the last node has ended by itself. */
  get allEnded(): Promise<void> {
    return this.#allEnded.promise;
  }

  /**
   * Starts a node and waits until it serves.
   *
   * @param flags of `crs start`.
   * @throws RegistryError the error of a node that does not start.
   */
  async start(node: Node, flags: readonly string[]): Promise<StartedProcess> {
    if (this.#isStopping) throw new RegistryError("shutting_down", "The nodes are stopping");
    const child = new ChildCommand({
      name: node.name,
      command: ["start", ...flags],
      environment: this.#environment,
      onLine: (line) => this.#events.onLine(node, line),
    });
    this.#children.set(node, child);
    const started = await child.ready<StartedDocument>();
    void child.ended.then((end) => this.#ended(node, child, end));
    return { processId: child.processId, started };
  }

  /** Stops the nodes that still run, at the same time; each finishes its requests. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(Array.from(this.#children.values(), (child) => child.stop()));
  }

  #ended(node: Node, child: ChildCommand, end: ChildEnd): void {
    if (child.isStopping) return;
    this.#events.onDeath(node, { ...end, processId: child.processId });
    if ([...this.#children.values()].every(({ hasEnded }) => hasEnded)) this.#allEnded.resolve();
  }
}
