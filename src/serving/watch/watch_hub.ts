/**
 * The watches of a node: begins and ends them, and gives turns to those that have something to
 * receive.
 *
 * A change makes its partition dirty, if anybody watches it, and the next turn passes on what is
 * new (live_delivery.ts). Watches that are behind are served in the same turns, for a limited time,
 * one reply each in turn (catch_up.ts). So a change costs what its watches cost, watches that are not
 * concerned cost nothing, and no watch delays another by more than a reply.
 */
import type { FrameWriter } from "../../../schemas/runtime/writer.ts";
import { RegistryError, toRegistryError } from "../../base/errors.ts";
import {
  WATCH_CATCH_UP_MS,
  WATCH_PAUSE_MS,
  WATCH_TICK_MS,
  WATCH_TURN_MS,
} from "../../base/limits.ts";
import type { AuthenticatedPeer } from "../../base/peer.ts";
import type { MonotonicClock, Scheduler } from "../../base/world.ts";
import type { AccessPolicy } from "../../record/access.ts";
import type { Caller } from "../caller.ts";
import type { CredentialRedaction } from "../credential_redaction.ts";
import { notReplica, type PartitionPlace, type PartitionTable } from "../partitions.ts";
import type { Followers } from "../regions/followers.ts";
import type { ReplyWriter } from "../reply_writer.ts";
import { CatchUp } from "./catch_up.ts";
import type { Histories, HistoryWatcher } from "./histories.ts";
import { LiveDelivery, type WatcherCare } from "./live_delivery.ts";
import { Subscriptions } from "./subscriptions.ts";
import { WatchCounts, type WatchEnd, type WatchStatus } from "./watch_counts.ts";
import { FilterMatcher } from "./watch_filter.ts";
import type { WatchOrder } from "./watch_order.ts";
import { progressTicksOf, WatchProgress } from "./watch_progress.ts";
import { callerEnded, tooSlow } from "./watch_ends.ts";
import { endedPart, WatchReplies } from "./watch_replies.ts";
import { limitedFilter, watchRefusal } from "./watch_rights.ts";
import type { WatchStream } from "./watch_stream.ts";
import { startsOf } from "./watch_starts.ts";
import { Watcher, WatchLane } from "./watcher.ts";

/** Dependencies of a {@link WatchHub}. */
export interface WatchHubParts {
  readonly table: PartitionTable;
  readonly histories: Histories;
  readonly replies: ReplyWriter;
  readonly redaction: CredentialRedaction;
  readonly policy: AccessPolicy;
  readonly followers: Followers;
  readonly clock: MonotonicClock;
  readonly scheduler: Scheduler;
}

const CATCH_UP_TICKS = Math.ceil(WATCH_CATCH_UP_MS / WATCH_TICK_MS);

/** The watches of one node. */
export class WatchHub implements HistoryWatcher, WatcherCare {
  readonly counts = new WatchCounts();
  readonly #parts: WatchHubParts;
  readonly #replies: WatchReplies;
  readonly #subscriptions: Subscriptions;
  readonly #delivery: LiveDelivery;
  readonly #catchUp: CatchUp;
  readonly #progress: WatchProgress;
  readonly #lanes = new Map<WatchStream, WatchLane>();
  /** Watches that are behind and whose streams have room, in the order of their turns. */
  #queue: Watcher[] = [];
  /** Watches that wait until this replica reaches their positions. */
  #ahead: Watcher[] = [];
  /** Watches whose clients asked for a progress reply. */
  #asked: Watcher[] = [];
  /** Streams to which something was appended in this turn. */
  readonly #touched: WatchLane[] = [];
  #isPlanned = false;
  #turnedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: WatchHubParts) {
    const { table, histories, scheduler } = parts;
    this.#parts = parts;
    this.#replies = new WatchReplies(parts.replies, parts.redaction);
    this.#subscriptions = new Subscriptions(table);
    const matcher = new FilterMatcher();
    const partition = (id: number) => this.#subscriptions.partition(id);
    this.#delivery = new LiveDelivery({ histories, matcher, replies: this.#replies, care: this });
    this.#catchUp = new CatchUp({
      histories,
      matcher,
      partition,
      keysIn: (kind, keys, id) => this.#subscriptions.keysIn(kind, keys, id),
      onReset: () => void this.counts.resets++,
    });
    this.#progress = new WatchProgress({
      scheduler,
      replies: this.#replies,
      partition,
      partitions: () => this.#subscriptions.partitions,
      lastChangeOf: (id) => histories.lastIndexOf(id),
      beforeTick: () => this.#deliver(),
      afterTick: () => this.#afterTick(),
      isEntitled: (watcher) => this.isEntitled(watcher),
      appended: (watcher) => this.appended(watcher, 0),
    });
    histories.watcher = this;
    table.watch((place) => this.#moved(place));
  }

  /** The state of the watches. */
  get status(): WatchStatus {
    let blocked = 0;
    let blockedSinceMs = Infinity;
    for (const lane of this.#lanes.values()) {
      const waiting = lane.blocked.reduce((sum, { isEnded }) => sum + Number(!isEnded), 0);
      if (waiting === 0) continue;
      blocked += waiting;
      blockedSinceMs = Math.min(blockedSinceMs, lane.blockedMs);
    }
    return {
      counts: this.counts,
      subscriptions: this.#subscriptions.count,
      blocked,
      lagMs: blocked === 0 ? 0 : this.#parts.clock.nowMs() - blockedSinceMs,
      historyBytes: this.#parts.histories.bytes,
    };
  }

  /**
   * Begins a watch, which answers under the request's id.
   *
   * @param caller the session or the delegation that the watch belongs to, and ends with.
   * @throws RegistryError why it cannot begin.
   */
  begin(stream: WatchStream, id: number, wanted: WatchOrder, caller = stream.caller): void {
    const { table, histories } = this.#parts;
    const order = { ...wanted, filter: limitedFilter(caller.peer, wanted.filter) };
    const refusal = this.#refusalOf(caller.peer, order);
    if (refusal !== undefined) throw refusal;
    const { cursors, refused } = startsOf(order, table, histories);
    const lane = this.#laneOf(stream, id);
    if (cursors.size === 0) return this.#refuse(stream, id, refused, true);
    // Nothing has begun if there is no room for this.
    if (refused.size > 0) this.#refuse(stream, id, refused, false);
    this.counts.begun(caller);
    const watcher = new Watcher({
      id,
      lane,
      caller,
      subscription: this.#subscriptions.of(order, [...cursors.keys()]),
      progressTicks: progressTicksOf(order.progressMs),
      catchUpTick: this.#progress.tick + CATCH_UP_TICKS,
      peer: caller.peer,
      follower: order.follower,
    });
    watcher.behind = cursors;
    watcher.subscription.add(watcher);
    this.#endWith(caller, watcher);
    if (lane.watchers.size === 0) this.#open(lane);
    lane.watchers.set(id, watcher);
    this.#progress.add(watcher);
    this.queue(watcher);
  }

  /** Asks for a progress reply of a watch; returns false if the stream has no such watch. */
  askProgress(stream: WatchStream, id: number, nonce: number): boolean {
    const watcher = this.#lanes.get(stream)?.watchers.get(id);
    if (watcher === undefined) return false;
    watcher.nonce = nonce;
    this.#asked.push(watcher);
    this.#plan();
    return true;
  }

  /** Ends a watch of a stream with a last reply, if there is such a watch. */
  cancel(stream: WatchStream, id: number): void {
    const watcher = this.#lanes.get(stream)?.watchers.get(id);
    if (watcher === undefined) return;
    this.#say(watcher, (writer) => this.#replies.ended(writer, id, [], true));
    this.#over(watcher, "canceled");
  }

  /** Has a watch end with a caller that may end before its session. */
  #endWith({ onEnd }: Caller, watcher: Watcher): void {
    if (onEnd === undefined) return;
    watcher.onCallerEnd = () => this.#end(watcher, callerEnded());
    onEnd.add(watcher.onCallerEnd);
  }

  // HistoryWatcher.

  changed(partition: number): void {
    if (this.#subscriptions.soil(partition)) this.#plan();
  }

  begun(partition: number): void {
    if (this.#subscriptions.soil(partition, true)) this.#plan();
  }

  // WatcherCare.

  isEntitled(watcher: Watcher): boolean {
    if (watcher.isEnded) return false;
    const { subscription: { filter }, follower, caller: { peer } } = watcher;
    // A region may cease to be a peer at any time.
    if (peer === watcher.peer && !peer.revoked.aborted && !filter.isFeed) return true;
    const refusal = this.#refusalOf(peer, { filter, follower });
    if (refusal !== undefined) this.#end(watcher, refusal);
    else watcher.peer = peer;
    return refusal === undefined;
  }

  #refusalOf(
    peer: AuthenticatedPeer,
    { filter, follower }: Pick<WatchOrder, "filter" | "follower">,
  ): RegistryError | undefined {
    const { policy, followers } = this.#parts;
    return filter.isFeed ? followers.refusal(peer, follower) : watchRefusal(peer, filter, policy);
  }

  queue(watcher: Watcher): void {
    if (watcher.isQueued || watcher.isEnded) return;
    watcher.isQueued = true;
    const { lane } = watcher;
    if (!lane.stream.hasWatchRoom) {
      if (lane.blocked.length === 0) lane.blockedMs = this.#parts.clock.nowMs();
      return void lane.blocked.push(watcher);
    }
    this.#queue.push(watcher);
    this.#plan();
  }

  appended(watcher: Watcher, events: number): void {
    this.counts.events += events;
    this.#touch(watcher.lane);
  }

  // Turns.

  /** Plans a turn: at once, but not too soon after the one before. */
  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    const { clock, scheduler } = this.#parts;
    const pauseMs = WATCH_PAUSE_MS - (clock.nowMs() - this.#turnedMs);
    if (pauseMs > 0 && this.#queue.length === 0) scheduler.after(pauseMs, this.#turn);
    else scheduler.nextTurn(this.#turn);
  }

  readonly #turn = (): void => {
    const { clock } = this.#parts;
    this.#isPlanned = false;
    this.#deliver();
    const untilMs = clock.nowMs() + WATCH_TURN_MS;
    const round = this.#queue;
    this.#queue = [];
    const again: Watcher[] = [];
    let served = 0;
    while (served < round.length) {
      const watcher = round[served++]!;
      watcher.isQueued = false;
      if (this.#serve(watcher)) again.push(watcher);
      if (clock.nowMs() >= untilMs) break;
    }
    if (served < round.length) this.#queue = [...round.slice(served), ...this.#queue];
    // Behind those that had no turn, because their streams had no room left either.
    for (const watcher of again) this.queue(watcher);
    this.#answerAsked();
    this.#push();
    this.#turnedMs = clock.nowMs();
    if (this.#queue.length > 0) this.#plan();
  };

  #deliver(): void {
    const dirty = this.#subscriptions.takeDirty();
    if (dirty.length > 0) this.#delivery.deliver(dirty);
  }

  /** Serves a watch that is behind with one reply; returns whether it has more to send. */
  #serve(watcher: Watcher): boolean {
    if (watcher.behind === undefined || !this.isEntitled(watcher)) return false;
    const { lane: { stream }, id, peer } = watcher;
    if (!stream.hasWatchRoom) {
      this.queue(watcher);
      return false;
    }
    const { parts, lost } = this.#catchUp.next(watcher);
    if (parts.length > 0) {
      this.#replies.write(stream.writer, id, parts, peer);
      this.appended(watcher, parts.reduce((sum, { events }) => sum + events.length, 0));
    }
    for (const partition of lost) this.#leave(watcher, partition, tooSlow(partition));
    if (watcher.behind === undefined) return false;
    if (parts.length > 0) return true;
    if (!watcher.isAhead) {
      watcher.isAhead = true;
      this.#ahead.push(watcher);
    }
    return false;
  }

  /** Answers those who asked for progress, once they have everything. */
  #answerAsked(): void {
    if (this.#asked.length === 0) return;
    const asked = this.#asked;
    this.#asked = [];
    for (const watcher of asked) {
      if (watcher.isEnded || watcher.nonce === 0) continue;
      const isLive = watcher.behind === undefined && watcher.lane.stream.hasWatchRoom;
      if (isLive) this.#progress.tell(watcher);
      else this.#asked.push(watcher);
    }
  }

  #afterTick(): void {
    const ahead = this.#ahead;
    this.#ahead = [];
    for (const watcher of ahead) {
      watcher.isAhead = false;
      if (watcher.isEnded) continue;
      if (this.#progress.tick >= watcher.catchUpTick) {
        const late = this.#subscriptions.notCaughtUp(watcher);
        for (const [partition, refusal] of late) this.#leave(watcher, partition, refusal);
      }
      this.queue(watcher);
    }
    this.#push();
  }

  #touch(lane: WatchLane): void {
    if (lane.isTouched) return;
    lane.isTouched = true;
    this.#touched.push(lane);
    this.#plan();
  }

  /** Sends what was appended. */
  #push(): void {
    for (const lane of this.#touched) {
      lane.isTouched = false;
      lane.stream.push();
    }
    this.#touched.length = 0;
  }

  // Streams, ends, moves.

  #laneOf(stream: WatchStream, id: number): WatchLane {
    const lane = this.#lanes.get(stream);
    if (lane?.watchers.has(id) !== true) return lane ?? new WatchLane(stream);
    throw new RegistryError("invalid_argument", `Request id ${id} must be unused: a watch has it`, {
      field: "id",
    });
  }

  #open(lane: WatchLane): void {
    this.#lanes.set(lane.stream, lane);
    lane.stream.carry({
      taken: () => {
        if (lane.blocked.length === 0 || !lane.stream.hasWatchRoom) return;
        for (const watcher of lane.blocked.splice(0)) {
          watcher.isQueued = false;
          this.queue(watcher);
        }
      },
      stalled: () => this.#endAll(lane, "overloaded"),
      over: () => this.#endAll(lane, "closed"),
    });
  }

  #endAll(lane: WatchLane, end: WatchEnd): void {
    for (const watcher of [...lane.watchers.values()]) this.#over(watcher, end);
  }

  /** Answers that this node does not serve a watch in some partitions, or in none of its own. */
  #refuse(
    stream: WatchStream,
    id: number,
    refused: ReadonlyMap<number, RegistryError>,
    isLast: boolean,
  ): void {
    const parts = [...refused].map(([partition, refusal]) => endedPart(partition, refusal));
    this.#replies.ended(stream.writer, id, parts, isLast);
    for (const { code } of refused.values()) this.counts.partitionEnded(code);
  }

  /** Ends a watch in a partition. */
  #leave(watcher: Watcher, partition: number, refusal: RegistryError): void {
    if (watcher.isEnded) return;
    const { id, subscription: { partitions } } = watcher;
    const isLast = partitions.length === 1;
    const isSaid = this.#say(watcher, (writer) => {
      this.#replies.ended(writer, id, [endedPart(partition, refusal)], isLast);
    });
    this.counts.partitionEnded(refusal.code);
    if (isLast || !isSaid) return this.#over(watcher, refusal.code);
    watcher.caughtUp(partition);
    this.#subscriptions.leave(watcher, partition);
  }

  /** Ends a watch with a refusal. */
  #end(watcher: Watcher, { code, message, fields }: RegistryError): void {
    const { replies } = this.#parts;
    this.#say(watcher, (writer) => {
      replies.begin(watcher.id);
      replies.refusal(writer, code, message, fields);
    });
    this.#over(watcher, code);
  }

  /**
   * Writes an end to a watch. Returns false if the peer has left no room for it: the watch must be over
   * then. Its client misses progress, and asks.
   */
  #say({ lane }: Watcher, write: (writer: FrameWriter) => void): boolean {
    const { writer } = lane.stream;
    const start = writer.length;
    this.#touch(lane);
    try {
      write(writer);
      return true;
    } catch (error) {
      writer.truncate(start);
      if (toRegistryError(error).code !== "too_large") throw error;
      return false;
    }
  }

  #over(watcher: Watcher, end: WatchEnd): void {
    const { lane, subscription, id } = watcher;
    watcher.isEnded = true;
    watcher.behind = undefined;
    lane.watchers.delete(id);
    this.#subscriptions.remove(watcher, subscription);
    this.#progress.ended();
    this.counts.over(watcher.caller, end);
    if (watcher.onCallerEnd !== undefined) watcher.caller.onEnd?.delete(watcher.onCallerEnd);
    if (lane.watchers.size > 0) return;
    this.#lanes.delete(lane.stream);
    lane.stream.carry(undefined);
  }

  #moved(place: PartitionPlace): void {
    if (place.isHere) return this.#subscriptions.placed(place);
    const refusal = notReplica(place);
    for (const watcher of this.#subscriptions.watchersOf(place.id)) {
      this.#leave(watcher, place.id, refusal);
    }
  }
}
