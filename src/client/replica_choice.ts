/**
 * Chooses the replica for a read that may be some time old: one in the client's own zone, then one
 * of the shortest round trip. Replicas that are about as near share the reads.
 *
 * A round trip is the shortest one of a second, averaged over the seconds, so that the client's own
 * load does not make a node look far. It counts as changed only when it departs clearly from what it
 * was, so that reads do not move back and forth. A node that does not answer as usual counts as far as
 * the read has waited; one that could not serve a partition is passed over for a while.
 *
 * Replicas that are not near are kept connected too and measured, so that reads can go there at once
 * when the near ones do not answer. Clock: monotonic.
 */
import {
  CLIENT_REFUSAL_MS_BASE,
  CLIENT_REFUSAL_MS_CAP,
  CLIENT_REFUSALS_MAX,
  CLIENT_REMEASURE_MS,
  CLIENT_TRIP_MARGIN_MS,
  CLIENT_TRIP_MARGIN_RATIO,
  CLIENT_TRIP_WINDOW_MS,
} from "../base/limits.ts";
import type { Entropy } from "../base/world.ts";
import { PARTITION_COUNT_MAX } from "../ring/partition.ts";

/** Reads in a row for one of several replicas that are as near: they leave in one write. */
const RUN_BITS = 4;
/** Choices after which the turns repeat. */
const TURNS = 2 ** 30;
/** Calls in flight that one of two such replicas may have more than the other. */
const LOAD_SLACK = 8;
/** Share of the newest window in the average of round trips. */
const AVERAGE_SHARE = 1 / 4;
/**
 * Time after which a node is measured that gave no sample, ms: a program that ends within it opens no
 * further connections.
 */
const MEASURE_MS = 1_000;

/** State of the client's links that a choice depends on. */
export interface ReplicaView {
  /** Returns the zone of a node; empty if it is not known. */
  zoneOf(nodeId: number): string;
  /** Returns the number of calls that a node has to answer; undefined if it is not connected. */
  loadOf(nodeId: number): number | undefined;
  /** Reports whether a node answered last, or was not asked yet. */
  isUp(nodeId: number): boolean;
  /**
   * Called for a node that should be connected, and measured once it is.
   *
   * @param mayBeNear whether it may be one of the nearest, so that its round trip matters.
   */
  measure(nodeId: number, mayBeNear: boolean): void;
}

/** A read for which a replica is chosen. */
export interface ReplicaRead {
  readonly partition: number;
  /** The nodes that hold a replica. */
  readonly replicas: readonly number[];
  /** The age that the reader accepts, ms. */
  readonly maxStalenessMs: number;
  /** Nodes that are not to be asked. */
  readonly asked: readonly number[];
}

/** The choice of replicas of one client. */
export class ReplicaChoice {
  readonly #view: ReplicaView;
  readonly #zone: string;
  readonly #nodes = new Map<number, MeasuredNode>();
  /** Refusals by node and partition. */
  readonly #refusals = new Map<number, Refusal>();
  /** The candidates of the choice in progress. */
  readonly #near: MeasuredNode[] = [];
  readonly #entropy: Entropy;
  /** Counts the choices; starts at random, so that the clients of a fleet spread over replicas. */
  #turn = -1;

  /** @param options.zone the zone of the client; empty if none. */
  constructor(
    view: ReplicaView,
    { zone, entropy }: { readonly zone: string; readonly entropy: Entropy },
  ) {
    this.#view = view;
    this.#zone = zone;
    this.#entropy = entropy;
  }

  /** Returns the node to ask; 0 if no replica is to be preferred to the leader. */
  choose(read: ReplicaRead, nowMs: number): number {
    const near = this.#near;
    near.length = 0;
    const isLocal = this.#zone !== "" && read.replicas.some(this.#isInZone);
    let lowest = Infinity;
    for (const nodeId of read.replicas) {
      const node = this.#node(nodeId, nowMs);
      const rank = this.#rank(node, read, isLocal, nowMs);
      if (rank > lowest || rank === Infinity) continue;
      if (rank < lowest) near.length = 0;
      lowest = rank;
      near.push(node);
    }
    if (near.length > 1) keepNearest(near, nowMs);
    return this.#oneOf(near);
  }

  /** Records the round trip of a call to a node, ms. */
  measured(nodeId: number, tripMs: number, nowMs: number): void {
    const node = this.#node(nodeId, nowMs);
    node.add(tripMs, nowMs);
    node.lateSinceMs = Infinity;
    node.measureAtMs = nowMs + CLIENT_REMEASURE_MS;
  }

  /**
   * Records that a node takes longer than usual to answer a call sent at `sinceMs`; it counts until
   * the node answers.
   */
  late(nodeId: number, sinceMs: number, nowMs: number): void {
    const node = this.#node(nodeId, nowMs);
    node.lateSinceMs = Math.min(node.lateSinceMs, sinceMs);
  }

  /** Records that a node served a read. */
  served(partition: number, nodeId: number): void {
    if (this.#refusals.size > 0) this.#refusals.delete(keyOf(partition, nodeId));
  }

  /**
   * Records that a node did not serve a read of this age. It is passed over for a time that doubles
   * with each further refusal.
   */
  refused(partition: number, nodeId: number, maxStalenessMs: number, nowMs: number): void {
    const key = keyOf(partition, nodeId);
    const known = this.#refusals.get(key);
    if (known !== undefined && known.untilMs > nowMs) {
      // Calls that were in flight together are refused together, and count as one.
      known.maxStalenessMs = Math.max(known.maxStalenessMs, maxStalenessMs);
      return;
    }
    if (known === undefined && this.#refusals.size >= CLIENT_REFUSALS_MAX) this.#refusals.clear();
    const count = Math.min((known?.count ?? 0) + 1, 20);
    const pauseMs = Math.min(CLIENT_REFUSAL_MS_CAP, CLIENT_REFUSAL_MS_BASE * 2 ** (count - 1));
    this.#refusals.set(key, { count, untilMs: nowMs + pauseMs, maxStalenessMs });
  }

  /** Forgets the nodes that are not among `nodeIds`. */
  retain(nodeIds: readonly number[]): void {
    for (const nodeId of this.#nodes.keys()) {
      if (!nodeIds.includes(nodeId)) this.#nodes.delete(nodeId);
    }
  }

  /** Returns the round trip by which a node is ranked, ms; undefined if it is not known. */
  tripMs(nodeId: number): number | undefined {
    const { tripMs = Infinity } = this.#nodes.get(nodeId) ?? {};
    return tripMs === Infinity ? undefined : tripMs;
  }

  /**
   * Returns the rank of a replica, less is better; Infinity if it is not to be asked. A node that
   * is connected is always better than one that must be dialed first; the latter is dialed
   * meanwhile.
   */
  #rank(node: MeasuredNode, read: ReplicaRead, isLocal: boolean, nowMs: number): number {
    const view = this.#view;
    const { nodeId } = node;
    const isAway = isLocal && !this.#isInZone(nodeId);
    const isConnected = view.loadOf(nodeId) !== undefined;
    if (nowMs >= node.measureAtMs) {
      node.measureAtMs = nowMs + MEASURE_MS;
      view.measure(nodeId, !isAway && (node.isNear));
    }
    if (read.asked.includes(nodeId) || !view.isUp(nodeId)) return Infinity;
    if (this.#refusals.size > 0 && this.#isPassedOver(read, nodeId, nowMs)) return Infinity;
    const isUnknown = node.tripMs === Infinity;
    // A late node of the zone is compared with the others by the time that it takes.
    const isOther = isAway || (isLocal && node.lateSinceMs < Infinity);
    return (isConnected ? 0 : 4) + (isOther ? 2 : 0) + (isUnknown ? 1 : 0);
  }

  #isPassedOver({ partition, maxStalenessMs }: ReplicaRead, nodeId: number, nowMs: number) {
    const refusal = this.#refusals.get(keyOf(partition, nodeId));
    return refusal !== undefined && nowMs < refusal.untilMs &&
      maxStalenessMs <= refusal.maxStalenessMs;
  }

  /** Returns one of the nodes: in turns, or the one of two with clearly fewer calls in flight. */
  #oneOf(nodes: readonly MeasuredNode[]): number {
    if (this.#turn < 0) this.#turn = Math.floor(this.#entropy.unit() * TURNS);
    const first = nodes[(this.#turn >>> RUN_BITS) % nodes.length];
    if (first === undefined || nodes.length === 1) return first?.nodeId ?? 0;
    const second = nodes[((this.#turn >>> RUN_BITS) + 1) % nodes.length]!;
    this.#turn = (this.#turn + 1) % TURNS;
    const view = this.#view;
    const otherLoad = view.loadOf(second.nodeId) ?? 0;
    const isBusy = (view.loadOf(first.nodeId) ?? 0) > otherLoad + LOAD_SLACK;
    return isBusy ? second.nodeId : first.nodeId;
  }

  #node(nodeId: number, nowMs: number): MeasuredNode {
    let node = this.#nodes.get(nodeId);
    if (node === undefined) {
      this.#nodes.set(nodeId, node = new MeasuredNode(nodeId, nowMs + MEASURE_MS));
    }
    return node;
  }

  readonly #isInZone = (nodeId: number): boolean => this.#view.zoneOf(nodeId) === this.#zone;
}

/** That a node did not serve reads of a partition. */
interface Refusal {
  readonly count: number;
  readonly untilMs: number;
  /** The greatest age that it could not prove. */
  maxStalenessMs: number;
}

/** The round trips to a node. */
class MeasuredNode {
  readonly nodeId: number;
  /** The round trip by which the node is ranked, ms; Infinity if not known. */
  tripMs = Infinity;
  /** Whether the node was among the nearest when it was last compared. */
  isNear = true;
  /** Since when a call waits for it that waits longer than usual; Infinity if none does. */
  lateSinceMs = Infinity;
  /** Time at which to measure it, unless calls do. */
  measureAtMs: number;
  /** The average of the shortest round trips of the windows that have ended. */
  #averageMs = Infinity;
  /** The shortest round trip of the current window, which ends at `#windowEndMs`. */
  #shortestMs = Infinity;
  #windowEndMs = Infinity;

  constructor(nodeId: number, measureAtMs: number) {
    this.nodeId = nodeId;
    this.measureAtMs = measureAtMs;
  }

  /** Returns the time that a call is expected to take, ms. */
  expectedMs(nowMs: number): number {
    return this.lateSinceMs === Infinity
      ? this.tripMs
      : Math.max(this.tripMs, nowMs - this.lateSinceMs);
  }

  /** Takes a sample. */
  add(tripMs: number, nowMs: number): void {
    if (nowMs >= this.#windowEndMs) this.#endWindow();
    if (this.#shortestMs === Infinity) this.#windowEndMs = nowMs + CLIENT_TRIP_WINDOW_MS;
    this.#shortestMs = Math.min(this.#shortestMs, tripMs);
    // Until the first window ends there is nothing else to go by.
    if (this.#averageMs === Infinity) this.tripMs = this.#shortestMs;
  }

  #endWindow(): void {
    const known = this.#averageMs;
    const found = this.#shortestMs;
    this.#averageMs = known === Infinity ? found : known + (found - known) * AVERAGE_SHARE;
    this.#shortestMs = Infinity;
    const isChanged = isClearlyLess(this.#averageMs, this.tripMs) ||
      isClearlyLess(this.tripMs, this.#averageMs);
    if (isChanged) this.tripMs = this.#averageMs;
  }
}

/** Keeps the nodes that are about as near as the nearest one, in place. */
function keepNearest(nodes: MeasuredNode[], nowMs: number): void {
  let best = Infinity;
  for (const node of nodes) best = Math.min(best, node.expectedMs(nowMs));
  let kept = 0;
  for (const node of nodes) {
    node.isNear = !isClearlyLess(best, node.tripMs);
    if (!isClearlyLess(best, node.expectedMs(nowMs))) nodes[kept++] = node;
  }
  nodes.length = kept;
}

/** Reports whether a round trip is shorter than another one by more than chance. */
function isClearlyLess(leftMs: number, rightMs: number): boolean {
  return leftMs < rightMs * CLIENT_TRIP_MARGIN_RATIO && leftMs < rightMs - CLIENT_TRIP_MARGIN_MS;
}

function keyOf(partition: number, nodeId: number): number {
  return nodeId * PARTITION_COUNT_MAX + partition;
}
