/**
 * A watch over all nodes of a cluster: divides its partitions among nodes, continues each at another
 * node when its own ends, falls silent or cannot prove what it serves, and passes on every event
 * once, in the order of its partition.
 *
 * A partition has one request at a time, and its position moves with each event that is passed on,
 * so what continues it starts behind the last event. While the sink is full all requests are ended;
 * the nodes hold nothing for a watch that pauses.
 */
import type { WatchEventView } from "../../../schemas/gen/wire.ts";
import { defined } from "../../base/assert.ts";
import { ERROR_TABLE, RegistryError } from "../../base/errors.ts";
import { WATCH_REQUEST_PARTITIONS_MAX, WATCH_UNPROVEN_INTERVALS_MAX } from "../../base/limits.ts";
import type { Timer } from "../../base/world.ts";
import type { RingMap } from "../../ring/ring_map.ts";
import { decodeWatchToken, encodeWatchToken, type TokenPosition } from "../../wire/watch_token.ts";
import { backOffMs, RETRY } from "../retry.ts";
import { EVENT_TYPES, WatchChange, type WatchSink } from "./change.ts";
import { WatchCursor } from "./cursor.ts";
import { type FeedOwner, WatchFeed, type WatchFeedRequest } from "./feed.ts";
import { partitionsOf } from "./filter.ts";
import { type ClockReading, oldestOf, sinceMs } from "../../base/clock_reading.ts";
import { PositionMap } from "./positions.ts";
import type { WatchMember, WatchRouting } from "./watch_routing.ts";

/** Partitions that an error names. */
const NAMED_MAX = 8;
/** Progress replies in a row without a proof after which another node is asked. */
const UNPROVEN_INTERVALS = 3;

/** Parameters of a {@link WatchSession}. */
export interface WatchSessionOptions extends WatchFeedRequest {
  /**
   * Where it begins: behind a token, with the next change, or with the state; or, in some partitions
   * alone, behind a position or with the state in each, by its number in ascending order.
   */
  readonly from:
    | { readonly token: string }
    | { readonly positions: ReadonlyMap<number, TokenPosition> }
    | "next"
    | "state";
  /** Time in which every partition must begin, ms; Infinity for any. */
  readonly timeoutMs: number;
  /** Whether lost history is replaced by the state, instead of ending the watch. */
  readonly startsAnew: boolean;
}

/** A watch in progress. */
export class WatchSession implements FeedOwner, WatchMember {
  readonly #routing: WatchRouting;
  readonly #options: WatchSessionOptions;
  readonly #sink: WatchSink;
  readonly #leave: () => void;
  readonly #change: WatchChange;
  /** By partition; empty until the first ring map. */
  #cursors = new Map<number, WatchCursor>();
  #partitions: readonly number[] = [];
  #positions = PositionMap.empty(0);
  #clusterId: Uint8Array | undefined;
  readonly #feeds = new Set<WatchFeed>();
  /** Cursors without a request. */
  readonly #idle = new Set<WatchCursor>();
  #isPlanned = false;
  #isPaused = false;
  #isOver = false;
  /** The number of partitions that have not begun. */
  #toBegin = Infinity;
  #deadline: Timer | undefined;
  #retry: Timer | undefined;
  #failures = 0;
  #lastError: RegistryError | undefined;
  /** Doubles with each move that was made for want of a proof, until there is one. */
  #unprovenMax = UNPROVEN_INTERVALS;

  constructor(routing: WatchRouting, options: WatchSessionOptions, sink: WatchSink) {
    this.#routing = routing;
    this.#options = options;
    this.#sink = sink;
    this.#change = new WatchChange(this.#positions);
    this.#leave = routing.join(this);
    const { timeoutMs } = options;
    if (timeoutMs < Infinity) {
      this.#deadline = routing.world.scheduler.after(timeoutMs, () => this.#tooLate());
    }
    if (routing.partitioner !== undefined) this.#begin();
  }

  /** Returns the token of positions that an event had. */
  tokenOf(positions: PositionMap): string {
    const clusterId = defined(this.#clusterId, "Events come once the cluster is known");
    const byPartition = new Map<number, TokenPosition>(
      this.#partitions.map((partition, place) => [partition, positions.at(place) ?? "state"]),
    );
    return encodeWatchToken(clusterId, byPartition);
  }

  /** The partitions of the watch, in ascending order; none before the first connection. */
  get partitions(): readonly number[] {
    return this.#partitions;
  }

  /** Upper bound on the age of what was passed on, ms; Infinity if it is not known. */
  get ageMs(): number {
    let ageMs = this.#toBegin > 0 ? Infinity : 0;
    for (const { asOf } of this.#feeds) ageMs = Math.max(ageMs, this.#sinceMs(asOf));
    for (const { asOf } of this.#idle) ageMs = Math.max(ageMs, this.#sinceMs(asOf));
    return ageMs;
  }

  /** The time as of which everything passed on is complete; undefined if it is not known. */
  get asOf(): ClockReading | undefined {
    if (this.#toBegin > 0) return undefined;
    return oldestOf([...this.#feeds, ...this.#idle].map(({ asOf }) => asOf));
  }

  /** Returns the same for one partition. */
  ageMsOf(partition: number): number {
    const cursor = this.#cursors.get(partition);
    return this.#sinceMs((cursor?.feed ?? cursor)?.asOf);
  }

  /** Continues after a pause, once the sink has room again. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#plan();
  }

  /** Ends the watch. */
  close(): void {
    this.#end(undefined);
  }

  /** Ends the watch with an error. */
  fail(error: RegistryError): void {
    this.#end(error);
  }

  // What the routing tells (WatchMember).

  ringMap(_map: RingMap): void {
    if (this.#cursors.size === 0) this.#begin();
    else this.#wake();
  }

  closed(error: RegistryError): void {
    this.#end(error);
  }

  // What the requests tell (FeedOwner).

  event(feed: WatchFeed, cursor: WatchCursor, event: WatchEventView, isState: boolean): void {
    if (!cursor.isListing) this.#place(cursor);
    const change = this.#change;
    change.type = EVENT_TYPES[event.type] ?? "put";
    change.kind = event.kind;
    change.isState = isState;
    change.hasLeft = event.left;
    change.remainingMs = event.remainingMs;
    change.home = event.homeLength === 0 ? "" : event.home;
    change.partition = cursor.partition;
    change.generation = cursor.generation;
    change.index = event.index;
    change.view = event.$view;
    change.bytes = event.$bytes;
    change.record.start = event.recordOffset;
    change.record.end = change.record.start + event.recordLength;
    change.before.start = event.beforeOffset;
    change.before.end = change.before.start + event.beforeLength;
    this.#pass(feed);
  }

  reset(feed: WatchFeed, cursor: WatchCursor): void {
    this.#forget(cursor);
    this.#tell("reset", feed, cursor);
  }

  complete(feed: WatchFeed, cursor: WatchCursor): void {
    this.moved(cursor);
    this.#tell("complete", feed, cursor);
  }

  moved(cursor: WatchCursor): void {
    if (!cursor.isListing) this.#place(cursor);
    if (cursor.hasBegun) return;
    cursor.hasBegun = true;
    if (--this.#toBegin > 0) return;
    this.#deadline?.cancel();
    this.#sink.onBegun();
  }

  partitionEnded(feed: WatchFeed, cursor: WatchCursor, error: RegistryError): void {
    cursor.asOf = feed.asOf;
    this.#routing.missed(cursor.partition, feed.node);
    this.#lost(cursor, feed, error);
    this.#plan();
  }

  progress(
    feed: WatchFeed,
    { partition, index }: { readonly partition: number; readonly index: number },
    isProven: boolean,
  ): void {
    if (isProven) this.#unprovenMax = UNPROVEN_INTERVALS;
    if (this.#idle.size === 0) this.#failures = 0;
    const change = this.#change;
    change.type = "progress";
    change.partition = partition;
    change.generation = this.#cursors.get(partition)?.generation ?? 0;
    change.index = index;
    this.#pass(feed);
    if (feed.unproven >= this.#unprovenMax) this.#moveAway(feed);
  }

  replied(): void {
    if (this.#isOver || !this.#isPaused && !this.#sink.isFull) return;
    this.#isPaused = true;
    // Others have yet to begin, for which the reader may be waiting before it reads.
    for (const feed of [...this.#feeds]) if (feed.hasReplied) this.#drop(feed, undefined);
  }

  ended(feed: WatchFeed, error: RegistryError | undefined): void {
    this.#drop(feed, error);
    this.#plan();
  }

  /** Divides the watch into partitions; possible once a ring map is known. */
  #begin(): void {
    const { clusterId, partitioner } = this.#routing;
    const { filter, from } = this.#options;
    this.#clusterId = defined(clusterId, "A ring map comes over a connection");
    let partitions = partitionsOf(filter, defined(partitioner, "A ring map has partitions"));
    let starts: ReadonlyMap<number, TokenPosition> | undefined;
    try {
      if (typeof from === "object" && "positions" in from) {
        starts = from.positions;
        partitions = [...starts.keys()];
      } else if (typeof from === "object") {
        starts = decodeWatchToken(from.token, this.#clusterId);
        checkSame([...starts.keys()], partitions);
      }
    } catch (error) {
      return this.#end(error as RegistryError);
    }
    this.#partitions = partitions;
    this.#positions = PositionMap.empty(partitions.length);
    this.#cursors = new Map(partitions.map((partition, place) => {
      const start = starts?.get(partition) ?? from as "next" | "state";
      const cursor = new WatchCursor(partition, place, start);
      cursor.isToReset = starts !== undefined && start === "state";
      return [partition, cursor];
    }));
    this.#toBegin = partitions.length;
    for (const cursor of this.#cursors.values()) {
      if (cursor.isPlaced && !cursor.isListing) this.#place(cursor);
      this.#idle.add(cursor);
    }
    this.#plan();
  }

  /** Starts requests for the cursors without one, together with others of this turn. */
  #plan(): void {
    if (this.#isPlanned || this.#isOver) return;
    this.#isPlanned = true;
    queueMicrotask(() => {
      this.#isPlanned = false;
      this.#start();
    });
  }

  #start(): void {
    if (this.#isOver) return;
    const { filter, maxStalenessMs } = this.#options;
    const isWide = filter.ids.length === 0 && filter.domains.length === 0;
    const byNode = new Map<number, WatchCursor[]>();
    let isStuck = false;
    for (const cursor of this.#idle) {
      const { partition, asked, hint, hasBegun } = cursor;
      if (this.#isPaused && hasBegun) continue;
      const node = this.#routing.choose({ partition, isWide, maxStalenessMs, asked, hint });
      const others = byNode.get(node ?? -1);
      if (node === undefined) isStuck = true;
      else if (others === undefined) byNode.set(node, [cursor]);
      else others.push(cursor);
    }
    for (const [chosen, cursors] of byNode) {
      for (let at = 0; at < cursors.length; at += WATCH_REQUEST_PARTITIONS_MAX) {
        this.#open(chosen, cursors.slice(at, at + WATCH_REQUEST_PARTITIONS_MAX));
      }
    }
    if (isStuck) this.#retryLater();
  }

  #open(chosen: number, cursors: readonly WatchCursor[]): void {
    const feed = new WatchFeed(this, this.#routing, this.#options, { chosen, cursors });
    this.#feeds.add(feed);
    for (const cursor of cursors) {
      cursor.feed = feed;
      this.#idle.delete(cursor);
    }
  }

  /** Waits until nodes that were asked may be asked again. */
  #retryLater(): void {
    if (this.#retry !== undefined) return;
    const { world } = this.#routing;
    const { retryAfterMs } = this.#lastError?.fields ?? {};
    const delayMs = backOffMs(++this.#failures, RETRY, world.entropy, retryAfterMs);
    this.#retry = world.scheduler.after(delayMs, () => this.#wake());
  }

  /** Asks all nodes again, if some partitions wait. */
  #wake(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    for (const cursor of this.#idle) cursor.asked = [];
    this.#plan();
  }

  /** Ends a request that has ended, or whose node is to be left, and frees its cursors. */
  #drop(feed: WatchFeed, error: RegistryError | undefined): void {
    if (!this.#feeds.delete(feed)) return;
    feed.cancel();
    for (const cursor of feed.cursors.values()) {
      cursor.asOf = feed.asOf;
      this.#lost(cursor, feed, error);
      if (this.#isOver) return;
    }
  }

  /** Frees a cursor. @param error why its node does not serve it; undefined if it would. */
  #lost(cursor: WatchCursor, feed: WatchFeed, error: RegistryError | undefined): void {
    cursor.feed = undefined;
    this.#idle.add(cursor);
    if (error === undefined) return;
    this.#lastError = error;
    if (ERROR_TABLE[error.code].class === "unavailable") {
      cursor.asked = [...cursor.asked, feed.chosen];
      cursor.hint = error.fields.leaderHint ?? 0;
    } else if (error.code === "history_lost" && this.#options.startsAnew) {
      cursor.restart();
      this.reset(feed, cursor);
    } else this.#end(error);
  }

  /** Leaves a node that does not prove what it serves, if another one can be asked. */
  #moveAway(feed: WatchFeed): void {
    this.#unprovenMax = Math.min(2 * this.#unprovenMax, WATCH_UNPROVEN_INTERVALS_MAX);
    const { maxStalenessMs } = this.#options;
    const asked = [feed.chosen];
    const isLeft = [...feed.cursors.keys()].some((partition) =>
      this.#routing.choose({ partition, isWide: true, maxStalenessMs, asked, hint: 0 }) !==
        undefined
    );
    feed.unproven = 0;
    if (!isLeft) return;
    const message = `Node ${feed.node} does not prove the age of what it serves`;
    this.#drop(feed, new RegistryError("too_stale", message));
    this.#plan();
  }

  #sinceMs(asOf: ClockReading | undefined): number {
    return asOf === undefined ? Infinity : sinceMs(this.#routing.world, asOf);
  }

  /** Records the position of a cursor among those of the watch. */
  #place(cursor: WatchCursor): void {
    this.#positions = this.#positions.with(cursor.place, cursor.position());
  }

  #forget(cursor: WatchCursor): void {
    this.#positions = this.#positions.with(cursor.place, undefined);
  }

  #tell(type: "reset" | "complete", feed: WatchFeed, cursor: WatchCursor): void {
    const change = this.#change;
    change.type = type;
    change.isWhole = this.#positions.missing === 0;
    change.partition = cursor.partition;
    change.generation = cursor.generation;
    change.index = cursor.index;
    this.#pass(feed);
  }

  #pass({ node, ageBoundMs }: WatchFeed): void {
    // The sink may have ended the watch in the middle of a reply.
    if (this.#isOver) return;
    const change = this.#change;
    change.node = node;
    change.ageBoundMs = ageBoundMs;
    change.positions = this.#positions;
    this.#sink.take(change);
  }

  /** Fails the watch if a partition has not begun in time. */
  #tooLate(): void {
    const missing = [...this.#cursors.values()].filter(({ hasBegun }) => !hasBegun)
      .map(({ partition }) => partition);
    const named = missing.slice(0, NAMED_MAX).join(", ") +
      (missing.length > NAMED_MAX ? ", …" : "");
    const where = missing.length === 0
      ? "no node was reached"
      : `${missing.length} of ${this.#cursors.size} partitions did not (${named})`;
    const error = this.#lastError;
    this.#end(
      new RegistryError(
        error?.code ?? "deadline_exceeded",
        `The watch must begin within ${this.#options.timeoutMs} ms: ${where}` +
          (error === undefined ? "" : `; the last error was: ${error.message}`),
        { partitions: missing },
        error,
      ),
    );
  }

  #end(error: RegistryError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leave();
    this.#deadline?.cancel();
    this.#retry?.cancel();
    for (const feed of this.#feeds) feed.cancel();
    this.#sink.onEnded(error);
  }
}

/** Checks that a token is of a watch of the same partitions. */
function checkSame(found: readonly number[], wanted: readonly number[]): void {
  if (found.length === wanted.length && found.every((one, at) => one === wanted[at])) return;
  throw new RegistryError(
    "invalid_argument",
    `from must be a token of a watch of the same records: it has ${found.length} partitions, and ` +
      `the watch ${wanted.length}`,
    { field: "from" },
  );
}
