/**
 * The budget of a region: how many permits may be given when. It fills at a rate per minute, and holds one
 * minute's permits at most. Pure; whole thousandths of permits, so that all replicas agree.
 */
import { EXPIRY_BUDGET_MS } from "../../base/limits.ts";
import type { PermitDemand } from "../../../schemas/gen/wire.ts";

const MILLI = 1_000;

/** The settings of budgets. */
export interface BudgetSettings {
  /** Thousandths of a region's records that may expire per minute. */
  readonly sharePermille: number;
  /** At least so many may. */
  readonly floor: number;
}

/** Returns the permits of a region per minute. */
export function permitsPerMinute(
  { sharePermille, floor }: BudgetSettings,
  fleet: number,
): number {
  return Math.max(floor, Math.floor(fleet * sharePermille / MILLI));
}

/**
 * Reports whether so many records of a node are silent at once that the cause is rather a failure between
 * them and the registry than their own ends.
 */
export function isMassLoss(
  { sharePermille, floor }: BudgetSettings,
  demand: PermitDemand,
): boolean {
  return demand.silent > Math.max(floor, Math.floor(demand.live * sharePermille / MILLI));
}

/** A budget; it starts empty. */
export class ExpiryBudget {
  milliPermits: number;
  /** Group time up to which it was filled, ms. */
  atMs: number;

  constructor(atMs: number, milliPermits = 0) {
    this.atMs = atMs;
    this.milliPermits = milliPermits;
  }

  /** Fills it up to `nowMs`, then takes up to `wanted` permits; returns how many. */
  take(wanted: number, perMinute: number, nowMs: number): number {
    const elapsedMs = Math.max(0, nowMs - this.atMs);
    const filled = Math.floor(
      Math.min(elapsedMs, EXPIRY_BUDGET_MS) * perMinute * MILLI / EXPIRY_BUDGET_MS,
    );
    this.milliPermits = Math.min(this.milliPermits + filled, perMinute * MILLI);
    this.atMs = Math.max(this.atMs, nowMs);
    const count = Math.min(wanted, Math.floor(this.milliPermits / MILLI));
    this.milliPermits -= count * MILLI;
    return count;
  }
}
