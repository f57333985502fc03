/**
 * Positions in the histories that watches follow.
 *
 * A partition's history numbers its changes by (generation, index, ordinal): the generation of the
 * cluster, the index of the log entry, and the number of the change in its entry, from 1. Applying
 * an entry is deterministic, so a change has the same position on every replica.
 */

/** A position in a partition's history; what lies behind it is still to be received. */
export interface HistoryPosition {
  readonly generation: number;
  readonly index: number;
  /** Number of the last event of the entry that was received; {@link ORDINAL_END}: all of them. */
  readonly ordinal: number;
}

/** Ordinal of the position behind all events of an entry. */
export const ORDINAL_END = 0xffff_ffff;

/** Returns a number below, equal to or above 0 as `left` is before, at or behind `right`. */
export function comparePositions(left: HistoryPosition, right: HistoryPosition): number {
  return left.generation - right.generation || left.index - right.index ||
    left.ordinal - right.ordinal;
}
