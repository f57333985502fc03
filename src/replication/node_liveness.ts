/**
 * The liveness of this node for its groups. Connects `src/liveness` to the log (numbers that must be
 * durable before they are used), to the frames between nodes (beats and promises), and to the groups
 * (which group to wake, and why). Its owner calls {@link NodeLiveness.tick} at least every `BEAT_MS`.
 *
 * Nothing is written to disk and no beat is sent until there is another node, so a single node starts
 * at once and has no cost. The duties are numbered in `src/liveness/mod.ts`.
 */
import type { GroupId, LogIndex, NodeId, ReplicaId, Term } from "../base/ids.ts";
import { STALL_MS } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import {
  type Beat,
  type BeatRefusal,
  type Fortification,
  type LeaderLease,
  Liveness,
  type LivenessNews,
  type LivenessTiming,
} from "../liveness/mod.ts";
import type { Configuration } from "../raft/mod.ts";
import type { SharedLog } from "../storage/shared_log.ts";
import { NODE_STATE_GROUP } from "./log_ids.ts";
import type { NodeState } from "./recovery.ts";
import type { ReplicaDirectory } from "./replica_directory.ts";

/** The dependencies of node liveness. */
export interface NodeLivenessOptions {
  readonly nodeId: NodeId;
  readonly world: World;
  readonly log: SharedLog;
  readonly directory: ReplicaDirectory;
  /** The node state recovered from the log. */
  readonly nodeState: NodeState;
  /** If false, no lease serves reads: for machines whose clocks may both stop during a pause. */
  readonly areLeasesOn: boolean;
  readonly timing?: LivenessTiming;
}

/** The liveness of one node. */
export class NodeLiveness {
  readonly #options: NodeLivenessOptions;
  readonly #liveness: Liveness;
  readonly #run: number;
  /** The highest number given to a run or an epoch. */
  #counter: number;
  /** Whether it is durable that this run exists and that support may be given (duties 1 and 2). */
  #isBegun = false;
  #isSaving = false;
  #isStalled = false;
  /** Whether there is news that liveness itself does not report. */
  #hasNews = false;
  /** Number of groups here that have a member on each other node. */
  readonly #shared = new Map<NodeId, number>();
  readonly #membersOf = new Map<GroupId, ReadonlySet<NodeId>>();
  /** The configurations that name replicas whose nodes are not known yet, and the number of these. */
  readonly #unplaced = new Map<GroupId, { configuration: Configuration; lacking: number }>();
  /** Number of open sessions with each node. */
  readonly #connected = new Map<NodeId, number>();
  #answers: { readonly to: NodeId; readonly beat: Beat }[] = [];

  constructor(options: NodeLivenessOptions) {
    this.#options = options;
    const { nodeId, world, directory, nodeState, areLeasesOn, timing } = options;
    this.#run = nodeState.counter + 1;
    this.#counter = this.#run;
    this.#liveness = new Liveness({
      self: nodeId,
      run: this.#run,
      mayHaveSupported: nodeState.mayHaveSupported,
      monotonic: world.monotonic,
      wall: world.wall,
      directory,
      areLeasesOn,
      ...(timing === undefined ? {} : { timing }),
    });
  }

  /** The number of this run, as frames name it; 0 until it is durable. */
  get run(): number {
    return this.#isBegun ? this.#run : 0;
  }

  /** Whether there has been another node since the start. */
  get hasPeers(): boolean {
    return this.#isBegun;
  }

  /** Whether {@link tick} has anything to do: false on a node that never had a peer. */
  get wantsTicks(): boolean {
    return this.#isBegun || this.#shared.size + this.#connected.size > 0;
  }

  /** Returns this node's monotonic time after checking both clocks. */
  nowMs(): number {
    return this.#liveness.nowMs();
  }

  /** Reports whether this node may vote: false while promises of an earlier run may be in force. */
  mayVote(): boolean {
    return this.#liveness.mayVote();
  }

  /** Returns the epoch of `node` that this node supports; 0 if none. */
  supportedEpoch(node: NodeId): number {
    return this.#liveness.supportedEpoch(node);
  }

  /** Reports whether `node` is counted on now. */
  isCountedOn(node: NodeId): boolean {
    return this.#liveness.nowMs() < this.#liveness.supportUntilMs(node);
  }

  /** Reports whether a lease stands at `nowMs` of {@link nowMs}. */
  stands(lease: LeaderLease, nowMs: number): boolean {
    return this.#liveness.stands(lease, nowMs);
  }

  /** The other nodes with a member of a group that is here too. */
  get sharing(): Iterable<NodeId> {
    return this.#shared.keys();
  }

  /** Adds a group, and returns the promises of this node's replica of it. */
  addGroup(group: GroupId, replica: ReplicaId): Fortification {
    return this.#liveness.addGroup(group, replica);
  }

  /** Removes a group and ends its promises. */
  removeGroup(group: GroupId): void {
    this.#unplaced.delete(group);
    this.#setMembers(group, new Set());
    this.#liveness.removeGroup(group);
  }

  /**
   * Sets a group's members. This node asks their nodes for support, and may support them. Members whose
   * nodes are not known yet are looked up again by {@link tick} and with each session, and wake the
   * groups once they are found: a node that restarts opens its groups before group 0 tells it where
   * replicas are, and a group may hear of a new member before group 0 does.
   */
  configured(group: GroupId, configuration: Configuration): void {
    const { directory, nodeId } = this.#options;
    const { voters, votersOutgoing, learners } = configuration;
    const nodes = new Set<NodeId>();
    let lacking = 0;
    for (const members of [voters, votersOutgoing, learners]) {
      for (const member of members) {
        const node = directory.nodeOf(member);
        if (node === undefined) lacking++;
        else if (node !== nodeId) nodes.add(node);
      }
    }
    if (lacking > 0) this.#unplaced.set(group, { configuration, lacking });
    else this.#unplaced.delete(group);
    this.#setMembers(group, nodes);
  }

  /** Records an opened session with `node`, which may be about to add a replica of this node. */
  connected(node: NodeId): void {
    this.#connected.set(node, (this.#connected.get(node) ?? 0) + 1);
    this.#add(node);
    this.#place();
  }

  /** Records the end of a session with `node`. After the last, only shared groups keep it a peer. */
  disconnected(node: NodeId): void {
    const count = (this.#connected.get(node) ?? 0) - 1;
    if (count > 0) {
      this.#connected.set(node, count);
    } else if (this.#connected.delete(node) && !this.#shared.has(node)) {
      this.#liveness.removePeer(node);
    }
  }

  /** Takes a beat of `from`; returns a code if it was refused. */
  receive(from: NodeId, beat: Beat): BeatRefusal | undefined {
    const answer = this.#liveness.receive(from, beat);
    if (answer === undefined || typeof answer === "string") return answer;
    this.#answers.push({ to: from, beat: answer });
    return undefined;
  }

  /** Passes the beats that are due at the end of this turn to `send`. */
  takeBeats(send: (to: NodeId, beat: Beat) => void): void {
    const answers = this.#answers;
    this.#answers = [];
    for (const { to, beat } of answers) send(to, beat);
    if (!this.#isBegun) return;
    for (const node of this.#liveness.dueBeats()) send(node, this.#liveness.beat(node));
  }

  /** Returns the news since the last call; undefined if there is none. */
  poll(): LivenessNews | undefined {
    if (!this.#isBegun) return undefined;
    const news = this.#liveness.poll();
    const { lost, returned, voided, wake, withdrawn } = news;
    const count = lost.length + returned.length + wake.length + withdrawn.length;
    const hasNews = count > 0 || voided || this.#hasNews;
    this.#hasNews = false;
    return hasNews ? news : undefined;
  }

  /** Looks for the nodes of members, checks the disk for stalls, and makes wanted numbers durable. */
  tick(): void {
    this.#place();
    if (this.#isBegun) {
      const { oldestPendingMs, poisoned } = this.#options.log.stats();
      this.#stall(poisoned || oldestPendingMs > STALL_MS);
      this.#raiseEpochs();
    } else if (this.#shared.size + this.#connected.size > 0) {
      this.#begin();
    }
  }

  #stall(isStalled: boolean): void {
    if (isStalled === this.#isStalled) return;
    this.#isStalled = isStalled;
    this.#liveness.stall(isStalled);
    this.#hasNews = true;
  }

  #place(): void {
    for (const [group, { configuration, lacking }] of [...this.#unplaced]) {
      this.configured(group, configuration);
      if ((this.#unplaced.get(group)?.lacking ?? 0) < lacking) this.#hasNews = true;
    }
  }

  #setMembers(group: GroupId, nodes: ReadonlySet<NodeId>): void {
    const before = this.#membersOf.get(group) ?? new Set();
    if (nodes.size === 0) this.#membersOf.delete(group);
    else this.#membersOf.set(group, nodes);
    for (const node of nodes) {
      if (before.has(node)) continue;
      this.#shared.set(node, (this.#shared.get(node) ?? 0) + 1);
      this.#add(node);
    }
    for (const node of before) if (!nodes.has(node)) this.#unshare(node);
  }

  #unshare(node: NodeId): void {
    const count = (this.#shared.get(node) ?? 1) - 1;
    if (count > 0) {
      this.#shared.set(node, count);
      return;
    }
    this.#shared.delete(node);
    if (!this.#connected.has(node)) this.#liveness.removePeer(node);
  }

  #add(node: NodeId): void {
    if (this.#isBegun) this.#liveness.addPeer(node);
    else this.#begin();
  }

  #begin(): void {
    this.#save(() => {
      this.#isBegun = true;
      const nodes = [...this.#shared.keys(), ...this.#connected.keys()];
      for (const node of nodes) this.#liveness.addPeer(node);
    });
  }

  #raiseEpochs(): void {
    if (this.#isSaving) return;
    const wanted = this.#liveness.epochsWanted();
    if (wanted.length === 0) return;
    const epochs = wanted.map((node) => ({ node, epoch: ++this.#counter }));
    this.#save(() => {
      for (const { node, epoch } of epochs) this.#liveness.raiseEpoch(node, epoch);
    });
  }

  /** Makes the counter durable, and that support may be given. A refused write is retried by a tick. */
  #save(saved: () => void): void {
    if (this.#isSaving) return;
    const state = { term: this.#counter as Term, vote: 1, commit: 0 as LogIndex };
    const refused = this.#options.log.saveHardState(NODE_STATE_GROUP, state, (error) => {
      this.#isSaving = false;
      if (error === undefined) saved();
    });
    this.#isSaving = refused === undefined;
  }
}
