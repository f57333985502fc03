/** The whole state of the governed plane's group. */
import { GovernanceAudit } from "./governance_audit.ts";
import type { GovernedPlane } from "./governed_plane.ts";
import { GovernanceQuotas } from "./quotas.ts";

/** The apply version of a group that never raised it, and the highest of this program. */
export const GOVERNANCE_APPLY_VERSION_FIRST = 1;
export const GOVERNANCE_APPLY_VERSION_MAX = 2;
/** The version from which on a region can mirror the plane of another one. */
export const MIRROR_APPLY_VERSION = 2;

/** The parts of the state, and its position. */
export class GovernanceState {
  readonly audit = new GovernanceAudit();
  readonly quotas = new GovernanceQuotas();
  /** Undefined before the genesis. */
  plane: GovernedPlane | undefined;
  /** Batches of the home that were refused, and the last refusal until entries are taken again. */
  mirrorRefused = 0;
  mirrorRefusal = "";
  /** Last applied group time, ms. */
  timeMs = 0;
  appliedIndex = 0;
  /** The version by which commands are applied. */
  applyVersion = GOVERNANCE_APPLY_VERSION_FIRST;
}
