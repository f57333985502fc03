/**
 * One request of a watch: the partitions that one node serves, from its first reply to its last.
 * Replies are decoded in place and passed on event by event; an event at or below the position of
 * its partition was received before, from another node, and is dropped.
 */
import {
  type ResponseView,
  WATCH_PHASES,
  type WatchEventView,
  type WatchPartView,
  watchReplyCodec,
} from "../../../schemas/gen/wire.ts";
import { WORD_BYTES } from "../../../schemas/runtime/cursor.ts";
import { type ErrorCode, errorCodeFromWire, RegistryError } from "../../base/errors.ts";
import { UUID_BYTES } from "../../base/uuid.ts";
import { KIND_ALIAS } from "../../record/key.ts";
import { WATCH_FIRST_REPLY_MS, WATCH_SILENT_INTERVALS } from "../../base/limits.ts";
import type { HistoryPosition } from "../../wire/watch_message.ts";
import { type Decode, MORE_REPLIES } from "../call.ts";
import { EVENT_TYPES } from "./change.ts";
import type { WatchCursor } from "./cursor.ts";
import type { CheckedFilter } from "./filter.ts";
import {
  type ClockReading,
  type Clocks,
  earlier,
  oldestOf,
  readClocks,
} from "../../base/clock_reading.ts";
import type { StartedWatch, WatchRouting } from "./watch_routing.ts";

/** The parameters that all requests of a watch share. */
export interface WatchFeedRequest {
  readonly filter: CheckedFilter;
  readonly progressMs: number;
  readonly withBefore: boolean;
  /** Whether mirrors of records of other regions are watched too. */
  readonly withMirrors: boolean;
  /** The proven age up to which a node counts as keeping up, ms; 0 for any. */
  readonly maxStalenessMs: number;
  /** Whether each progress asks for the next one, by which the age of what is known is measured. */
  readonly asksProgress: boolean;
  /** The region that follows the cluster by it; empty: it is a client that watches. */
  readonly follower: string;
}

/** An event as a feed passes it on: the fields that do not depend on the watch. */
export interface FeedOwner {
  /** An event of a partition, of a state or a change; its cursor has moved. */
  event(feed: WatchFeed, cursor: WatchCursor, event: WatchEventView, isState: boolean): void;
  /** The history of a partition is gone; its state follows. */
  reset(feed: WatchFeed, cursor: WatchCursor): void;
  /** The state of a partition is complete. */
  complete(feed: WatchFeed, cursor: WatchCursor): void;
  /** The position of a partition is known, or moved without an event. */
  moved(cursor: WatchCursor): void;
  /** A partition is served here no longer. */
  partitionEnded(feed: WatchFeed, cursor: WatchCursor, error: RegistryError): void;
  /** A progress reply arrived. @param isProven whether it proved an age that is accepted. */
  progress(
    feed: WatchFeed,
    at: { readonly partition: number; readonly index: number },
    isProven: boolean,
  ): void;
  /** A reply was passed on. */
  replied(): void;
  /** Nothing follows. @param error the reason, if the node did not end it as asked. */
  ended(feed: WatchFeed, error: RegistryError | undefined): void;
}

/** One request of a watch. */
export class WatchFeed {
  /** The node as it was chosen; 0 for the only one. */
  readonly chosen: number;
  /** The cursors of its partitions. */
  readonly cursors: Map<number, WatchCursor>;
  /** How far the node was behind when it last proved it, ms; undefined if its last word was none. */
  ageBoundMs: number | undefined;
  /** Whether its first reply has come. */
  hasReplied = false;
  /** Progress replies in a row without a proof of an age that is accepted. */
  unproven = 0;
  /** The time as of which everything of its partitions is known; undefined if it is not. */
  asOf: ClockReading | undefined;
  readonly #owner: FeedOwner;
  readonly #clocks: Clocks;
  readonly #request: WatchFeedRequest;
  readonly #started: StartedWatch;
  readonly #reply = watchReplyCodec.newView();
  /** Whether anything but progress came since the last progress. */
  #hasMoved = false;
  #isOver = false;
  #nonce = 0;
  #askedAt: ClockReading | undefined;

  constructor(
    owner: FeedOwner,
    routing: WatchRouting,
    request: WatchFeedRequest,
    { chosen, cursors }: { readonly chosen: number; readonly cursors: readonly WatchCursor[] },
  ) {
    this.#owner = owner;
    this.#clocks = routing.world;
    this.#request = request;
    this.chosen = chosen;
    this.cursors = new Map(cursors.map((cursor) => [cursor.partition, cursor]));
    this.asOf = oldestOf(cursors.map(({ asOf }) => asOf));
    const { filter, progressMs, withBefore, withMirrors, follower } = request;
    const watching = cursors.some(({ isListing }) => isListing) ? "listAndWatch" : "watch";
    this.#started = routing.start(chosen, {
      operation: follower === "" ? watching : "regionFeed",
      body: {
        ...filter,
        positions: cursors.map(({ partition, generation, index, ordinal, start, afterId }) => ({
          partition,
          generation,
          index,
          ordinal,
          start,
          afterId,
        })),
        progressMs,
        withBefore,
        withMirrors,
        follower,
      },
      decode: this.#decode,
      firstReplyMs: WATCH_FIRST_REPLY_MS,
      silenceMs: WATCH_SILENT_INTERVALS * progressMs,
      ended: (error) => this.#ended(error),
    });
  }

  /** Id of the node that serves it; 0 if it is not connected. */
  get node(): number {
    return this.#started.nodeId;
  }

  /** Ends it; its owner is not told. */
  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#started.cancel();
  }

  #leave(): void {
    this.cancel();
    this.#owner.ended(this, undefined);
  }

  #ended(error: RegistryError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.ended(this, error);
  }

  readonly #decode: Decode<unknown> = (response, _view, bytes) => {
    const reply = response.bodyInto(this.#reply);
    const { parts, progress, isLast, nonce } = reply;
    for (let at = 0; at < parts.count; at++) this.#part(parts.at(at), bytes);
    this.#hasMoved ||= parts.count > 0;
    if (!this.hasReplied) this.#firstReplied();
    if (progress) this.#progress(response, nonce);
    this.#owner.replied();
    // The node says so with its last reply; one that does not is left.
    if (!isLast && this.cursors.size === 0) this.#leave();
    return isLast ? undefined : MORE_REPLIES;
  };

  /** Counts the partitions as begun that have a position already, or whose state follows. */
  #firstReplied(): void {
    this.hasReplied = true;
    for (const cursor of this.cursors.values()) {
      cursor.asked = [];
      cursor.hint = 0;
      if (cursor.isPlaced && !cursor.hasBegun) this.#owner.moved(cursor);
    }
  }

  #part(part: WatchPartView, bytes: Uint8Array): void {
    const cursor = this.cursors.get(part.partition);
    if (cursor === undefined || this.#isOver) return;
    const position = { generation: part.generation, index: part.index, ordinal: part.ordinal };
    if (cursor.isToReset && part.phase !== WATCH_PHASES.ended) {
      cursor.isToReset = false;
      if (part.phase !== WATCH_PHASES.reset) this.#owner.reset(this, cursor);
    }
    switch (part.phase) {
      case WATCH_PHASES.ended:
        this.cursors.delete(cursor.partition);
        return this.#owner.partitionEnded(this, cursor, endOf(part));
      case WATCH_PHASES.reset:
        cursor.restart();
        cursor.stateOf(part.generation);
        this.#owner.reset(this, cursor);
        break;
      case WATCH_PHASES.state:
        cursor.stateOf(part.generation);
        this.#state(part, cursor, bytes);
        break;
      default:
        this.#changes(part, cursor);
    }
    // A node that sends again what was received names positions before it.
    if (!cursor.isPlaced || !cursor.has(position)) cursor.moveTo(position);
    if (part.phase === WATCH_PHASES.stateEnd) {
      cursor.endState();
      this.#owner.complete(this, cursor);
    } else this.#owner.moved(cursor);
  }

  #state({ events }: WatchPartView, cursor: WatchCursor, bytes: Uint8Array): void {
    for (let at = 0; at < events.count; at++) {
      const event = events.at(at);
      this.#owner.event(this, cursor, event, true);
      const isLast = at === events.count - 1;
      if (!isLast || event.kind === KIND_ALIAS) continue;
      // The id is the first field of the root struct of every kind.
      const start = event.recordOffset + WORD_BYTES;
      cursor.listedTo(bytes.slice(start, start + UUID_BYTES));
    }
  }

  #changes({ generation, events }: WatchPartView, cursor: WatchCursor): void {
    for (let at = 0; at < events.count; at++) {
      const event = events.at(at);
      const position: HistoryPosition = { generation, index: event.index, ordinal: event.ordinal };
      if (cursor.has(position)) continue;
      cursor.moveTo(position);
      if (EVENT_TYPES[event.type] !== undefined) this.#owner.event(this, cursor, event, false);
    }
  }

  #progress(response: ResponseView, nonce: number): void {
    const { receipts } = response;
    const { asksProgress, maxStalenessMs } = this.#request;
    let at = { partition: 0, index: 0 };
    if (receipts.count > 0) {
      const { partition, appliedIndex: index, ageBoundMs } = receipts.at(0);
      at = { partition, index };
      this.ageBoundMs = ageBoundMs;
      // Everything that was there when it was asked has arrived, as far as the node knew.
      if (nonce === this.#nonce && this.#askedAt !== undefined) {
        this.asOf = earlier(this.#askedAt, ageBoundMs);
        this.#askedAt = undefined;
      }
    } else this.ageBoundMs = undefined;
    const { ageBoundMs = Infinity } = this;
    const isAccepted = ageBoundMs <= (maxStalenessMs || Number.MAX_VALUE);
    // A node that is catching up, or sends a state, cannot prove an age yet, but is not dead.
    this.unproven = isAccepted || this.#hasMoved ? 0 : this.unproven + 1;
    this.#hasMoved = false;
    this.#owner.progress(this, at, isAccepted);
    if (asksProgress && nonce === 0) this.#ask();
  }

  #ask(): void {
    // A new nonce each time: the answer to an older one would prove less.
    this.#nonce++;
    this.#askedAt = readClocks(this.#clocks);
    this.#started.askProgress(this.#nonce);
  }
}

/** Ends of partitions that the user of a watch is told, as replies carry their codes alone. */
const END_MESSAGES: Partial<Record<ErrorCode, string>> = {
  invalid_argument: "The token must be of this cluster's history: its position was never written",
  history_lost: "The token must be of this generation of the cluster: it is of an earlier one",
};

/** Returns the reason for which a partition ended. */
function endOf(part: WatchPartView): RegistryError {
  const { partition, leaderHint, retryAfterMs } = part;
  const code = errorCodeFromWire(part.code);
  const message = END_MESSAGES[code] ?? `It is not served here: ${code}`;
  return new RegistryError(code, `Partition ${partition}: ${message}`, {
    partitions: [partition],
    ...(leaderHint > 0 && { leaderHint }),
    ...(retryAfterMs > 0 && { retryAfterMs }),
  });
}
