/**
 * What a leader does by itself as time passes, for every group it leads: expires what is over,
 * extends covers in the background, and logs the time.
 *
 * Each is a logged command like any other; while one is under way for a partition, no second one of
 * its kind is proposed. Time is the group's (src/node/group_interface.ts), so nothing expires while
 * there is no leader or the leader is out (available_time.ts); and what is due by a time that may yet
 * turn out to be an outage's is not expired before that is known.
 */
import {
  EXPIRE_ITEMS_MAX,
  GROUP_TICK_MS,
  REQUEST_TIMEOUT_MS_DEFAULT,
  TIME_LOG_MS_MAX,
  TIME_LOG_MS_MIN,
} from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { Scheduler, Timer } from "../base/world.ts";
import { encodeTick } from "../record/command.ts";
import type { AvailableTime } from "./available_time.ts";
import type { Partition, PartitionTable } from "./partitions.ts";
import type { Proposer } from "./proposer.ts";

/** What a driver stands on. */
export interface LeaseDriverOptions {
  readonly table: PartitionTable;
  readonly proposer: Proposer;
  readonly availableTime: Pick<AvailableTime, "unsettledMs">;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** One partition, and which commands are under way for it. */
interface Driven {
  readonly partition: Partition;
  extending: boolean;
  expiring: boolean;
  ticking: boolean;
}

/** Drives the leases of all partitions of a node. */
export class LeaseDriver {
  readonly #options: LeaseDriverOptions;
  readonly #driven: Driven[];
  /** Extensions and times logged in the background since the start: what renewals cost the log. */
  extensionsProposed = 0;
  #timer: Timer | undefined;

  constructor(options: LeaseDriverOptions) {
    this.#options = options;
    this.#driven = Array.from(options.table, (partition) => ({
      partition,
      extending: false,
      expiring: false,
      ticking: false,
    }));
  }

  /** Begins to tick. */
  start(): void {
    this.#timer = this.#options.scheduler.after(GROUP_TICK_MS, () => {
      this.tick();
      this.start();
    });
  }

  /** Ends it; commands under way are committed or not, as any other. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** One look at all partitions. */
  tick(): void {
    const unixS = this.#options.proposer.unixS();
    const unsettledMs = this.#options.availableTime.unsettledMs();
    for (const driven of this.#driven) {
      // A lease is not asked for: what a leader proposes that is none any more is not committed.
      if (driven.partition.group.isLeading) this.#drive(driven, unixS, unsettledMs);
    }
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

  /**
   * A restart goes on from the last time that was logged: what it gives away so is kept below what
   * is left of the shortest lease.
   */
  #logTime(driven: Driven, nowMs: number): void {
    const { store } = driven.partition;
    const behindMs = nowMs - store.timeMs;
    if (behindMs < TIME_LOG_MS_MIN || driven.ticking || !store.wantsTime()) return;
    const isEnough = (dueMs: number) => behindMs < Math.min(TIME_LOG_MS_MAX, dueMs - nowMs);
    if (isEnough(store.nextDeadlineMs()) || isEnough(store.findNextDueMs())) return;
    const header = this.#options.proposer.header(driven.partition, 0);
    this.#propose(driven, "ticking", encodeTick(header));
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
      // What was not done is seen again at a later tick.
      if (!proposed.ok) {
        this.#options.logger.debug("A lease command was not committed", {
          partition: driven.partition.id,
          code: proposed.error.code,
        });
      }
    });
  }
}
