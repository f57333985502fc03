/** Whether a cluster has come to the placement that is wished, and what is missing if not. */
import { GOVERNED_PLACE, partitionId } from "../../../src/base/ids.ts";
import { LEADER_BALANCE_TOLERANCE, SYSTEM_VOTERS_MAX } from "../../../src/base/limits.ts";
import { nodeOfReplica, nodesOf } from "../../../src/replication/assembly/placed_here.ts";
import type { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import { wishedSystemVoters } from "../../../src/replication/placement/plan.ts";
import { GOVERNED_APPLY_VERSION } from "../../../src/system/versions/features.ts";
import { spreadLeaders } from "../../../src/ring/leader_spread.ts";
import { placePartitions } from "../../../src/ring/placement.ts";
import type { PlacedCluster } from "./cluster.ts";

/** The placement of a cluster, computed anew once its members have changed. */
export class WishedPlacement {
  #members = "";
  #placement: ReturnType<typeof placePartitions> = [];

  /** Returns the nodes of each partition, as group 0 wishes them. */
  of({ state, genesis }: ClusterGroups["system"]["store"]): ReturnType<typeof placePartitions> {
    const nodes = placementNodes({ state });
    const members = JSON.stringify(nodes);
    if (members !== this.#members) {
      const { partitionCount, hashKey } = genesis!;
      this.#placement = placePartitions({ nodes, partitionCount, hashKey });
      this.#members = members;
    }
    return this.#placement;
  }
}

/** Returns the members that may hold replicas, as placement sees them. */
function placementNodes({ state }: Pick<ClusterGroups["system"]["store"], "state">) {
  const staying = state.members.all.filter(({ nodeId }) => !state.departures.has(nodeId));
  return staying.map(({ nodeId }) => {
    const { zone = "", host = "" } = state.members.admission(nodeId) ?? {};
    return { nodeId, zone, host: host === "" ? `node ${nodeId}` : host };
  });
}

/** Returns what is not settled yet; undefined if everything is. */
export function unsettled(cluster: PlacedCluster, wishes: WishedPlacement): string | undefined {
  const machines = cluster.members;
  const down = machines.find(({ groups }) => groups === undefined);
  if (down !== undefined) return `machine ${down.address} does not serve`;
  const leader = cluster.systemLeader()?.groups;
  if (leader === undefined) return "group 0 has no leader";
  const { members, placement, moves } = leader.system.store.state;
  if (moves.arePaused) return "moves are paused";
  if (members.count !== machines.length) return `there are ${members.count} members`;
  const applied = leader.system.group.status().appliedIndex;
  const behind = machines.find(({ groups }) =>
    groups!.system.group.status().appliedIndex !== applied
  );
  if (behind !== undefined) return `machine ${behind.address} has not all of group 0`;
  if (placement.changing.size > 0) return `partitions ${[...placement.changing]} are changing`;
  return departureFault(leader) ?? systemFault(leader, machines.length) ??
    placementFault(cluster, leader, wishes) ??
    planeFault(cluster, leader) ?? leaderFault(cluster);
}

/** Operators end no departure before everything is at rest, so each has come to its goal by then. */
function departureFault({ system }: ClusterGroups): string | undefined {
  const { departures, members } = system.store.state;
  const open = departures.all.find(({ nodeId, goal }) =>
    goal === "removed" || departures.heldBy(nodeId) > 0
  );
  if (open === undefined) return undefined;
  return members.has(open.nodeId)
    ? `node ${open.nodeId} departs`
    : `node ${open.nodeId} has departed`;
}

/** The governed plane is on the nodes that would be chosen again, and one of them leads. */
function planeFault(
  { members: machines }: PlacedCluster,
  { system }: ClusterGroups,
): string | undefined {
  const { state } = system.store;
  if (state.versions.applyVersion < GOVERNED_APPLY_VERSION) return "the version is to be raised";
  const placed = nodesOf(state, GOVERNED_PLACE).sort();
  const wished = wishedSystemVoters(placementNodes(system.store), new Set(placed)).sort();
  if (placed.join() !== wished.join()) return `the plane is on ${placed}, not ${wished}`;
  const hosting = machines.filter(({ groups }) => groups!.plane !== undefined);
  const hosts = hosting.map(({ nodeId }) => nodeId).sort();
  if (hosts.join() !== placed.join()) return `the plane is hosted on ${hosts}`;
  const planes = hosting.map(({ groups }) => groups!.plane!.group);
  const led = planes.find(({ isLeading }) => isLeading);
  if (led === undefined) return "the plane has no leader";
  const { voters, votersOutgoing, learners } = led.configuration;
  const voting = voters.map((replica) => nodeOfReplica(state, replica) ?? 0).sort().join();
  if (voting !== placed.join() || votersOutgoing.length + learners.length > 0) {
    return `the plane has the voters ${voting}`;
  }
  return undefined;
}

function systemFault(leader: ClusterGroups, count: number): string | undefined {
  const { voters, votersOutgoing, learners } = leader.system.group.configuration;
  const staying = placementNodes(leader.system.store);
  const few = Math.min(staying.length, SYSTEM_VOTERS_MAX);
  const wished = few > 2 && few % 2 === 0 ? few - 1 : few;
  if (votersOutgoing.length > 0) return "group 0 is in a joint configuration";
  if (voters.length !== wished) return `group 0 has ${voters.length} voters, not ${wished}`;
  if (voters.length + learners.length !== count) return "a node has no replica of group 0";
  const { state } = leader.system.store;
  const zones = new Set(staying.map(({ zone }) => zone));
  const voting = new Set(
    voters.map((replica) => state.members.admission(nodeOfReplica(state, replica) ?? 0)?.zone),
  );
  const isSpread = voting.size >= Math.min(zones.size, voters.length);
  return isSpread ? undefined : `group 0's voters are in ${voting.size} zones`;
}

function placementFault(
  cluster: PlacedCluster,
  { system }: ClusterGroups,
  wishes: WishedPlacement,
): string | undefined {
  const { state, genesis } = system.store;
  const wished = wishes.of(system.store);
  for (let number = 0; number < genesis!.partitionCount; number++) {
    const id = partitionId(number);
    const placed = nodesOf(state, id).sort().join();
    const wishedNodes = [...wished[number]!].sort().join();
    if (placed !== wishedNodes) return `partition ${id} is on ${placed}, not ${wishedNodes}`;
    const led = cluster.leaderOf(number);
    if (led === undefined) return `partition ${id} has no leader`;
    const { voters, votersOutgoing, learners } = led.here.group.configuration;
    const voting = voters.map((replica) => nodeOfReplica(state, replica) ?? 0).sort().join();
    const isPlain = votersOutgoing.length + learners.length === 0;
    if (!isPlain || voting !== placed) return `partition ${id} has the voters ${voting}`;
    const hosting = cluster.members.filter(({ groups }) => groups!.partition(id) !== undefined)
      .map(({ nodeId }) => nodeId).sort().join();
    if (hosting !== placed) return `partition ${id} is hosted on ${hosting}`;
  }
  return undefined;
}

/** Leaders are even: within the tolerance where every node holds everything, else as even as can be. */
function leaderFault({ members }: PlacedCluster): string | undefined {
  const { departures } = members[0]!.groups!.system.store.state;
  const machines = members.filter(({ nodeId }) => !departures.has(nodeId));
  const counts = machines.map(({ groups }) =>
    [...groups!.partitions].filter(({ group }) => group.isLeading).length
  );
  const share = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const tolerance = Math.max(1, LEADER_BALANCE_TOLERANCE * share);
  const { state, genesis } = machines[0]!.groups!.system.store;
  const placements = Array.from(
    { length: genesis!.partitionCount },
    (_, number) => nodesOf(state, partitionId(number)),
  );
  const best = new Map(machines.map(({ nodeId }) => [nodeId, 0]));
  for (const node of spreadLeaders({ placements })) best.set(node, best.get(node)! + 1);
  const most = Math.max(...best.values());
  const least = Math.min(...best.values());
  const isEven = Math.max(...counts) - Math.min(...counts) <= Math.max(tolerance, most - least);
  return isEven ? undefined : `leaders are uneven: ${counts}`;
}

/** Describes each replica, for whoever reads a finding. */
export function describeCluster({ machines }: PlacedCluster): string[] {
  return machines.flatMap(({ address, nodeId, machine, groups }) => {
    if (groups === undefined) return [`  machine ${address}, node ${nodeId}, is ${machine.state}`];
    const { placement } = groups.system.store.state;
    const replicas = [...groups.nodes.all].map(({ group, raft }) => {
      const { voters, votersOutgoing, learners } = raft.configuration;
      const { role, term, leader, appliedIndex, lastIndex } = raft.status();
      const status = raft.raftStatus();
      const placed = placement.of(group - 1)?.replicas
        .map(({ replica, role: placedRole }) => `${replica} ${placedRole}`).join(", ");
      return `    group ${group}, replica ${raft.replica}: ${role} of term ${term}, leader ${leader}, ` +
        `${appliedIndex} of ${lastIndex}, voters ${voters}, outgoing ${votersOutgoing}, ` +
        `learners ${learners}, placed ${placed ?? "as founded"}` +
        status.members.map(({ id, match, recentActive, state }) =>
          ` | ${id}: ${match} ${recentActive ? "" : "not "}active ${state}`
        ).join("");
    });
    return [`  machine ${address}, node ${nodeId}:`, ...replicas];
  });
}
