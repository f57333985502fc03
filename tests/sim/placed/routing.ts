/** Whether everybody knows where everything is, once nothing moves any more. */
import type { RingMap } from "../../../src/ring/ring_map.ts";
import { compareRingEpochs, placementOf } from "../../../src/ring/ring_map.ts";
import type { PlacedCluster } from "./cluster.ts";

/**
 * Returns what a node or a client does not know of the placement; undefined if all know it. Of leaders, a
 * node must know those of its own partitions, and a client none: hints tell it.
 */
export function unconvergedRouting(cluster: PlacedCluster): string | undefined {
  const maps = cluster.members.map(({ registry }) => registry?.ringMap());
  const newest = maps[0];
  if (newest === undefined) return "machine 1 does not serve";
  for (const [at, map] of maps.entries()) {
    if (map === undefined) return `machine ${at + 1} does not serve`;
    const wrong = differenceOf(map, newest);
    if (wrong !== undefined) return `machine ${at + 1}, against machine 1: ${wrong}`;
    const unknown = unknownLeader(cluster, at, map);
    if (unknown !== undefined) return unknown;
  }
  for (const { number, client } of cluster.load.clients) {
    const map = client?.lastRingMap;
    if (map === undefined) return `client ${number} has no ring map`;
    const wrong = differenceOf(map, newest);
    if (wrong !== undefined) return `client ${number}, against machine 1: ${wrong}`;
  }
  return undefined;
}

function differenceOf(map: RingMap, other: RingMap): string | undefined {
  if (compareRingEpochs(map.epoch, other.epoch) !== 0) {
    return `epoch ${map.epoch.number}, not ${other.epoch.number}`;
  }
  if (map.nodes.length !== other.nodes.length) return `${map.nodes.length} nodes`;
  for (let partition = 0; partition < map.partitionCount; partition++) {
    const replicas = [...placementOf(map, partition).replicas].sort().join();
    const others = [...placementOf(other, partition).replicas].sort().join();
    if (replicas !== others) return `partition ${partition} on ${replicas}, not on ${others}`;
  }
  return undefined;
}

/** Returns a partition that a machine holds without naming its leader. */
function unknownLeader(cluster: PlacedCluster, at: number, map: RingMap): string | undefined {
  const machine = cluster.members[at]!;
  for (const { id } of machine.groups?.partitions ?? []) {
    const leader = cluster.leaderOf(id)?.machine.nodeId;
    const known = placementOf(map, id).leader;
    if (leader !== known) {
      return `machine ${machine.address} names node ${known} as the leader of partition ${id}, ` +
        `which node ${leader} leads`;
    }
  }
  return undefined;
}
