/**
 * What the leader of a partition knows of its leases, beside the logged covers.
 *
 * A record's cover (`leaseExpiryMs`, logged) reaches twice its ttl from a renewal on. A renewal that
 * ends inside the cover only moves the record's due time, here, in memory; covers are extended in the
 * background, gathered. The leader expires by due times; a new leader knows only the covers and goes
 * by them, so that a record may live one ttl longer, never shorter.
 *
 * Clock: group time, as the leader reckons it; it must not run faster than the drift that
 * CLOCK_DRIFT_PPM allows. A record expires no earlier than its last answered renewal + ttl, and is
 * proposed for expiry at most LEASE_TICK_MS plus the caller's cadence later. Source: design §3.
 */
import {
  COVER_TTLS,
  EXPIRE_ITEMS_MAX,
  EXPIRE_RETRY_MS,
  EXTEND_GATHER_MS,
  EXTEND_ITEMS_MAX,
  LEASE_TICK_MS,
  TIME_LOG_MS_MAX,
  TIME_LOG_MS_MIN,
} from "../base/limits.ts";
import type { ExpireItem, ExtendItem } from "../../schemas/gen/command.ts";
import { encodeExpire, encodeExtend } from "../record/command.ts";
import { isRecordKind, type RecordKind } from "../record/key.ts";
import type { PartitionState, RecordView } from "./partition_state.ts";
import type { Position } from "./reply.ts";
import {
  FLAG_BY_COVER,
  FLAG_ENDED,
  FLAG_EXPIRING,
  FLAG_RENEWED,
  FLAG_TOMBSTONE,
  FLAG_WAITING,
} from "./slot_table.ts";

/**
 * An extension is wanted when less than this many ttls of cover remain at a renewal: then the next
 * one, a third of a ttl later at the most, would not end inside the cover. A hair below 4 / 3, so
 * that it is not wanted at the second renewal already by an owner who comes every ttl / 3.
 */
const EXTEND_BELOW_TTLS = 1.32;
/** A record rides along with an extension that gains it at least this share of its ttl. */
const EXTEND_GAIN_TTLS_MIN = 0.25;
const RENEWED_AGO_MAX = 0xffff;

/** What a renewal comes to. */
export type RenewOutcome =
  | "renewed"
  | "needs_extension"
  | "superseded"
  | "not_found"
  | "not_leader"
  /** Its owner's right has ended. */
  | "permission_denied";

/** The first lease tick at or after a time. */
function tickAfter(ms: number): number {
  return Math.ceil(ms / LEASE_TICK_MS);
}

/** The leases of one partition. */
export class Leases {
  readonly #state: PartitionState;
  #leading = false;
  /** No record is due before this tick. */
  #nextDueTick = Infinity;
  /** When gathered extensions are to be proposed. */
  #nextExtendMs = Infinity;
  /** The ttl of the lease that was renewed last, ms. */
  renewedTtlMs = 0;
  /** The leader's time, as far as it was told. */
  #nowMs = 0;
  /** When its owner next looks at it, group ms. */
  #plannedMs = Infinity;
  /** That look heeds when the time is to be logged. */
  #isTimePlanned = false;
  readonly #onEarlier: () => void;

  /** @param onEarlier called when something becomes due before the owner's next look. */
  constructor(state: PartitionState, onEarlier: () => void) {
    this.#state = state;
    this.#onEarlier = onEarlier;
  }

  get leading(): boolean {
    return this.#leading;
  }

  /** When there is next something to propose, group ms. */
  get nextDeadlineMs(): number {
    return this.#leading
      ? Math.min(this.#nextDueTick * LEASE_TICK_MS, this.#nextExtendMs)
      : Infinity;
  }

  /**
   * When the group's time is to be logged at the latest, group ms, if no other command is until then.
   *
   * A restart goes on from the last time that was logged; what it gives away so is kept below what is
   * left of the shortest lease. Renewals leave the known end of that too early: see
   * {@link findNextDueMs}.
   */
  get timeLogMs(): number {
    if (!this.#leading || !this.#state.wantsTime) return Infinity;
    const { timeMs } = this.#state;
    const leftMs = (this.#nextDueTick * LEASE_TICK_MS - timeMs) / 2;
    return Math.ceil(timeMs + Math.min(TIME_LOG_MS_MAX, Math.max(TIME_LOG_MS_MIN, leftMs)));
  }

  /** Takes note that the owner looks at it at `plannedMs`, group ms; Infinity: not before it is called. */
  planned(plannedMs: number): void {
    this.#plannedMs = plannedMs;
    this.#isTimePlanned = this.#state.wantsTime;
  }

  /** Apply is done: the first thing to be forgotten, where no record is, makes the time matter. */
  applied(): void {
    if (!this.#isTimePlanned && this.#leading && this.#state.wantsTime) this.#announce();
  }

  /** Calls the owner where something is due before its next look. */
  #announce(): void {
    const { nextDeadlineMs, timeLogMs } = this;
    if (nextDeadlineMs < this.#plannedMs || timeLogMs < this.#plannedMs) this.#onEarlier();
  }

  /** Tells the leader's time, so that leases granted by apply count from the answer. */
  observe(nowMs: number): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs;
  }

  /** From now on by the covers. */
  lead(nowMs: number): void {
    const { table } = this.#state;
    this.#leading = true;
    this.#nowMs = nowMs;
    this.#nextExtendMs = Infinity;
    this.#nextDueTick = Infinity;
    for (let slot = 0; slot < table.count; slot++) {
      if (!this.#isLease(slot)) continue;
      const tick = tickAfter(this.#state.recordView(slot).leaseExpiryMs);
      table.clearFlag(slot, FLAG_EXPIRING | FLAG_WAITING | FLAG_RENEWED | FLAG_ENDED);
      table.setFlag(slot, FLAG_BY_COVER);
      table.setDue(slot, tick);
      if (tick < this.#nextDueTick) this.#nextDueTick = tick;
    }
    this.#plannedMs = Infinity;
    this.#isTimePlanned = false;
    this.#announce();
  }

  /** Forgets all that was not logged. */
  follow(): void {
    this.#leading = false;
    this.#nextDueTick = Infinity;
    this.#nextExtendMs = Infinity;
  }

  /**
   * Apply granted the slot a lease from `fromMs` on, or a longer cover.
   *
   * @param fresh false keeps a later due time: a lease that was given is never shortened.
   */
  granted(slot: number, fromMs: number, fresh: boolean): void {
    if (!this.#leading) return;
    const { table } = this.#state;
    const { ttlMs, leaseExpiryMs } = this.#state.recordView(slot);
    if (fresh) table.setDue(slot, 0);
    this.#postpone(slot, Math.min(fromMs + ttlMs, leaseExpiryMs), leaseExpiryMs - ttlMs);
    table.clearFlag(slot, FLAG_EXPIRING);
  }

  /**
   * Moves a due time to the end of a lease that was just given: never back, for what was promised
   * stays promised. Only where the due time is a mere cover it may come forward: what an earlier
   * leader promised ends before this lease, if it was of the same ttl, or else one ttl before the
   * cover (coverOf in apply_put.ts).
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

  /** The time from which a lease granted by apply counts. */
  grantTimeMs(): number {
    return Math.max(this.#state.timeMs, this.#nowMs);
  }

  /** Renews by memory alone where the cover allows it. */
  renew(
    kind: number,
    id: Uint8Array,
    start: number,
    incarnation: Position,
    nowMs: number,
  ): RenewOutcome {
    if (!this.#leading) return "not_leader";
    const { table } = this.#state;
    if (!isRecordKind(kind)) return "not_found";
    const slot = this.#state.findLive(kind, id, start, start + 16);
    if (slot === -1) return "not_found";
    const record = this.#state.recordView(slot);
    if (
      record.incarnationIndex !== incarnation.index ||
      record.incarnationGeneration !== incarnation.generation
    ) return "superseded";
    if (table.hasFlag(slot, FLAG_ENDED)) return "permission_denied";
    const ttlMs = record.ttlMs;
    const leftMs = record.leaseExpiryMs - nowMs;
    if (leftMs < ttlMs || table.hasFlag(slot, FLAG_EXPIRING)) {
      table.setFlag(slot, FLAG_WAITING);
      return "needs_extension";
    }
    this.#postpone(slot, nowMs + ttlMs, record.leaseExpiryMs - ttlMs);
    table.setFlag(slot, FLAG_RENEWED);
    this.renewedTtlMs = ttlMs;
    if (leftMs < ttlMs * EXTEND_BELOW_TTLS && this.#nextExtendMs > nowMs + EXTEND_GATHER_MS) {
      this.#nextExtendMs = nowMs + EXTEND_GATHER_MS;
      this.#announce();
    }
    return "renewed";
  }

  /** Says whether the right to a record has ended: then it is not renewed. */
  setEnded(slot: number, ended: boolean): void {
    if (ended) this.#state.table.setFlag(slot, FLAG_ENDED);
    else this.#state.table.clearFlag(slot, FLAG_ENDED);
  }

  /** The rest of a lease, ms: by the leader's knowledge, elsewhere by the cover. */
  remainingMs(slot: number, nowMs: number): number {
    const { table } = this.#state;
    const coverMs = this.#state.recordView(slot).leaseExpiryMs;
    if (!this.#leading) return Math.max(0, coverMs - nowMs);
    if (table.hasFlag(slot, FLAG_EXPIRING)) return 0;
    return Math.max(0, Math.min(table.dueOf(slot) * LEASE_TICK_MS, coverMs) - nowMs);
  }

  /** The earliest due time, looked up anew, group ms: renewals leave the known one too early. */
  findNextDueMs(): number {
    const { table } = this.#state;
    let next = Infinity;
    for (let slot = 0; slot < table.count; slot++) {
      if (table.dueOf(slot) < next && this.#isLease(slot)) next = table.dueOf(slot);
    }
    if (this.#leading) this.#nextDueTick = next;
    return next * LEASE_TICK_MS;
  }

  /** A command for the covers that are to be extended now; `force`: without waiting to gather. */
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

  /** A command that expires what is over; what it names stays marked until it is decided. */
  expireCommand(nowMs: number, unixS: number, limit: number): Uint8Array | undefined {
    if (!this.#leading || nowMs < this.#nextDueTick * LEASE_TICK_MS) return undefined;
    const { table } = this.#state;
    const nowTick = Math.floor(nowMs / LEASE_TICK_MS);
    const itemsMax = Math.min(limit, EXPIRE_ITEMS_MAX);
    const items: ExpireItem[] = [];
    let next = Infinity;
    for (let slot = 0; slot < table.count; slot++) {
      const due = table.dueOf(slot);
      if (due >= next || !this.#isLease(slot)) continue;
      if (due > nowTick || items.length === itemsMax) {
        next = due;
        continue;
      }
      items.push(this.#expiry(slot));
      table.setFlag(slot, FLAG_EXPIRING);
      table.setDue(slot, tickAfter(nowMs + EXPIRE_RETRY_MS));
      next = Math.min(next, table.dueOf(slot));
    }
    this.#nextDueTick = next;
    return items.length === 0
      ? undefined
      : encodeExpire({ timeMs: nowMs, unixS, writer: 0 }, items);
  }

  #isLease(slot: number): boolean {
    const { table } = this.#state;
    return isRecordKind(table.kindOf(slot)) && !table.hasFlag(slot, FLAG_TOMBSTONE);
  }

  #extension(slot: number, nowMs: number): ExtendItem | undefined {
    const { table } = this.#state;
    const record = this.#state.recordView(slot);
    const ttlMs = record.ttlMs;
    if (table.hasFlag(slot, FLAG_WAITING)) return this.#extendItem(slot, record, 0);
    // After a change of leader the due time says the cover, not the renewal: then count from now.
    const renewedMs = Math.min(nowMs, table.dueOf(slot) * LEASE_TICK_MS - ttlMs);
    const gainMs = renewedMs + COVER_TTLS * ttlMs - record.leaseExpiryMs;
    if (gainMs < EXTEND_GAIN_TTLS_MIN * ttlMs) return undefined;
    return this.#extendItem(slot, record, Math.floor((nowMs - renewedMs) / LEASE_TICK_MS));
  }

  #extendItem(slot: number, record: RecordView, agoTicks: number): ExtendItem {
    return {
      id: record.id,
      incarnation: { generation: record.incarnationGeneration, index: record.incarnationIndex },
      kind: this.#state.table.kindOf(slot) as RecordKind,
      renewedAgo: Math.min(agoTicks, RENEWED_AGO_MAX),
    };
  }

  #expiry(slot: number): ExpireItem {
    const record = this.#state.recordView(slot);
    return {
      id: record.id,
      incarnation: { generation: record.incarnationGeneration, index: record.incarnationIndex },
      leaseExpiryMs: record.leaseExpiryMs,
      kind: this.#state.table.kindOf(slot) as RecordKind,
    };
  }
}
