/**
 * Time-driven commands of the groups that this node leads: expires leases that are over, extends
 * covers in the background, and logs the time.
 *
 * Each is a logged command like any other; a partition has at most one of each kind in progress. Expiry
 * is asked of the expiry guard (expiry/expiry_guard.ts), which keeps records when too many end at once.
 * Time is the group's (src/replication/group_interface.ts), so nothing expires while there is no
 * leader or the leader is out (available_time.ts). A lease that ended at a time that may yet prove
 * to be part of an outage does not expire until that is settled.
 *
 * One queue orders the partitions by their earliest deadline, so a partition with nothing due costs
 * nothing, and a node without any sleeps. A store notifies the driver when something becomes due
 * earlier than planned (a new lease, a cover to extend, a new leadership); deadlines that move
 * later, as renewals move them, are discovered when the earlier deadline comes. Deadlines in group
 * time are converted to available time, from which group time runs: if group time stood still, the
 * check finds nothing due and is scheduled again.
 */
import { defined } from "../base/assert.ts";
import {
  GROUP_TICK_MS,
  LEASE_LOOKS_AT_ONCE_MAX,
  PERMIT_DRAW_MS,
  REQUEST_TIMEOUT_MS_DEFAULT,
  TIME_LOG_GATHER_MS,
  TIME_LOG_MS_MIN,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Scheduler, Timer } from "../base/world.ts";
import { encodeTick } from "../record/command.ts";
import { STALE_APPLY_VERSION } from "../record/kind_row.ts";
import { EXPIRE_ALL, type OverdueCommands, type OverdueJudge } from "../store/overdue.ts";
import { DeadlineQueue } from "./deadline_queue.ts";
import type { ExpiryGuard } from "./expiry/expiry_guard.ts";
import type { GroupClock } from "../replication/group_interface.ts";
import type { Partition, PartitionElsewhere, PartitionTable } from "./partitions.ts";
import type { Proposer } from "./proposer.ts";

/** Dependencies of a {@link LeaseDriver}. */
export interface LeaseDriverOptions {
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  readonly availableTime: GroupClock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  /** Absent: everything expires as soon as it is due. */
  readonly guarded?: GuardedExpiry;
}

/** The expiry guard, and the way to make a partition know what it decides. */
export interface GuardedExpiry {
  readonly guard: ExpiryGuard;
  /** Raises the apply version of a partition. @throws RegistryError */
  readonly raise: (partition: Partition, version: number) => Promise<void>;
}

/** State of one partition: which of its commands are in progress. */
interface Driven {
  readonly partition: Partition;
  extending: boolean;
  /** Number of commands about overdue records. */
  expiring: number;
  ticking: boolean;
  /** Group time before which the guard is not asked again, ms: it is about to judge. */
  askAgainMs: number;
}

/** Drives the leases of all partitions that a node holds, as replicas come and go. */
export class LeaseDriver {
  readonly #options: LeaseDriverOptions;
  /** By partition, which is also the index in the queue. */
  readonly #driven: (Driven | undefined)[] = [];
  readonly #queue: DeadlineQueue;
  /**
   * Extensions and times logged in the background since the start: the log entries that renewals
   * cost.
   */
  extensionsProposed = 0;
  /** Number of checks of partitions since the start. */
  looks = 0;
  #isStarted = false;
  #timer: Timer | undefined;
  /** Time at which the timer fires, available ms; Infinity if it is not set. */
  #wakeMs = Infinity;

  constructor(options: LeaseDriverOptions) {
    this.#options = options;
    const { table } = options;
    this.#queue = new DeadlineQueue(table.partitioner.partitionCount);
    for (const partition of table.here()) this.#take(partition);
    table.watch((place) => place.isHere ? this.#take(place) : this.#drop(place));
    options.guarded?.guard.onJudged((partition, nowMs, judge) => {
      const driven = this.#driven[partition.id];
      // A partition that went and came back is another one.
      if (driven?.partition === partition) this.#judged(driven, nowMs, judge);
    });
  }

  #take(partition: Partition): void {
    const driven: Driven = {
      ...{ partition, extending: false, expiring: 0, ticking: false },
      askAgainMs: -Infinity,
    };
    this.#driven[partition.id] = driven;
    partition.store.watchDeadlines(() => this.#plan(driven));
    if (this.#isStarted) this.#plan(driven);
  }

  #drop({ id }: PartitionElsewhere): void {
    this.#driven[id] = undefined;
    this.#queue.set(id, Infinity);
  }

  /** Starts the driver. */
  start(): void {
    this.#isStarted = true;
    for (const driven of this.#driven) if (driven !== undefined) this.#plan(driven);
  }

  /** Stops the driver; commands in progress are committed or not, as any others. */
  stop(): void {
    this.#isStarted = false;
    this.#timer?.cancel();
    this.#options.guarded?.guard.stop();
  }

  /** Schedules the next check of a partition, not before `notBeforeMs`, available ms. */
  #plan(driven: Driven, notBeforeMs = -Infinity): void {
    const { id, store, group } = driven.partition;
    // A replica that is gone may report late.
    if (this.#driven[id] !== driven) return;
    let atMs = Infinity;
    // A group that is not led has nothing due; a new leadership schedules again.
    if (group.isLeading) {
      const nowMs = group.timeMs();
      const deadlineMs = Math.min(store.nextDeadlineMs(), this.#timeLogMs(driven, nowMs));
      store.planned(deadlineMs);
      atMs = Math.max(notBeforeMs, this.#options.availableTime.nowMs() + deadlineMs - nowMs);
    }
    this.#queue.set(id, atMs);
    this.#wakeLater();
  }

  /** Sets the timer to the first check, at least a tick away, so that many checks share a turn. */
  #wakeLater(): void {
    if (!this.#isStarted || this.#queue.nextMs === Infinity) return;
    const nowMs = this.#options.availableTime.nowMs();
    const wakeMs = Math.max(this.#queue.nextMs, nowMs + GROUP_TICK_MS);
    if (wakeMs >= this.#wakeMs) return;
    this.#timer?.cancel();
    this.#wakeMs = wakeMs;
    this.#timer = this.#options.scheduler.after(wakeMs - nowMs, () => this.#wake());
  }

  /** Checks due partitions, a limited number a turn, so that requests are served in between. */
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
      const driven = defined(this.#driven[item], "Only driven partitions are in the queue");
      this.looks++;
      // The leader lease is not checked: commands of a deposed leader are not committed.
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
      if (driven.expiring === 0 && unsettledMs !== Infinity && nowMs >= driven.askAgainMs) {
        this.#expire(driven, { nowMs: Math.floor(nowMs - unsettledMs), unixS });
      }
    }
    this.#logTime(driven, nowMs);
  }

  /** Lets overdue records expire, or asks the guard about them. */
  #expire(driven: Driven, settled: { readonly nowMs: number; readonly unixS: number }): void {
    const { guarded } = this.#options;
    const { partition } = driven;
    const isGuarding = guarded?.guard.isGuarding === true;
    let isUrgent = false;
    const leftToGuard: OverdueJudge = ({ isStale }) => {
      isUrgent ||= !isStale;
      return undefined;
    };
    const judge = isGuarding ? leftToGuard : EXPIRE_ALL;
    const commands = partition.store.overdueCommands({ ...settled, judge });
    this.#proposeOverdue(driven, commands);
    if (!commands.isUndecided || guarded === undefined) return;
    if (partition.store.applyVersion >= STALE_APPLY_VERSION) {
      driven.askAgainMs = partition.group.timeMs() + PERMIT_DRAW_MS;
      return guarded.guard.ask(isUrgent);
    }
    this.#await(
      driven,
      guarded.raise(partition, STALE_APPLY_VERSION).then(() => true, () => false),
    );
  }

  /** Does what the guard decided about the overdue records of a partition. */
  #judged(driven: Driven, nowMs: number, judge: OverdueJudge): void {
    const { store } = driven.partition;
    if (!this.#isStarted || store.applyVersion < STALE_APPLY_VERSION) return;
    const settled = { nowMs, unixS: this.#options.proposer.unixS() };
    for (;;) {
      const commands = store.overdueCommands({ ...settled, judge });
      if (!this.#proposeOverdue(driven, commands)) break;
    }
    driven.askAgainMs = -Infinity;
    this.#plan(driven);
  }

  /** Proposes commands about overdue records; returns whether there were any. */
  #proposeOverdue(driven: Driven, { expire, stale }: OverdueCommands): boolean {
    for (const command of [expire, stale]) {
      if (command === undefined) continue;
      const proposed = driven.partition.group.propose(command, REQUEST_TIMEOUT_MS_DEFAULT);
      this.#await(driven, proposed.then(({ ok }) => ok));
    }
    return expire !== undefined || stale !== undefined;
  }

  /** Keeps other overdue records of the partition waiting until a step that never rejects is done. */
  #await(driven: Driven, done: Promise<boolean>): void {
    driven.expiring++;
    done.then((isDone) => {
      driven.expiring--;
      this.#plan(driven);
      if (!isDone) this.#notCommitted(driven);
    });
  }

  /** Notes a command that was not committed: a later check tries again. */
  #notCommitted({ partition: { id } }: Driven): void {
    this.#options.logger.debug("A lease command was not committed", { partition: id });
  }

  #logTime(driven: Driven, nowMs: number): void {
    if (nowMs < this.#timeLogMs(driven, nowMs)) return;
    // After renewals the known end of the shortest lease is too early: search for it again.
    driven.partition.store.findNextDueMs();
    if (nowMs < this.#timeLogMs(driven, nowMs)) return;
    const header = this.#options.proposer.header(driven.partition, 0);
    this.#propose(driven, "ticking", encodeTick(header));
  }

  /**
   * Returns the group time, ms, at which a partition's time is to be logged: earlier than necessary
   * if that is a moment shared with other partitions, so that idle partitions log together, with
   * one sync.
   */
  #timeLogMs({ partition, ticking }: Driven, nowMs: number): number {
    const { store } = partition;
    const latestMs = store.timeLogMs();
    if (ticking || latestMs === Infinity) return Infinity;
    const clockMs = this.#options.availableTime.nowMs() + latestMs - nowMs;
    const sharedMs = Math.floor(latestMs - clockMs % TIME_LOG_GATHER_MS);
    return sharedMs - store.timeMs < TIME_LOG_MS_MIN ? latestMs : sharedMs;
  }

  #propose(driven: Driven, flag: "extending" | "ticking", command: Uint8Array): void {
    driven[flag] = true;
    this.extensionsProposed++;
    driven.partition.group.propose(command, REQUEST_TIMEOUT_MS_DEFAULT).then(({ ok }) => {
      driven[flag] = false;
      this.#plan(driven);
      if (!ok) this.#notCommitted(driven);
    });
  }
}
