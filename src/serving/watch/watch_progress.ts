/**
 * The periodic work for watches: progress replies at the interval that each client chose, from its
 * first one on. A reply names the partitions whose position has moved, all of those with changes and
 * a few of the others, and carries the proven age of the oldest one if the watch is nowhere behind:
 * everything older than that was sent before.
 *
 * One timer serves all watches of a node, at multiples of a tick, so that replies of one stream
 * leave together; there is none while nothing is watched.
 */
import { WATCH_PROGRESS_MS_MAX, WATCH_PROOF_TICKS, WATCH_TICK_MS } from "../../base/limits.ts";
import type { Scheduler, Timer } from "../../base/world.ts";
import { ORDINAL_END } from "../../wire/watch_message.ts";
import { changesOf, type ReplyPart, type WatchReplies } from "./watch_replies.ts";
import type { Watcher } from "./watcher.ts";
import type { WatchedPartition } from "./watched_partition.ts";

/** Dependencies of {@link WatchProgress}. */
export interface WatchProgressParts {
  readonly scheduler: Scheduler;
  readonly replies: WatchReplies;
  readonly partition: (id: number) => WatchedPartition;
  readonly partitions: () => Iterable<WatchedPartition>;
  /** Returns the index of the last change of a partition. */
  readonly lastChangeOf: (id: number) => number;
  /** Passes on all changes, before progress is told. */
  readonly beforeTick: () => void;
  /** Sends what the tick appended, and serves watches that wait for a position. */
  readonly afterTick: () => void;
  /** As {@link WatcherCare.isEntitled} and {@link WatcherCare.appended}. */
  readonly isEntitled: (watcher: Watcher) => boolean;
  readonly appended: (watcher: Watcher) => void;
}

const TICKS_MAX = WATCH_PROGRESS_MS_MAX / WATCH_TICK_MS;

/** Returns the interval that a client asked for, in ticks. */
export function progressTicksOf(progressMs: number): number {
  return Math.max(1, Math.round(progressMs / WATCH_TICK_MS));
}

/** The progress of all watches of a node. */
export class WatchProgress {
  readonly #parts: WatchProgressParts;
  /** Watches by the tick at which they are due, modulo the count. */
  readonly #due: Watcher[][] = Array.from({ length: TICKS_MAX + 1 }, () => []);
  #count = 0;
  #timer: Timer | undefined;
  /** Number of the last tick. */
  tick = 0;

  constructor(parts: WatchProgressParts) {
    this.#parts = parts;
  }

  /** Adds a watch. */
  add(watcher: Watcher): void {
    this.#count++;
    this.#plan(watcher);
    this.#timer ??= this.#parts.scheduler.after(WATCH_TICK_MS, this.#onTick);
  }

  /** Notes that a watch has ended. */
  ended(): void {
    this.#count--;
  }

  #plan(watcher: Watcher): void {
    this.#due[(this.tick + watcher.progressTicks) % this.#due.length]!.push(watcher);
  }

  readonly #onTick = (): void => {
    this.#timer = undefined;
    const { scheduler, beforeTick, afterTick } = this.#parts;
    const tick = ++this.tick;
    beforeTick();
    this.#notePositions();
    const place = tick % this.#due.length;
    const due = this.#due[place]!;
    this.#due[place] = [];
    for (const watcher of due) {
      if (watcher.isEnded) continue;
      this.#plan(watcher);
      this.tell(watcher, true);
    }
    afterTick();
    if (this.#count > 0) this.#timer = scheduler.after(WATCH_TICK_MS, this.#onTick);
    else for (const watchers of this.#due) watchers.length = 0;
  };

  /** Notes the positions that have moved, also by entries without changes. */
  #notePositions(): void {
    let asks = this.tick % WATCH_PROOF_TICKS === 0;
    for (const partition of this.#parts.partitions()) {
      const { place } = partition;
      partition.pumpedIndex = place.store.appliedIndex;
      if (partition.pumpedIndex !== partition.seenIndex) {
        partition.seenIndex = partition.pumpedIndex;
        partition.movedTick = this.tick;
      }
      const change = this.#parts.lastChangeOf(partition.id);
      if (change !== partition.seenChange) {
        partition.seenChange = change;
        partition.changedTick = this.tick;
      }
      // Asking for one keeps the proofs of all coming.
      if (asks && !place.group.isLeading) {
        place.group.provenAgeMs();
        asks = false;
      }
    }
  }

  /**
   * Appends a progress reply, if there is room. Everything that is known here was passed on before.
   *
   * @param isTick whether an age proven since the tick began is good enough.
   */
  tell(watcher: Watcher, isTick = false): void {
    const { replies, isEntitled, appended } = this.#parts;
    const { id, lane: { stream }, subscription, behind } = watcher;
    if (!isEntitled(watcher) || !stream.hasWatchRoom) return;
    const parts = isTick ? this.#quietParts(watcher) : [];
    let oldest: WatchedPartition | undefined;
    for (const number of subscription.partitions) {
      if (behind?.has(number) === true) continue;
      const partition = this.#parts.partition(number);
      if (partition.changedTick > watcher.toldTick) parts.push(positionOf(partition));
      this.#proveAge(partition, isTick);
      if (oldest === undefined || partition.ageMs > oldest.ageMs) oldest = partition;
    }
    if (isTick) watcher.toldTick = this.tick;
    const isProven = behind === undefined && oldest !== undefined && oldest.ageMs !== Infinity;
    const age = isProven ? receiptOf(oldest!) : undefined;
    const nonce = behind === undefined ? watcher.nonce : 0;
    if (nonce !== 0) watcher.nonce = 0;
    replies.progress(stream.writer, { id, nonce, parts, age });
    appended(watcher);
  }

  /** Returns the positions that moved without a change since they were told, a few of them. */
  #quietParts({ subscription: { partitions }, behind, toldTick, quiet }: Watcher): ReplyPart[] {
    const isDue = (number: number, tick: number) => {
      const { movedTick, changedTick } = this.#parts.partition(number);
      return movedTick > tick && changedTick <= toldTick && behind?.has(number) !== true;
    };
    return quiet.take(partitions, this.tick, isDue)
      .map((number) => positionOf(this.#parts.partition(number)));
  }

  /** Determines the proven age of a partition; in a tick once for all watches. */
  #proveAge(partition: WatchedPartition, isTick: boolean): void {
    if (isTick && partition.ageTick === this.tick) return;
    partition.ageTick = isTick ? this.tick : -1;
    partition.ageMs = partition.place.group.provenAgeMs();
  }
}

/** Returns the part that tells a watch how far it is in a partition. */
function positionOf(partition: WatchedPartition): ReplyPart {
  return changesOf(partition, partition.pumpedIndex, ORDINAL_END);
}

/** Returns the receipt of a partition of which everything applied here was passed on. */
function receiptOf({ id, ageMs, place: { group } }: WatchedPartition) {
  const { appliedIndex, term } = group.status();
  const point = { appliedIndex, term, ageBoundMs: ageMs };
  return { partition: id, point };
}
