/**
 * Sends every call to the node that can serve it: by its key to the partition, by the ring map and
 * by hints to the partition's leader, and over the link to that node. A call without a key goes to
 * any connected node.
 *
 * A node that does not lead or hold the partition says so, with a hint where it has one: the call is
 * then sent there at once, or to another replica, to at most CLIENT_HOPS_MAX nodes in a row; after
 * that it pauses with jitter and starts again, until its deadline. A call whose node is lost goes to
 * another one if it may be repeated. A read with `maxStalenessMs` goes to the nearest replica
 * (replica_choice.ts), and to the leader if that does not serve it.
 *
 * Until a ring map with several nodes is known, all calls use the link to the given endpoints, and
 * nothing is looked up.
 */
import type { Input } from "../../schemas/runtime/writer.ts";
import { RegistryError } from "../base/errors.ts";
import { CLIENT_HOPS_MAX, CLIENT_WAITING_MAX, REQUEST_TIMEOUT_MS_MAX } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import type { RingMap } from "../ring/ring_map.ts";
import {
  type Operation,
  type OperationName,
  OPERATIONS,
  type RequestOf,
} from "../wire/operations/mod.ts";
import { BoundedReads, checkedStaleness } from "./bounded_reads.ts";
import { abandonCall, BoundedRead, Call, type Decode, Detour, rejectCall } from "./call.ts";
import { partitionOfCall } from "./call_key.ts";
import { type CallQueue, type CallQueueOwner, tooManyWaiting } from "./call_queue.ts";
import { ClusterRoutes } from "./cluster_routes.ts";
import type { ClusterRouting, Part } from "./cluster_routing.ts";
import type { Connection } from "./connection.ts";
import type { ClientDelegation } from "./delegation/delegation.ts";
import type { Deadline } from "./deadline.ts";
import type { Invoker } from "./invoker.ts";
import { MapRefresh } from "./map_refresh.ts";
import { type NodeLink, NodeLinks, type NodeLinksOptions } from "./node_links.ts";
import { ParkedCalls } from "./parked_calls.ts";
import { ANY_NODE, PartitionLeaders } from "./partition_leaders.ts";
import { backOffMs, electionRetry, RETRY } from "./retry.ts";
import { WatchRoutes } from "./watch/watch_routes.ts";
import type { CallOptions } from "./call_options.ts";
import type { ConnectionEvent } from "./types.ts";

const NO_OPTIONS: CallOptions = {};

/** Parameters of a {@link Router}. */
export interface RouterOptions extends Omit<NodeLinksOptions, "nodeOf" | "onEvent" | "onDown"> {
  /** Default timeout of a call, ms. */
  readonly timeoutMs: number;
  /** Default age that reads accept, ms; 0 for linearizable reads. */
  readonly maxStalenessMs: number;
  /** The zone of the client; empty if none. */
  readonly zone: string;
  /**
   * Called on events of all connections.
   *
   * @param isRegained whether a node can be asked that could not be asked before.
   */
  readonly onEvent: (event: ConnectionEvent, isRegained: boolean) => void;
}

/** The router of one client. */
export class Router implements Invoker, CallQueueOwner {
  readonly leaders = new PartitionLeaders();
  readonly links: NodeLinks;
  readonly reads: BoundedReads;
  readonly watches: WatchRoutes;
  readonly #options: RouterOptions;
  readonly #world: World;
  readonly #parked: ParkedCalls;
  readonly #refresh: MapRefresh;
  readonly #routes: ClusterRoutes;
  /** Mirrors `leaders.isCluster`, for the path of every call. */
  #isCluster = false;
  /** The link of the last call without a key. */
  #sticky: NodeLink | undefined;
  #closed: RegistryError | undefined;
  #serial = 0;
  #nodeTurn = 0;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#world = options.world;
    this.#parked = new ParkedCalls(options.world, (call, nowMs) => this.#route(call, nowMs));
    this.#refresh = new MapRefresh(this, {
      clock: options.world.monotonic,
      onRingMap: (map) => this.ringMap(map),
      nextNode: () => this.#nextNode(),
    });
    this.links = new NodeLinks({
      ...options,
      nodeOf: (nodeId) => this.leaders.nodeOf(nodeId),
      onEvent: (event, link) => this.#heard(event, link),
      onDown: (link) => this.#rerouteWaiting(link),
    }, this);
    this.reads = new BoundedReads({ ...options, leaders: this.leaders, links: this.links });
    this.#routes = new ClusterRoutes({
      ...options,
      leaders: this.leaders,
      links: this.links,
      reads: this.reads,
      refreshMap: () => this.#refresh.want(),
    });
    this.watches = new WatchRoutes({
      ...options,
      leaders: this.leaders,
      links: this.links,
      choice: this.reads.choice,
      refreshMap: () => this.#refresh.want(),
      nextSerial: () => this.#serial++,
    });
  }

  /** Starts connecting to the given endpoints. */
  start(): void {
    this.links.seed.link.start();
  }

  deadline(options: CallOptions): Deadline {
    return this.#routes.deadline(options);
  }

  /** Routing of calls of many partitions; undefined if the cluster has one node. */
  get cluster(): ClusterRouting | undefined {
    return this.#isCluster ? this.#routes : undefined;
  }

  /** The number of requests in flight. */
  get inFlight(): number {
    let count = 0;
    for (const { calls } of this.links) count += calls.inFlight;
    return count;
  }

  /** The number of calls waiting for room, a connection or their next attempt. */
  get waiting(): number {
    let count = this.#parked.count;
    for (const { calls } of this.links) count += calls.waiting;
    return count;
  }

  invoke<Name extends OperationName, T>(
    name: Name,
    body: Input<RequestOf<Name>>,
    decode: Decode<T>,
    options: CallOptions = NO_OPTIONS,
    part?: Part,
    delegation?: ClientDelegation,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs;
      if (!(timeoutMs > 0 && timeoutMs <= REQUEST_TIMEOUT_MS_MAX)) {
        return reject(badTimeout(timeoutMs));
      }
      const staleness = options.maxStalenessMs ?? this.#options.maxStalenessMs;
      const maxStalenessMs = staleness === 0 ? 0 : checkedStaleness(staleness, OPERATIONS[name]);
      const nowMs = this.#world.monotonic.nowMs();
      const call = new Call(
        {
          operation: OPERATIONS[name],
          body,
          decode,
          maxStalenessMs,
          deadlineMs: nowMs + timeoutMs,
          resolve: resolve as (value: unknown) => void,
          reject,
          part,
          bounded: maxStalenessMs === 0 ? undefined : new BoundedRead(),
          delegation,
        },
        this.#serial++,
      );
      if (options.signal !== undefined && !listen(call, options.signal)) return;
      if (this.#isCluster) this.#route(call, nowMs);
      else this.links.seed.calls.submit(call, nowMs);
    });
  }

  /** Rejects all calls, pending and future, and closes all connections. */
  async close(error: RegistryError): Promise<void> {
    this.#closed = error;
    this.#routes.close();
    this.reads.close();
    this.watches.close(error);
    for (const call of this.#parked.takeAll()) abandonCall(call, error);
    await this.links.close(error);
  }

  // Callbacks of the queues (CallQueueOwner).

  ringMap(map: RingMap): void {
    const order = this.leaders.learn(map);
    if (order === "older") return;
    const wasCluster = this.#isCluster;
    this.#isCluster = this.leaders.isCluster;
    if (this.#isCluster && !wasCluster) {
      this.links.seed.calls.silenceMs = this.#options.nodeSilenceMs;
      this.#rerouteWaiting(this.links.seed);
    }
    if (order === "newer") this.reads.choice.retain(this.leaders.nodeIds);
    if (order === "newer") {
      this.#parked.wake(this.#world.monotonic.nowMs());
      this.watches.learned(map);
    }
  }

  refused(queue: CallQueue, call: Call, error: RegistryError): boolean {
    if (!this.#isCluster) return false;
    const { code } = error;
    const isStale = code === "too_stale" && call.bounded !== undefined;
    const isElsewhere = code === "not_leader" || code === "not_replica";
    if (!isStale && !isElsewhere && code !== "shutting_down") return false;
    if (isForOneNode(call)) {
      if (call.part !== undefined) call.part.servedBy = queue.nodeId;
      rejectCall(call, error);
      return true;
    }
    const { leaderHint = 0, leaderTerm = 0 } = error.fields;
    const detour = call.detour ??= new Detour();
    const partition = call.partition ?? ANY_NODE;
    detour.asked.push(queue.nodeId);
    detour.target = 0;
    if (call.bounded !== undefined) {
      this.reads.refused(partition, queue.nodeId, call.maxStalenessMs);
    }
    if (partition === ANY_NODE) detour.target = leaderHint;
    else {
      if (!isStale) this.leaders.refuted(partition, queue.nodeId);
      if (leaderHint !== 0) this.leaders.hinted(partition, leaderHint, leaderTerm);
    }
    const isUseful = leaderHint !== 0 && this.leaders.nodeOf(leaderHint) !== undefined;
    if (code !== "shutting_down" && !isUseful && !isStale) this.#refresh.want();
    this.#again(call, error);
    return true;
  }

  lost(queue: CallQueue, call: Call, error: RegistryError): boolean {
    if (!this.#isCluster) return false;
    if (isForOneNode(call)) {
      // What a part asked for is asked for elsewhere, by another call.
      if (call.part !== undefined) queue.retries++;
      rejectCall(call, error);
      return true;
    }
    const detour = call.detour ??= new Detour();
    detour.asked.push(queue.nodeId);
    const { bounded, partition = ANY_NODE, maxStalenessMs } = call;
    if (bounded !== undefined && partition !== ANY_NODE) {
      // The leader need not be asked: no replica has refused.
      const nowMs = this.#world.monotonic.nowMs();
      detour.target = this.reads.nodeFor(partition, maxStalenessMs, nowMs, detour.asked);
    }
    this.#again(call, error);
    return true;
  }

  answeredAfterDetour(queue: CallQueue, { partition = ANY_NODE, bounded }: Call): void {
    // A bounded read may have been served by a follower.
    if (partition !== ANY_NODE && bounded === undefined) {
      this.leaders.confirmed(partition, queue.nodeId);
    }
  }

  ending(queue: CallQueue): void {
    this.links.lose(queue);
  }

  ended(connection: Connection, error: RegistryError): void {
    this.links.ended(connection, error);
  }

  waitingBeside(queue: CallQueue): number {
    return this.#isCluster ? this.waiting - queue.waiting : 0;
  }

  /** Sends a call to the node that it needs, or parks it until one can be asked. */
  #route(call: Call, nowMs: number): void {
    if (this.#closed !== undefined) return rejectCall(call, this.#closed);
    call.partition ??= partitionOfCall(this.leaders.partitioner, call.operation, call.body);
    const planned = call.part?.nodeId || this.#nearest(call, call.partition, nowMs);
    const link = this.#choose(call.partition, call.detour, planned);
    if (link === undefined) {
      call.detour ??= new Detour();
      return this.#pause(call, call.lastError ?? unreachable(), nowMs);
    }
    link.usedAtMs = nowMs;
    link.calls.submit(call, nowMs);
  }

  /** Returns the node for the first attempt of a bounded read; 0 for other calls. */
  #nearest(call: Call, partition: number, nowMs: number): number {
    if (call.bounded === undefined || call.detour !== undefined || partition < 0) return 0;
    return this.reads.nodeOfCall(call, partition, nowMs);
  }

  /** Returns the link for a partition: to its leader if that is known and up, else to a replica. */
  #choose(
    partition: number,
    detour: Detour | undefined,
    planned: number,
  ): NodeLink | undefined {
    const leader = partition === ANY_NODE ? 0 : this.leaders.leaderOf(partition);
    const target = detour?.target || (detour === undefined && planned) || leader;
    if (target !== 0) {
      const link = this.#linkTo(target, detour);
      if (link !== undefined) return link;
    }
    if (partition < 0 && detour === undefined) return this.#anyLink();
    const nodes = this.leaders.replicasOf(partition);
    const turn = detour?.turn ?? this.#serial;
    for (let step = 0; step < nodes.length; step++) {
      const link = this.#linkTo(nodes[(turn + step) % nodes.length]!, detour);
      if (link === undefined) continue;
      if (detour !== undefined) detour.turn = turn + step + 1;
      return link;
    }
    // No replica can be asked: any other node may know a newer configuration.
    const other = this.links.connected;
    return other === undefined || detour?.asked.includes(other.calls.nodeId) ? undefined : other;
  }

  /**
   * Returns the link to a node; undefined if it was asked since the last pause, or is down. A node
   * that is down is dialed meanwhile.
   */
  #linkTo(nodeId: number, detour: Detour | undefined): NodeLink | undefined {
    if (detour?.asked.includes(nodeId)) return undefined;
    const link = this.links.to(nodeId);
    return link !== undefined && (link.calls.isConnected || this.links.isUp(nodeId))
      ? link
      : undefined;
  }

  /** Returns another node that is up than the last time; 0 if none is. */
  #nextNode(): number {
    const nodes = this.leaders.nodeIds;
    for (let step = 0; step < nodes.length; step++) {
      const nodeId = nodes[this.#nodeTurn++ % nodes.length]!;
      if (this.links.isUp(nodeId)) return nodeId;
    }
    return 0;
  }

  /** Returns the link for calls that any node serves: the same one as long as it is connected. */
  #anyLink(): NodeLink | undefined {
    if (this.#sticky?.calls.isConnected === true) return this.#sticky;
    this.#sticky = this.links.connected;
    if (this.#sticky !== undefined) return this.#sticky;
    for (const nodeId of this.leaders.nodeIds) {
      const link = this.#linkTo(nodeId, undefined);
      if (link !== undefined) return link;
    }
    return undefined;
  }

  /** Sends a call to the next node, or parks it after as many as may be asked at once. */
  #again(call: Call, error: RegistryError): void {
    call.lastError = error;
    const nowMs = this.#world.monotonic.nowMs();
    if (call.detour!.asked.length < CLIENT_HOPS_MAX) this.#route(call, nowMs);
    else this.#pause(call, error, nowMs);
  }

  #pause(call: Call, error: RegistryError, nowMs: number): void {
    const detour = call.detour!;
    detour.asked.length = 0;
    detour.target = 0;
    const { retryAfterMs } = error.fields;
    const backOff = error.code === "not_leader" ? electionRetry(this.#parked.count) : RETRY;
    const delayMs = backOffMs(++detour.pauses, backOff, this.#world.entropy, retryAfterMs);
    call.lastError = error;
    call.resumeAtMs = nowMs + delayMs;
    if (call.deadlineMs <= call.resumeAtMs) return rejectCall(call, error);
    if (this.waiting >= CLIENT_WAITING_MAX) return rejectCall(call, tooManyWaiting(error));
    this.#parked.add(call, nowMs);
  }

  /** Routes the calls again that wait for a node that does not answer. */
  #rerouteWaiting(link: NodeLink): void {
    if (!this.#isCluster) return;
    const nowMs = this.#world.monotonic.nowMs();
    for (const call of link.calls.takeWaiting()) {
      if (isForOneNode(call)) rejectCall(call, call.lastError ?? unreachable());
      else this.#route(call, nowMs);
    }
  }

  #heard(event: ConnectionEvent, link: NodeLink): void {
    const isRegained = event.kind === "connected" &&
      (link === this.links.seed || link.link.connections > 1);
    if (event.kind === "connected") this.#parked.wake(this.#world.monotonic.nowMs());
    if (event.kind === "lost") this.#rerouteWaiting(link);
    this.#options.onEvent(event, isRegained);
  }
}

/**
 * Reports whether a call is not sent elsewhere. If it concerns several partitions, it is not known
 * which of them a refusal is about, and the caller asks for each again where it belongs now
 * (parts.ts). A further request for a read ends where it was sent, as the first one goes on; so does a
 * trial.
 */
function isForOneNode({ part, bounded }: Call): boolean {
  return part !== undefined && !part.isExact ||
    bounded !== undefined && bounded.purpose !== "read";
}

/** Listens to `signal`. Returns false if it was already aborted and the call was rejected. */
function listen(call: Call, signal: AbortSignal): boolean {
  const cancel = () => {
    // A call in flight keeps its slot, which the server has not freed yet; its reply is ignored.
    rejectCall(call, canceledError(call.operation, signal.reason));
  };
  if (signal.aborted) {
    cancel();
    return false;
  }
  signal.addEventListener("abort", cancel, { once: true });
  call.unlisten = () => signal.removeEventListener("abort", cancel);
  return true;
}

function canceledError(operation: Operation, reason: unknown): RegistryError {
  return new RegistryError("canceled", `${operation.name} was canceled by its caller`, {}, reason);
}

function badTimeout(timeoutMs: number): RegistryError {
  return new RegistryError(
    "invalid_argument",
    `timeoutMs must be in (0, ${REQUEST_TIMEOUT_MS_MAX}]: current value is ${timeoutMs}`,
    { field: "timeoutMs" },
  );
}

function unreachable(): RegistryError {
  return new RegistryError("connection_lost", "No node of the cluster can be reached");
}
