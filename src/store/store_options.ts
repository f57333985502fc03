/** The input of a partition's store: its options, and the entries of its log. */
import type { EventSink } from "./event.ts";
import type { StoreShared } from "./shared.ts";

/** An entry of the partition's log: a command (src/record/command.ts). */
export interface StoreEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array;
}

/** Options of a `PartitionStore`. */
export interface PartitionStoreOptions {
  readonly shared: StoreShared;
  /** Number of the partition, `[0, 8192)`: part of new claims, so that they differ. */
  readonly partition?: number;
  readonly sink?: EventSink;
  /** The highest apply version that the program knows; default: `PARTITION_APPLY_VERSION`. */
  readonly applyVersionMax?: number;
}
