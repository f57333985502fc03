/** Counters of events that apply reports, for metrics. */
import { KIND_AGENT, KIND_GATEWAY } from "../record/key.ts";
import type { EventSink, EventType, StoredSpan } from "../store/reply.ts";

/** The number of expiries since the start, by kind. */
export class EventCounts implements EventSink {
  agentsExpired = 0;
  gatewaysExpired = 0;

  onEvent(type: EventType, kind: number, _stored: StoredSpan, _index: number): void {
    if (type !== "expired") return;
    if (kind === KIND_AGENT) this.agentsExpired++;
    else if (kind === KIND_GATEWAY) this.gatewaysExpired++;
  }
}
