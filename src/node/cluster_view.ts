/**
 * The cluster and its partitions as this node sees them, for operators. Its own replicas are described
 * exactly; members and placements are those of its copy of group 0, which may be behind.
 */
import {
  type ClusterStatusReply,
  DEPARTURE_GOALS,
  type MemberStatus,
  type PartitionStatusReply,
  type ReplicaStatus,
} from "../../schemas/gen/wire.ts";
import { defined } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import { partitionId } from "../base/ids.ts";
import { PARTITIONS_NAMED_MAX, READ_STALENESS_MS_MAX } from "../base/limits.ts";
import type { Configuration } from "../raft/mod.ts";
import type { ClusterGroups, HostedPartition } from "../replication/assembly/cluster_groups.ts";
import { nodeOfReplica, placementOf } from "../replication/assembly/placed_here.ts";
import type { PeerStatus } from "../replication/peers/peer_network.ts";
import { REPLICAS } from "../ring/placement.ts";
import type { RingMap } from "../ring/ring_map.ts";
import type { ClusterFacts } from "./cluster_log.ts";
import type { ClusterSnapshot } from "./cluster_metrics.ts";

/** Time for which the state of a partition waits for a proof of its age, ms. */
const AGE_WAIT_MS = 300;

/** The dependencies of a {@link ClusterView}. */
export interface ClusterViewOptions {
  readonly self: number;
  readonly groups: ClusterGroups;
  readonly ringMap: () => RingMap;
  readonly version: () => string;
  /** Returns the state of the links to other nodes. */
  readonly peers: () => readonly PeerStatus[];
}

/** Replicas on one member that lack committed entries. */
interface Lag {
  count: number;
  entriesMax: number;
}

/** Counts of the partitions of this node by their state. */
interface PartitionSums {
  replicas: number;
  leading: number;
  readonly leaderless: number[];
  readonly underReplicated: number[];
  readonly lags: Map<number, Lag>;
}

/** The cluster as this node sees it. */
export class ClusterView {
  readonly #options: ClusterViewOptions;

  constructor(options: ClusterViewOptions) {
    this.#options = options;
  }

  /** Returns the partitions held here that have no leader known here. Takes time linear in them. */
  leaderless(): number[] {
    const found: number[] = [];
    for (const { id, group } of this.#options.groups.partitions) {
      if (group.status().leader === 0) found.push(id);
    }
    return found;
  }

  /** Returns the numbers of partitions and members, for metrics. */
  counts(): Omit<ClusterSnapshot, "groups" | "peers" | "strangersRefused"> {
    const { replicas, leading, leaderless, underReplicated } = this.#sums();
    return {
      held: replicas,
      leading,
      leaderless: leaderless.length,
      underReplicated: underReplicated.length,
      members: this.#options.groups.system.store.state.members.count,
    };
  }

  /** Returns access to what the node's log tells of the cluster. */
  logFacts(): ClusterFacts {
    const { groups, peers } = this.#options;
    const { store, group } = groups.system;
    const { counts } = groups.nodes.set;
    return {
      ringNumber: () => store.ringNumber,
      members: () =>
        store.state.members.all.map(({ nodeId }) => ({
          nodeId,
          zone: store.state.members.admission(nodeId)?.zone ?? "",
        })),
      changes: () => ({ won: counts.leadsWon, lost: counts.leadsLost }),
      leading: () => {
        let count = 0;
        for (const partition of groups.partitions) if (partition.group.isLeading) count++;
        return count;
      },
      systemLeader: () => group.status().leader,
      leaderless: () => this.leaderless(),
      outOfReach: () => peers().filter(({ isConnected }) => !isConnected).map(({ node }) => node),
    };
  }

  /** Returns the state of the cluster. */
  status(): ClusterStatusReply {
    const { self, groups, ringMap, version } = this.#options;
    const { group, store: { state, genesis } } = groups.system;
    const { clusterId, region } = defined(genesis, "A cluster was created");
    const { epoch, partitionCount } = ringMap();
    const system = group.status();
    const sums = this.#sums();
    const { voters, votersOutgoing, learners } = group.configuration;
    return {
      nodeId: self,
      partitionCount,
      clusterId,
      generation: epoch.generation,
      ring: epoch.number,
      region,
      version: version(),
      systemLeader: system.leader,
      systemTerm: system.term,
      systemApplied: system.appliedIndex,
      systemVoters: this.#nodesOf([...new Set([...voters, ...votersOutgoing])]),
      systemLearners: this.#nodesOf(learners),
      replicas: sums.replicas,
      leading: sums.leading,
      leaderlessCount: sums.leaderless.length,
      leaderless: sums.leaderless.slice(0, PARTITIONS_NAMED_MAX),
      underReplicatedCount: sums.underReplicated.length,
      underReplicated: sums.underReplicated.slice(0, PARTITIONS_NAMED_MAX),
      moving: state.placement.changing.size,
      areMovesPaused: state.moves.arePaused,
      members: this.#members(sums.lags),
    };
  }

  /** Returns the state of a partition, with its proven age. @throws RegistryError `invalid_argument` if there is none. */
  async partition(number: number): Promise<PartitionStatusReply> {
    const { self, groups, ringMap } = this.#options;
    const { partitionCount } = ringMap();
    if (number >= partitionCount) {
      throw new RegistryError(
        "invalid_argument",
        `partition must be in [0, ${partitionCount}): found ${number}`,
        { field: "partition" },
      );
    }
    const id = partitionId(number);
    const placement = placementOf(groups.system.store.state, id);
    const placed = placement.replicas.map(({ replica, role }) => ({
      replica,
      nodeId: this.#nodeOf(replica),
      role,
      match: 0,
    }));
    const described = {
      nodeId: self,
      partition: number,
      revision: placement.revision,
      placed,
    };
    const hosted = groups.partition(id);
    // A follower that is not asked for bounded reads has no proof: this one asks for it.
    if (hosted?.group.provenAgeMs() === Infinity) {
      await hosted.group.readBarrier(READ_STALENESS_MS_MAX, AGE_WAIT_MS);
    }
    return hosted === undefined
      ? { ...NO_REPLICA, ...described }
      : { ...this.#replica(hosted), ...described };
  }

  #replica({ group }: HostedPartition): Omit<PartitionStatusReply, keyof typeof DESCRIBED> {
    const { role, term, leader, appliedIndex, lastIndex } = group.status();
    const { committed, members } = group.raftStatus();
    const { ageBoundMs } = group;
    return {
      replica: group.replica,
      role,
      term,
      leader,
      applied: appliedIndex,
      committed,
      last: lastIndex,
      hasLease: group.readPoint(0) !== undefined,
      isAgeProven: ageBoundMs !== Infinity,
      ageBoundMs: ageBoundMs === Infinity ? 0 : ageBoundMs,
      members: members.map(({ id, match }): ReplicaStatus => ({
        replica: id,
        nodeId: this.#nodeOf(id),
        role: roleIn(group.configuration, id),
        match,
      })),
    };
  }

  #sums(): PartitionSums {
    const sums: PartitionSums = {
      replicas: 0,
      leading: 0,
      leaderless: [],
      underReplicated: [],
      lags: new Map(),
    };
    const { self, groups, peers } = this.#options;
    const inReach = new Set<number>([self]);
    for (const { node, isConnected } of peers()) if (isConnected) inReach.add(node);
    const wanted = Math.min(REPLICAS, groups.system.store.state.members.count);
    for (const partition of groups.partitions) {
      const { id, group } = partition;
      sums.replicas++;
      if (group.status().leader === 0) sums.leaderless.push(id);
      if (!group.isLeading) continue;
      sums.leading++;
      if (this.#countHolders(partition, inReach, sums.lags) < wanted) sums.underReplicated.push(id);
    }
    return sums;
  }

  /** Counts the voters that are in reach and hold part of the log, and adds up what members lack. */
  #countHolders(
    { group }: HostedPartition,
    inReach: ReadonlySet<number>,
    lags: Map<number, Lag>,
  ): number {
    const { committed, members } = group.raftStatus();
    let holders = 0;
    for (const { id, match, isLearner } of members) {
      const node = this.#nodeOf(id);
      const isSelf = id === group.replica;
      if (!isLearner && inReach.has(node) && (isSelf || match > 0)) holders++;
      if (isSelf || match >= committed) continue;
      const lag = lags.get(node) ?? { count: 0, entriesMax: 0 };
      lag.count++;
      lag.entriesMax = Math.max(lag.entriesMax, committed - match);
      lags.set(node, lag);
    }
    return holders;
  }

  #members(lags: ReadonlyMap<number, Lag>): MemberStatus[] {
    const { self, groups, peers } = this.#options;
    const { members, departures } = groups.system.store.state;
    const links = new Map(peers().map((peer) => [peer.node as number, peer]));
    return members.all.map(({ nodeId, addresses, pin, nextPin }) => {
      const { zone = "", host = "" } = members.admission(nodeId) ?? {};
      const link = links.get(nodeId);
      const lag = lags.get(nodeId);
      const departure = departures.of(nodeId);
      return {
        nodeId,
        zone,
        host,
        addresses,
        currentPin: pin,
        nextPin,
        isConnected: nodeId === self || link?.isConnected === true,
        roundTripUs: Math.round((link?.roundTripMs ?? 0) * 1_000),
        laggingCount: lag?.count ?? 0,
        lagEntriesMax: lag?.entriesMax ?? 0,
        departure: departure === undefined ? 0 : DEPARTURE_GOALS[departure.goal],
      };
    });
  }

  #nodesOf(replicas: readonly number[]): number[] {
    return replicas.map((replica) => this.#nodeOf(replica)).sort((left, right) => left - right);
  }

  #nodeOf(replica: number): number {
    return nodeOfReplica(this.#options.groups.system.store.state, replica) ?? 0;
  }
}

/** The fields that are known without a replica. */
const DESCRIBED = { nodeId: 0, partition: 0, revision: 0, placed: [] };

/** The fields of a replica at a node that has none. */
const NO_REPLICA: Omit<PartitionStatusReply, keyof typeof DESCRIBED> = {
  replica: 0,
  role: "",
  term: 0,
  leader: 0,
  applied: 0,
  committed: 0,
  last: 0,
  hasLease: false,
  isAgeProven: false,
  ageBoundMs: 0,
  members: [],
};

/** Returns the role of a member in a configuration; in a joint one, of both parts. */
function roleIn({ voters, votersOutgoing }: Configuration, replica: number): string {
  if (voters.includes(replica)) return "voter";
  return votersOutgoing.includes(replica) ? "leaving" : "learner";
}
