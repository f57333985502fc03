/**
 * The client's knowledge of which node leads a partition: the newest ring map, corrected by the
 * hints of nodes that refused a request.
 *
 * Both are guesses; the Raft configuration is the authority, and a wrong guess costs one more trip.
 * A hint replaces an older one if its term is not lower. A ring map of a newer epoch replaces all
 * hints, so that a hint never outlives the configuration in which it was given.
 */
import { defined } from "../base/assert.ts";
import { Partitioner } from "../ring/partition.ts";
import { compareRingEpochs, placementOf, type RingMap, type RingNode } from "../ring/ring_map.ts";

/** The target of a call that any node serves. */
export const ANY_NODE = -1;
/** The target of a call that the leader of the system group serves. */
export const SYSTEM_ROUTE = -2;
/** The target of a call that the leader of the governed plane's group serves. */
export const GOVERNED_ROUTE = -3;
/** The groups, other than the partitions, whose leaders are known by hints alone. */
const OTHER_GROUPS = 2;

/** The hint of a partition without one: the ring map decides. */
const NO_HINT = -1;
/** The hint of a partition whose known leader refused: no node is known to lead. */
const NOBODY = 0;

/** Leaders and replicas by partition. Partitions are numbers, or the routes of the other groups. */
export class PartitionLeaders {
  #map: RingMap | undefined;
  #partitioner: Partitioner | undefined;
  #nodes = new Map<number, RingNode>();
  #nodeIds: readonly number[] = [];
  /** Node ids by partition, the other groups last. */
  #hints = new Int32Array(0);
  /** The terms of the hints; 0 if not known. */
  #terms = new Float64Array(0);

  /** The newest ring map; undefined before the first. */
  get map(): RingMap | undefined {
    return this.#map;
  }

  /** Whether the cluster has several nodes, so that calls must be routed. */
  get isCluster(): boolean {
    return this.#nodeIds.length > 1;
  }

  /** The ids of all nodes of the ring map. */
  get nodeIds(): readonly number[] {
    return this.#nodeIds;
  }

  /** Finds the partition of keys. Requires a ring map. */
  get partitioner(): Partitioner {
    return defined(this.#partitioner, "Partitions are known once a ring map is");
  }

  /** Returns a node of the ring map. */
  nodeOf(nodeId: number): RingNode | undefined {
    return this.#nodes.get(nodeId);
  }

  /** Takes over `map` unless a newer one is known; returns how it compares to the known one. */
  learn(map: RingMap): "newer" | "same" | "older" {
    const known = this.#map;
    const order = known === undefined ? 1 : compareRingEpochs(map.epoch, known.epoch);
    if (order < 0) return "older";
    if (known?.partitionCount !== map.partitionCount || this.#partitioner === undefined) {
      this.#partitioner = new Partitioner(map.hashKey, map.partitionCount);
      this.#hints = new Int32Array(map.partitionCount + OTHER_GROUPS);
      this.#terms = new Float64Array(map.partitionCount + OTHER_GROUPS);
    }
    if (order > 0 || known === undefined) {
      this.#hints.fill(NO_HINT);
      this.#terms.fill(0);
    } else this.#merge(known, map);
    this.#map = map;
    this.#nodes = new Map(map.nodes.map((node) => [node.nodeId, node]));
    this.#nodeIds = map.nodes.map(({ nodeId }) => nodeId);
    return order > 0 ? "newer" : "same";
  }

  /** Returns the node that is believed to lead; 0 if none is known. */
  leaderOf(partition: number): number {
    const hint = this.#hints[this.#indexOf(partition)] ?? NO_HINT;
    if (hint !== NO_HINT) return hint;
    if (partition <= SYSTEM_ROUTE || this.#map === undefined) return NOBODY;
    return placementOf(this.#map, partition).leader;
  }

  /** Returns the nodes that hold a replica; all nodes for another group or no partition. */
  replicasOf(partition: number): readonly number[] {
    if (partition < 0 || this.#map === undefined) return this.#nodeIds;
    const { replicas } = placementOf(this.#map, partition);
    return replicas.length === 0 ? this.#nodeIds : replicas;
  }

  /**
   * Records a hint that `node` leads in `term` (0 if not known). Returns false if a hint of a higher
   * term is known, even one that was refuted since.
   */
  hinted(partition: number, node: number, term: number): boolean {
    const index = this.#indexOf(partition);
    const known = this.#terms[index];
    if (known === undefined || term < known) return false;
    this.#hints[index] = node;
    this.#terms[index] = term;
    return true;
  }

  /** Records that `node` served a call of the leader. */
  confirmed(partition: number, node: number): void {
    const index = this.#indexOf(partition);
    if (index < this.#hints.length && this.leaderOf(partition) === NOBODY) {
      this.#hints[index] = node;
    }
  }

  /** Records that `node` does not lead; another node that is believed to lead stays. */
  refuted(partition: number, node: number): void {
    const index = this.#indexOf(partition);
    if (index >= this.#hints.length) return;
    if (this.leaderOf(partition) === node) this.#hints[index] = NOBODY;
  }

  /**
   * Prepares for a map of the same epoch, which names the leaders that another node knows, or knows
   * now: leaders that it does not know are kept, and one that replaces a refuted leader counts.
   */
  #merge(known: RingMap, map: RingMap): void {
    for (let partition = 0; partition < map.partitionCount; partition++) {
      const hint = this.#hints[partition];
      const { leader } = placementOf(map, partition);
      const { leader: before } = placementOf(known, partition);
      if (hint === NO_HINT && leader === 0 && before !== 0) this.#hints[partition] = before;
      if (hint === NOBODY && leader !== 0 && leader !== before) this.#hints[partition] = NO_HINT;
    }
  }

  #indexOf(partition: number): number {
    // -2 is the last but one, -3 the last.
    return partition <= SYSTEM_ROUTE ? this.#hints.length - 4 - partition : partition;
  }
}
