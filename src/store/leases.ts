/**
 * The leader's volatile knowledge of a partition's leases, which complements the logged covers.
 *
 * A record's cover (`leaseExpiryMs`, logged) reaches twice its ttl from a renewal on. A renewal
 * that ends inside the cover only moves the record's due time, here, in memory; covers are extended
 * in the background, in batches. The leader expires records by due times. A new leader knows only
 * the covers and uses them, so that a record may live one ttl longer, never shorter.
 *
 * An overdue record expires or, as the expiry guard judges, becomes stale (overdue.ts). The due time of a
 * stale record is when the guard is asked about it again.
 *
 * Clock: group time as computed by the leader; it must not run faster than the drift that
 * CLOCK_DRIFT_PPM allows. A record expires no earlier than its last answered renewal + ttl, and its
 * expiry is proposed at most LEASE_TICK_MS plus the caller's cadence later. Source: design §3.
 */
import {
  COVER_TTLS,
  EXTEND_GATHER_MS,
  EXTEND_ITEMS_MAX,
  LEASE_TICK_MS,
  STALE_LOOK_MS,
  STALE_TIME_LOG_MS_MAX,
  TIME_LOG_MS_MAX,
  TIME_LOG_MS_MIN,
} from "../base/limits.ts";
import type { Position } from "../base/position.ts";
import type { ExtendItem } from "../../schemas/gen/command.ts";
import { encodeExtend } from "../record/command.ts";
import { isStaleState } from "../record/record_state.ts";
import {
  type Census,
  NOTHING_OVERDUE,
  type OverdueCommands,
  type OverdueJudge,
  OverdueRecords,
  tickAfter,
} from "./overdue.ts";
import type { PartitionState, RecordView } from "./partition_state.ts";
import {
  FLAG_BY_COVER,
  FLAG_ENDED,
  FLAG_EXPIRING,
  FLAG_RENEWED,
  FLAG_TOMBSTONE,
  FLAG_WAITING,
} from "./slot_table.ts";

/**
 * Remaining cover, in ttls, below which a renewal requests an extension: the next renewal, at most
 * a third of a ttl later, would then not end inside the cover. Slightly below 4 / 3, so that an
 * owner that renews every ttl / 3 does not request one already at its second renewal.
 */
const EXTEND_BELOW_TTLS = 1.32;
/** Minimum gain, in ttls, for a record to be included in an extension. */
const EXTEND_GAIN_TTLS_MIN = 0.25;
const RENEWED_AGO_MAX = 0xffff;

/** The outcome of a renewal. */
export type RenewOutcome =
  | "renewed"
  | "needs_extension"
  | "superseded"
  | "not_found"
  | "not_leader"
  /** The owner's right to the record has ended. */
  | "permission_denied";

/** The leases of one partition. */
export class Leases {
  readonly #state: PartitionState;
  #leading = false;
  /** No record is due before this tick. */
  #nextDueTick = Infinity;
  /** Time to propose the gathered extensions. */
  #nextExtendMs = Infinity;
  /** Ttl of the most recently renewed lease, ms. */
  renewedTtlMs = 0;
  /** No record has had a longer ttl under this leader, ms. */
  #ttlMsMax = 0;
  /** The leader's time, as last observed. */
  #nowMs = 0;
  /** Time of the owner's next check, group ms. */
  #plannedMs = Infinity;
  /** True when that check takes into account when the time must be logged. */
  #isTimePlanned = false;
  readonly #onEarlier: () => void;
  readonly #overdue: OverdueRecords;

  /** @param onEarlier called when something becomes due before the owner's next check. */
  constructor(state: PartitionState, onEarlier: () => void) {
    this.#state = state;
    this.#onEarlier = onEarlier;
    this.#overdue = new OverdueRecords(state);
  }

  get leading(): boolean {
    return this.#leading;
  }

  /** Time at which something must next be proposed, group ms. */
  get nextDeadlineMs(): number {
    return this.#leading
      ? Math.min(this.#nextDueTick * LEASE_TICK_MS, this.#nextExtendMs)
      : Infinity;
  }

  /**
   * Latest time at which the group's time must be logged, group ms, unless another command is
   * logged before.
   *
   * A restart continues from the last logged time. The time lost by that is kept below what remains
   * of the shortest lease. Renewals leave the known end of that lease too early: see
   * {@link findNextDueMs}.
   */
  get timeLogMs(): number {
    if (!this.#leading || !this.#state.wantsTime) return Infinity;
    const { timeMs, staleCount } = this.#state;
    const longestMs = staleCount > 0 ? STALE_TIME_LOG_MS_MAX : TIME_LOG_MS_MAX;
    const leftMs = (this.#nextDueTick * LEASE_TICK_MS - timeMs) / 2;
    return Math.ceil(timeMs + Math.min(longestMs, Math.max(TIME_LOG_MS_MIN, leftMs)));
  }

  /**
   * Records that the owner next checks at `plannedMs`, group ms; Infinity: not until it is called.
   */
  planned(plannedMs: number): void {
    this.#plannedMs = plannedMs;
    this.#isTimePlanned = this.#state.wantsTime;
  }

  /**
   * Completes an apply. The first forgettable slot in a partition without records makes the time
   * matter.
   */
  applied(): void {
    if (!this.#isTimePlanned && this.#leading && this.#state.wantsTime) this.#announce();
  }

  /** Calls the owner when something is due before its next check. */
  #announce(): void {
    const { nextDeadlineMs, timeLogMs } = this;
    if (nextDeadlineMs < this.#plannedMs || timeLogMs < this.#plannedMs) this.#onEarlier();
  }

  /** Sets the leader's time, so that leases granted by apply start at the reply. */
  observe(nowMs: number): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs;
  }

  /** Starts leading; all leases are due at the end of their covers. */
  lead(nowMs: number): void {
    const { table } = this.#state;
    this.#leading = true;
    this.#nowMs = nowMs;
    this.#nextExtendMs = Infinity;
    this.#nextDueTick = Infinity;
    this.#ttlMsMax = 0;
    for (let slot = 0; slot < table.count; slot++) {
      if (!this.#isLease(slot)) continue;
      const { leaseExpiryMs, state, ttlMs } = this.#state.recordView(slot);
      if (ttlMs > this.#ttlMsMax) this.#ttlMsMax = ttlMs;
      const isStale = isStaleState(state);
      const tick = tickAfter(isStale ? nowMs + STALE_LOOK_MS : leaseExpiryMs);
      table.clearFlag(slot, FLAG_EXPIRING | FLAG_WAITING | FLAG_RENEWED | FLAG_ENDED);
      if (isStale) table.clearFlag(slot, FLAG_BY_COVER);
      else table.setFlag(slot, FLAG_BY_COVER);
      table.setDue(slot, tick);
      if (tick < this.#nextDueTick) this.#nextDueTick = tick;
    }
    this.#plannedMs = Infinity;
    this.#isTimePlanned = false;
    this.#announce();
  }

  /** Stops leading and forgets everything that was not logged. */
  follow(): void {
    this.#leading = false;
    this.#nextDueTick = Infinity;
    this.#nextExtendMs = Infinity;
  }

  /**
   * Records that apply granted the slot a lease from `fromMs` on, or a longer cover.
   *
   * @param fresh false keeps a later due time: a granted lease is never shortened.
   */
  granted(slot: number, fromMs: number, fresh: boolean): void {
    const { table, shared } = this.#state;
    if (!this.#leading || !shared.kinds.hasLease(table.kindOf(slot))) return;
    const { ttlMs, leaseExpiryMs } = this.#state.recordView(slot);
    if (ttlMs > this.#ttlMsMax) this.#ttlMsMax = ttlMs;
    if (fresh) table.setDue(slot, 0);
    this.#postpone(slot, Math.min(fromMs + ttlMs, leaseExpiryMs), leaseExpiryMs - ttlMs);
    table.clearFlag(slot, FLAG_EXPIRING);
  }

  /** Records that apply marked the slot as stale. */
  becameStale(slot: number): void {
    if (!this.#leading) return;
    const { table } = this.#state;
    // A renewal that waits for its cover stays: its extension is what lets the record recover.
    table.clearFlag(slot, FLAG_EXPIRING | FLAG_RENEWED | FLAG_BY_COVER);
    this.#lookAgain(slot, this.#state.timeMs + STALE_LOOK_MS);
  }

  /** Makes all stale records due at once, for the expiry guard to be asked about them. */
  hurryStale(): void {
    if (!this.#leading || this.#state.staleCount === 0) return;
    const { table } = this.#state;
    for (let slot = 0; slot < table.count; slot++) {
      if (!this.#isLease(slot) || table.hasFlag(slot, FLAG_EXPIRING)) continue;
      if (isStaleState(this.#state.recordView(slot).state)) this.#lookAgain(slot, this.#nowMs);
    }
  }

  #lookAgain(slot: number, atMs: number): void {
    const tick = tickAfter(atMs);
    this.#state.table.setDue(slot, tick);
    if (tick >= this.#nextDueTick) return;
    this.#nextDueTick = tick;
    this.#announce();
  }

  /**
   * Moves a due time to the end of a lease that was just granted, never back, because a promised
   * lease stays promised. Only a due time that is merely the cover may be brought forward: a lease
   * promised by an earlier leader ends before this one if it had the same ttl, and otherwise one
   * ttl before the cover (coverOf in apply_put.ts).
   */
  #postpone(slot: number, untilMs: number, promisedMsMax: number): void {
    const { table } = this.#state;
    const tick = tickAfter(untilMs);
    const known = table.hasFlag(slot, FLAG_BY_COVER) && promisedMsMax <= untilMs;
    if (known) table.clearFlag(slot, FLAG_BY_COVER);
    if (known || tick > table.dueOf(slot)) table.setDue(slot, tick);
    const due = table.dueOf(slot);
    if (due >= this.#nextDueTick) return;
    this.#nextDueTick = due;
    this.#announce();
  }

  /** Time from which a lease granted by apply counts. */
  grantTimeMs(): number {
    return Math.max(this.#state.timeMs, this.#nowMs);
  }

  /** Renews in memory alone if the cover permits it. */
  renew(
    kind: number,
    id: Uint8Array,
    start: number,
    incarnation: Position,
    nowMs: number,
  ): RenewOutcome {
    if (!this.#leading) return "not_leader";
    const { table } = this.#state;
    if (!this.#state.shared.kinds.hasLease(kind)) return "not_found";
    const slot = this.#state.findLive(kind, id, start, start + 16);
    if (slot === -1) return "not_found";
    const record = this.#state.recordView(slot);
    if (
      record.incarnationIndex !== incarnation.index ||
      record.incarnationGeneration !== incarnation.generation
    ) return "superseded";
    if (table.hasFlag(slot, FLAG_ENDED)) return "permission_denied";
    const ttlMs = record.ttlMs;
    const coverMs = record.leaseExpiryMs;
    const leftMs = coverMs - nowMs;
    // That a stale record recovered must be logged.
    if (leftMs < ttlMs || table.hasFlag(slot, FLAG_EXPIRING) || isStaleState(record.state)) {
      table.setFlag(slot, FLAG_WAITING);
      return "needs_extension";
    }
    this.#postpone(slot, nowMs + ttlMs, coverMs - ttlMs);
    table.setFlag(slot, FLAG_RENEWED);
    this.renewedTtlMs = ttlMs;
    if (leftMs < ttlMs * EXTEND_BELOW_TTLS && this.#nextExtendMs > nowMs + EXTEND_GATHER_MS) {
      this.#nextExtendMs = nowMs + EXTEND_GATHER_MS;
      this.#announce();
    }
    return "renewed";
  }

  /** Sets whether the right to a record has ended, which refuses its renewal. */
  setEnded(slot: number, ended: boolean): void {
    if (ended) this.#state.table.setFlag(slot, FLAG_ENDED);
    else this.#state.table.clearFlag(slot, FLAG_ENDED);
  }

  /**
   * Returns the remaining lease, ms: by due time on the leader, by the cover elsewhere; Infinity for
   * a record without a lease.
   */
  remainingMs(slot: number, nowMs: number): number {
    const { table, shared } = this.#state;
    if (!shared.kinds.hasLease(table.kindOf(slot))) return Infinity;
    const coverMs = this.#state.recordView(slot).leaseExpiryMs;
    if (!this.#leading) return Math.max(0, coverMs - nowMs);
    if (table.hasFlag(slot, FLAG_EXPIRING)) return 0;
    return Math.max(0, Math.min(table.dueOf(slot) * LEASE_TICK_MS, coverMs) - nowMs);
  }

  /**
   * Returns the earliest due time, searched again, group ms: renewals leave the known one too
   * early.
   */
  findNextDueMs(): number {
    const { table } = this.#state;
    let next = Infinity;
    for (let slot = 0; slot < table.count; slot++) {
      if (table.dueOf(slot) < next && this.#isLease(slot)) next = table.dueOf(slot);
    }
    if (this.#leading) this.#nextDueTick = next;
    return next * LEASE_TICK_MS;
  }

  /**
   * Returns a command that extends the covers due for it; `force` skips the wait to gather more.
   */
  extendCommand(nowMs: number, unixS: number, force: boolean): Uint8Array | undefined {
    if (!this.#leading || (!force && nowMs < this.#nextExtendMs)) return undefined;
    const { table } = this.#state;
    const items: ExtendItem[] = [];
    let slot = 0;
    for (; slot < table.count && items.length < EXTEND_ITEMS_MAX; slot++) {
      if (!table.hasFlag(slot, FLAG_WAITING | FLAG_RENEWED) || !this.#isLease(slot)) continue;
      const item = this.#extension(slot, nowMs);
      if (item === undefined) continue;
      table.clearFlag(slot, FLAG_WAITING | FLAG_RENEWED);
      items.push(item);
    }
    this.#nextExtendMs = slot < table.count ? nowMs : Infinity;
    return items.length === 0
      ? undefined
      : encodeExtend({ timeMs: nowMs, unixS, writer: 0 }, items);
  }

  /** Returns commands for overdue records, as `judge` decides; they stay marked until they are decided. */
  overdueCommands(
    nowMs: number,
    unixS: number,
    limit: number,
    judge: OverdueJudge,
  ): OverdueCommands {
    if (!this.#leading || nowMs < this.#nextDueTick * LEASE_TICK_MS) return NOTHING_OVERDUE;
    const { nextDueTick, ...commands } = this.#overdue.take(nowMs, unixS, limit, judge);
    this.#nextDueTick = nextDueTick;
    return commands;
  }

  /** Adds the records that the expiry guard may keep to a census, as of `nowMs`. */
  census(nowMs: number, into: Census): void {
    if (this.#leading) this.#overdue.count(nowMs, this.#ttlMsMax, into);
  }

  #isLease(slot: number): boolean {
    const { table } = this.#state;
    return this.#state.shared.kinds.hasLease(table.kindOf(slot)) &&
      !table.hasFlag(slot, FLAG_TOMBSTONE);
  }

  #extension(slot: number, nowMs: number): ExtendItem | undefined {
    const { table } = this.#state;
    const record = this.#state.recordView(slot);
    const ttlMs = record.ttlMs;
    if (table.hasFlag(slot, FLAG_WAITING)) return this.#extendItem(slot, record, 0);
    // After a change of leader the due time is the cover, not a renewal; then count from now.
    const renewedMs = Math.min(nowMs, table.dueOf(slot) * LEASE_TICK_MS - ttlMs);
    const gainMs = renewedMs + COVER_TTLS * ttlMs - record.leaseExpiryMs;
    if (gainMs < EXTEND_GAIN_TTLS_MIN * ttlMs) return undefined;
    return this.#extendItem(slot, record, Math.floor((nowMs - renewedMs) / LEASE_TICK_MS));
  }

  #extendItem(slot: number, record: RecordView, agoTicks: number): ExtendItem {
    return {
      id: record.id,
      incarnation: { generation: record.incarnationGeneration, index: record.incarnationIndex },
      kind: this.#state.table.kindOf(slot),
      renewedAgo: Math.min(agoTicks, RENEWED_AGO_MAX),
    };
  }
}
