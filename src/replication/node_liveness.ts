/**
 * Liveness of this node as its groups use it: joins `src/liveness` to the log (numbers that must be
 * durable before they are used), to the frames between nodes (beats and promises), and to the groups
 * (who wakes, and why). Its owner calls {@link NodeLiveness.tick} at least every `BEAT_MS`.
 *
 * Nothing is asked of the disk, and no beat is sent, until there is another node; so a node alone
 * starts at once and pays nothing. Duties: see `src/liveness/mod.ts`, by number.
 */
import type { GroupId, NodeId, ReplicaId, Term } from "../base/ids.ts";
import { type LogIndex, NODE_STATE_GROUP } from "../base/ids.ts";
import { STALL_MS } from "../base/limits.ts";
import type { World } from "../base/world.ts";
import {
  type Beat,
  type BeatRefusal,
  type Fortification,
  Liveness,
  type LivenessNews,
  type LivenessTiming,
} from "../liveness/mod.ts";
import type { Configuration } from "../raft/mod.ts";
import type { SharedLog } from "../storage/shared_log.ts";
import type { NodeState } from "./recovery.ts";
import type { ReplicaDirectory } from "./replica_directory.ts";

/** What it stands on. */
export interface NodeLivenessOptions {
  readonly nodeId: NodeId;
  readonly world: World;
  readonly log: SharedLog;
  readonly directory: ReplicaDirectory;
  /** As recovered from the log. */
  readonly nodeState: NodeState;
  /** False: reads are never served by a lease, for machines that may be paused with both clocks. */
  readonly areLeasesOn: boolean;
  readonly timing?: LivenessTiming;
}

/** The liveness of one node. */
export class NodeLiveness {
  readonly #options: NodeLivenessOptions;
  readonly #liveness: Liveness;
  readonly #run: number;
  /** The highest number drawn. */
  #counter: number;
  /** The log has this run, and that support may be given (duties 1 and 2). */
  #isBegun = false;
  #isSaving = false;
  #isStalled = false;
  /** Something happened that liveness itself does not tell of. */
  #hasNews = false;
  /** Nodes with which groups here share members, and how many do. */
  readonly #shared = new Map<NodeId, number>();
  readonly #membersOf = new Map<GroupId, ReadonlySet<NodeId>>();
  /** Nodes with open sessions, and how many there are. */
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

  /** This run, as frames name it; 0 until the log has it. */
  get run(): number {
    return this.#isBegun ? this.#run : 0;
  }

  /** Whether there is another node to look after. */
  get hasPeers(): boolean {
    return this.#isBegun;
  }

  /** Whether {@link tick} has anything to do: not on a node that shares no group and has no session. */
  get wantsTicks(): boolean {
    return this.#isBegun || this.#shared.size + this.#connected.size > 0;
  }

  /** The own monotonic time, after a look at both clocks. */
  nowMs(): number {
    return this.#liveness.nowMs();
  }

  /** False while an earlier run's promises may stand. */
  mayVote(): boolean {
    return this.#liveness.mayVote();
  }

  /** The epoch of `node` that this node supports; 0: none. */
  supportedEpoch(node: NodeId): number {
    return this.#liveness.supportedEpoch(node);
  }

  /** Whether `node` is counted on now. */
  isCountedOn(node: NodeId): boolean {
    return this.#liveness.nowMs() < this.#liveness.supportUntilMs(node);
  }

  /** Begins the promises of this node's replica of a group. */
  addGroup(group: GroupId, replica: ReplicaId): Fortification {
    return this.#liveness.addGroup(group, replica);
  }

  /** Ends them. */
  removeGroup(group: GroupId): void {
    this.#setMembers(group, new Set());
    this.#liveness.removeGroup(group);
  }

  /** Whose members the group has: their nodes are asked for support, and may be given it. */
  configured(group: GroupId, { voters, votersOutgoing, learners }: Configuration): void {
    const nodes = new Set<NodeId>();
    for (const members of [voters, votersOutgoing, learners]) {
      for (const member of members) {
        const node = this.#options.directory.nodeOf(member);
        if (node !== undefined && node !== this.#options.nodeId) nodes.add(node);
      }
    }
    this.#setMembers(group, nodes);
  }

  /** A session with `node` is open: it may be about to take a replica of this node in. */
  connected(node: NodeId): void {
    this.#connected.set(node, (this.#connected.get(node) ?? 0) + 1);
    this.#add(node);
  }

  /** A session with `node` ended: with the last one it is asked no more, unless a group is shared. */
  disconnected(node: NodeId): void {
    const count = (this.#connected.get(node) ?? 0) - 1;
    if (count > 0) {
      this.#connected.set(node, count);
    } else if (this.#connected.delete(node) && !this.#shared.has(node)) {
      this.#liveness.removePeer(node);
    }
  }

  /** Takes a beat of `from`; by a code why it was not taken. */
  receive(from: NodeId, beat: Beat): BeatRefusal | undefined {
    const answer = this.#liveness.receive(from, beat);
    if (answer === undefined || typeof answer === "string") return answer;
    this.#answers.push({ to: from, beat: answer });
    return undefined;
  }

  /** Hands out the beats to be sent at the end of this turn. */
  takeBeats(send: (to: NodeId, beat: Beat) => void): void {
    const answers = this.#answers;
    this.#answers = [];
    for (const { to, beat } of answers) send(to, beat);
    if (!this.#isBegun) return;
    for (const node of this.#liveness.dueBeats()) send(node, this.#liveness.beat(node));
  }

  /** What happened since it was last asked; undefined: nothing. */
  poll(): LivenessNews | undefined {
    if (!this.#isBegun) return undefined;
    const news = this.#liveness.poll();
    const { lost, returned, voided, wake, withdrawn } = news;
    const count = lost.length + returned.length + wake.length + withdrawn.length;
    const hasNews = count > 0 || voided || this.#hasNews;
    this.#hasNews = false;
    return hasNews ? news : undefined;
  }

  /** Looks at the disk, and has numbers made durable that are wanted. */
  tick(): void {
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

  /** Makes the counter durable, and with it that support may be given; refused, it is tried again. */
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
