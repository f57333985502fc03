/** The stale records of a partition, and their count. */
import { isStaleState, ownState, staleState } from "../record/record_state.ts";
import type { OwnedView } from "../record/kind_row.ts";

/** A state that counts its stale records. */
interface StaleCounts {
  staleCount: number;
  readonly shared: { readonly counts: { stale: number } };
}

/** A state with records. */
interface Records extends StaleCounts {
  writableRecord(slot: number): OwnedView;
}

/** Sets whether a live record is stale. */
export function setStale(state: Records, slot: number, isStale: boolean): void {
  const record = state.writableRecord(slot);
  if (isStaleState(record.state) === isStale) return;
  record.state = isStale ? staleState(record.state) : ownState(record.state);
  countStale(state, isStale ? 1 : -1);
}

/** Counts a stale record that came or went. */
export function countStale(state: StaleCounts, by: 1 | -1): void {
  state.staleCount += by;
  state.shared.counts.stale += by;
}
