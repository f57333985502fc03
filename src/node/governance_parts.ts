/** Creates the operations on the governed plane, and connects them with its group. */
import { GOVERNED_PLACE } from "../base/ids.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { PlaneImages } from "../replication/assembly/plane_images.ts";
import type { ClusterGroups } from "../replication/assembly/cluster_groups.ts";
import { agreeOnSigners } from "../serving/governance/agreed_signers.ts";
import { Checkpoints } from "../serving/governance/checkpoints.ts";
import type { EntryWaiters } from "../serving/governance/entry_waiters.ts";
import { GovernanceService } from "../serving/governance/governance_service.ts";
import type { Handlers } from "../serving/handler.ts";
import { governanceHandlers } from "../serving/handlers/governance.ts";
import type { GOVERNANCE_OPERATIONS } from "../wire/operations/governance.ts";
import type { RegistryOptions } from "./registry_options.ts";
import type { RunningNode } from "./running_node.ts";

/** The work with the governed plane. */
export interface GovernanceParts {
  readonly handlers: Handlers<typeof GOVERNANCE_OPERATIONS>;
  readonly checkpoints: Checkpoints;
  /** Starts the work in the background. */
  start(): void;
  /** Stops it, and ends the requests that wait for entries. */
  stop(): Promise<void>;
  /** See {@link RunningNode.agreeOnSigners}. */
  readonly agreeOnSigners: RunningNode["agreeOnSigners"];
}

/** Creates the work with the governed plane. */
export function governanceParts(
  { world: { wall, scheduler }, nodeId: self }: Pick<RegistryOptions, "world" | "nodeId">,
  { clock: monotonic, groups, waiters, images }: {
    readonly clock: MonotonicClock;
    readonly groups: ClusterGroups;
    readonly waiters: EntryWaiters;
    readonly images: PlaneImages;
  },
): GovernanceParts {
  const checkpoints = new Checkpoints({ wall, monotonic });
  const service = new GovernanceService({
    plane: () => groups.plane,
    nodes: () => groups.nodesOf(GOVERNED_PLACE),
    self,
    checkpoints,
    waiters,
    wall,
    monotonic,
  });
  return {
    start: () => images.grown(),
    stop: () => {
      waiters.close();
      return images.stop();
    },
    handlers: governanceHandlers(service, checkpoints),
    checkpoints,
    agreeOnSigners: (configured, signal) =>
      agreeOnSigners(service, configured, { monotonic, scheduler, signal }),
  };
}
