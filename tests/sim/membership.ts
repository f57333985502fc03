/**
 * Adds and removes replicas: new ones are added empty, as learners or voters, alone or in exchange
 * for others by joint consensus; removed ones are forgotten. It acts as the cluster's operator.
 *
 * Each change is one step from the configuration that a leader has applied. A removed replica keeps
 * its place until a majority of the remaining voters knows of its removal, durably: until then they
 * may need its vote to elect a leader, because they use the configuration that they know, and a
 * restart may take them back to it. Its id is never reused.
 */
import type { SeededEntropy } from "../../src/base/prng.ts";
import { EMPTY_DATA, LEAVE_JOINT } from "../../src/raft/mod.ts";
import type { ConfChange, Configuration, MemberChange } from "../../src/raft/mod.ts";
import type { SimCluster } from "./cluster.ts";
import type { PlacedReplica } from "./placement.ts";
import type { RunningReplica } from "./replica_view.ts";

/** Probability of a second change while another is in progress, which must be refused. */
const IMPATIENT = 0.2;
/** Maximum time to wait for a change, ms. */
const CHANGE_MS = 3_000;
/** Maximum number of members of a group. */
const MEMBERS_MAX = 7;

/** Interval of the checks whether removed replicas are still needed, ms. */
const RETIRE_MS = 100;

/** A committed configuration. */
interface KnownConfiguration {
  readonly index: number;
  readonly voters: readonly number[];
  readonly members: ReadonlySet<number>;
}

/** Changes the configurations of a cluster's groups. */
export class Membership {
  readonly #cluster: SimCluster;
  readonly #entropy: SeededEntropy;
  /** Groups with a change in progress. */
  readonly #changing = new Set<number>();
  /** By group: the newest configuration known to be committed. */
  readonly #known = new Map<number, KnownConfiguration>();
  /** Count of completed changes. */
  changed = 0;

  constructor(cluster: SimCluster, entropy: SeededEntropy) {
    this.#cluster = cluster;
    this.#entropy = entropy;
  }

  /** Takes one step with a group that has a leader. */
  step(group: number): void {
    const leader = this.#cluster.leaderOf(group);
    if (leader === undefined) return;
    if (this.#changing.has(group) && this.#entropy.unit() >= IMPATIENT) return;
    const change = this.#choose(leader);
    if (change === undefined) return;
    if (!endsVote(change, leader.ref.replica)) return this.#propose(leader, change);
    // A leader leaves only after it has transferred its leadership: the others may not know that it
    // is gone.
    const others = leader.configuration.voters.filter((voter) => voter !== leader.ref.replica);
    if (others.length === 0) return;
    const to = this.#of(others);
    this.#cluster.node(leader.ref.node).enter(() => leader.group.transferLeader(to));
  }

  /** Leaves a joint configuration that is not left automatically; returns true if there is none. */
  settle(group: number): boolean {
    const leader = this.#cluster.leaderOf(group);
    if (leader === undefined) return false;
    if (leader.configuration.votersOutgoing.length === 0) return true;
    if (!this.#changing.has(group)) this.#propose(leader, LEAVE_JOINT);
    return false;
  }

  #choose(leader: RunningReplica): ConfChange | undefined {
    const { configuration, ref: { group } } = leader;
    if (configuration.votersOutgoing.length > 0) return LEAVE_JOINT;
    const { learners, voters } = configuration;
    const dice = this.#entropy.unit();
    if (learners.length > 0 && dice < 0.4) return this.#one("add_voter", this.#of(learners));
    if (dice < 0.55) return this.#add(group, dice < 0.45 ? "add_voter" : "add_learner");
    if (dice < 0.7) return voters.length > 1 ? this.#one("remove", this.#of(voters)) : undefined;
    if (dice < 0.75 && learners.length > 0) return this.#one("remove", this.#of(learners));
    if (dice < 0.8) {
      return voters.length > 1 ? this.#one("add_learner", this.#of(voters)) : undefined;
    }
    return this.#exchange(group, voters);
  }

  #one(kind: MemberChange["kind"], replica: number): ConfChange {
    return { transition: "auto", changes: [{ kind, replica }], context: EMPTY_DATA };
  }

  #add(group: number, kind: MemberChange["kind"]): ConfChange | undefined {
    const placed = this.#place(group);
    return placed && this.#one(kind, placed.replica);
  }

  /** Exchanges some voters for others, all at once. */
  #exchange(group: number, voters: readonly number[]): ConfChange | undefined {
    const placed = this.#place(group);
    if (placed === undefined) return undefined;
    const changes: MemberChange[] = [{ kind: "add_voter", replica: placed.replica }];
    changes.push({ kind: "remove", replica: this.#of(voters) });
    const transition = this.#of(["auto", "joint_implicit", "joint_explicit"] as const);
    return { transition, changes, context: EMPTY_DATA };
  }

  /**
   * Returns a replica on a node that has none of the group: a placed one that was not added yet, or
   * a new one.
   */
  #place(group: number): PlacedReplica | undefined {
    const { nodes, placement } = this.#cluster;
    const there = placement.ofGroup(group);
    const waiting = there.find(({ isMember }) => !isMember);
    if (waiting !== undefined) return waiting;
    const free = nodes.filter(({ id }) => there.every(({ node }) => node !== id));
    if (free.length === 0 || there.length >= MEMBERS_MAX) return undefined;
    const node = this.#of(free);
    const placed = placement.place(group, node.id);
    this.#cluster.note("places a replica: group", group, "replica", placed.replica, "on", node.id);
    node.take(placed);
    return placed;
  }

  #propose(leader: RunningReplica, change: ConfChange): void {
    const { group } = leader.ref;
    const words = change.changes.map(({ kind, replica }) => `${kind} ${replica}`).join(", ");
    this.#cluster.note("asks for a change: group", group, change.transition, words);
    const node = this.#cluster.node(leader.ref.node);
    this.#changing.add(group);
    this.#cluster.world.after(CHANGE_MS, () => this.#changing.delete(group));
    node.wait(() => leader.group.proposeConfChange(change, CHANGE_MS), (proposed) => {
      this.#changing.delete(group);
      if (proposed.ok) this.#configured(group, proposed.index, proposed.outcome);
    });
  }

  /** Records that the configuration of an index is committed. */
  #configured(group: number, index: number, configuration: Configuration): void {
    this.changed++;
    if (index <= (this.#known.get(group)?.index ?? 0)) return;
    const { learners, learnersNext, voters, votersOutgoing } = configuration;
    const members = new Set([...voters, ...votersOutgoing, ...learners, ...learnersNext]);
    this.#cluster.note("is configured: group", group, [...members].join(" "));
    this.#known.set(group, { index, voters, members });
    for (const placed of this.#cluster.placement.ofGroup(group)) {
      if (members.has(placed.replica)) placed.isMember = true;
    }
    this.#retire(group);
  }

  /** Removes the replicas that are no longer members, once they are no longer needed. */
  #retire(group: number): void {
    const { placement, world } = this.#cluster;
    const { index, members, voters } = this.#known.get(group)!;
    const leaving = placement.ofGroup(group)
      .filter(({ isMember, replica }) => isMember && !members.has(replica));
    if (leaving.length === 0) return;
    const knowing = this.#cluster.replicasOf(group)
      .filter(({ durableCommit, ref }) => voters.includes(ref.replica) && durableCommit >= index);
    if (2 * knowing.length > voters.length) leaving.forEach((placed) => this.#end(placed));
    else world.after(RETIRE_MS, () => this.#retire(group));
  }

  #end(placed: PlacedReplica): void {
    this.#cluster.note("is retired: group", placed.group, "replica", placed.replica);
    this.#cluster.placement.retire(placed);
    this.#cluster.node(placed.node).drop(placed);
  }

  #of<T>(list: readonly T[]): T {
    return list[Math.floor(this.#entropy.unit() * list.length)]!;
  }
}

/** Reports whether the change removes a voter's vote. */
function endsVote({ changes }: ConfChange, voter: number): boolean {
  return changes.some(({ kind, replica }) => replica === voter && kind !== "add_voter");
}
