/**
 * One run of a puller: follows a shard of a region's partitions under a fence of its own, and mirrors
 * them here (design §6).
 *
 * It logs its fence where it writes, reads the cursors that earlier pullers saved, and continues the
 * feed behind them; partitions without one are listed. Cursors, and what is known to be fresh, count
 * once everything before them was applied. A run ends for good when it is superseded, when the source is
 * not the accepted one, or when its owner stops it; the next one has a higher fence.
 */
import { RegistryError, toRegistryError } from "../base/errors.ts";
import {
  MIRROR_BATCH_ITEMS_MAX,
  MIRROR_SAVE_CHANGES,
  MIRROR_SAVE_MS_MAX,
  MIRROR_SAVE_MS_MIN,
  PULLER_BYTES_MAX,
  PULLER_EVENTS_MAX,
  PULLER_REST_MS,
  PULLER_TURN_EVENTS,
  REGION_PROGRESS_MS,
} from "../base/limits.ts";
import type { ClockReading } from "../base/clock_reading.ts";
import type { Timer, World } from "../base/world.ts";
import { Partitioner } from "../ring/partition.ts";
import { BatchSender } from "./batch_sender.ts";
import { CursorBook } from "./cursor_book.ts";
import { FeedChanges, type RecordFeedEvent } from "./feed_changes.ts";
import { Listings } from "./listings.ts";
import type { LogShare } from "./log_share.ts";
import type { LoggedMirrors, MirrorTarget } from "./mirror_target.ts";
import type { BatchSource, SentBatch } from "./partition_queue.ts";
import { ReceivedOrder } from "./received_order.ts";
import type { FeedEvent, RegionFeed, RegionLink, SourceStatus } from "./region_link.ts";
import { sweep } from "./sweep.ts";

/** Parameters and dependencies of a run. */
export interface PullerOptions {
  readonly source: BatchSource;
  /** The accepted source. */
  readonly accepted: SourceStatus;
  readonly shardCount: number;
  readonly bytesPerSecondMax: number;
  readonly link: RegionLink;
  readonly target: MirrorTarget;
  readonly world: World;
  readonly share: LogShare;
  /** Called when everything that the source had at that time, by this node's clocks, is mirrored. */
  readonly onFresh: (asOf: ClockReading) => void;
}

/** Counts of a puller. */
export interface PullerCounts {
  /** Complete listings of partitions that were asked for because a history was gone. */
  resyncs: number;
  /** Changes that were refused here. */
  refused: number;
  /** Changes, and entries of the log, that were applied. */
  changes: number;
  entries: number;
}

/** Returns the sum of counts. */
export function sumOfCounts(one: PullerCounts, other: PullerCounts | undefined): PullerCounts {
  return {
    resyncs: one.resyncs + (other?.resyncs ?? 0),
    refused: one.refused + (other?.refused ?? 0),
    changes: one.changes + (other?.changes ?? 0),
    entries: one.entries + (other?.entries ?? 0),
  };
}

/** One run. */
export class Puller {
  readonly counts: PullerCounts = { resyncs: 0, refused: 0, changes: 0, entries: 0 };
  readonly #options: PullerOptions;
  readonly #order = new ReceivedOrder();
  readonly #book = new CursorBook();
  readonly #listings: Listings;
  readonly #changes: FeedChanges;
  readonly #sender: BatchSender;
  readonly #cursorPartition: number;
  /** The partitions that continue behind a cursor: a reset of them is a resync. */
  #continued: ReadonlySet<number> = new Set();
  #feed: RegionFeed | undefined;
  #ended: RegistryError | "stopped" | undefined;
  #onRoom: (() => void) | undefined;
  #savedMs: number;
  /** The number of cursors that are being saved. */
  #saving = 0;
  #isSweeping = false;
  #timer: Timer | undefined;

  constructor(options: PullerOptions) {
    const { accepted, source, target, world, share } = options;
    this.#options = options;
    this.#listings = new Listings(
      new Partitioner(accepted.hashKey, accepted.partitionCount),
      source.feed,
    );
    this.#changes = new FeedChanges(target);
    this.#savedMs = world.monotonic.nowMs();
    this.#cursorPartition = cursorPartition(source, target);
    this.#sender = new BatchSender({
      source,
      target,
      world,
      share,
      savedThrough: () => this.#savedThrough,
      onApplied: (batch, logged) => this.#applied(batch, logged),
      onCrowded: () => this.#save(true),
      onFailed: (error) => this.#end(error),
    });
  }

  /** Whether partitions are being listed or swept. */
  get isSyncing(): boolean {
    return !this.#listings.isEmpty;
  }

  /** Events, and bytes, that were received and are not applied. */
  get lag(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#order.waiting, bytes: this.#sender.bytes };
  }

  /** Ends the run. */
  stop(): void {
    this.#end("stopped");
  }

  /**
   * Runs until it is stopped.
   *
   * @throws RegistryError the reason, if it is not stopped.
   */
  async run(): Promise<void> {
    try {
      await this.#follow();
    } catch (cause) {
      this.#end(toRegistryError(cause));
    }
    if (this.#ended !== "stopped") throw this.#ended!;
  }

  async #follow(): Promise<void> {
    const { link, accepted, target, source, bytesPerSecondMax } = this.#options;
    // Nobody saves cursors behind the ones that are read.
    await this.#sender.fence(this.#cursorPartition);
    const known = await target.source(this.#cursorPartition, source.home);
    if (this.#ended !== undefined) return;
    const partitions = this.#partitions();
    const own = new Set(partitions);
    const cursors = known.feed === source.feed
      ? known.cursors.filter(({ partition }) => own.has(partition))
      : [];
    this.#continued = new Set(cursors.map(({ partition }) => partition));
    // What was never followed is listed, although no history of it was lost.
    for (const partition of partitions) {
      if (!this.#continued.has(partition)) this.#begin(partition);
    }
    this.#feed = link.feed({
      clusterId: accepted.clusterId,
      generation: accepted.generation,
      partitions,
      cursors: new Map(cursors.map((cursor) => [cursor.partition, cursor])),
      progressMs: REGION_PROGRESS_MS,
      bytesPerSecondMax,
    });
    this.#saveLater();
    for await (const { events } of this.#feed) {
      if (this.#ended !== undefined) return;
      for (let start = 0; start < events.length; start += PULLER_TURN_EVENTS) {
        if (start > 0) await this.#rest();
        if (this.#ended !== undefined) return;
        for (const event of events.slice(start, start + PULLER_TURN_EVENTS)) this.#receive(event);
        this.#order.settle();
        this.#sender.flush();
        await this.#room();
        if (this.#ended !== undefined) return;
      }
    }
    this.#end(new RegistryError("connection_lost", "The region's feed ended"));
  }

  /** Returns the partitions of the source that this shard has. */
  #partitions(): number[] {
    const { accepted: { partitionCount }, source: { shard }, shardCount } = this.#options;
    const partitions: number[] = [];
    for (let partition = shard; partition < partitionCount; partition += shardCount) {
      partitions.push(partition);
    }
    return partitions;
  }

  #receive(event: FeedEvent): void {
    switch (event.type) {
      case "reset":
        if (this.#continued.has(event.partition)) this.counts.resyncs++;
        return this.#begin(event.partition);
      case "complete": {
        const { partition, position } = event;
        const listing = this.#listings.of(partition);
        if (listing === undefined) return;
        const { seq } = this.#order.add(0, () => {
          this.#listings.complete(listing, position, seq);
          this.#book.reached({ partition, ...position }, seq);
        });
        return;
      }
      case "cursors": {
        const { seq } = this.#order.add(0, () => {
          for (const cursor of event.cursors) this.#book.reached(cursor, seq);
        });
        return;
      }
      case "fresh": {
        const { seq } = this.#order.add(0, () => this.#fresh(event.asOf, seq));
        return;
      }
      default:
        this.#record(event);
    }
  }

  #begin(partition: number): void {
    this.#listings.begin(partition);
    const { seq } = this.#order.add(0);
    this.#book.withhold(partition);
    this.#book.changed(partition, seq);
  }

  #record(event: RecordFeedEvent): void {
    const { partition, kind, id } = event;
    const made = this.#changes.of(event);
    const changes = made?.changes ?? [];
    const received = this.#order.add(changes.length);
    this.#book.changed(partition, received.seq);
    if (made === undefined) {
      this.counts.refused++;
      return;
    }
    if (event.type === "put") this.#listings.mark(partition, kind, id, made.claim);
    else this.#listings.unmark(partition, kind, id);
    for (const { partition: here, change, bytes } of changes) {
      this.#sender.add(here, { change, bytes, received, coveredSeq: received.seq });
    }
  }

  /** Handles that everything of the source as of that time was received and applied. */
  #fresh(asOf: ClockReading, seq: number): void {
    this.#sender.proven(asOf.monotonicMs, seq);
    if (this.#listings.isEmpty) this.#options.onFresh(asOf);
    // The source is proven to be current, so what it listed is all that it had.
    else if (this.#listings.areComplete && !this.#isSweeping) void this.#sweep();
    this.#saveWhenDue();
  }

  async #sweep(): Promise<void> {
    this.#isSweeping = true;
    const { target, source } = this.#options;
    const { partitions } = this.#listings;
    // What is handed out from now on is not complete here before the sweep.
    const held = this.#order.add(1);
    try {
      await sweep({
        target,
        home: source.home,
        listings: this.#listings,
        // An earlier puller's delayed batch could bring back what the listing did not have.
        fence: (partition) => this.#sender.fence(partition),
        isEnded: () => this.#ended !== undefined,
        take: (partition, { change, seq: coveredSeq }) => {
          const received = this.#order.add(1);
          this.#sender.add(partition, { change, bytes: SWEEP_BYTES, received, coveredSeq });
        },
      });
      if (this.#ended !== undefined) return;
      this.#order.add(0, () => this.#swept(partitions));
      this.#order.applied(held);
      this.#sender.flush();
    } catch (cause) {
      this.#end(toRegistryError(cause));
    }
  }

  #swept(partitions: readonly number[]): void {
    this.#isSweeping = false;
    const before = new Set(this.#listings.partitions);
    this.#listings.end(partitions);
    for (const partition of this.#listings.partitions) before.delete(partition);
    for (const partition of before) this.#book.release(partition);
    this.#save(true);
  }

  #applied({ changes, cursors }: SentBatch, { refused }: LoggedMirrors): void {
    this.counts.entries++;
    this.counts.changes += changes.length;
    this.counts.refused += refused;
    if (cursors.length > 0) {
      this.#book.saved(cursors);
      this.#saving -= cursors.length;
    }
    for (const { received } of changes) this.#order.applied(received);
    this.#saveWhenDue();
    if (!this.#isFull(0.5)) this.#onRoom?.();
  }

  get #savedThrough(): number {
    return this.#book.savedThrough(this.#order.last);
  }

  #saveWhenDue(): void {
    const elapsedMs = this.#options.world.monotonic.nowMs() - this.#savedMs;
    const isDue = elapsedMs >= MIRROR_SAVE_MS_MAX ||
      elapsedMs >= MIRROR_SAVE_MS_MIN && this.#book.changesUnsaved >= MIRROR_SAVE_CHANGES;
    if (isDue) this.#save();
  }

  #saveLater(): void {
    this.#timer = this.#options.world.scheduler.after(MIRROR_SAVE_MS_MIN, () => {
      this.#saveWhenDue();
      this.#saveLater();
    });
  }

  /** Saves the cursors of what was applied, unless that is in progress. */
  #save(isNow = false): void {
    if (this.#saving > 0 && !isNow || this.#ended !== undefined || !this.#book.hasReady) return;
    this.#savedMs = this.#options.world.monotonic.nowMs();
    while (this.#book.hasReady) {
      const cursors = this.#book.take(MIRROR_BATCH_ITEMS_MAX);
      this.#saving += cursors.length;
      this.#sender.save(this.#cursorPartition, cursors);
    }
  }

  /** Lets others use the thread: only a timer lets the runtime look at its sockets. */
  #rest(): Promise<void> {
    const { scheduler } = this.#options.world;
    return new Promise((resolve) => void scheduler.after(PULLER_REST_MS, resolve));
  }

  /** Waits while too much was received that is not applied. */
  async #room(): Promise<void> {
    while (this.#isFull(1) && this.#ended === undefined) {
      this.#sender.isPressed = true;
      this.#sender.flush();
      await new Promise<void>((resolve) => this.#onRoom = resolve);
      this.#onRoom = undefined;
    }
    this.#sender.isPressed = false;
  }

  #isFull(share: number): boolean {
    const { entries, bytes } = this.lag;
    return entries > share * PULLER_EVENTS_MAX || bytes > share * PULLER_BYTES_MAX;
  }

  #end(reason: RegistryError | "stopped"): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#timer?.cancel();
    this.#sender.stop();
    this.#feed?.close();
    this.#onRoom?.();
  }
}

/** Size of a sweep in a command, bytes, roughly. */
const SWEEP_BYTES = 96;

/** Returns the partition that keeps the cursors of a shard. */
function cursorPartition({ home, shard }: BatchSource, target: MirrorTarget): number {
  return target.partitionOf(0, new TextEncoder().encode(`${home}/${shard}`));
}
