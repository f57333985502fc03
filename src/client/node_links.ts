/**
 * The connections of a client: one to a node of the endpoints that the caller gave, and one to each
 * further node of the cluster that calls need.
 *
 * A node whose connection was lost or could not be made is down until the next connection to it;
 * meanwhile its calls go to others, and it is dialed in the background. A connection without calls
 * is closed after a while, except that to the given endpoints.
 */
import type { Hello } from "../../schemas/gen/wire.ts";
import { RegistryError } from "../base/errors.ts";
import { CLIENT_NODE_IDLE_MS, CLIENT_NODES_MAX } from "../base/limits.ts";
import type { Timer } from "../base/world.ts";
import type { RingNode } from "../ring/ring_map.ts";
import type { Endpoint } from "../../transport/transport.ts";
import { CallQueue, type CallQueueOwner } from "./call_queue.ts";
import type { Connection } from "./connection.ts";
import { Link, type LinkOptions, type SharedLinkOptions } from "./link.ts";
import type { ConnectionEvent, NodeLinkStatus } from "./types.ts";
import { WriteTurns } from "./write_turns.ts";

/** Parameters of {@link NodeLinks}. */
export interface NodeLinksOptions extends SharedLinkOptions {
  readonly endpoints: readonly Endpoint[];
  /** Silence of a node after which it is probed, and after the same again given up for others, ms. */
  readonly nodeSilenceMs: number;
  /** Returns a node as the newest ring map has it; undefined if it has none. */
  readonly nodeOf: (nodeId: number) => RingNode | undefined;
  readonly onEvent: (event: ConnectionEvent, link: NodeLink) => void;
  /** A node does not answer; `link` may hold calls that wait for it. */
  readonly onDown: (link: NodeLink) => void;
}

/** A link and the calls that it carries. */
export interface NodeLink {
  readonly calls: CallQueue;
  readonly link: Link;
  /** The node that it dials; 0 for the link to the given endpoints. */
  readonly nodeId: number;
  /** Monotonic time of the last call. */
  usedAtMs: number;
  /** Ends the time in which calls wait for the first connection. */
  patience: Timer | undefined;
}

/** The links of one client. */
export class NodeLinks {
  /** The link to the endpoints that the caller gave. */
  readonly seed: NodeLink;
  readonly #options: NodeLinksOptions;
  readonly #owner: CallQueueOwner;
  readonly #turns: WriteTurns;
  readonly #links = new Map<number, NodeLink>();
  readonly #down = new Set<number>();
  /** The cluster that the first node belongs to; further nodes must belong to it too. */
  #clusterId: Uint8Array | undefined;
  #sweeper: Timer | undefined;
  #isClosed = false;
  /** Counts of the links that were closed. */
  #past = { connections: 0, retries: 0 };

  constructor(options: NodeLinksOptions, owner: CallQueueOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#turns = new WriteTurns(options.world.scheduler);
    this.seed = this.#newLink(0, { endpoints: () => options.endpoints }, options.hello);
  }

  /** All links, that to the given endpoints first. */
  *[Symbol.iterator](): IterableIterator<NodeLink> {
    yield this.seed;
    yield* this.#links.values();
  }

  /** The id of the cluster, 16 bytes; undefined before the first connection. */
  get clusterId(): Uint8Array | undefined {
    // The first connection tells its ring map before it counts as connected.
    return this.#clusterId ?? this.seed.link.clusterId;
  }

  /** The numbers of connections made and of attempts repeated since the client's start. */
  get counts(): { readonly connections: number; readonly retries: number } {
    let { connections, retries } = this.#past;
    for (const { calls, link } of this) {
      connections += link.connections;
      retries += calls.retries;
    }
    return { connections, retries };
  }

  /** The state of each link, for people. */
  get status(): readonly NodeLinkStatus[] {
    return Array.from(this, ({ calls, link, nodeId }) => ({
      nodeId: calls.nodeId || nodeId,
      state: calls.isConnected ? "connected" : "connecting",
      endpoint: link.endpoint,
      inFlight: calls.inFlight,
      waiting: calls.waiting,
    }));
  }

  /** Returns a link that is connected, preferably that to the given endpoints. */
  get connected(): NodeLink | undefined {
    for (const link of this) if (link.calls.isConnected) return link;
    return undefined;
  }

  /** Returns the number of calls that a node has to answer; undefined if it is not connected. */
  loadOf(nodeId: number): number | undefined {
    const link = this.seed.calls.nodeId === nodeId ? this.seed : this.#links.get(nodeId);
    if (link === undefined || !link.calls.isConnected) return undefined;
    return link.calls.inFlight + link.calls.waiting;
  }

  /** Reports whether the node answered last, or was not asked yet. */
  isUp(nodeId: number): boolean {
    // Of two connections to a node, the other one may have been lost.
    return !this.#down.has(nodeId) || this.seed.calls.nodeId === nodeId ||
      this.#links.get(nodeId)?.calls.isConnected === true;
  }

  /**
   * Returns the link to a node, opened if there is none.
   *
   * @returns undefined if the node has no address for this transport, the limit is reached, or the
   * links are closed.
   */
  to(nodeId: number): NodeLink | undefined {
    if (this.seed.calls.nodeId === nodeId) return this.seed;
    const known = this.#links.get(nodeId);
    if (known !== undefined) return known;
    const { dialer: { transport }, world, hello, nodeOf, nodeSilenceMs } = this.#options;
    let last = endpointsOf(nodeOf(nodeId), transport);
    if (last.length === 0 || this.#isClosed || !this.#hasRoom()) return undefined;
    const endpoints = () => {
      const now = endpointsOf(nodeOf(nodeId), transport);
      // A node that left the ring map may still be asked for what it holds.
      return last = now.length > 0 ? now : last;
    };
    const pins = () => pinsOf(nodeOf(nodeId));
    const clusterId = this.#clusterId ?? hello.clusterId;
    const link = this.#newLink(nodeId, { endpoints, pins, nodeId }, { ...hello, clusterId });
    link.calls.silenceMs = nodeSilenceMs;
    this.#links.set(nodeId, link);
    link.link.start();
    // Calls wait for a first connection as long as a silent node takes to be given up.
    link.patience = world.scheduler.after(2 * nodeSilenceMs, () => {
      if (!link.calls.isConnected) this.#failed(link);
    });
    this.#sweepLater();
    return link;
  }

  /** Marks the node down whose connection `calls` had. */
  lose(calls: CallQueue): void {
    if (calls.nodeId !== 0) this.#down.add(calls.nodeId);
  }

  /** Tells the link of `connection` that it ended. */
  ended(connection: Connection, error: RegistryError): void {
    for (const { link } of this) link.lost(connection, error);
  }

  /** Closes all links; resolves when the sessions have ended. */
  async close(error: RegistryError): Promise<void> {
    this.#isClosed = true;
    this.#sweeper?.cancel();
    const links = [...this];
    for (const { calls, patience } of links) {
      patience?.cancel();
      calls.close(error);
    }
    await Promise.all(links.map(({ link }) => link.close()));
  }

  #newLink(
    nodeId: number,
    target: Pick<LinkOptions, "endpoints" | "pins" | "nodeId">,
    hello: Hello,
  ): NodeLink {
    const calls = new CallQueue(this.#options.world, this.#owner);
    const onEvent = (event: ConnectionEvent) => this.#heard(event, made);
    const turns = this.#turns;
    const link = new Link({ ...this.#options, ...target, turns, hello, onEvent }, calls);
    const made: NodeLink = {
      calls,
      link,
      nodeId,
      usedAtMs: this.#options.world.monotonic.nowMs(),
      patience: undefined,
    };
    return made;
  }

  #heard(event: ConnectionEvent, link: NodeLink): void {
    if (event.kind === "connected") {
      this.#down.delete(event.nodeId);
      this.#down.delete(link.nodeId);
      this.#clusterId ??= link.link.clusterId;
    }
    if (event.kind === "attempt_failed") this.#failed(link);
    this.#options.onEvent(event, link);
  }

  #failed(link: NodeLink): void {
    if (link.nodeId !== 0) this.#down.add(link.nodeId);
    this.#options.onDown(link);
  }

  /** Makes room for one more link; the one that was idle for longest is closed if need be. */
  #hasRoom(): boolean {
    if (this.#links.size < CLIENT_NODES_MAX) return true;
    const idle = [...this.#links.values()].filter(isIdle)
      .sort((left, right) => left.usedAtMs - right.usedAtMs);
    if (idle.length === 0) return false;
    this.#drop(idle[0]!);
    return true;
  }

  #sweepLater(): void {
    this.#sweeper ??= this.#options.world.scheduler.after(CLIENT_NODE_IDLE_MS / 2, () => {
      this.#sweeper = undefined;
      const idleSinceMs = this.#options.world.monotonic.nowMs() - CLIENT_NODE_IDLE_MS;
      for (const link of [...this.#links.values()]) {
        if (isIdle(link) && link.usedAtMs <= idleSinceMs) this.#drop(link);
      }
      if (this.#links.size > 0) this.#sweepLater();
    });
  }

  #drop(link: NodeLink): void {
    this.#links.delete(link.nodeId);
    link.patience?.cancel();
    this.#past.connections += link.link.connections;
    this.#past.retries += link.calls.retries;
    // Nothing waits; whoever still knows the link sees that it is not connected.
    link.calls.close(new RegistryError("connection_lost", "The connection was idle"));
    // Never rejects and need not be awaited.
    void link.link.close();
  }
}

function isIdle({ calls }: NodeLink): boolean {
  return calls.inFlight === 0 && calls.waiting === 0 && calls.watching === 0;
}

/** Returns the addresses of a node for a transport; the memory network carries all of them. */
function endpointsOf(node: RingNode | undefined, transport: string): readonly Endpoint[] {
  return (node?.addresses ?? [])
    .filter((address) => transport === "memory" || address.transport === transport)
    .map(({ host, port }) => ({ host, port }));
}

function pinsOf(node: RingNode | undefined): readonly Uint8Array[] {
  if (node === undefined) return [];
  return [node.currentPin, node.nextPin].filter((pin) => pin.length > 0);
}
