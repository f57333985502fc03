/** The changes that a watch passes on, and the interface of the sink that takes them. */
import type { RegistryError } from "../../base/errors.ts";
import { WATCH_EVENT_TYPES } from "../../../schemas/gen/wire.ts";
import type { RecordEvent, WatchEvent } from "../watch_types.ts";
import type { PositionMap } from "./positions.ts";

/** The names of the types of events, by their numbers; a number without one is of a later version. */
export const EVENT_TYPES: readonly (RecordEvent["type"] | undefined)[] = (() => {
  const names: (RecordEvent["type"] | undefined)[] = [];
  names[WATCH_EVENT_TYPES.put] = "put";
  names[WATCH_EVENT_TYPES.superseded] = "superseded";
  names[WATCH_EVENT_TYPES.deregistered] = "deregistered";
  names[WATCH_EVENT_TYPES.expired] = "expired";
  names[WATCH_EVENT_TYPES.domainLost] = "domain_lost";
  names[WATCH_EVENT_TYPES.stale] = "stale";
  names[WATCH_EVENT_TYPES.recovered] = "recovered";
  return names;
})();

/** The bytes of a record in a reply: `[start, end)`; empty if there is none. */
export interface ByteRange {
  start: number;
  end: number;
}

/**
 * An event as it arrives: one object for all events of a watch, valid only while its sink takes it
 * over.
 */
export class WatchChange {
  type: WatchEvent["type"] = "progress";
  /** Number of the kind. */
  kind = 0;
  isState = false;
  /** Of the end of a state: whether no partition's state is missing. */
  isWhole = false;
  /** Whether the record no longer matches the filter. */
  hasLeft = false;
  remainingMs = 0;
  /** Of a record of another region: its home; else empty. */
  home = "";
  partition = 0;
  generation = 0;
  index = 0;
  /** Id of the node that sent it. */
  node = 0;
  /** How far the node was behind when it last proved it, ms; undefined if it has not. */
  ageBoundMs: number | undefined = undefined;
  /** The positions of the watch after this event. */
  positions: PositionMap;
  /** The reply that holds the records. */
  view: DataView = NO_VIEW;
  bytes: Uint8Array = NO_BYTES;
  record: ByteRange = { start: 0, end: 0 };
  before: ByteRange = { start: 0, end: 0 };

  constructor(positions: PositionMap) {
    this.positions = positions;
  }

  /** Size of the records, bytes. */
  get recordBytes(): number {
    const { record, before } = this;
    return record.end - record.start + before.end - before.start;
  }
}

const NO_BYTES = new Uint8Array(0);
const NO_VIEW = new DataView(NO_BYTES.buffer);

/** Takes the events of a watch. Its methods are called in the order of the events. */
export interface WatchSink {
  /** Whether it takes no more for now: the watch pauses until it is resumed. */
  readonly isFull: boolean;
  /** Takes an event over. */
  take(change: WatchChange): void;
  /** Every partition has begun. */
  onBegun(): void;
  /** Nothing follows. @param error the refusal that ended it, if it was one. */
  onEnded(error: RegistryError | undefined): void;
}
