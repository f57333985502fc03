/**
 * The records of one region in the partitions that this node leads, as counted for a draw of permits, and
 * what the draw gave: the judge of those that wait. Permits go to the stale records first, to the oldest of
 * them before all others, and each is used once.
 */
import type { PermitDemand, PermitGrant } from "../../../schemas/gen/wire.ts";
import { HELD_LOOK_MS, STALE_LOOK_MS } from "../../base/limits.ts";
import type { Overdue, Verdict } from "../../store/overdue.ts";

/** The outcome for a record that gets no permit and is not stale yet. */
const BECOMES_STALE: Verdict = Object.freeze({ lookAgainMs: STALE_LOOK_MS });

/** The times of a node that the judgement depends on. */
export interface CensusTimes {
  /** Monotonic time of the node, ms. */
  readonly nowMs: number;
  /** Time after which the loss of a stale record is confirmed, ms. */
  readonly confirmMs: number;
  /** Time since an operator released stale records, ms; Infinity if that is not known. */
  readonly releasedMs: number;
}

/** One region of a census. */
export class RegionCensus {
  readonly #times: CensusTimes;
  /** Records with a lease, the stale ones included. */
  live = 0;
  staleCount = 0;
  oldestStaleMs = 0;
  /** Those that missed their last renewals, and stale ones that are not confirmed lost. */
  silent = 0;
  /** Overdue records that are not stale, and stale ones that are not confirmed lost and ask again. */
  lapsed = 0;
  stale = 0;
  released = 0;
  /** Times for which confirmed records have been stale, ms. */
  readonly #confirmedMs: number[] = [];
  #grant: PermitGrant | undefined;
  /** Permits that were not used yet, and those of them for each sort of record. */
  #nextPermit = 0;
  #leftForReleased = 0;
  #leftForConfirmed = 0;
  #leftForStale = 0;
  #leftForLapsed = 0;
  /** A confirmed record that has been stale for less gets no permit. */
  #confirmedMsMin = 0;

  constructor(times: CensusTimes) {
    this.#times = times;
  }

  /** Whether a record waits for a permit. */
  get wantsPermits(): boolean {
    return this.#wanted > 0;
  }

  /** Number of permits that were asked for and not given. */
  get denied(): number {
    return this.#wanted - (this.#grant?.count ?? 0);
  }

  get #wanted(): number {
    return this.lapsed + this.stale + this.#confirmedMs.length;
  }

  /** Counts a stale record: it is silent until its loss is confirmed. */
  addStale({ staleMs }: Overdue): void {
    this.live++;
    this.staleCount++;
    if (staleMs < this.#times.confirmMs) this.silent++;
    if (staleMs > this.oldestStaleMs) this.oldestStaleMs = staleMs;
  }

  /** Counts a record that waits for a permit. */
  addOverdue({ isStale, staleMs }: Overdue): void {
    if (!isStale) {
      this.lapsed++;
      return;
    }
    if (staleMs >= this.#times.releasedMs) this.released++;
    if (staleMs < this.#times.confirmMs) this.stale++;
    else this.#confirmedMs.push(staleMs);
  }

  /** Returns what the node asks for. @param fleetShare the share of the cluster's partitions that it leads. */
  demand(region: string, fleetShare: number): PermitDemand {
    const { live, silent, lapsed, stale, released } = this;
    return {
      ...{ region, live, silent, lapsed, stale, released },
      confirmed: this.#confirmedMs.length,
      fleet: Math.round(live / fleetShare),
    };
  }

  /** Takes what the draw gave. Without that, nothing gets a permit. */
  granted(grant: PermitGrant): void {
    this.#grant = grant;
    this.#nextPermit = grant.first;
    if (grant.isReleased) {
      this.#leftForReleased = grant.count;
      return;
    }
    const ages = this.#confirmedMs.sort((left, right) => right - left);
    this.#leftForConfirmed = Math.min(grant.count, ages.length);
    this.#confirmedMsMin = ages[this.#leftForConfirmed - 1] ?? Infinity;
    const left = grant.count - this.#leftForConfirmed;
    this.#leftForStale = Math.min(left, this.stale);
    this.#leftForLapsed = left - this.#leftForStale;
  }

  /** Judges a record that waited. */
  judge({ isStale, staleMs }: Overdue): Verdict {
    if (!isStale) return this.#leftForLapsed-- > 0 ? this.#permit() : BECOMES_STALE;
    const { confirmMs, releasedMs } = this.#times;
    if (staleMs >= releasedMs && this.#leftForReleased-- > 0) return this.#permit();
    const isConfirmed = staleMs >= confirmMs;
    if (isConfirmed && staleMs >= this.#confirmedMsMin && this.#leftForConfirmed-- > 0) {
      return this.#permit();
    }
    if (!isConfirmed && this.#leftForStale-- > 0) return this.#permit();
    const isEarly = !isConfirmed && this.#grant?.isMass === true;
    return { lookAgainMs: this.#lookAfter(isEarly ? confirmMs - staleMs : 1) };
  }

  /** Returns the time until the next look at stale records, ms, that is at least `ms` away. */
  #lookAfter(ms: number): number {
    const everyMs = this.#grant?.isHeld === true ? HELD_LOOK_MS : STALE_LOOK_MS;
    const { nowMs } = this.#times;
    return Math.ceil((nowMs + ms) / everyMs) * everyMs - nowMs;
  }

  #permit(): Verdict {
    return { permit: this.#nextPermit++ };
  }
}
