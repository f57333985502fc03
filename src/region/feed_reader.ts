/**
 * A feed as its puller reads it: takes the events of a watch session over, keeps what is not read yet
 * within bounds, and hands all of it out at once, followed by the positions behind it. While it is full,
 * or more came than the rate allows, the session takes nothing from the other region.
 *
 * The other region is not trusted: what is no record, or not of global scope, is not handed out, and a
 * session of another generation ends.
 */
import { defined } from "../base/assert.ts";
import { type ClockReading, readClocks } from "../base/clock_reading.ts";
import { RegistryError, toRegistryError } from "../base/errors.ts";
import {
  FEED_BURST_MS,
  FEED_WAITING_BYTES_MAX,
  FEED_WAITING_EVENTS_MAX,
  REGION_PROGRESS_MS,
} from "../base/limits.ts";
import type { Timer, World } from "../base/world.ts";
import type { WatchChange, WatchSink } from "../client/watch/change.ts";
import type { PositionMap } from "../client/watch/positions.ts";
import type { WatchSession } from "../client/watch/session.ts";
import { comparePositions, type HistoryPosition } from "../wire/watch_message.ts";
import type { MirrorCursor } from "../../schemas/gen/record.ts";
import { FeedRecords } from "./feed_records.ts";
import type { FeedBatch, FeedEvent, FollowRequest, RegionFeed } from "./region_link.ts";

/** Counts of a feed, which its link keeps. */
export interface FeedCounts {
  /** A reply came. */
  heard(): void;
  bytesReceived: number;
  eventsReceived: number;
  resets: number;
}

/** Dependencies of a {@link FeedReader}. */
export interface FeedReaderOptions {
  readonly request: FollowRequest;
  readonly world: World;
  readonly counts: FeedCounts;
  /** Begins the session; called when the first batch is asked for. */
  readonly start: (reader: FeedReader) => Promise<WatchSession>;
  /** Called once, when nothing more is read. */
  readonly onOver: (reader: FeedReader) => void;
}

/** One feed. */
export class FeedReader implements RegionFeed, WatchSink, AsyncIterator<FeedBatch> {
  readonly #options: FeedReaderOptions;
  readonly #records = new FeedRecords();
  #session: WatchSession | undefined;
  #hasBegun = false;
  #events: FeedEvent[] = [];
  #bytes = 0;
  /** The positions behind the last event, and those that were handed out, by place. */
  #positions: PositionMap | undefined;
  #told: (HistoryPosition | undefined)[] = [];
  /** Places whose position may differ from what was handed out; undefined for all. */
  #moved: Set<number> | undefined = new Set();
  readonly #placeOf: ReadonlyMap<number, number>;
  #asOf: ClockReading | undefined;
  /** When everything that was received is paid for at the rate, monotonic ms. */
  #paidMs = 0;
  #payment: Timer | undefined;
  #reader: PromiseWithResolvers<IteratorResult<FeedBatch>> | undefined;
  #isWaking = false;
  #isOver = false;
  #error: RegistryError | undefined;

  constructor(options: FeedReaderOptions) {
    this.#options = options;
    const { partitions } = options.request;
    this.#placeOf = new Map(partitions.map((partition, place) => [partition, place]));
  }

  [Symbol.asyncIterator](): AsyncIterator<FeedBatch> {
    return this;
  }

  next(): Promise<IteratorResult<FeedBatch>> {
    if (this.#reader !== undefined) {
      return Promise.reject(new TypeError("A feed must be read by one reader, batch by batch"));
    }
    this.#begin();
    const batch = this.#take();
    if (batch !== undefined) return Promise.resolve({ done: false, value: batch });
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }

  #begin(): void {
    if (this.#hasBegun || this.#isOver) return;
    this.#hasBegun = true;
    if (this.#placeOf.size === 0) return this.#haveNothing();
    this.#options.start(this).then((session) => {
      this.#session = session;
      if (this.#isOver) session.close();
    }, (error) => this.#end(toRegistryError(error)));
  }

  /** Reports a feed without partitions as fresh: a region may have fewer of them than shards. */
  #haveNothing(): void {
    const { world, request } = this.#options;
    if (this.#events.length === 0) this.#push({ type: "fresh", asOf: readClocks(world) }, 0);
    const intervalMs = request.progressMs || REGION_PROGRESS_MS;
    this.#payment = world.scheduler.after(intervalMs, () => {
      if (!this.#isOver) this.#haveNothing();
    });
  }

  return(): Promise<IteratorResult<FeedBatch>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  close(): void {
    this.#events = [];
    this.#end(undefined);
  }

  /** Ends the feed with an error, which the reader receives after the events that wait. */
  fail(error: RegistryError): void {
    this.#end(error);
  }

  // What the session tells (WatchSink).

  get isFull(): boolean {
    return this.#events.length >= FEED_WAITING_EVENTS_MAX ||
      this.#bytes >= FEED_WAITING_BYTES_MAX || this.#owedMs > FEED_BURST_MS;
  }

  take(change: WatchChange): void {
    if (this.#isOver) return;
    const { counts, request } = this.#options;
    counts.heard();
    this.#positions = change.positions;
    if (change.type === "progress") return this.#progress();
    const { partition, generation } = change;
    if (generation !== 0 && generation !== request.generation) {
      return this.#end(otherGeneration(request.generation, generation));
    }
    const place = this.#placeOf.get(partition);
    if (place === undefined) return;
    this.#moved?.add(place);
    switch (change.type) {
      case "reset":
        counts.resets++;
        return this.#push({ type: "reset", partition }, 0);
      case "complete": {
        const position = defined(change.positions.at(place), "A complete state has a position");
        return this.#push({ type: "complete", partition, position }, 0);
      }
      default: {
        const bytes = change.recordBytes;
        counts.eventsReceived++;
        counts.bytesReceived += bytes;
        this.#owe(bytes);
        const event = this.#records.eventOf(change);
        if (event !== undefined) this.#push(event, bytes);
      }
    }
  }

  onBegun(): void {}

  onEnded(error: RegistryError | undefined): void {
    this.#end(error);
  }

  #progress(): void {
    // Positions may have moved without an event, in any partition.
    this.#moved = undefined;
    const asOf = this.#session?.asOf;
    const isNews = asOf !== undefined &&
      (this.#asOf === undefined || asOf.monotonicMs > this.#asOf.monotonicMs);
    if (!isNews) return;
    this.#asOf = asOf;
    this.#push({ type: "fresh", asOf }, 0);
  }

  #push(event: FeedEvent, bytes: number): void {
    this.#events.push(event);
    this.#bytes += bytes;
    if (this.#reader === undefined || this.#isWaking) return;
    // The other events of the same reply are handed out with it.
    this.#isWaking = true;
    queueMicrotask(() => {
      this.#isWaking = false;
      this.#wake();
    });
  }

  #wake(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    const batch = this.#take();
    if (batch === undefined && !this.#isOver) return;
    this.#reader = undefined;
    if (batch !== undefined) return reader.resolve({ done: false, value: batch });
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) reader.resolve({ done: true, value: undefined });
    else reader.reject(error);
  }

  /** Takes everything that waits; undefined if nothing does. */
  #take(): FeedBatch | undefined {
    if (this.#events.length === 0) return undefined;
    const events = this.#events;
    const bytes = this.#bytes;
    this.#events = [];
    this.#bytes = 0;
    const cursors = this.#newCursors();
    if (cursors.length > 0) events.push({ type: "cursors", cursors });
    this.#makeRoom();
    return { events, bytes };
  }

  /** Returns the positions that moved since they were handed out. */
  #newCursors(): MirrorCursor[] {
    const { partitions } = this.#options.request;
    const places = this.#moved ?? partitions.keys();
    this.#moved = new Set();
    const cursors: MirrorCursor[] = [];
    for (const place of places) {
      const position = this.#positions?.at(place);
      const told = this.#told[place];
      // A partition whose state is under way has none.
      if (position === undefined) this.#told[place] = undefined;
      else if (told === undefined || comparePositions(position, told) !== 0) {
        this.#told[place] = position;
        const { generation, index, ordinal } = position;
        cursors.push({ partition: partitions[place]!, generation, index, ordinal });
      }
    }
    return cursors;
  }

  // The rate.

  /** Time by which more came than the rate allows, ms. */
  get #owedMs(): number {
    return this.#paidMs - this.#options.world.monotonic.nowMs();
  }

  #owe(bytes: number): void {
    const { world, request } = this.#options;
    const nowMs = world.monotonic.nowMs();
    this.#paidMs = Math.max(this.#paidMs, nowMs) + bytes * 1_000 / request.bytesPerSecondMax;
  }

  /** Lets the session go on, at once or when what came is paid for. */
  #makeRoom(): void {
    const owedMs = this.#owedMs;
    if (owedMs <= FEED_BURST_MS) return this.#session?.resume();
    this.#payment ??= this.#options.world.scheduler.after(owedMs, () => {
      this.#payment = undefined;
      if (!this.isFull) this.#session?.resume();
    });
  }

  #end(error: RegistryError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    this.#payment?.cancel();
    this.#session?.close();
    this.#options.onOver(this);
    queueMicrotask(() => this.#wake());
  }
}

function otherGeneration(wanted: number, found: number): RegistryError {
  return new RegistryError(
    "history_lost",
    `The region must have the generation ${wanted} that was accepted: it has ${found}`,
  );
}
