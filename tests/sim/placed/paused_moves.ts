/** Invariant of paused moves: no partition is planned to move that has all its replicas on nodes that stay. */
import { GOVERNED_PLACE } from "../../../src/base/ids.ts";
import { nodeOfReplica } from "../../../src/replication/assembly/placed_here.ts";
import { REPLICAS } from "../../../src/ring/placement.ts";
import type { PartitionPlacement } from "../../../src/system/placement/placement_state.ts";
import type { SystemState } from "../../../src/system/system_state.ts";
import { Finding } from "../history.ts";
import type { PlacedChecker } from "./checker.ts";
import type { PlacedCluster } from "./cluster.ts";

/** Asks the leader of group 0 for its plan while moves are paused. */
export class PausedMoves implements PlacedChecker {
  readonly name = "paused_moves";
  readonly #cluster: PlacedCluster;

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  looked(): void {
    const { registry } = this.#cluster.systemLeader() ?? {};
    const state = registry?.groups.system.store.state;
    if (registry === undefined || !state?.moves.arePaused) return;
    for (const { move: { placement }, isBegun } of registry.placement.runner.pending()) {
      if (isBegun || !isStill(placement, state)) continue;
      const replicas = placement.replicas.map(({ replica }) => replica).join(", ");
      const what = `Partition ${placement.partition} with replicas ${replicas} is to move`;
      throw new Finding(this.name, `${what}, while moves are paused`);
    }
  }
}

/** Reports whether nothing of a partition has to move; the governed plane may want more replicas. */
function isStill({ partition, replicas }: PartitionPlacement, state: SystemState): boolean {
  if (partition === GOVERNED_PLACE) return false;
  return replicas.length >= REPLICAS && replicas.every(({ replica }) => {
    const node = nodeOfReplica(state, replica);
    return node !== undefined && state.members.has(node) && !state.departures.has(node);
  });
}
