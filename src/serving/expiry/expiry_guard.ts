/**
 * Guards records against mass expiry: asks group 0 for permits to remove the overdue records of the
 * partitions that this node leads, and judges each record by what it was given.
 *
 * The lease driver reports that records wait. A round then counts the records of all partitions led here,
 * draws for all regions in which some wait, with one request, and hands the judge to the driver for each
 * partition in which it found some. One round runs at a time, and one begins at most every PERMIT_DRAW_MS,
 * so that expiries cost group 0 at most one entry per node and second. Without an answer of group 0 nothing
 * is removed: what is overdue becomes stale. Clock: group times for leases; the node's monotonic clock for
 * rounds.
 */
import { toRegistryError } from "../../base/errors.ts";
import {
  CENSUS_SLOTS_PER_TURN,
  EXPIRY_REGIONS_MAX,
  EXPIRY_RELEASE_MS,
  PERMIT_DRAW_MS,
  PERMIT_DRAW_MS_MAX,
  PERMIT_REGIONS_PER_DRAW_MAX,
  STALE_GATHER_MS,
} from "../../base/limits.ts";
import type { Logger } from "../../base/logger.ts";
import type { Entropy, MonotonicClock, Scheduler, Timer } from "../../base/world.ts";
import type { PermitDemand, PermitGrant } from "../../../schemas/gen/wire.ts";
import type { GroupClock } from "../../replication/group_interface.ts";
import type { Census, Overdue, OverdueJudge } from "../../store/overdue.ts";
import type { Partition, PartitionTable } from "../partitions.ts";
import type { PermitDraw } from "./permit_desk.ts";
import { type CensusTimes, RegionCensus } from "./region_census.ts";

/** Dependencies of an {@link ExpiryGuard}. */
export interface ExpiryGuardParts {
  readonly table: PartitionTable;
  readonly availableTime: GroupClock;
  readonly clock: MonotonicClock;
  readonly scheduler: Scheduler;
  readonly entropy: Entropy;
  readonly logger: Logger;
  /** Time after which the loss of a stale record is confirmed, ms. */
  readonly confirmMs: number;
  /** Draws permits from the leader of group 0; returns one grant for each item. */
  readonly draw: (draw: PermitDraw, deadlineMs: number) => Promise<readonly PermitGrant[]>;
  /** Waits until this node has applied what group 0 has committed so far; rejects if it cannot learn that. */
  readonly current: () => Promise<void>;
  /** Whether group 0 gives permits: all nodes know them. */
  readonly isGuarding: () => boolean;
  /** Returns the name of a region by its number here; "" for those without one. */
  readonly regionName: (region: number) => string;
}

/** Judges the records that were overdue in a partition at a group time. */
export type Judged = (partition: Partition, nowMs: number, judge: OverdueJudge) => void;

/** A partition with overdue records, and the group time at which they were counted. */
interface Waiting {
  readonly partition: Partition;
  readonly nowMs: number;
}

/** Permits of one region since the start. */
export interface PermitCounts {
  granted: number;
  denied: number;
}

/** The expiry guard of a node. */
export class ExpiryGuard {
  readonly #parts: ExpiryGuardParts;
  /** By the name of the region, of those that asked last. */
  readonly permits = new Map<string, PermitCounts>();
  /** Of all regions. */
  readonly permitsOfAll: PermitCounts = { granted: 0, denied: 0 };
  #onJudged: Judged = () => {};
  #isRunning = false;
  #isStopped = false;
  /** Monotonic time of the last round's beginning, ms. */
  #beganMs = -Infinity;
  /** Whether entries of group 0 are applied here soon after they were committed. */
  #isCurrent = false;
  #catchUp: Timer | undefined;
  /** Available time at which an operator released stale records last, as seen here, ms. */
  #releasedMs = -Infinity;
  #timer: Timer | undefined;
  /** Monotonic time at which the timer fires, ms. */
  #wakeMs = Infinity;

  constructor(parts: ExpiryGuardParts) {
    this.#parts = parts;
  }

  /** Whether records expire by permits; otherwise they expire as soon as they are due. */
  get isGuarding(): boolean {
    return this.#parts.isGuarding();
  }

  /** Sets what is called at the end of each round for each partition with overdue records. */
  onJudged(judged: Judged): void {
    this.#onJudged = judged;
  }

  /** Requests a round. @param isUrgent whether records that are not stale yet wait for it. */
  ask(isUrgent: boolean): void {
    const { clock, scheduler } = this.#parts;
    const nowMs = clock.nowMs();
    const gatherMs = isUrgent ? 0 : STALE_GATHER_MS;
    const atMs = Math.max(this.#beganMs + PERMIT_DRAW_MS, nowMs + gatherMs);
    if (this.#isStopped || atMs >= this.#wakeMs) return;
    this.#timer?.cancel();
    this.#wakeMs = atMs;
    if (this.#isRunning) return;
    if (atMs <= nowMs) return this.#run();
    this.#timer = scheduler.after(atMs - nowMs, () => this.#run());
  }

  /**
   * Learns when this node has applied what group 0 had committed at its start. Until then a release may be
   * replayed from the log, and counts as the oldest that can be in force: no record goes that fell silent
   * after it.
   */
  begin(): void {
    this.#parts.current().then(() => this.#isCurrent = true, () => {
      if (!this.#isStopped) {
        this.#catchUp = this.#parts.scheduler.after(PERMIT_DRAW_MS, () => this.begin());
      }
    });
  }

  /** Lets the guard be asked at once about all stale records: an operator releases some. */
  released(): void {
    // Records age in group time, which runs with the available time of their leader.
    const nowMs = this.#parts.availableTime.nowMs();
    this.#releasedMs = this.#isCurrent ? nowMs : nowMs - EXPIRY_RELEASE_MS;
    // An entry is being applied.
    this.#parts.scheduler.nextTurn(() => {
      for (const { store } of this.#parts.table.here()) store.guarded.hurryStale();
    });
  }

  /** Ends the rounds. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#catchUp?.cancel();
  }

  #run(): void {
    this.#isRunning = true;
    this.#timer = undefined;
    this.#wakeMs = Infinity;
    this.#beganMs = this.#parts.clock.nowMs();
    this.#round().finally(() => {
      this.#isRunning = false;
      const isWanted = this.#wakeMs < Infinity;
      this.#wakeMs = Infinity;
      if (isWanted) this.ask(true);
    });
  }

  async #round(): Promise<void> {
    const { availableTime, clock, confirmMs } = this.#parts;
    const settledMs = availableTime.nowMs() - availableTime.unsettledMs();
    const releasedMs = Math.max(0, settledMs - this.#releasedMs);
    const census = new GuardCensus({ nowMs: clock.nowMs(), confirmMs, releasedMs });
    const waiting = await this.#count(census);
    if (this.#isStopped || waiting.length === 0) return;
    const asked = this.#inTurn(census.asked());
    const demands = asked.map(([number, region]) =>
      region.demand(this.#parts.regionName(number), census.share)
    );
    const grants = await this.#draw(demands);
    asked.forEach(([, region], at) => {
      const grant = grants?.[at];
      if (grant !== undefined) region.granted(grant);
      this.#countPermits(demands[at]!.region, region, grant);
    });
    if (this.#isStopped) return;
    const judges = new Map(asked);
    const judge: OverdueJudge = (record) => judges.get(record.region)?.judge(record);
    for (const { partition, nowMs } of waiting) {
      if (partition.group.isLeading) this.#onJudged(partition, nowMs, judge);
    }
  }

  /** Returns as many regions as a draw may name, other ones each time. */
  #inTurn(wanted: [number, RegionCensus][]): [number, RegionCensus][] {
    if (wanted.length <= PERMIT_REGIONS_PER_DRAW_MAX) return wanted;
    const first = Math.floor(this.#parts.entropy.unit() * wanted.length);
    return [...wanted.slice(first), ...wanted.slice(0, first)].slice(
      0,
      PERMIT_REGIONS_PER_DRAW_MAX,
    );
  }

  /** Counts the records of all partitions led here, in several turns; returns those with overdue ones. */
  async #count(census: GuardCensus): Promise<Waiting[]> {
    const { table, availableTime, scheduler } = this.#parts;
    const waiting: Waiting[] = [];
    let slots = 0;
    for (const partition of [...table.here()]) {
      const { group, store } = partition;
      const unsettledMs = availableTime.unsettledMs();
      if (!group.isLeading || unsettledMs === Infinity) continue;
      const nowMs = Math.floor(group.timeMs() - unsettledMs);
      census.begin();
      store.guarded.census(nowMs, census);
      if (census.foundOverdue) waiting.push({ partition, nowMs });
      slots += store.slotCount;
      if (slots < CENSUS_SLOTS_PER_TURN) continue;
      slots = 0;
      await new Promise<void>((resolve) => void scheduler.nextTurn(resolve));
      if (this.#isStopped) break;
    }
    census.share = census.partitions / table.partitioner.partitionCount;
    return waiting;
  }

  /** Draws permits; undefined if group 0 did not answer. */
  async #draw(items: readonly PermitDemand[]): Promise<readonly PermitGrant[] | undefined> {
    const { clock, entropy, logger } = this.#parts;
    const draw = 1 + Math.floor(entropy.unit() * (Number.MAX_SAFE_INTEGER - 1));
    try {
      return await this.#parts.draw({ draw, items }, clock.nowMs() + PERMIT_DRAW_MS_MAX);
    } catch (cause) {
      const { code, message } = toRegistryError(cause);
      logger.debug("No permits to expire records could be drawn", { code, reason: message });
      return undefined;
    }
  }

  #countPermits(name: string, region: RegionCensus, grant: PermitGrant | undefined): void {
    const { permits, permitsOfAll } = this;
    const counts = permits.get(name) ?? { granted: 0, denied: 0 };
    permits.delete(name);
    permits.set(name, counts);
    for (const sum of [counts, permitsOfAll]) {
      sum.granted += grant?.count ?? 0;
      sum.denied += region.denied;
    }
    if (permits.size <= EXPIRY_REGIONS_MAX) return;
    for (const [oldest] of permits) {
      permits.delete(oldest);
      break;
    }
  }
}

/** Counts the records of a node by region. */
export class GuardCensus implements Census {
  readonly #times: CensusTimes;
  /** Partitions counted. */
  partitions = 0;
  /** The share of the cluster's partitions that were counted. */
  share = 1;
  /** Whether the partition that was counted last has overdue records. */
  foundOverdue = false;
  /** By the number of the region. */
  readonly regions = new Map<number, RegionCensus>();

  constructor(times: CensusTimes) {
    this.#times = times;
  }

  /** Begins to count a partition. */
  begin(): void {
    this.partitions++;
    this.foundOverdue = false;
  }

  add(region: number, isSilent: boolean): void {
    const found = this.#of(region);
    found.live++;
    if (isSilent) found.silent++;
  }

  addStale(record: Overdue): void {
    this.#of(record.region).addStale(record);
  }

  addOverdue(record: Overdue): void {
    this.foundOverdue = true;
    this.#of(record.region).addOverdue(record);
  }

  /** Returns the regions in which records wait for permits. */
  asked(): [number, RegionCensus][] {
    return [...this.regions].filter(([, { wantsPermits }]) => wantsPermits);
  }

  #of(region: number): RegionCensus {
    let found = this.regions.get(region);
    if (found === undefined) this.regions.set(region, found = new RegionCensus(this.#times));
    return found;
  }
}
