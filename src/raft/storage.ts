/**
 * What the core reads of the durable log. Synchronous, for the core is: the owner keeps in memory
 * what the core may ask for, or answers from what it has read before.
 *
 * The core never writes here. It hands out what is to be written (`Ready`), and reads it back only
 * after it was told that the write is durable, so an implementation may show written entries early
 * but must never lose them afterwards.
 */
import type { Configuration, Entry, HardState, Snapshot } from "./message.ts";

/** The durable part of one replica, as it is now. */
export interface Storage {
  /** What a restart starts from. */
  initialState(): { readonly hardState: HardState; readonly configuration: Configuration };
  /** Index of the first entry after the snapshot; 1 where there is none. */
  firstIndex(): number;
  /** Index of the last entry; `firstIndex() - 1` where there is none. */
  lastIndex(): number;
  /** Term of the entry at `index`, from `firstIndex() - 1` on; undefined: compacted or not there. */
  term(index: number): number | undefined;
  /**
   * The entries `[lo, hi)`, as many as fit into `bytesMax` but at least one. The caller owns the
   * array, not the entries. Undefined when `lo` is compacted.
   */
  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | undefined;
  /** The newest snapshot; undefined while it is being made. */
  snapshot(): Snapshot | undefined;
}
