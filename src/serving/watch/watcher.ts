/**
 * Watches and what they have in common. A watch that has received everything holds no place in any
 * history: it is one of the watchers of its subscription, which takes part in the changes of its
 * partitions. For each partition in which a watch is behind it has a cursor.
 */
import { WATCH_QUIET_PARTS } from "../../base/limits.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import type { Caller } from "../caller.ts";
import type { StateScan } from "./state_scan.ts";
import type { StoredFilter } from "./watch_filter.ts";
import type { WatchStream } from "./watch_stream.ts";

/** The place of a watch in a partition in which it has not received everything. */
export interface WatcherCursor {
  /** Everything up to this position was sent, or needs not to be. */
  index: number;
  ordinal: number;
  /** The next to be sent: the changes behind the position, or the state, or a reset and the state. */
  next: "changes" | "state" | "reset";
  /** The key up to which the state was sent before, as of the position; undefined: none of it. */
  readonly after: Uint8Array | undefined;
  /** The state while it is sent. */
  scan: StateScan | undefined;
}

/** A cursor at the beginning. */
export const NEW_CURSOR: Readonly<WatcherCursor> = Object.freeze({
  index: 0,
  ordinal: 0,
  next: "changes",
  after: undefined,
  scan: undefined,
});

/** Watches of the same records in the same partitions, which receive the same. */
export class Subscription {
  readonly name: string;
  readonly filter: StoredFilter;
  /** In ascending order. */
  readonly partitions: readonly number[];
  readonly withBefore: boolean;
  readonly watchers: Watcher[] = [];

  constructor(
    name: string,
    { filter, partitions, withBefore }: Pick<Subscription, "filter" | "partitions" | "withBefore">,
  ) {
    this.name = name;
    this.filter = filter;
    this.partitions = partitions;
    this.withBefore = withBefore;
  }

  add(watcher: Watcher): void {
    watcher.place = this.watchers.length;
    this.watchers.push(watcher);
  }

  /** Removes a watcher; the last one takes its place. */
  delete({ place }: Watcher): void {
    const last = this.watchers.pop()!;
    if (place === this.watchers.length) return;
    this.watchers[place] = last;
    last.place = place;
  }
}

/** The watches of one stream. */
export class WatchLane {
  readonly stream: WatchStream;
  /** By the ids of their requests. */
  readonly watchers = new Map<number, Watcher>();
  /** Watches that have something to send once the peer has taken what it was sent. */
  readonly blocked: Watcher[] = [];
  /** Since when there are such, monotonic ms. */
  blockedMs = 0;
  /** Whether something was appended in this turn. */
  isTouched = false;

  constructor(stream: WatchStream) {
    this.stream = stream;
  }
}

/**
 * Rounds over the partitions of one watch, which tell it the positions that moved without a change: a few
 * in each progress reply. A position that moves after its turn in a round is told in the next one.
 */
export class QuietRound {
  /** Everything that moved up to this tick was told. */
  #toldTick = -1;
  /** The tick at which the round began, and the place at which it continues. */
  #beganTick = -1;
  #next = 0;
  #partitions: readonly number[] = [];

  /**
   * Returns the partitions that are told now.
   *
   * @param isDue reports whether one moved without a change after a tick.
   */
  take(
    partitions: readonly number[],
    tick: number,
    isDue: (partition: number, tick: number) => boolean,
  ): number[] {
    const taken: number[] = [];
    if (partitions !== this.#partitions) this.#next = 0;
    this.#partitions = partitions;
    if (this.#next === 0) this.#beganTick = tick;
    while (this.#next < partitions.length && taken.length < WATCH_QUIET_PARTS) {
      const partition = partitions[this.#next++]!;
      if (isDue(partition, this.#toldTick)) taken.push(partition);
    }
    if (this.#next < partitions.length) return taken;
    this.#next = 0;
    this.#toldTick = this.#beganTick;
    return taken;
  }
}

/** One watch. */
export class Watcher {
  /** The id of its request, under which it is answered. */
  readonly id: number;
  readonly lane: WatchLane;
  /** Whose watch it is: the session, or a delegation on it. */
  readonly caller: Caller;
  /** Another one once the node serves it a partition no longer. */
  subscription: Subscription;
  /** Interval of progress replies, in ticks. */
  readonly progressTicks: number;
  /** The region that follows; empty if it is a client that watches. */
  readonly follower: string;
  /** The peer whose rights were checked last. */
  peer: AuthenticatedPeer;
  /** Place among the watchers of its subscription. */
  place = 0;
  /** Cursors by partition, where it is behind; undefined if it is nowhere. */
  behind: Map<number, WatcherCursor> | undefined;
  /** Whether it is queued for {@link behind}. */
  isQueued = false;
  /** Whether it waits until this replica reaches its positions. */
  isAhead = false;
  /** The number under which its client asked for a progress reply; 0: none is asked for. */
  nonce = 0;
  isEnded = false;
  /** Ends it with its caller, if that ends before the session. */
  onCallerEnd: (() => void) | undefined;
  /** The tick of the last progress reply. */
  toldTick = -1;
  /** The partitions that moved without a change and were not told yet. */
  readonly quiet = new QuietRound();
  /** The tick until which replicas may catch up with its positions. */
  readonly catchUpTick: number;

  constructor(
    of: Pick<
      Watcher,
      | "id"
      | "lane"
      | "caller"
      | "subscription"
      | "progressTicks"
      | "catchUpTick"
      | "peer"
      | "follower"
    >,
  ) {
    this.id = of.id;
    this.lane = of.lane;
    this.caller = of.caller;
    this.subscription = of.subscription;
    this.progressTicks = of.progressTicks;
    this.catchUpTick = of.catchUpTick;
    this.peer = of.peer;
    this.follower = of.follower;
  }

  /** Leaves it behind the position in a partition, unless it is behind already. */
  fallBehind(partition: number, index: number, ordinal: number): void {
    const behind = this.behind ??= new Map();
    if (behind.has(partition)) return;
    behind.set(partition, { ...NEW_CURSOR, index, ordinal });
  }

  /**
   * Makes it begin anew in a partition, whose replica has another state, of `appliedIndex`. If the watch
   * waits for a later position it goes on waiting: anew, it would go back.
   */
  reset(partition: number, appliedIndex: number): void {
    const behind = this.behind ??= new Map();
    const waiting = behind.get(partition);
    if (waiting !== undefined && waiting.index > appliedIndex && waiting.scan === undefined) return;
    behind.set(partition, { ...NEW_CURSOR, next: "reset" });
  }

  /** Ends its cursor in a partition: it has received everything. */
  caughtUp(partition: number): void {
    this.behind?.delete(partition);
    if (this.behind?.size === 0) this.behind = undefined;
  }
}
