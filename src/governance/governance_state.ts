/** The whole state of the governed plane's group. */
import { GovernanceAudit } from "./governance_audit.ts";
import type { GovernedPlane } from "./governed_plane.ts";
import { GovernanceQuotas } from "./quotas.ts";

/** The apply version of a group that never raised it, and the highest of this program. */
export const GOVERNANCE_APPLY_VERSION_FIRST = 1;
export const GOVERNANCE_APPLY_VERSION_MAX = 1;

/** The parts of the state, and its position. */
export class GovernanceState {
  readonly audit = new GovernanceAudit();
  readonly quotas = new GovernanceQuotas();
  /** Undefined before the genesis. */
  plane: GovernedPlane | undefined;
  /** Last applied group time, ms. */
  timeMs = 0;
  appliedIndex = 0;
  /** The version by which commands are applied. */
  applyVersion = GOVERNANCE_APPLY_VERSION_FIRST;
}
