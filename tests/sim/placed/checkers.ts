/** The checkers of a cluster that grows: what must hold whatever breaks. */
import type { Configuration } from "../../../src/raft/mod.ts";
import type { ReplicaId } from "../../../src/base/ids.ts";
import {
  isChanging,
  isGoing,
  type PartitionPlacement,
} from "../../../src/system/placement/placement_state.ts";
import type { ClusterGroups } from "../../../src/replication/assembly/cluster_groups.ts";
import type { RaftGroup } from "../../../src/replication/group.ts";
import { GOVERNED_PLACE, SYSTEM_GROUP } from "../../../src/base/ids.ts";
import type { RegistryError } from "../../../src/base/errors.ts";
import { Finding } from "../history.ts";
import { hashBytes } from "../trace.ts";
import { FOUNDER_REPLICA } from "../../../src/replication/log_entry.ts";
import type { PlacedChecker } from "./checker.ts";
import type { PlacedCluster } from "./cluster.ts";
import type { PlacedMachine } from "./machine.ts";
import { AGE_CHECKERS } from "./age_checkers.ts";
import { DepartedNodes } from "./departed_nodes.ts";
import { EXPIRY_CHECKERS } from "./expiry_checkers.ts";
import { GOVERNED_CHECKERS } from "./governed.ts";
import { PausedMoves } from "./paused_moves.ts";
import { RestoredBackups } from "./restored.ts";
import { RecordRights } from "./rights_checker.ts";
import { RELAY_CHECKERS } from "./relay_checkers.ts";
import { MAPS_CHECKERS } from "./maps_checkers.ts";
import { SDK_CHECKERS } from "./sdk_checkers.ts";

/** Entries that a new voter may lack: those of the rule, and those that were logged meanwhile. */
const NEW_VOTER_LAG_MAX = 160;
/** Changes of leaders after the faults, for each group and node, that are no storm. */
const LEADER_CHANGES_MAX = 6;
/**
 * The time at the end of a run in which no leader may change, ms. Everything has been at rest for longer by
 * then, and nodes spread leaders until some seconds after the last of them was connected.
 */
const REST_MS = 3_000;

/** A log may be refused for a moment, but a node that has lost nothing must start. */
class Starts implements PlacedChecker {
  readonly name = "starts";

  refused({ address }: PlacedMachine, { code, message }: RegistryError): void {
    if (code === "storage_unavailable" || code === "shutting_down") return;
    throw new Finding(this.name, `Machine ${address} cannot start: ${code}: ${message}`);
  }
}

/** One machine founds the cluster, and only once; each number has one folder. */
class OneFounding implements PlacedChecker {
  readonly name = "one_founding";
  readonly #cluster: PlacedCluster;
  #clusterId = "";

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  joined({ address, nodeId }: PlacedMachine, before: number | undefined): void {
    if (before === undefined || before === address) return;
    throw new Finding(this.name, `Machines ${before} and ${address} both are node ${nodeId}`);
  }

  opened({ address }: PlacedMachine, groups: ClusterGroups): void {
    if (!groups.created) return;
    if (address === 1 && this.#clusterId === "") return;
    throw new Finding(this.name, `Machine ${address} has founded a cluster`);
  }

  looked(): void {
    for (const { address, groups } of this.#cluster.machines) {
      const id = groups?.system.store.genesis?.clusterId.join("");
      if (id === undefined) continue;
      this.#clusterId ||= id;
      if (id === this.#clusterId) continue;
      throw new Finding(this.name, `Machine ${address} belongs to another cluster`);
    }
  }
}

/** A replica id is given once, to one node, and a replica that was removed never returns. */
class ReplicaIds implements PlacedChecker {
  readonly name = "replica_ids";
  /** By group 0's table. */
  readonly #assigned = new Map<number, string>();
  readonly #hosted = new Map<number, string>();
  readonly #removed = new Map<number, string>();
  /** The replicas that were looked at. */
  readonly #seen = new WeakSet<object>();
  /** The applied index at which a table was looked at, by the state that has it. */
  readonly #noted = new WeakMap<object, number>();

  removed({ address }: PlacedMachine, replica: number): void {
    // The founder of every partition is called 1.
    if (replica > 1) this.#removed.set(replica, `machine ${address}`);
  }

  stepped({ address, nodeId }: PlacedMachine, groups: ClusterGroups): void {
    for (const { group, raft, replica } of groups.nodes.all) {
      if (replica === 1) continue;
      this.#notGone(address, group, replica);
      if (this.#seen.has(raft)) continue;
      this.#seen.add(raft);
      const place = `group ${group} on machine ${address}`;
      const before = this.#hosted.get(replica);
      if (before === undefined) this.#hosted.set(replica, place);
      else if (before !== place) {
        throw new Finding(this.name, `Replica ${replica} is of ${before} and of ${place}`);
      }
    }
    this.#noteTable(nodeId, groups.system.store);
  }

  #notGone(address: number, group: number, replica: number): void {
    const gone = this.#removed.get(replica);
    if (gone === undefined) return;
    throw new Finding(
      this.name,
      `Replica ${replica} was removed by ${gone}, and is on group ${group} on machine ${address}`,
    );
  }

  #noteTable(nodeId: number, { appliedIndex, state }: ClusterGroups["system"]["store"]): void {
    if (this.#noted.get(state) === appliedIndex) return;
    this.#noted.set(state, appliedIndex);
    for (const { replica, groupId } of state.replicas.onNode(nodeId)) {
      const place = `group ${groupId} on node ${nodeId}`;
      const before = this.#assigned.get(replica);
      if (before === undefined) this.#assigned.set(replica, place);
      else if (before !== place) {
        throw new Finding(this.name, `Replica ${replica} was given to ${before} and to ${place}`);
      }
    }
  }
}

/** Group 0 has one history: its state at an index is the same on every node. */
class OneHistory implements PlacedChecker {
  readonly name = "one_history";
  readonly #cluster: PlacedCluster;
  readonly #states = new Map<number, number>();
  /** The last index that was compared, by the store. */
  readonly #compared = new WeakMap<object, number>();

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  looked(): void {
    for (const { address, groups } of this.#cluster.machines) {
      if (groups === undefined) continue;
      const { store } = groups.system;
      if (this.#compared.get(store) === store.appliedIndex) continue;
      this.#compared.set(store, store.appliedIndex);
      let hash = 0;
      for (const chunk of store.writeImage()) hash = hashBytes(chunk, hash);
      const before = this.#states.get(store.appliedIndex);
      if (before === undefined) this.#states.set(store.appliedIndex, hash);
      else if (before !== hash) {
        throw new Finding(
          this.name,
          `Group 0 at ${store.appliedIndex} on machine ${address} is not what others have`,
        );
      }
    }
  }
}

/**
 * Each group has one history of configurations, and those of partitions follow their placements: what
 * is added was joining, what is removed was leaving, a new voter has the log, and no leader removes
 * itself.
 */
class Configurations implements PlacedChecker {
  readonly name = "configurations";
  readonly #cluster: PlacedCluster;
  readonly #latest = new Map<number, { index: number; configuration: Configuration }>();
  readonly #seen = new WeakMap<object, Configuration>();
  readonly #placements = new Map<number, PartitionPlacement>();
  /** By partition: the replicas that were to go by placements before the newest one, in this change. */
  readonly #wereGoing = new Map<number, Set<number>>();
  /** By replica: the end of its log when it was last seen. */
  readonly #lastIndices = new Map<number, number>();
  readonly #rings = new WeakMap<object, number>();

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  stepped(_machine: PlacedMachine, groups: ClusterGroups): void {
    this.#note(groups);
    for (const { group, raft } of groups.nodes.all) {
      const { configuration } = raft;
      // It may become a voter soon.
      if (configuration.voters.length === 0 || configuration.learners.includes(raft.replica)) {
        this.#lastIndices.set(raft.replica, raft.status().lastIndex);
      }
      if (this.#seen.get(raft) === configuration) continue;
      this.#seen.set(raft, configuration);
      const index = raft.status().appliedIndex;
      // An empty replica that is about to join has none yet.
      if (index === 0 || configuration.voters.length === 0) continue;
      const latest = this.#latest.get(group);
      if (latest !== undefined && index <= latest.index) continue;
      this.#latest.set(group, { index, configuration });
      if (latest === undefined) continue;
      // The members of group 0 are those of the cluster, and have no placement to compare with.
      if (group === SYSTEM_GROUP) this.#goesOn(groups, latest.configuration, configuration);
      else {
        this.#follows(
          { group, index, leader: proposerOf(raft, latest.index) },
          latest.configuration,
          configuration,
        );
      }
    }
  }

  #goesOn({ system }: ClusterGroups, before: Configuration, { voters }: Configuration): void {
    if (before.voters.length === 1 || voters.length > 1 || voters[0] !== FOUNDER_REPLICA) return;
    // Where all others depart, the founder votes alone again.
    const { members, departures } = system.store.state;
    const isLast = this.#cluster.machines.every(({ nodeId }) =>
      nodeId === members.founder || departures.has(nodeId) || members.wasRemoved(nodeId)
    );
    if (isLast) return;
    throw new Finding(this.name, "Group 0 was founded again");
  }

  #follows(
    { group, index, leader }: { group: number; index: number; leader: ReplicaId | undefined },
    before: Configuration,
    now: Configuration,
  ): void {
    const roles = new Map(
      this.#placement(group).replicas.map(({ replica, role }) => [replica, role]),
    );
    const membersBefore = membersOf(before);
    const members = membersOf(now);
    const wrong = (what: string) =>
      new Finding(
        this.name,
        `Group ${group} at ${index} ${what}: voters ${now.voters}, outgoing ${now.votersOutgoing}, ` +
          `learners ${now.learners}; before: voters ${before.voters}, learners ${before.learners}; ` +
          `placed: ${[...roles].map((one) => one.join(" ")).join(", ")}`,
      );
    for (const replica of members) {
      const isAdded = !membersBefore.has(replica);
      // A voter that was to leave may have been removed before it was told to stay, and a replica may be
      // given up while its addition is on its way.
      const role = roles.get(replica);
      if (isAdded && (role === undefined || role === "leaving")) {
        throw wrong(`has replica ${replica}, which is not joining`);
      }
    }
    for (const replica of membersBefore) {
      if (members.has(replica)) continue;
      if (replica === leader) throw wrong(`lost its leader, which removed itself`);
      const role = roles.get(replica);
      // Its removal may have been on its way when it was told to stay.
      if (role !== undefined && !isGoing(role) && !this.#wasGoing(group, replica)) {
        throw wrong(`lost replica ${replica}, which is not leaving`);
      }
    }
    for (const replica of now.voters) {
      if (before.voters.includes(replica)) continue;
      const lastIndex = this.#lastIndexOf(group, replica);
      if (lastIndex === undefined || lastIndex > 0 && lastIndex + NEW_VOTER_LAG_MAX >= index) {
        continue;
      }
      throw wrong(`made a voter of replica ${replica}, which has the log to ${lastIndex}`);
    }
    if (leader !== undefined && before.voters.includes(leader) && !now.voters.includes(leader)) {
      throw wrong(`lost its leader, which removed itself`);
    }
  }

  /** Returns the newest placement that any node has known. */
  #placement(group: number): PartitionPlacement {
    const known = this.#placements.get(group - 1);
    if (known !== undefined) return known;
    // The governed plane has none before it is placed.
    const replicas = group - 1 === GOVERNED_PLACE ? [] : [{ replica: 1, role: "voter" as const }];
    return { partition: group - 1, revision: 0, configurationIndex: 0, replicas };
  }

  #note({ system: { store } }: ClusterGroups): void {
    if (this.#rings.get(store) === store.ringNumber) return;
    this.#rings.set(store, store.ringNumber);
    const { partitionCount } = this.#cluster.plan;
    for (let at = 0; at <= partitionCount; at++) {
      const number = at < partitionCount ? at : GOVERNED_PLACE;
      const placement = store.state.placement.of(number);
      if (placement === undefined) continue;
      const { revision } = this.#placements.get(number) ?? { revision: 0 };
      // After a restart of all nodes no node may know the newest for a moment.
      if (placement.revision <= revision) continue;
      this.#noteGoing(number, placement);
      this.#placements.set(number, placement);
    }
  }

  /** Remembers who was to go by the placement before `next`, and by earlier ones that never ended. */
  #noteGoing(number: number, next: PartitionPlacement): void {
    const former = this.#placements.get(number);
    if (former === undefined) return;
    const going = isChanging(next)
      ? this.#wereGoing.get(number) ?? new Set<number>()
      : new Set<number>();
    for (const { replica, role } of former.replicas) if (isGoing(role)) going.add(replica);
    this.#wereGoing.set(number, going);
  }

  /** Reports whether a replica was to go by a placement before the newest one. */
  #wasGoing(group: number, replica: number): boolean {
    return this.#wereGoing.get(group - 1)?.has(replica) ?? false;
  }

  /**
   * Returns how much of the log a replica has, or had when it was last seen: after a restart it opens once
   * group 0 is current. Undefined if its machine is down.
   */
  #lastIndexOf(group: number, replica: number): number | undefined {
    let isAnyDown = false;
    for (const { program } of this.#cluster.machines) {
      if (program?.groups === undefined) isAnyDown = true;
      for (const hosted of program?.groups?.nodes.all ?? []) {
        if (hosted.group === group && hosted.replica === replica) {
          return hosted.raft.status().lastIndex;
        }
      }
    }
    return isAnyDown ? undefined : this.#lastIndices.get(replica) ?? 0;
  }
}

/** Returns the replica if it leads, and has proposed all entries after `index` itself. */
function proposerOf(
  raft: Pick<RaftGroup<unknown>, "isLeading" | "entryTerm" | "status" | "replica">,
  index: number,
): ReplicaId | undefined {
  const isOwn = raft.isLeading && raft.entryTerm(index + 1) === raft.status().term;
  return isOwn ? raft.replica : undefined;
}

function membersOf({ voters, votersOutgoing, learners }: Configuration): Set<number> {
  return new Set([...voters, ...votersOutgoing, ...learners]);
}

/** While a leader has a lease, nobody leads its group in a later term. */
class OneLease implements PlacedChecker {
  readonly name = "one_lease";
  readonly #leases: boolean;
  readonly #elected = new Map<number, { readonly term: number; readonly replica: number }>();

  constructor({ plan }: PlacedCluster) {
    this.#leases = plan.leases;
  }

  stepped({ address }: PlacedMachine, groups: ClusterGroups): void {
    for (const { group, raft } of groups.nodes.all) {
      const elected = this.#elected.get(group);
      if (elected?.term === raft.term && elected.replica === raft.replica) continue;
      const { role, term } = raft.raftStatus();
      if (role !== "leader") continue;
      if (elected === undefined || elected.term < term) {
        this.#elected.set(group, { term, replica: raft.replica });
      } else if (elected.term === term && elected.replica !== raft.replica) {
        throw new Finding(this.name, `Group ${group} has two leaders in term ${term}`);
      } else if (elected.term > term && this.#leases && raft.isLeading) {
        if (raft.readPoint(0) === undefined) continue;
        throw new Finding(
          this.name,
          `Machine ${address} leads group ${group} in term ${term} with a lease, and replica ` +
            `${elected.replica} in term ${elected.term}`,
        );
      }
    }
  }
}

/** Leaderships find their places with few moves, and stay. */
class NoStorm implements PlacedChecker {
  readonly name = "no_storm";
  readonly #cluster: PlacedCluster;
  readonly #terms = new Map<number, number>();
  /** When each change of a leader of a partition was seen, ms. */
  readonly #changes: number[] = [];

  constructor(cluster: PlacedCluster) {
    this.#cluster = cluster;
  }

  stepped(_machine: PlacedMachine, groups: ClusterGroups): void {
    for (const { id, group } of groups.partitions) {
      if (!group.isLeading) continue;
      const { term } = group.status();
      if ((this.#terms.get(id) ?? 0) >= term) continue;
      this.#terms.set(id, term);
      this.#changes.push(this.#cluster.nowMs);
    }
  }

  ended(): void {
    const { machines, nowMs, plan } = this.#cluster;
    const healed = this.#changes.filter((atMs) => atMs > plan.faultsMs + 100).length;
    const max = LEADER_CHANGES_MAX * plan.partitionCount * machines.length;
    if (healed > max) {
      throw new Finding(
        this.name,
        `Leaders changed ${healed} times after the faults: ${max} is much`,
      );
    }
    const late = this.#changes.filter((atMs) => atMs > nowMs - REST_MS).length;
    if (late > 0) throw new Finding(this.name, `Leaders changed ${late} times at rest`);
  }
}

/** Makers of all checkers. */
export const PLACED_CHECKERS: readonly ((cluster: PlacedCluster) => PlacedChecker)[] = [
  () => new Starts(),
  (cluster) => new OneFounding(cluster),
  () => new ReplicaIds(),
  (cluster) => new OneHistory(cluster),
  (cluster) => new Configurations(cluster),
  (cluster) => new OneLease(cluster),
  (cluster) => new NoStorm(cluster),
  (cluster) => new DepartedNodes(cluster),
  (cluster) => new PausedMoves(cluster),
  ...SDK_CHECKERS,
  ...RELAY_CHECKERS,
  ...MAPS_CHECKERS,
  ...AGE_CHECKERS,
  ...GOVERNED_CHECKERS,
  (cluster) => new RecordRights(cluster),
  ...EXPIRY_CHECKERS,
  (cluster) => new RestoredBackups(cluster),
];
