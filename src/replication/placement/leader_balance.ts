/**
 * Spreads leaderships over the nodes: each node hands over what others are to lead, a few at a time, to
 * voters that have the whole log and were heard of lately. Nothing moves while the numbers differ by
 * little, or shortly after a node came or went, so that leaderships do not wander.
 */
import { type NodeId, partitionId } from "../../base/ids.ts";
import {
  LEADER_BALANCE_CALM_MS,
  LEADER_BALANCE_TOLERANCE,
  LEADER_TRANSFERS_AT_ONCE,
} from "../../base/limits.ts";
import type { MonotonicClock } from "../../base/world.ts";
import { spreadLeaders } from "../../ring/leader_spread.ts";
import type { ClusterGroups, HostedPartition } from "../assembly/cluster_groups.ts";
import { nodeOfReplica } from "../assembly/placed_here.ts";

/** The dependencies of a balance. */
export interface LeaderBalanceOptions {
  readonly groups: ClusterGroups;
  readonly self: NodeId;
  readonly monotonic: MonotonicClock;
  /** Reports whether there is a session with the node now; this node itself counts. */
  readonly isReachable: (node: number) => boolean;
}

/** Spreads leaderships over the nodes. */
export class LeaderBalance {
  readonly #options: LeaderBalanceOptions;
  #calmSinceMs: number;

  constructor(options: LeaderBalanceOptions) {
    this.#options = options;
    this.#calmSinceMs = options.monotonic.nowMs();
  }

  /** Records that a session with a node began or ended. */
  disturbed(): void {
    this.#calmSinceMs = this.#options.monotonic.nowMs();
  }

  /** Hands over a few leaderships if they are spread unevenly. */
  run(): void {
    const { groups, self, monotonic, isReachable } = this.#options;
    if (monotonic.nowMs() - this.#calmSinceMs < LEADER_BALANCE_CALM_MS) return;
    const count = groups.system.store.genesis?.partitionCount ?? 0;
    const placements: number[][] = [];
    const leaders: number[] = [];
    const led: HostedPartition[] = [];
    for (let number = 0; number < count; number++) {
      const id = partitionId(number);
      const here = groups.partition(id);
      // A partition that is elsewhere is balanced by the nodes that hold it.
      placements.push(here === undefined ? [] : this.#voters(here).filter(isReachable));
      leaders.push(here?.group.status().leader ?? 0);
      if (here !== undefined && here.group.isLeading) led.push(here);
    }
    const wished = isUneven(leaders, placements)
      ? spreadLeaders({ placements, leaders })
      : undefined;
    let transfers = 0;
    for (const partition of led) {
      const { id, group } = partition;
      const to = wished?.[id] ?? self;
      // A leader whose transfer failed has no lease in its term: any other voter is better.
      const heirs = to !== 0 && to !== self
        ? [to]
        : group.isLeaseSpent
        ? placements[id]!.filter((node) => node !== self)
        : [];
      if (heirs.length > 0 && this.#transfer(partition, heirs)) transfers++;
      if (transfers === LEADER_TRANSFERS_AT_ONCE) return;
    }
  }

  /** Hands the leadership to a voter on one of the nodes; returns false if none of them is fit now. */
  #transfer({ group }: HostedPartition, nodes: readonly number[]): boolean {
    const { members, committed, transferee } = group.raftStatus();
    if (transferee !== 0) return false;
    const { state } = this.#options.groups.system.store;
    const heir = members.find(({ id, isLearner, recentActive, match }) =>
      !isLearner && recentActive && match >= committed &&
      nodes.includes(nodeOfReplica(state, id) ?? 0)
    );
    if (heir === undefined) return false;
    group.transferLeader(heir.id);
    return true;
  }

  #voters({ group }: HostedPartition): number[] {
    const { state } = this.#options.groups.system.store;
    return group.configuration.voters.map((replica) => nodeOfReplica(state, replica))
      .filter((node) => node !== undefined);
  }
}

/** Reports whether some node leads more than its share by more than the tolerance. */
function isUneven(leaders: readonly number[], placements: readonly (readonly number[])[]): boolean {
  const counts = new Map<number, number>();
  for (const nodes of placements) for (const node of nodes) counts.set(node, 0);
  for (const leader of leaders) {
    const count = counts.get(leader);
    if (count !== undefined) counts.set(leader, count + 1);
  }
  const numbers = [...counts.values()];
  const share = leaders.length / Math.max(1, numbers.length);
  return Math.max(...numbers, 0) - Math.min(...numbers, Infinity) >
    Math.max(1, LEADER_BALANCE_TOLERANCE * share);
}
