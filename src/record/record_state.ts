/**
 * The state in a stored record: what its owner set (RECORD_STATES), and whether the record is stale, which
 * only the registry sets: its lease is over, and it stays because many ended at once.
 */
import { RECORD_STATES, type RecordState } from "./plain.ts";

/** The bit of a stale record. */
const STALE = 2;

/** Reports whether a record with that state is stale. */
export function isStaleState(state: number): boolean {
  return (state & STALE) !== 0;
}

/** Returns the state of the record once it is stale. */
export function staleState(state: number): number {
  return state | STALE;
}

/** Returns the state that the record's owner set. */
export function ownState(state: number): number {
  return state & ~STALE;
}

/** Returns the name of the state that the record's owner set; that of a later program's is `active`. */
export function stateName(state: number): RecordState {
  return RECORD_STATES[ownState(state)] ?? "active";
}
