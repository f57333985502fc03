/** Counters of events that apply reports, for metrics. */
import { RECORD_KINDS } from "../record/kinds.ts";
import type { EventSink, StoreEvent } from "../store/event.ts";

/** The number of expiries since the start, by kind. */
export class EventCounts implements Pick<EventSink, "onEvent"> {
  readonly #expired: number[] = [];

  /** Counts an expiry. */
  onEvent({ kind }: StoreEvent): void {
    this.#expired[kind] = (this.#expired[kind] ?? 0) + 1;
  }

  /** Returns the expiries of each kind that has a lease, by name. */
  byKind(): { kind: string; count: number }[] {
    return RECORD_KINDS.rows.filter(({ hasLease }) => hasLease)
      .map(({ number, name }) => ({ kind: name, count: this.#expired[number] ?? 0 }));
  }
}
