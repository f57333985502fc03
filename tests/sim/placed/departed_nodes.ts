/**
 * Invariants of nodes that depart: one that was removed votes nowhere and reads nothing, one that holds
 * nothing has no lease, and no partition gets fewer voters than it had, unless an operator allowed that.
 */
import { partitionId } from "../../../src/base/ids.ts";
import { nodeOfReplica } from "../../../src/replication/assembly/placed_here.ts";
import type { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import { REPLICAS } from "../../../src/ring/placement.ts";
import { Finding } from "../history.ts";
import type { PlacedChecker } from "./checker.ts";
import type { PlacedCluster } from "./cluster.ts";

/** Looks at nodes that depart, and at the partitions that they held. */
export class DepartedNodes implements PlacedChecker {
  readonly name = "departed_nodes";
  readonly #cluster: PlacedCluster;
  /** Partitions that have had as many voters as are wished. */
  readonly #whole = new Set<number>();
  #isFewerAllowed = false;

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  looked(): void {
    const system = this.#cluster.systemLeader()?.groups?.system;
    // A leader that cannot read is not the last word.
    if (system === undefined || system.group.readPoint(0) === undefined) return;
    const { state, genesis } = system.store;
    if (state.departures.all.some(({ isFewerAllowed }) => isFewerAllowed)) {
      this.#isFewerAllowed = true;
    }
    this.#lookAtNodes(state);
    for (let number = 0; number < (genesis?.partitionCount ?? 0); number++) {
      this.#lookAtPartition(number, state);
    }
  }

  #lookAtNodes({ departures, members }: SystemState): void {
    for (const { address, nodeId, groups } of this.#cluster.machines) {
      const isGone = members.wasRemoved(nodeId);
      if (!isGone && !(departures.has(nodeId) && departures.heldBy(nodeId) === 0)) continue;
      for (const { id, group } of groups?.partitions ?? []) {
        if (group.readPoint(0) === undefined) continue;
        throw new Finding(
          this.name,
          `Machine ${address} holds nothing any more, and reads partition ${id}`,
        );
      }
      if (!isGone || groups?.system.group.readPoint(0) === undefined) continue;
      throw new Finding(this.name, `Machine ${address} was removed, and reads group 0`);
    }
  }

  #lookAtPartition(number: number, state: SystemState): void {
    const here = this.#cluster.leaderOf(number)?.here;
    if (here === undefined || here.group.readPoint(0) === undefined) return;
    const { voters } = here.group.configuration;
    const id = partitionId(number);
    const gone = voters.map((replica) => nodeOfReplica(state, replica))
      .find((node) => node !== undefined && state.members.wasRemoved(node));
    if (gone !== undefined) {
      throw new Finding(this.name, `Node ${gone} was removed, and votes in partition ${id}`);
    }
    if (voters.length >= REPLICAS) this.#whole.add(number);
    else if (this.#whole.has(number) && !this.#isFewerAllowed) {
      throw new Finding(this.name, `Partition ${id} is down to ${voters.length} voters`);
    }
  }
}

type SystemState = ClusterGroups["system"]["store"]["state"];
