/**
 * Events of a partition's state machine: the changes that an entry makes.
 *
 * They are part of apply's result: the same entries give the same events, in the same order, on
 * every replica. Whatever follows the changes of records on a node receives them through one sink
 * ({@link EventFeed}, event_feed.ts).
 */
import type { StoredSpan } from "./reply.ts";

/** The kind of a change of a record or an alias. */
export type EventType =
  | "registered"
  | "updated"
  | "taken_over"
  | "extended"
  | "removed"
  | "expired"
  /** Its lease is over, and it stays. */
  | "stale"
  /** It was stale, and was renewed. */
  | "recovered"
  /**
   * An agent gave up its claim, by a change, or by its end, which is then the event before; `stored`
   * is its form before. Its alias may be freed.
   */
  | "claim_dropped"
  | "claimed"
  | "confirmed"
  | "released"
  /** A mirror, or an alias of another region, came or changed. */
  | "mirrored"
  /** It ended; `stored` is its form before. */
  | "mirror_removed";

/** One change. */
export interface StoreEvent {
  /** The number of the partition, from 0. */
  readonly partition: number;
  readonly type: EventType;
  /** The kind of the record or alias (see src/record/key.ts). */
  readonly kind: number;
  /** The generation of the entry's term. */
  readonly generation: number;
  /** The index of the entry: the revision. */
  readonly index: number;
  /** The form after the change; for a removed record or alias, the form before. */
  readonly stored: StoredSpan;
  /** The form before the change, of a record or alias that existed and was not removed. */
  readonly before: StoredSpan | undefined;
}

/**
 * Receives events from apply, in order, while it runs. It must not change the store, must not
 * throw, and must copy what it keeps: the event and its forms are reused.
 */
export interface EventSink {
  onEvent(event: StoreEvent): void;
  /**
   * A partition's state begins anew: with nothing at index 0, or by an image with everything up to
   * that index, whose events are not passed.
   */
  onBegin(partition: number, index: number): void;
}
