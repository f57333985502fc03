/** Creates the operations on the governed plane, and connects them with its group. */
import { GOVERNED_PLACE } from "../base/ids.ts";
import type { MonotonicClock, World } from "../base/world.ts";
import type { ClusterGroups } from "../replication/assembly/cluster_groups.ts";
import { Checkpoints } from "../serving/governance/checkpoints.ts";
import type { EntryWaiters } from "../serving/governance/entry_waiters.ts";
import { GovernanceService } from "../serving/governance/governance_service.ts";
import type { Handlers } from "../serving/handler.ts";
import { governanceHandlers } from "../serving/handlers/governance.ts";
import type { GOVERNANCE_OPERATIONS } from "../wire/operations/governance.ts";

/** The work with the governed plane. */
export interface GovernanceParts {
  readonly handlers: Handlers<typeof GOVERNANCE_OPERATIONS>;
  readonly checkpoints: Checkpoints;
}

/** Creates the work with the governed plane. */
export function governanceParts(
  { wall }: World,
  monotonic: MonotonicClock,
  groups: ClusterGroups,
  waiters: EntryWaiters,
): GovernanceParts {
  const checkpoints = new Checkpoints({ wall, monotonic });
  const service = new GovernanceService({
    plane: () => groups.plane,
    nodes: () => groups.nodesOf(GOVERNED_PLACE),
    checkpoints,
    waiters,
    wall,
    monotonic,
  });
  return { handlers: governanceHandlers(service, checkpoints), checkpoints };
}
