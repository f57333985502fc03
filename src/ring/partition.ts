/**
 * Mapping of keys to partitions: SipHash-2-4 under the cluster's hash key, over the kind as one
 * byte and the canonical key (16 bytes of id, or the lower-case domain). Frozen: the partition of a
 * key must never change while a cluster exists (tests/vectors/partition.json).
 */
import type { PartitionId } from "../base/ids.ts";
import { SipHash } from "./siphash.ts";

/** Maximum partition count of a cluster. */
export const PARTITION_COUNT_MAX = 8_192;

/** Reports whether a cluster may have `count` partitions: a power of two up to the maximum. */
export function isPartitionCount(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= PARTITION_COUNT_MAX &&
    (count & (count - 1)) === 0;
}

/** Finds the partition of keys, for one cluster. Allocates nothing per key. */
export class Partitioner {
  readonly partitionCount: number;
  readonly #hash: SipHash;

  /**
   * @param hashKey the cluster's key, 16 bytes; copied.
   * @param partitionCount a power of two in `[1, 8192]`.
   */
  constructor(hashKey: Uint8Array, partitionCount: number) {
    if (!isPartitionCount(partitionCount)) {
      throw new RangeError(
        `Partition count must be a power of two in [1, ${PARTITION_COUNT_MAX}]: ` +
          `current value is ${partitionCount}`,
      );
    }
    this.partitionCount = partitionCount;
    this.#hash = new SipHash(hashKey);
  }

  /**
   * Returns the partition of the key of `kind` whose canonical bytes are `[start, end)` of `bytes`.
   */
  partitionOf(kind: number, bytes: Uint8Array, start: number, end: number): PartitionId {
    this.#hash.hash(kind, bytes, start, end);
    return (this.#hash.low & (this.partitionCount - 1)) as PartitionId;
  }

  /** Returns the partition of a whole key: its kind as the first byte, then the canonical bytes. */
  partitionOfKey(key: Uint8Array): PartitionId {
    this.#hash.hash(-1, key, 0, key.length);
    return (this.#hash.low & (this.partitionCount - 1)) as PartitionId;
  }
}
