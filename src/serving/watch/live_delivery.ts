/**
 * Passes new changes to the watches that are not behind. In each turn every partition with changes
 * is read once, each change is compared once with each subscription that it may concern, and what a
 * subscription receives is encoded once. A watch whose stream has no room, or that is behind
 * anywhere, falls behind in the partitions concerned; catch_up.ts serves it later.
 */
import { WATCH_EVENT_TYPES } from "../../../schemas/gen/wire.ts";
import { WATCH_REPLY_BYTES } from "../../base/limits.ts";
import { KIND_MIRROR } from "../../record/key.ts";
import { emptySpan } from "../../store/reply.ts";
import { ORDINAL_END } from "../../wire/watch_message.ts";
import type { Histories } from "./histories.ts";
import { type HistoryChange, newHistoryChange } from "./history_change.ts";
import type { Concern, FilterMatcher } from "./watch_filter.ts";
import {
  bytesOfEvent,
  changesOf,
  type ReplyEvent,
  type ReplyPart,
  type SharedReply,
  type WatchReplies,
} from "./watch_replies.ts";
import type { Subscription, Watcher } from "./watcher.ts";
import type { WatchedPartition } from "./watched_partition.ts";

/** The work of the hub that delivery asks for. */
export interface WatcherCare {
  /** Reports whether the watch goes on; ends it if its peer has lost the right to it. */
  isEntitled(watcher: Watcher): boolean;
  /** Serves a watch that is behind when its stream has room. */
  queue(watcher: Watcher): void;
  /** Something was appended for a watch, to be sent at the end of the turn. */
  appended(watcher: Watcher, events: number): void;
}

/** Dependencies of delivery. */
export interface DeliveryParts {
  readonly histories: Histories;
  readonly matcher: FilterMatcher;
  readonly replies: WatchReplies;
  readonly care: WatcherCare;
}

/** Changes of one partition that a subscription receives in this turn. */
interface NewChanges {
  readonly partition: WatchedPartition;
  readonly events: ReplyEvent[];
}

const NO_FORM = emptySpan();

/** Returns the event of a change for a subscription that it concerns. */
export function eventOf(
  { filter, withBefore }: Subscription,
  change: HistoryChange,
  concern: Concern,
  { matcher, timeMs }: { readonly matcher: FilterMatcher; readonly timeMs: number },
): ReplyEvent {
  const { type, kind, index, ordinal, record, before } = change;
  const isSecret = filter.isFeed || !matcher.isReadable(filter, kind, record);
  if (isSecret && concern === "left") {
    // Other regions, and peers that may no longer read the record, are told that it is removed, and
    // nothing of its new form.
    const { deregistered } = WATCH_EVENT_TYPES;
    const last = kind === KIND_MIRROR
      ? matcher.recordOf(before)
      : { kind, home: "", record: { ...before } };
    return {
      ...{ type: deregistered, index, ordinal, remainingMs: 0, left: true },
      ...{ ...last, before: NO_FORM },
    };
  }
  // Other regions may run programs that know no stale records; the form tells those that do.
  const isChange = filter.isFeed && isOfStaleness(type);
  const common = {
    type: isChange ? WATCH_EVENT_TYPES.put : type,
    ...{ index, ordinal, left: concern === "left" },
  };
  if (kind === KIND_MIRROR) {
    const hasBefore = withBefore && before.end > before.start &&
      matcher.isReadable(filter, kind, before);
    return {
      ...{ ...common, ...matcher.recordOf(record), remainingMs: 0 },
      before: hasBefore ? matcher.recordOf(before).record : NO_FORM,
    };
  }
  const showsBefore = filter.isFeed
    ? matcher.hadDomain(kind, before) && matcher.matches(filter, kind, before)
    : withBefore && (before.end === before.start || matcher.isReadable(filter, kind, before));
  return {
    ...{ ...common, kind, home: "" },
    remainingMs: matcher.remainingMs(change, timeMs),
    record: { ...record },
    before: showsBefore ? { ...before } : NO_FORM,
  };
}

/** Reports whether a change is that of a record which became stale or recovered. */
function isOfStaleness(type: number): boolean {
  return type === WATCH_EVENT_TYPES.stale || type === WATCH_EVENT_TYPES.recovered;
}

/** Passes on new changes. */
export class LiveDelivery {
  readonly #parts: DeliveryParts;
  readonly #change = newHistoryChange();
  /** The changes that each subscription receives in this turn. */
  readonly #news = new Map<Subscription, NewChanges[]>();

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
  }

  /** Passes on the changes of partitions since they were last passed on. */
  deliver(partitions: readonly WatchedPartition[]): void {
    for (const partition of partitions) this.#collect(partition);
    for (const [subscription, news] of this.#news) this.#pass(subscription, news);
    this.#news.clear();
    for (const partition of partitions) {
      partition.isDirty = partition.hasBegun = false;
      partition.pumpedIndex = partition.place.store.appliedIndex;
    }
  }

  #collect(partition: WatchedPartition): void {
    const { pumpedIndex, place: { group } } = partition;
    const { histories } = this.#parts;
    const { id } = partition;
    // So much may change in one turn that the first of it is gone.
    const isLost = !histories.covers(id, pumpedIndex, ORDINAL_END);
    if (partition.hasBegun || isLost) return this.#reset(partition);
    partition.generation = Math.max(partition.generation, histories.generationOf(id));
    const timeMs = group.timeMs();
    histories.read(id, pumpedIndex, ORDINAL_END, this.#change, (change) => {
      this.#offer(partition, change, timeMs);
      return true;
    });
  }

  /** Lets all watches of a partition begin anew there. */
  #reset(partition: WatchedPartition): void {
    const { care } = this.#parts;
    const { id, place: { store: { appliedIndex } } } = partition;
    for (const { watchers } of partition.subscriptions()) {
      for (const watcher of watchers) {
        watcher.reset(id, appliedIndex);
        care.queue(watcher);
      }
    }
  }

  #offer(partition: WatchedPartition, change: HistoryChange, timeMs: number): void {
    for (const one of partition.wide) this.#take(one, partition, change, timeMs);
    if (!partition.hasKeys) return;
    const key = this.#parts.matcher.keyOf(change.kind, change.record);
    partition.forEachOfKey(key, (one) => this.#take(one, partition, change, timeMs));
  }

  #take(
    subscription: Subscription,
    partition: WatchedPartition,
    change: HistoryChange,
    timeMs: number,
  ): void {
    const { matcher } = this.#parts;
    const concern = matcher.concern(subscription.filter, change);
    if (concern === "none") return;
    let news = this.#news.get(subscription);
    if (news === undefined) this.#news.set(subscription, news = []);
    let last = news.at(-1);
    if (last?.partition !== partition) news.push(last = { partition, events: [] });
    last.events.push(eventOf(subscription, change, concern, { matcher, timeMs }));
  }

  #pass(subscription: Subscription, news: readonly NewChanges[]): void {
    const { care, replies } = this.#parts;
    const shared = repliesOf(news).map((parts) => replies.shared(parts));
    const { watchers } = subscription;
    // From the last to the first, because one that ends is replaced by the last.
    for (let place = watchers.length - 1; place >= 0; place--) {
      const watcher = watchers[place]!;
      if (!care.isEntitled(watcher)) continue;
      this.#send(watcher, shared);
    }
  }

  #send(watcher: Watcher, shared: readonly SharedReply[]): void {
    const { care } = this.#parts;
    const { id, lane: { stream }, peer } = watcher;
    let sent = 0;
    if (watcher.behind === undefined) {
      for (; sent < shared.length && stream.hasWatchRoom; sent++) {
        const reply = shared[sent]!;
        reply.write(stream.writer, id, peer);
        care.appended(watcher, countOf(reply.parts));
      }
    }
    if (sent === shared.length) return;
    // In a partition of which some was sent it is behind only that.
    for (const { parts } of shared.slice(sent)) {
      for (const { partition, events } of parts) {
        const { index, ordinal } = events[0]!;
        watcher.fallBehind(partition, index, ordinal - 1);
      }
    }
    care.queue(watcher);
  }
}

/** Divides news into the parts of replies, each of about WATCH_REPLY_BYTES. */
function repliesOf(news: readonly NewChanges[]): ReplyPart[][] {
  const replies: ReplyPart[][] = [[]];
  let bytes = 0;
  for (const { partition, events } of news) {
    let part: ReplyPart | undefined;
    for (const event of events) {
      if (bytes >= WATCH_REPLY_BYTES) {
        replies.push([]);
        bytes = 0;
        part = undefined;
      }
      if (part === undefined) {
        part = changesOf(partition, event.index, event.ordinal);
        replies.at(-1)!.push(part);
      }
      part.events.push(event);
      part.index = event.index;
      part.ordinal = event.ordinal;
      bytes += bytesOfEvent(event);
    }
    // Behind its last event everything was passed on.
    part!.index = partition.place.store.appliedIndex;
    part!.ordinal = ORDINAL_END;
  }
  return replies;
}

function countOf(parts: readonly ReplyPart[]): number {
  return parts.reduce((sum, { events }) => sum + events.length, 0);
}
