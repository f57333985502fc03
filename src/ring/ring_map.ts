/**
 * The ring map: which partitions there are, who holds and who leads each, and where those nodes
 * are reached. A hint: the Raft configuration is the authority. Served by a single node too.
 */
import { defined } from "../base/assert.ts";

/** Orders ring maps: a greater generation, then a greater number, is newer. */
export interface RingEpoch {
  readonly generation: number;
  readonly number: number;
}

/** One way to reach a node. */
export interface RingAddress {
  /** `quic`, `webtransport` or `tls`. */
  readonly transport: string;
  readonly host: string;
  readonly port: number;
}

/** A node and how it is reached. */
export interface RingNode {
  readonly nodeId: number;
  readonly addresses: readonly RingAddress[];
  /** SHA-256 of the certificate that it shows now, and of its next; empty: not known. */
  readonly currentPin: Uint8Array;
  readonly nextPin: Uint8Array;
}

/** Who holds a partition. */
export interface Placement {
  /** Node id; 0: not known. */
  readonly leader: number;
  readonly replicas: readonly number[];
}

/** The map. Not changed after it was made. */
export interface RingMap {
  readonly epoch: RingEpoch;
  readonly partitionCount: number;
  /** 16 bytes. */
  readonly hashKey: Uint8Array;
  readonly nodes: readonly RingNode[];
  /** One entry where all partitions stand alike, else one a partition. */
  readonly placements: readonly Placement[];
}

/** Negative, zero or positive, as `left` is older than, as old as or newer than `right`. */
export function compareRingEpochs(left: RingEpoch, right: RingEpoch): number {
  return left.generation - right.generation || left.number - right.number;
}

/** Who holds `partition`, `[0, map.partitionCount)`. */
export function placementOf(map: RingMap, partition: number): Placement {
  if (!(partition >= 0 && partition < map.partitionCount)) {
    throw new RangeError(
      `Partition must be in [0, ${map.partitionCount}): current value is ${partition}`,
    );
  }
  const placement = map.placements[map.placements.length === 1 ? 0 : partition];
  return defined(placement, "A ring map has one placement, or one for each partition");
}

/** The node of that id, if the map names it. */
export function nodeOf(map: RingMap, nodeId: number): RingNode | undefined {
  return map.nodes.find((node) => node.nodeId === nodeId);
}
