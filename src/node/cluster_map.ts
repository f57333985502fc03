/**
 * The ring map as this node knows it: members and placements by group 0, leaders by the groups that
 * are here. Clients route by it; the Raft configurations are the authority.
 */
import type { PartitionId } from "../base/ids.ts";
import type { Placement, RingMap } from "../ring/ring_map.ts";
import { nodeOfReplica, placementOf } from "../replication/assembly/placed_here.ts";
import type { PartitionTable } from "../serving/partitions.ts";
import type { SystemState } from "../system/system_state.ts";
import type { SystemStore } from "../system/system_store.ts";

/**
 * Returns the ring map; undefined before the genesis. One placement stands for all partitions while
 * the cluster has one node.
 *
 * @param self this node's id.
 */
export function clusterMap(
  store: SystemStore,
  table: PartitionTable,
  self: number,
): RingMap | undefined {
  const map = store.ringMap(self);
  if (map === undefined || map.nodes.length <= 1) return map;
  const placements = Array.from(
    { length: map.partitionCount },
    (_, partition): Placement => ({
      leader: leaderOf(table, partition),
      replicas: servingNodes(store.state, partition as PartitionId),
    }),
  );
  return { ...map, placements };
}

function leaderOf(table: PartitionTable, partition: number): number {
  const place = table.at(partition);
  return place.isHere ? place.group.status().leader : place.leader;
}

/** Returns the nodes whose replica may lead: voters, and those that leave once they are replaced. */
function servingNodes(state: SystemState, partition: PartitionId): number[] {
  return placementOf(state, partition).replicas
    .filter(({ role }) => role === "voter" || role === "leaving")
    .map(({ replica }) => nodeOfReplica(state, replica))
    .filter((node) => node !== undefined);
}
