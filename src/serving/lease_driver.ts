/**
 * What a leader does by itself as time passes, for every group it leads: expires what is over,
 * extends covers in the background, and logs the time.
 *
 * Each is a logged command like any other; while one is under way for a partition, no second one of
 * its kind is proposed. Time is the group's (src/replication/group_interface.ts), so nothing expires while
 * there is no leader or the leader is out (available_time.ts); and what is due by a time that may yet
 * turn out to be an outage's is not expired before that is known.
 *
 * Partitions wait in one queue by what is due first in them, so a partition with nothing due costs
 * nothing, and a node without any sleeps. A store says when something becomes due earlier than it was
 * planned (a new lease, a cover to extend, a new leadership); deadlines that move later, as renewals
 * do, are found out when the earlier one comes. Deadlines in group time are reckoned as moments of
 * available time, which group time runs from: where that stood still, a look finds nothing and is
 * planned anew.
 */
import {
  EXPIRE_ITEMS_MAX,
  GROUP_TICK_MS,
  LEASE_LOOKS_AT_ONCE_MAX,
  REQUEST_TIMEOUT_MS_DEFAULT,
  TIME_LOG_GATHER_MS,
  TIME_LOG_MS_MIN,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Scheduler, Timer } from "../base/world.ts";
import { encodeTick } from "../record/command.ts";
import { DeadlineQueue } from "./deadline_queue.ts";
import type { GroupClock } from "../replication/group_interface.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import type { Proposer } from "./proposer.ts";

/** What a driver stands on. */
export interface LeaseDriverOptions {
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  readonly availableTime: GroupClock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** One partition, and which commands are under way for it. */
interface Driven {
  readonly partition: Partition;
  /** Its item in the queue. */
  readonly item: number;
  extending: boolean;
  expiring: boolean;
  ticking: boolean;
}

/** Drives the leases of all partitions of a node. */
export class LeaseDriver {
  readonly #options: LeaseDriverOptions;
  readonly #driven: readonly Driven[];
  readonly #queue: DeadlineQueue;
  /** Extensions and times logged in the background since the start: what renewals cost the log. */
  extensionsProposed = 0;
  /** Partitions that were looked at since the start. */
  looks = 0;
  #isStarted = false;
  #timer: Timer | undefined;
  /** When the timer fires, available ms; Infinity: there is none. */
  #wakeMs = Infinity;

  constructor(options: LeaseDriverOptions) {
    this.#options = options;
    this.#driven = Array.from(options.table, (partition, item) => ({
      partition,
      item,
      extending: false,
      expiring: false,
      ticking: false,
    }));
    this.#queue = new DeadlineQueue(this.#driven.length);
    for (const driven of this.#driven) {
      driven.partition.store.watchDeadlines(() => this.#plan(driven));
    }
  }

  /** Begins to drive. */
  start(): void {
    this.#isStarted = true;
    for (const driven of this.#driven) this.#plan(driven);
  }

  /** Ends it; commands under way are committed or not, as any other. */
  stop(): void {
    this.#isStarted = false;
    this.#timer?.cancel();
  }

  /** Puts a partition where its next look belongs, not before `notBeforeMs`, available ms. */
  #plan(driven: Driven, notBeforeMs = -Infinity): void {
    const { store, group } = driven.partition;
    let atMs = Infinity;
    // Who leads no more has nothing due; leading again plans anew.
    if (group.isLeading) {
      const nowMs = group.timeMs();
      const deadlineMs = Math.min(store.nextDeadlineMs(), this.#timeLogMs(driven, nowMs));
      store.planned(deadlineMs);
      atMs = Math.max(notBeforeMs, this.#options.availableTime.nowMs() + deadlineMs - nowMs);
    }
    this.#queue.set(driven.item, atMs);
    this.#wakeLater();
  }

  /** Sets the timer to the first look; looks are gathered for a tick, so that many share a turn. */
  #wakeLater(): void {
    if (!this.#isStarted || this.#queue.nextMs === Infinity) return;
    const nowMs = this.#options.availableTime.nowMs();
    const wakeMs = Math.max(this.#queue.nextMs, nowMs + GROUP_TICK_MS);
    if (wakeMs >= this.#wakeMs) return;
    this.#timer?.cancel();
    this.#wakeMs = wakeMs;
    this.#timer = this.#options.scheduler.after(wakeMs - nowMs, () => this.#wake());
  }

  /** Looks at what is due: so much a turn, that requests are served in between. */
  #wake(): void {
    if (!this.#isStarted) return;
    const unixS = this.#options.proposer.unixS();
    const nowMs = this.#options.availableTime.nowMs();
    const unsettledMs = this.#options.availableTime.unsettledMs();
    for (let count = 0; count < LEASE_LOOKS_AT_ONCE_MAX; count++) {
      const item = this.#queue.takeDue(nowMs);
      if (item === undefined) {
        this.#wakeMs = Infinity;
        return this.#wakeLater();
      }
      const driven = this.#driven[item]!;
      this.looks++;
      // A lease is not asked for: what a leader proposes that is none any more is not committed.
      if (driven.partition.group.isLeading) this.#drive(driven, unixS, unsettledMs);
      this.#plan(driven, nowMs + GROUP_TICK_MS);
    }
    this.#options.scheduler.nextTurn(() => this.#wake());
  }

  #drive(driven: Driven, unixS: number, unsettledMs: number): void {
    const { store, group } = driven.partition;
    const nowMs = group.timeMs();
    if (store.nextDeadlineMs() <= nowMs) {
      const at = { nowMs, unixS };
      if (!driven.extending) {
        const command = store.extendCommand(at);
        if (command !== undefined) this.#propose(driven, "extending", command);
      }
      if (!driven.expiring && unsettledMs !== Infinity) {
        const settled = { nowMs: Math.floor(nowMs - unsettledMs), unixS };
        const command = store.expireCommand({ ...settled, limit: EXPIRE_ITEMS_MAX });
        if (command !== undefined) this.#propose(driven, "expiring", command);
      }
    }
    this.#logTime(driven, nowMs);
  }

  #logTime(driven: Driven, nowMs: number): void {
    if (nowMs < this.#timeLogMs(driven, nowMs)) return;
    // Renewals leave the known end of the shortest lease too early.
    driven.partition.store.findNextDueMs();
    if (nowMs < this.#timeLogMs(driven, nowMs)) return;
    const header = this.#options.proposer.header(driven.partition, 0);
    this.#propose(driven, "ticking", encodeTick(header));
  }

  /**
   * When a partition's time is to be logged, group ms: somewhat earlier than it must be where that is
   * a moment which other partitions share, so that idle ones log together, with one sync.
   */
  #timeLogMs({ partition, ticking }: Driven, nowMs: number): number {
    const { store } = partition;
    const latestMs = store.timeLogMs();
    if (ticking || latestMs === Infinity) return Infinity;
    const clockMs = this.#options.availableTime.nowMs() + latestMs - nowMs;
    const sharedMs = Math.floor(latestMs - clockMs % TIME_LOG_GATHER_MS);
    return sharedMs - store.timeMs < TIME_LOG_MS_MIN ? latestMs : sharedMs;
  }

  #propose(
    driven: Driven,
    flag: "extending" | "expiring" | "ticking",
    command: Uint8Array,
  ): void {
    driven[flag] = true;
    if (flag !== "expiring") this.extensionsProposed++;
    driven.partition.group.propose(command, REQUEST_TIMEOUT_MS_DEFAULT).then((proposed) => {
      driven[flag] = false;
      this.#plan(driven);
      // What was not done is seen again at a later look.
      if (!proposed.ok) {
        this.#options.logger.debug("A lease command was not committed", {
          partition: driven.partition.id,
          code: proposed.error.code,
        });
      }
    });
  }
}
