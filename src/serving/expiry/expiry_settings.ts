/** The settings of the expiry guard. */
import {
  EXPIRY_FLOOR_DEFAULT,
  EXPIRY_SHARE_PERMILLE_DEFAULT,
  STALE_CONFIRM_MS_DEFAULT,
} from "../../base/limits.ts";
import type { BudgetSettings } from "../../system/expiry/expiry_budget.ts";

/** The budgets of regions, and what confirms a loss. */
export interface ExpirySettings extends BudgetSettings {
  /** Time after which the loss of a stale record is confirmed, ms. */
  readonly confirmMs: number;
}

/** The settings where none are given. */
export const EXPIRY_SETTINGS_DEFAULT: ExpirySettings = {
  sharePermille: EXPIRY_SHARE_PERMILLE_DEFAULT,
  floor: EXPIRY_FLOOR_DEFAULT,
  confirmMs: STALE_CONFIRM_MS_DEFAULT,
};
