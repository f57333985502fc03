/** A set of partitions as a bitmap: bit p, the lowest of a byte first, stands for partition p. */

/** A set of partitions of one cluster. */
export class PartitionSet {
  readonly partitionCount: number;
  /** The bitmap; bits at and above `partitionCount` are 0. */
  readonly bytes: Uint8Array;

  /** @param bytes a bitmap of {@link partitionSetBytes} bytes; copied. Default: the empty set. */
  constructor(partitionCount: number, bytes?: Uint8Array) {
    this.partitionCount = partitionCount;
    this.bytes = new Uint8Array(partitionSetBytes(partitionCount));
    if (bytes === undefined) return;
    if (bytes.length !== this.bytes.length) {
      throw new RangeError(
        `Bitmap of ${partitionCount} partitions must have ${this.bytes.length} bytes: ` +
          `found ${bytes.length}`,
      );
    }
    this.bytes.set(bytes);
    const used = partitionCount & 7;
    if (used !== 0) this.bytes[this.bytes.length - 1]! &= (1 << used) - 1;
  }

  /** The number of partitions in the set. */
  get count(): number {
    let count = 0;
    for (let partition = 0; partition < this.partitionCount; partition++) {
      if (this.has(partition)) count++;
    }
    return count;
  }

  /** Whether all partitions are in the set. */
  get isFull(): boolean {
    return this.count === this.partitionCount;
  }

  has(partition: number): boolean {
    return (this.bytes[partition >> 3]! & (1 << (partition & 7))) !== 0;
  }

  add(partition: number): void {
    this.bytes[partition >> 3]! |= 1 << (partition & 7);
  }

  delete(partition: number): void {
    this.bytes[partition >> 3]! &= ~(1 << (partition & 7));
  }

  /** Iterates over the partitions in ascending order. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (let partition = 0; partition < this.partitionCount; partition++) {
      if (this.has(partition)) yield partition;
    }
  }
}

/** Returns the size of a bitmap. */
export function partitionSetBytes(partitionCount: number): number {
  return (partitionCount + 7) >> 3;
}
