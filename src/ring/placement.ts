/**
 * Placement of partitions on nodes by consistent hashing with virtual nodes over failure domains.
 *
 * Every node owns {@link VIRTUAL_NODES} points of a ring, and every partition one point. A partition
 * walks the ring clockwise from its point and takes the first node of each zone that it has not
 * taken yet; if there are fewer zones than replicas it walks again for hosts it has not taken yet,
 * and then for nodes. The result depends only on the arguments, so every node computes the same.
 *
 * Contract: if the hosts of the nodes are distinct, adding a node moves replicas to that node only,
 * and removing it moves only the replicas it had. Where nodes share a host and there are fewer zones
 * than replicas, a new node may also keep a neighbour on its host from being taken. A node that takes the
 * points of one that leaves, in its zone and on another host than all others, takes exactly its replicas.
 * Source: Karger et al., "Consistent hashing and random trees" (1997), §4.
 */
import { type PartitionId, partitionId } from "../base/ids.ts";
import { isPartitionCount, PARTITION_COUNT_MAX } from "./partition.ts";
import { SipHash } from "./siphash.ts";

/** Replicas of a partition. */
export const REPLICAS = 3;

/**
 * Points of each node on the ring. The share of a node deviates by about 1 / √256 = 6 % of the mean,
 * and 64 nodes have 16,384 points, which sort within a few milliseconds.
 */
export const VIRTUAL_NODES = 256;

/** A node that may have replicas, and its failure domains. */
export interface PlacementNode {
  /** The node id, at least 1. */
  readonly nodeId: number;
  /** The node whose points on the ring it has; default: its own. */
  readonly ringId?: number;
  /** The zone: a data centre, a rack row. Nodes without one share the empty zone. */
  readonly zone: string;
  /** The machine. */
  readonly host: string;
}

/** Options of {@link placePartitions}. */
export interface PlacementOptions {
  /** The nodes, in any order, each once. */
  readonly nodes: readonly PlacementNode[];
  /** A power of two in `[1, 8192]`. */
  readonly partitionCount: number;
  /** The cluster's hash key, 16 bytes. */
  readonly hashKey: Uint8Array;
  /** Default: {@link REPLICAS}. */
  readonly replicas?: number;
}

/** A point on the ring, `[0, 2^53)`, and its node. */
interface Point {
  readonly position: number;
  readonly node: PlacementNode;
}

/** Prefixes of the hashed messages; they keep both kinds of points apart. */
const NODE_POINT = 1;
const PARTITION_POINT = 2;

/**
 * Returns the nodes of each partition, by partition: `replicas` node ids, or as many as there are
 * nodes. The order is that of the walk.
 *
 * @throws RangeError for an invalid partition count, replica count or key, or for a node given twice.
 */
export function placePartitions(options: PlacementOptions): readonly (readonly number[])[] {
  const { nodes, partitionCount, replicas = REPLICAS } = options;
  if (!isPartitionCount(partitionCount)) {
    throw new RangeError(
      `Partition count must be a power of two in [1, ${PARTITION_COUNT_MAX}]: ` +
        `current value is ${partitionCount}`,
    );
  }
  if (!Number.isInteger(replicas) || replicas < 1) {
    throw new RangeError(`Replica count must be a positive integer: current value is ${replicas}`);
  }
  if (new Set(nodes.map(({ nodeId }) => nodeId)).size < nodes.length) {
    throw new RangeError("Each node must be given once: found one twice");
  }
  const hash = new PointHash(options.hashKey);
  const ring = ringOf(nodes, hash);
  const count = Math.min(replicas, nodes.length);
  return Array.from(
    { length: partitionCount },
    (_, partition) => walk(ring, hash.partition(partitionId(partition)), count),
  );
}

/** Computes positions on the ring. */
class PointHash {
  readonly #hash: SipHash;
  readonly #bytes = new Uint8Array(8);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(key: Uint8Array) {
    this.#hash = new SipHash(key);
  }

  node(nodeId: number, virtual: number): number {
    this.#view.setUint32(0, nodeId, true);
    this.#view.setUint32(4, virtual, true);
    return this.#position(NODE_POINT, 8);
  }

  partition(partition: PartitionId): number {
    this.#view.setUint32(0, partition, true);
    return this.#position(PARTITION_POINT, 4);
  }

  #position(prefix: number, length: number): number {
    this.#hash.hash(prefix, this.#bytes, 0, length);
    return this.#hash.high * 2 ** 21 + (this.#hash.low >>> 11);
  }
}

/** Returns the points of all nodes in ascending order. Equal positions are ordered by node id. */
function ringOf(nodes: readonly PlacementNode[], hash: PointHash): readonly Point[] {
  const points: Point[] = [];
  for (const node of nodes) {
    for (let virtual = 0; virtual < VIRTUAL_NODES; virtual++) {
      points.push({ position: hash.node(node.ringId ?? node.nodeId, virtual), node });
    }
  }
  return points.sort((a, b) => a.position - b.position || a.node.nodeId - b.node.nodeId);
}

/** Takes `count` nodes, clockwise from `position`: by zone first, then by host, then any. */
function walk(ring: readonly Point[], position: number, count: number): number[] {
  const taken: PlacementNode[] = [];
  const begin = firstAtOrAfter(ring, position);
  const domains: readonly ((a: PlacementNode, b: PlacementNode) => boolean)[] = [
    (a, b) => a.zone === b.zone,
    (a, b) => a.zone === b.zone && a.host === b.host,
    (a, b) => a.nodeId === b.nodeId,
  ];
  for (const isShared of domains) {
    for (let step = 0; step < ring.length && taken.length < count; step++) {
      const { node } = ring[(begin + step) % ring.length]!;
      if (!taken.some((other) => isShared(node, other))) taken.push(node);
    }
  }
  return taken.map(({ nodeId }) => nodeId);
}

/** Returns the index of the first point at or after `position`, by binary search. */
function firstAtOrAfter(ring: readonly Point[], position: number): number {
  let lo = 0, hi = ring.length;
  while (lo < hi) {
    const middle = (lo + hi) >>> 1;
    if (ring[middle]!.position < position) lo = middle + 1;
    else hi = middle;
  }
  return lo;
}
