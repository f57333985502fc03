/**
 * The records of a partition whose leases are over, as its leader finds them: they expire, or become stale
 * and stay, as the expiry guard judges (src/serving/expiry). Nothing here is logged; apply checks each item
 * again. A census counts what the guard must know first: how many records there are, how many are silent,
 * and how many wait for a permit.
 *
 * An owner renews every third of its ttl, so a record with less than a third left has missed two renewals:
 * it is *silent*, which is known before its lease is over.
 */
import { EXPIRE_ITEMS_MAX, EXPIRE_RETRY_MS, LEASE_TICK_MS } from "../base/limits.ts";
import type { ExpireItem } from "../../schemas/gen/command.ts";
import { encodeExpire, encodeStale } from "../record/command.ts";
import { isStaleState } from "../record/record_state.ts";
import type { PartitionState } from "./partition_state.ts";
import { FLAG_EXPIRING, FLAG_RENEWED, FLAG_TOMBSTONE } from "./slot_table.ts";

/** Share of its lease that the record of a live owner always has left. */
const LIVE_SHARE_MIN = 1 / 3;

/** Returns the first lease tick at or after a time. */
export function tickAfter(ms: number): number {
  return Math.ceil(ms / LEASE_TICK_MS);
}

/** A record whose lease is over. */
export interface Overdue {
  /** Number of its region (region_table.ts). */
  readonly region: number;
  readonly isStale: boolean;
  /** Time for which it has been stale, ms; 0 if it is not. */
  readonly staleMs: number;
}

/** The decision about an overdue record. */
export type Verdict =
  /** It expires, by this permit; 0: it needs none. */
  | { readonly permit: number }
  /** It becomes or stays stale. If it is, it is looked at again after so many ms. */
  | { readonly lookAgainMs: number }
  /** Not decided yet: it stays due. */
  | undefined;

/** Judges overdue records, each once. Those of kinds that end at once are not judged. */
export type OverdueJudge = (record: Overdue) => Verdict;

/** Judges that everything expires. */
export const EXPIRE_ALL: OverdueJudge = () => ({ permit: 0 });

/** Commands to be proposed as they are, and what remains. */
export interface OverdueCommands {
  readonly expire: Uint8Array | undefined;
  readonly stale: Uint8Array | undefined;
  /** Whether a record was not decided. */
  readonly isUndecided: boolean;
}

/** The commands while nothing is overdue. */
export const NOTHING_OVERDUE: OverdueCommands = Object.freeze({
  expire: undefined,
  stale: undefined,
  isUndecided: false,
});

/** Receives the counts of records by region. */
export interface Census {
  /** Counts a record that is not stale. @param isSilent whether it missed its last renewals. */
  add(region: number, isSilent: boolean): void;
  /** Counts a stale record. */
  addStale(record: Overdue): void;
  /** Counts a record that was counted before as one that waits for a permit. */
  addOverdue(record: Overdue): void;
}

/** Finds the overdue records of one partition. */
export class OverdueRecords {
  readonly #state: PartitionState;
  readonly #found = { region: 0, isStale: false, staleMs: 0 };

  constructor(state: PartitionState) {
    this.#state = state;
  }

  /** Returns commands for overdue records, at most `limit`, and the tick at which the next are due. */
  take(
    nowMs: number,
    unixS: number,
    limit: number,
    judge: OverdueJudge,
  ): OverdueCommands & { readonly nextDueTick: number } {
    const { table } = this.#state;
    const nowTick = Math.floor(nowMs / LEASE_TICK_MS);
    const itemsMax = Math.min(limit, EXPIRE_ITEMS_MAX);
    const expired: ExpireItem[] = [];
    const lapsed: ExpireItem[] = [];
    let nextDueTick = Infinity;
    let isUndecided = false;
    for (let slot = 0; slot < table.count; slot++) {
      const due = table.dueOf(slot);
      if (due > nowTick && due >= nextDueTick || !this.#isLease(slot)) continue;
      const isLater = due > nowTick || expired.length + lapsed.length === itemsMax;
      const verdict = isLater ? undefined : this.#verdict(slot, nowMs, judge);
      if (verdict === undefined) {
        isUndecided ||= !isLater;
        nextDueTick = Math.min(nextDueTick, due);
        continue;
      }
      if (!("permit" in verdict) && this.#found.isStale) {
        table.setDue(slot, tickAfter(nowMs + verdict.lookAgainMs));
      } else {
        if ("permit" in verdict) expired.push(this.#item(slot, verdict.permit));
        else lapsed.push(this.#item(slot, 0));
        // The due time is no end of a lease from here on, so an extension cannot be derived from it.
        table.clearFlag(slot, FLAG_RENEWED);
        table.setFlag(slot, FLAG_EXPIRING);
        table.setDue(slot, tickAfter(nowMs + EXPIRE_RETRY_MS));
      }
      nextDueTick = Math.min(nextDueTick, table.dueOf(slot));
    }
    const header = { timeMs: nowMs, unixS, writer: 0 };
    return {
      expire: expired.length === 0 ? undefined : encodeExpire(header, expired),
      stale: lapsed.length === 0 ? undefined : encodeStale(header, lapsed),
      isUndecided,
      nextDueTick,
    };
  }

  #verdict(slot: number, nowMs: number, judge: OverdueJudge): Verdict {
    const { table, shared: { kinds } } = this.#state;
    if (!kinds.isGuarded(table.kindOf(slot))) return ENDS_AT_ONCE;
    return judge(this.#overdue(slot, nowMs));
  }

  /** Returns the facts of a slot; overwritten by the next call. */
  #overdue(slot: number, nowMs: number): Overdue {
    const { state, leaseExpiryMs } = this.#state.recordView(slot);
    const found = this.#found;
    found.region = this.#state.table.regionOf(slot);
    found.isStale = isStaleState(state);
    // Since then it has been stale (applyStale).
    found.staleMs = found.isStale ? Math.max(0, nowMs - leaseExpiryMs) : 0;
    return found;
  }

  /**
   * Counts the records that the expiry guard may keep.
   *
   * @param ttlMsMax no record has a longer ttl, so none that has longer than its last third left is silent.
   */
  count(nowMs: number, ttlMsMax: number, into: Census): void {
    const { table, staleCount, shared: { kinds } } = this.#state;
    const nowTick = Math.floor(nowMs / LEASE_TICK_MS);
    const aheadTick = tickAfter(nowMs + ttlMsMax * LIVE_SHARE_MIN);
    for (let slot = 0; slot < table.count; slot++) {
      if (!this.#isLease(slot) || !kinds.isGuarded(table.kindOf(slot))) continue;
      const due = table.dueOf(slot);
      const region = table.regionOf(slot);
      // Most records are not read: nothing is stale, and their leases last longer than that.
      if (due > aheadTick && staleCount === 0) {
        into.add(region, false);
        continue;
      }
      const record = this.#overdue(slot, nowMs);
      const isDue = due <= nowTick;
      if (record.isStale) {
        into.addStale(record);
      } else {
        const leftMs = due * LEASE_TICK_MS - nowMs;
        const { ttlMs } = this.#state.recordView(slot);
        into.add(region, leftMs < ttlMs * LIVE_SHARE_MIN);
      }
      if (isDue) into.addOverdue(record);
    }
  }

  #isLease(slot: number): boolean {
    const { table, shared } = this.#state;
    return shared.kinds.hasLease(table.kindOf(slot)) && !table.hasFlag(slot, FLAG_TOMBSTONE);
  }

  #item(slot: number, permit: number): ExpireItem {
    const record = this.#state.recordView(slot);
    return {
      id: record.id,
      incarnation: { generation: record.incarnationGeneration, index: record.incarnationIndex },
      leaseExpiryMs: record.leaseExpiryMs,
      kind: this.#state.table.kindOf(slot),
      permit,
    };
  }
}

const ENDS_AT_ONCE: Verdict = Object.freeze({ permit: 0 });
