/**
 * Spreads leaderships over the nodes: each node hands over what others are to lead, a few at a time, to
 * voters that have the whole log and were heard of lately. Nothing moves while the numbers differ by
 * little, or shortly after a node came or went, so that leaderships do not wander.
 *
 * If all nodes hold all partitions, each sees all leaders, and as few as possible move. Otherwise each
 * node would balance the part that it sees, against others that see another part, and leaderships would
 * be handed round for ever. Then all nodes compute one spread from group 0's placements alone, and a
 * partition whose node in it is out of reach stays where it is.
 *
 * Where an operator has chosen the leader of a partition, that node leads it as long as it can, and the others
 * are spread around it.
 *
 * A node whose log takes no writes, because its disk is full, hands over everything that it leads, group 0
 * too, and gets nothing until the log takes writes again. So does a node that departs, or stops.
 */
import { type NodeId, partitionId } from "../../base/ids.ts";
import {
  DEPARTURE_TRANSFERS_AT_ONCE,
  LEADER_BALANCE_CALM_MS,
  LEADER_BALANCE_TOLERANCE,
  LEADER_TRANSFERS_AT_ONCE,
  LEADER_UNWRITABLE_MS,
} from "../../base/limits.ts";
import type { MonotonicClock } from "../../base/world.ts";
import { spreadLeaders } from "../../ring/leader_spread.ts";
import type { ClusterGroups, HostedPartition, HostedPlane } from "../assembly/cluster_groups.ts";
import { nodeOfReplica, nodesOf } from "../assembly/placed_here.ts";
import { SeenLeaders, votersOf } from "./seen_leaders.ts";

/** The dependencies of a balance. */
export interface LeaderBalanceOptions {
  readonly groups: ClusterGroups;
  readonly self: NodeId;
  readonly monotonic: MonotonicClock;
  /** Reports whether a node can be reached, its log takes writes and it stays; this node itself counts. */
  readonly mayLead: (node: number) => boolean;
}

/** A group that may be led here. */
type Led =
  | Pick<HostedPartition, "group">
  | Pick<HostedPlane, "group">
  | Pick<ClusterGroups["system"], "group">;

/** Spreads leaderships over the nodes. */
export class LeaderBalance {
  readonly #options: LeaderBalanceOptions;
  #calmSinceMs: number;
  /** The time since which the log of this node takes no writes; Infinity: it does. */
  #unwritableSinceMs = Infinity;
  /** Whether this node stops, and leads nothing any more. */
  #hasResigned = false;
  /** The spread by the placements alone, where they differ, and the ring that it belongs to. */
  #spread: readonly number[] | undefined;
  #spreadRing = -1;
  #spreadChosen: ReadonlyMap<number, number> | undefined;
  readonly #seen: SeenLeaders;
  /** The node that is to lead each partition, by what was seen last; undefined if all may stay. */
  #wished: readonly number[] | undefined;

  constructor(options: LeaderBalanceOptions) {
    this.#options = options;
    this.#seen = new SeenLeaders(options);
    this.#calmSinceMs = options.monotonic.nowMs();
  }

  /** Records that a session with a node began or ended. */
  disturbed(): void {
    this.#calmSinceMs = this.#options.monotonic.nowMs();
  }

  /**
   * Hands over everything that this node leads, now and from now on, because it stops. Returns how many
   * groups are still led here that others are fit to lead; called again until there are none.
   */
  resign(): number {
    const { self, mayLead } = this.#options;
    this.#hasResigned = true;
    let left = 0;
    for (const hosted of this.#led()) {
      const heirs = this.#voters(hosted).filter((node) => node !== self && mayLead(node));
      // One after the other, so that no node gets all of them.
      const next = heirs[left % heirs.length];
      const isPassing = hosted.group.raftStatus().transferee !== 0 ||
        next !== undefined && this.#transfer(hosted, [next]) || this.#transfer(hosted, heirs);
      if (isPassing) left++;
    }
    return left;
  }

  /** Hands over a few leaderships if they are spread unevenly. */
  run(): void {
    const { groups, self, monotonic } = this.#options;
    if (this.#hasResigned) return;
    const nowMs = monotonic.nowMs();
    if (groups.system.store.state.departures.has(self)) {
      return this.#handOver(DEPARTURE_TRANSFERS_AT_ONCE);
    }
    if (groups.nodes.log.stats().writable) this.#unwritableSinceMs = Infinity;
    else {
      this.#unwritableSinceMs = Math.min(this.#unwritableSinceMs, nowMs);
      if (nowMs - this.#unwritableSinceMs >= LEADER_UNWRITABLE_MS) {
        this.#handOver(LEADER_TRANSFERS_AT_ONCE);
      }
      return;
    }
    if (nowMs - this.#calmSinceMs < LEADER_BALANCE_CALM_MS) return;
    const { placements, leaders } = this.#seen;
    if (this.#seen.look()) this.#wished = this.#wishedOf(placements, leaders);
    let transfers = 0;
    for (let number = 0; number < placements.length; number++) {
      const id = partitionId(number);
      const partition = groups.partition(id);
      if (partition === undefined || !partition.group.isLeading) continue;
      const to = this.#chosen(id, placements[id]!) ?? this.#wished?.[id] ?? self;
      // A leader whose transfer failed has no lease in its term: any other voter is better.
      const heirs = to !== 0 && to !== self
        ? [to]
        : partition.group.isLeaseSpent
        ? placements[id]!.filter((node) => node !== self)
        : [];
      if (heirs.length > 0 && this.#transfer(partition, heirs)) transfers++;
      if (transfers === LEADER_TRANSFERS_AT_ONCE) return;
    }
  }

  /** Hands over what this node leads, to whoever is fit; at most `max` groups. */
  #handOver(max: number): void {
    const { self, mayLead } = this.#options;
    let transfers = 0;
    for (const hosted of this.#led()) {
      const heirs = this.#voters(hosted).filter((node) => node !== self && mayLead(node));
      if (this.#transfer(hosted, heirs)) transfers++;
      if (transfers === max) return;
    }
  }

  /** Returns everything that this node leads, group 0 too. */
  #led(): Led[] {
    const { groups } = this.#options;
    const plane = groups.plane === undefined ? [] : [groups.plane];
    return [groups.system, ...plane, ...groups.partitions].filter(({ group }) => group.isLeading);
  }

  /** Returns the node that is to lead each partition; undefined if all may stay where they are. */
  #wishedOf(
    placements: readonly (readonly number[])[],
    leaders: readonly number[],
  ): readonly number[] | undefined {
    const { groups } = this.#options;
    const { state, ringNumber } = groups.system.store;
    const chosen = state.leaders.all;
    if (this.#spreadRing !== ringNumber || this.#spreadChosen !== chosen) {
      this.#spreadRing = ringNumber;
      this.#spreadChosen = chosen;
      const placed = placements.map((_, number) =>
        nodesOf(state, partitionId(number)).sort(byNumber)
      );
      const holders = new Set(placed.flat());
      const isWhole = placed.every((nodes) => nodes.length === holders.size);
      this.#spread = isWhole ? undefined : spreadLeaders({ placements: this.#narrowed(placed) });
    }
    if (this.#spread === undefined) {
      return isUneven(leaders, placements)
        ? spreadLeaders({ placements: this.#narrowed(placements), leaders })
        : undefined;
    }
    // While partitions move the spread changes with every step.
    if (state.placement.changing.size > 0) return undefined;
    return this.#spread.map((node) => this.#seen.mayLead(node) ? node : 0);
  }

  /** Returns the node that an operator has chosen to lead a partition, if it is one of `nodes`. */
  #chosen(partition: number, nodes: readonly number[]): number | undefined {
    const chosen = this.#options.groups.system.store.state.leaders.all.get(partition);
    return chosen !== undefined && nodes.includes(chosen) ? chosen : undefined;
  }

  /** Returns placements in which a partition whose leader was chosen has that node alone. */
  #narrowed(placements: readonly (readonly number[])[]): readonly (readonly number[])[] {
    return placements.map((nodes, partition) => {
      const chosen = this.#chosen(partition, nodes);
      return chosen === undefined ? nodes : [chosen];
    });
  }

  /** Hands the leadership to a voter on one of the nodes; returns false if none of them is fit now. */
  #transfer({ group }: Led, nodes: readonly number[]): boolean {
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

  #voters({ group }: Led): number[] {
    return votersOf(this.#options.groups.system.store.state, group.configuration);
  }
}

function byNumber(left: number, right: number): number {
  return left - right;
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
