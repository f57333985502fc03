/**
 * The ring map: the partitions, the replicas and the leader of each, and the addresses of their
 * nodes. It is a hint; the Raft configuration is the authority. A single node serves one too.
 */
import { defined } from "../base/assert.ts";

/** The version of a ring map: a map with a greater generation, then a greater number, is newer. */
export interface RingEpoch {
  readonly generation: number;
  readonly number: number;
}

/** The name under which members state their addresses for other nodes; clients do not see those. */
export const PEER_TRANSPORT = "peer";

/** One address of a node. */
export interface RingAddress {
  /** `quic`, `webtransport` or `tls`. */
  readonly transport: string;
  readonly host: string;
  readonly port: number;
}

/** A node and its addresses. */
export interface RingNode {
  readonly nodeId: number;
  readonly addresses: readonly RingAddress[];
  /** SHA-256 of the current certificate and of the next one; empty if not known. */
  readonly currentPin: Uint8Array;
  readonly nextPin: Uint8Array;
  /** The failure domain that the node is in; empty if not known. */
  readonly zone: string;
}

/** The nodes of a partition. */
export interface Placement {
  /** The node id of the leader; 0 if not known. */
  readonly leader: number;
  readonly replicas: readonly number[];
}

/** A ring map. Immutable. */
export interface RingMap {
  readonly epoch: RingEpoch;
  readonly partitionCount: number;
  /** 16 bytes. */
  readonly hashKey: Uint8Array;
  readonly nodes: readonly RingNode[];
  /** One placement shared by all partitions, or one per partition. */
  readonly placements: readonly Placement[];
}

/**
 * Returns a negative number, zero or a positive number if `left` is older than, equal to or newer
 * than `right`.
 */
export function compareRingEpochs(left: RingEpoch, right: RingEpoch): number {
  return left.generation - right.generation || left.number - right.number;
}

/** Returns the placement of `partition`, which must be in `[0, map.partitionCount)`. */
export function placementOf(map: RingMap, partition: number): Placement {
  if (!(partition >= 0 && partition < map.partitionCount)) {
    throw new RangeError(
      `Partition must be in [0, ${map.partitionCount}): current value is ${partition}`,
    );
  }
  const placement = map.placements[map.placements.length === 1 ? 0 : partition];
  return defined(placement, "A ring map must have one placement, or one per partition");
}

/** Returns the node with that id, or undefined if the map does not contain it. */
export function nodeOf(map: RingMap, nodeId: number): RingNode | undefined {
  return map.nodes.find((node) => node.nodeId === nodeId);
}
