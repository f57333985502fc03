/**
 * The core's read access to the durable log. It is synchronous because the core is: the owner keeps
 * in memory what the core may ask for, or answers from what it has already read.
 *
 * The core never writes here. It hands out data to write (`Ready`), and reads that data back only
 * after it was told that the write is durable. An implementation may therefore show written entries
 * early, but must never lose them afterwards.
 */
import type { Configuration, Entry, HardState, Snapshot } from "./message.ts";

/** The durable state of one replica. */
export interface RaftStorage {
  /** Returns the state to restart from. */
  initialState(): { readonly hardState: HardState; readonly configuration: Configuration };
  /** Returns the index of the first entry after the snapshot; 1 if there is none. */
  firstIndex(): number;
  /** Returns the index of the last entry; `firstIndex() - 1` if there is none. */
  lastIndex(): number;
  /**
   * Returns the term of the entry at `index`, from `firstIndex() - 1` on; undefined if it is
   * compacted or beyond the end.
   */
  term(index: number): number | undefined;
  /**
   * Returns the entries `[lo, hi)`, as many as fit into `bytesMax` but at least one. The caller
   * owns the array, but not the entries. Returns undefined if `lo` is compacted.
   */
  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | undefined;
  /**
   * Returns a snapshot; undefined while it is being made: the owner then calls `RaftNode.snapshotMade`,
   * or waits until the core asks again.
   */
  snapshot(): Snapshot | undefined;
}
