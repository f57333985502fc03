/**
 * Serves a watch that is behind, in steps of one reply: from the history, or with the state of a
 * partition whose history is gone or that was asked for.
 *
 * The state is sent as it is now, after the changes up to now, so that all that is sent of a
 * partition is in order and has one position (state_scan.ts).
 */
import { concatBytes, isBytesAt } from "../../base/bytes.ts";
import { WATCH_PARTS_MAX, WATCH_REPLY_BYTES } from "../../base/limits.ts";
import { KIND_MIRROR } from "../../record/key.ts";
import { emptySpan } from "../../store/reply.ts";
import { MIRROR_KEY_BYTES } from "../../store/shared.ts";
import type { PartitionStore } from "../../store/store.ts";
import { WATCH_EVENT_TYPES, WATCH_PHASES } from "../../../schemas/gen/wire.ts";
import { ORDINAL_END } from "../../wire/watch_message.ts";
import type { Histories } from "./histories.ts";
import { type HistoryChange, newHistoryChange } from "./history_change.ts";
import { eventOf } from "./live_delivery.ts";
import { StateScan } from "./state_scan.ts";
import { type FilterMatcher, isOfKinds, type StoredFilter } from "./watch_filter.ts";
import {
  bytesOfEvent,
  changesOf,
  PART_BYTES,
  type ReplyEvent,
  type ReplyPart,
} from "./watch_replies.ts";
import type { Watcher, WatcherCursor } from "./watcher.ts";
import type { WatchedPartition } from "./watched_partition.ts";

/** Dependencies of {@link CatchUp}. */
export interface CatchUpParts {
  readonly histories: Histories;
  readonly matcher: FilterMatcher;
  /** Returns a partition that is watched. */
  readonly partition: (id: number) => WatchedPartition;
  /** Returns those of the keys of a kind that are in a partition. */
  readonly keysIn: (kind: number, keys: readonly Uint8Array[], partition: number) => Uint8Array[];
  /** Counts a partition of which a watch begins anew. */
  readonly onReset: () => void;
}

/** The next reply of a watch. */
export interface NextReply {
  /** Empty if there is nothing to send for now. */
  readonly parts: readonly ReplyPart[];
  /** Partitions in which the watch has to end, as what it lacks is no longer in the history. */
  readonly lost: readonly number[];
}

/** A reply while it is made. */
interface Draft extends NextReply {
  readonly parts: ReplyPart[];
  readonly lost: number[];
  bytes: number;
}

const NO_FORM = emptySpan();

/** Makes the replies of watches that are behind. */
export class CatchUp {
  readonly #parts: CatchUpParts;
  readonly #change = newHistoryChange();
  readonly #form = emptySpan();

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
  }

  /**
   * Returns the next reply, whose forms are valid in this turn only. Ends the cursors of partitions
   * in which the watch has caught up or has to end.
   */
  next(watcher: Watcher): NextReply {
    const draft: Draft = { parts: [], lost: [], bytes: 0 };
    for (const [id, cursor] of watcher.behind ?? []) {
      if (draft.bytes >= WATCH_REPLY_BYTES || draft.parts.length >= WATCH_PARTS_MAX) break;
      if (this.#advance(watcher, this.#parts.partition(id), cursor, draft)) watcher.caughtUp(id);
    }
    return draft;
  }

  /** Adds what fits of a partition; returns whether the watch has caught up there. */
  #advance(
    watcher: Watcher,
    partition: WatchedPartition,
    cursor: WatcherCursor,
    draft: Draft,
  ): boolean {
    const { pumpedIndex } = partition;
    // A position that this replica has not reached yet.
    if (cursor.index > pumpedIndex) return false;
    if (cursor.next !== "changes" && cursor.scan === undefined) {
      this.#begin(watcher, partition, cursor, draft);
    }
    if (!this.#parts.histories.covers(partition.id, cursor.index, cursor.ordinal)) {
      draft.lost.push(partition.id);
      return true;
    }
    const part = this.#changes(watcher, partition, cursor, draft);
    const isWhole = cursor.index === pumpedIndex && cursor.ordinal === ORDINAL_END;
    if (!isWhole || cursor.scan !== undefined) {
      if (part.events.length > 0) addPart(draft, part);
      if (!isWhole || cursor.scan === undefined) return false;
      if (!this.#state(watcher, partition, cursor.scan, draft)) return false;
      addPart(draft, { ...changesOf(partition, pumpedIndex, ORDINAL_END), phase: STATE_END });
      cursor.scan = undefined;
      cursor.next = "changes";
    } else addPart(draft, part);
    return true;
  }

  #begin(
    { subscription: { filter } }: Watcher,
    partition: WatchedPartition,
    cursor: WatcherCursor,
    draft: Draft,
  ): void {
    const { keysIn, onReset } = this.#parts;
    const keys = filter.kinds.flatMap((kind) => {
      const ids = keysIn(kind, filter.keys, partition.id);
      return filter.withMirrors ? [...ids, ...ids.map((id) => mirrorKey(kind, id))] : ids;
    });
    cursor.scan = new StateScan(filter, keys, cursor.after);
    if (cursor.after !== undefined) return;
    cursor.index = partition.pumpedIndex;
    cursor.ordinal = ORDINAL_END;
    if (cursor.next !== "reset") return;
    onReset();
    const { reset: phase } = WATCH_PHASES;
    addPart(draft, { ...changesOf(partition, cursor.index, ORDINAL_END), phase });
  }

  /** Moves the cursor over changes, as far as they fit, and returns those that the watch wants. */
  #changes(
    { subscription }: Watcher,
    partition: WatchedPartition,
    cursor: WatcherCursor,
    draft: Draft,
  ): ReplyPart {
    const { histories, matcher } = this.#parts;
    const { pumpedIndex, place: { group } } = partition;
    const part = changesOf(partition, pumpedIndex, ORDINAL_END);
    const timeMs = group.timeMs();
    let isWhole = true;
    histories.read(partition.id, cursor.index, cursor.ordinal, this.#change, (change) => {
      isWhole = draft.bytes < WATCH_REPLY_BYTES;
      if (!isWhole) return false;
      cursor.index = change.index;
      cursor.ordinal = change.ordinal;
      const concern = this.#concern(subscription, change, cursor.scan);
      if (concern === "none") return true;
      const event = eventOf(subscription, change, concern, { matcher, timeMs });
      part.events.push(event);
      draft.bytes += bytesOfEvent(event);
      return true;
    });
    if (isWhole) {
      cursor.index = pumpedIndex;
      cursor.ordinal = ORDINAL_END;
    }
    part.index = cursor.index;
    part.ordinal = cursor.ordinal;
    return part;
  }

  #concern(
    { filter }: Watcher["subscription"],
    change: HistoryChange,
    scan: StateScan | undefined,
  ): ReturnType<FilterMatcher["concern"]> {
    const { matcher } = this.#parts;
    if (!isOfKinds(filter, change.kind)) return "none";
    if (scan !== undefined || filter.keys.length > 0) {
      if (scan?.isToCome(matcher.tableKeyOf(change.kind, change.record)) === true) return "none";
      const key = matcher.keyOf(change.kind, change.record);
      const { bytes, start, end } = key;
      const isWanted = filter.keys.length === 0 ||
        filter.keys.some((wanted) => isBytesAt(wanted, bytes, start, end));
      if (!isWanted) return "none";
    }
    return matcher.concern(filter, change);
  }

  /** Adds records of the state, as far as they fit; returns whether that was the last of it. */
  #state(
    { subscription: { filter } }: Watcher,
    partition: WatchedPartition,
    scan: StateScan,
    draft: Draft,
  ): boolean {
    const { store } = partition.place;
    const part = { ...changesOf(partition, partition.pumpedIndex, ORDINAL_END), phase: STATE };
    let isWhole = false;
    while (draft.bytes < WATCH_REPLY_BYTES) {
      const key = scan.next(store);
      isWhole = key === undefined;
      if (key === undefined) break;
      for (const { kind, slot } of slotsOf(filter, store, key)) {
        const form = store.locate(slot, this.#form);
        if (!this.#parts.matcher.matches(filter, kind, form)) continue;
        const event = this.#stateEvent(partition, kind);
        scan.sent(key);
        part.events.push(event);
        draft.bytes += bytesOfEvent(event);
      }
    }
    if (part.events.length > 0) addPart(draft, part);
    return isWhole;
  }

  /** Returns the event for the record at `#form`. */
  #stateEvent({ place: { group } }: WatchedPartition, kind: number): ReplyEvent {
    const { matcher } = this.#parts;
    const { put: type } = WATCH_EVENT_TYPES;
    const common = { type, ordinal: 0, left: false, before: NO_FORM };
    // A mirror keeps no position of this region.
    if (kind === KIND_MIRROR) {
      return { ...common, ...matcher.recordOf(this.#form), index: 0, remainingMs: 0 };
    }
    return {
      ...{ ...common, kind, home: "" },
      index: matcher.revisionIndexOf(kind, this.#form),
      remainingMs: matcher.coverLeftMs(kind, this.#form, group.timeMs()),
      record: { ...this.#form },
    };
  }
}

/** Iterates over the slots with a key of the partition's table that may match a filter. */
function* slotsOf(
  { kinds, withMirrors }: StoredFilter,
  store: PartitionStore,
  key: Uint8Array,
): IterableIterator<{ readonly kind: number; readonly slot: number }> {
  if (withMirrors && key.length === MIRROR_KEY_BYTES) {
    for (const slot of store.mirrors.slotsOf(key)) yield { kind: KIND_MIRROR, slot };
    return;
  }
  for (const kind of kinds) {
    const slot = store.find(kind, key, 0, key.length);
    if (slot !== -1) yield { kind, slot };
  }
}

/** Returns the key of mirrors of a record in the table of its partition. */
function mirrorKey(kind: number, id: Uint8Array): Uint8Array {
  return concatBytes([id, Uint8Array.of(kind & 0xff, kind >>> 8)]);
}

const { state: STATE, stateEnd: STATE_END } = WATCH_PHASES;

function addPart(draft: Draft, part: ReplyPart): void {
  draft.parts.push(part);
  draft.bytes += PART_BYTES;
}
