/**
 * One group on this node: feeds events to the Raft core, which orders writes, messages and
 * applications; group_loop.ts carries out the orders, one step at a time. Entries and votes go to the
 * shared log, messages to other nodes, and committed entries to the state machine; the results go back
 * to the core.
 *
 * Events (a proposal, a message, a tick, a durable write) only change the core and ask for a turn. All
 * work is done in {@link RaftGroup.work}, so that the events of a turn share one step. Only a group
 * without other members works at once, as no other node waits for it. A broken invariant ends this
 * group and no other.
 *
 * Sources: `src/raft/DESIGN.md` (duties of the owner), Raft thesis §3.8, §6.4, §8, §10.2.1.
 */
import type { RegistryError } from "../base/errors.ts";
import type { GroupId, GroupTimeMs, LogIndex, NodeId, ReplicaId, Term } from "../base/ids.ts";
import { PROVEN_AGE_MS } from "../base/limits.ts";
import type { LeaderLease, VoteRestriction } from "../liveness/mod.ts";
import {
  type CampaignResult,
  type ConfChange,
  type Configuration,
  type Message,
  RaftNode,
  type RaftStatus,
  type Snapshot,
  type StepResult,
  type TransferResult,
} from "../raft/mod.ts";
import type { LogDone } from "../storage/shared_log.ts";
import { ProvenReads } from "./proven_reads.ts";
import { endedError } from "./group_errors.ts";
import type { GroupHost } from "./group_host.ts";
import type { Group, GroupStatus, Proposed, ReadPoint } from "./group_interface.ts";
import { GroupLeadership } from "./group_leadership.ts";
import { GroupLoop, type LoopedGroup } from "./group_loop.ts";
import { GroupMembers } from "./group_members.ts";
import { AppliedPoint } from "./group_parts.ts";
import { GroupProposals } from "./group_proposals.ts";
import { GroupProposer } from "./group_proposer.ts";
import { GroupStorage } from "./group_storage.ts";
import { GroupSupport } from "./group_support.ts";
import { ReplicaLog, type ReplicaLogStart } from "./replica_log.ts";
import type { StateMachine } from "./state_machine.ts";

/** The initial state of a group, as recovery left it. */
export interface GroupStart<Outcome> {
  readonly id: GroupId;
  readonly replica: ReplicaId;
  readonly machine: StateMachine<Outcome>;
  /** Index of the last entry that recovery applied to the machine. */
  readonly appliedIndex: LogIndex;
  readonly appliedTerm: Term;
  readonly log: ReplicaLogStart;
}

/** One group on this node. */
export class RaftGroup<Outcome> implements Group<Outcome>, LoopedGroup {
  readonly id: GroupId;
  readonly replica: ReplicaId;
  readonly #host: GroupHost;
  readonly #members: GroupMembers;
  readonly #applied: AppliedPoint;
  readonly #storage: GroupStorage;
  readonly #node: RaftNode;
  readonly #support: GroupSupport;
  readonly #leadership: GroupLeadership;
  readonly #proposals: GroupProposals;
  readonly #proposer: GroupProposer<Outcome>;
  readonly #loop: GroupLoop;
  readonly #proven: ProvenReads;
  readonly #openedIndex: number;

  constructor(host: GroupHost, start: GroupStart<Outcome>) {
    const { id, replica, machine, appliedIndex, appliedTerm, log } = start;
    const { configuration } = log;
    this.id = id;
    this.replica = replica;
    this.#host = host;
    this.#applied = new AppliedPoint(appliedIndex, appliedTerm);
    this.#members = new GroupMembers(replica, configuration);
    this.#support = new GroupSupport(host, id, replica, configuration);
    this.#leadership = new GroupLeadership(host.availableTime, machine, host.counts);
    const replicaLog = new ReplicaLog(log, () => this.#loop.makeSnapshot());
    this.#storage = new GroupStorage(id, {
      log: host.log,
      replicaLog,
      owner: {
        isSole: () => this.#members.isSole,
        installed: (snapshot) => this.#loop.guarded(() => this.#loop.installed(snapshot)),
        stored: (order) => this.#loop.stored(order),
        storedAlone: (entry) => this.#loop.storedAlone(entry),
        failed: (error) => this.#loop.storageFailed(error),
      },
    });
    this.#node = new RaftNode({
      id: replica,
      storage: replicaLog,
      settings: host.raft,
      applied: appliedIndex,
      support: this.#support,
    });
    this.#proposals = new GroupProposals(id);
    const [applied, support] = [this.#applied, this.#support];
    this.#proven = new ProvenReads(id, host, this.#node, {
      applied,
      hasMemberOn: (node) => support.hasMemberOn(node),
    });
    this.#openedIndex = this.#node.lastIndex;
    const parts = {
      ...{ id, replica, host, machine, node: this.#node, replicaLog, storage: this.#storage },
      ...{ support: this.#support, leadership: this.#leadership, members: this.#members },
      ...{ applied: this.#applied, proposals: this.#proposals },
    };
    this.#loop = new GroupLoop(this, parts);
    this.#proposer = new GroupProposer(parts, this.#loop);
  }

  // The interface to the rest of the node.

  propose(command: Uint8Array, timeoutMs: number): Promise<Proposed<Outcome>> {
    return this.#proposer.propose(command, timeoutMs);
  }

  /** Proposes a configuration change; settles with the resulting configuration. */
  proposeConfChange(change: ConfChange, timeoutMs: number): Promise<Proposed<Configuration>> {
    return this.#proposer.proposeConfChange(change, timeoutMs);
  }

  get isLeading(): boolean {
    return this.#leadership.isServing;
  }

  readPoint(maxStalenessMs: number): ReadPoint | undefined {
    const point = this.permission(maxStalenessMs);
    if (point !== undefined && point.ageBoundMs > 0) {
      this.#host.freshness.counts.served(point.ageBoundMs);
    }
    return point;
  }

  /** Implements `BoundedGroup.permission`. */
  permission(maxStalenessMs: number): ReadPoint | undefined {
    if (!this.#leadership.isServing) return this.#pointOfFollower(maxStalenessMs);
    if (this.#members.isSole) return this.#applied.point;
    // A follower may already have served entries that are committed but not applied here, because this
    // disk is slower than the others.
    const isBehind = this.#applied.index < this.#node.committed;
    return isBehind || !this.#support.hasLease(this.#node) ? undefined : this.#applied.point;
  }

  #pointOfFollower(maxStalenessMs: number): ReadPoint | undefined {
    if (maxStalenessMs === 0 || this.#members.isSole) return this.#recoveredPoint();
    return this.#end === undefined ? this.#proven.readPoint(maxStalenessMs) : undefined;
  }

  ageNowMs(point: ReadPoint): number {
    return point.ageBoundMs === 0 ? 0 : this.#proven.ageNowMs(point);
  }

  notLeading(): RegistryError | undefined {
    return this.#mayLead ? undefined : this.#loop.notLeader();
  }

  readElsewhere(maxStalenessMs: number): RegistryError | undefined {
    if (this.#mayLead) return undefined;
    return maxStalenessMs === 0 ? this.#loop.notLeader() : this.#proven.refusal(maxStalenessMs);
  }

  /** Implements `BoundedGroup.lateProof`. */
  lateProof(maxStalenessMs: number): RegistryError {
    return this.#proven.late(maxStalenessMs);
  }

  get #mayLead(): boolean {
    return this.#end !== undefined || this.#leadership.term !== 0 || this.#members.isSole;
  }

  readBarrier(
    maxStalenessMs: number,
    timeoutMs: number,
  ): Promise<ReadPoint | RegistryError> {
    if (this.#end !== undefined) return Promise.resolve(endedError(this.id, this.#end));
    const point = this.permission(maxStalenessMs);
    if (point !== undefined) return Promise.resolve({ ...point });
    if (maxStalenessMs > 0 && !this.#mayLead) {
      return this.#host.freshness.wait(this, maxStalenessMs, timeoutMs);
    }
    return this.#loop.addRead(timeoutMs);
  }

  /**
   * Returns the permission of a sole voter to serve its recovered state while its log takes no entry of
   * its own term. Everything in its log is durable, hence committed (a majority of one) and applied,
   * and no other replica can have committed anything since. Group time stands still meanwhile.
   */
  #recoveredPoint(): ReadPoint | undefined {
    const mayRead = this.#members.isSole && this.#end === undefined &&
      this.#applied.index >= this.#openedIndex && this.#host.writeRefusal() !== undefined;
    return mayRead ? this.#applied.point : undefined;
  }

  provenAgeMs(): number {
    if (this.#end !== undefined) return Infinity;
    if (!this.#leadership.isServing) this.#host.freshness.asked(PROVEN_AGE_MS);
    return this.ageBoundMs;
  }

  timeMs(): GroupTimeMs {
    return this.#leadership.timeMs();
  }

  status(): GroupStatus {
    const { lead, lastIndex, term } = this.#node;
    return {
      id: this.id,
      role: this.#roleShown(),
      term: term as Term,
      appliedIndex: this.#applied.index,
      lastIndex: lastIndex as LogIndex,
      leader: this.#host.directory.nodeOf(lead) ?? 0,
    };
  }

  close(): void {
    this.#loop.ends("closed");
  }

  // The interface for operating the cluster.

  /** Transfers leadership to another voter; a follower asks its leader to do so. */
  transferLeader(replica: number): TransferResult {
    let result: TransferResult = "no_leader";
    this.#loop.guarded(() => result = this.#node.transferLeader(replica));
    this.#loop.wantsWork();
    return result;
  }

  /**
   * Whether this replica leads a term in which no lease can serve reads any more: a transfer of the
   * leadership was tried and did not succeed. Another leader, or another term, ends that.
   */
  get isLeaseSpent(): boolean {
    return this.#leadership.isServing && !this.#node.isLeaseAllowed();
  }

  campaign(): CampaignResult {
    let result: CampaignResult = "not_promotable";
    this.#loop.guarded(() => result = this.#node.campaign());
    this.#loop.wantsWork();
    return result;
  }

  /** Returns the status of the Raft core. */
  raftStatus(): RaftStatus {
    return this.#node.status();
  }

  /** Returns what binds its vote at `nowMs` of the node's monotonic clock, without side effects. */
  voteRestrictionAt(nowMs: number): VoteRestriction | undefined {
    return this.#end !== undefined ? "ended" : this.#support.promises.voteRestrictionAt(nowMs);
  }

  /** Returns the term of a log entry; undefined if the entry is not in memory. */
  entryTerm(index: number): number | undefined {
    return this.#node.entryTerm(index);
  }

  /** The group's configuration, as applied by this replica. */
  get configuration(): Configuration {
    return this.#members.configuration;
  }

  /** The number of entries appended since the group was opened. */
  get entriesAppended(): number {
    return this.#node.lastIndex - this.#openedIndex;
  }

  /** Replaces the log up to the applied index by an image of the state, then calls `done`. */
  writeImage(done: LogDone): void {
    this.#loop.writeImage(done);
  }

  /** The proven age of its applied state now, whole ms: 0 at a leader with a lease, Infinity if none. */
  get ageBoundMs(): number {
    return this.readPoint(0) !== undefined ? 0 : this.#proven.ageBoundMs;
  }

  // The interface to the answers for other nodes.

  get lease(): LeaderLease | undefined {
    const isProven = this.#end === undefined && this.#leadership.isServing;
    return isProven ? this.#support.leaseOf(this.#node) : undefined;
  }

  get term(): number {
    return this.#node.term;
  }

  get commitIndex(): number {
    return this.#node.committed;
  }

  hasMemberOn(node: NodeId): boolean {
    return this.#support.hasMemberOn(node);
  }

  // The interface to the set of groups.

  get wantsTicks(): boolean {
    if (this.#end !== undefined || (this.#members.isAlone && this.#leadership.term !== 0)) {
      return false;
    }
    return !this.#support.maySleep(this.#node);
  }

  get isSole(): boolean {
    return this.#members.isSole;
  }

  tick(): void {
    this.#loop.tick();
  }

  step(message: Message): StepResult | "closed" {
    return this.#loop.step(message);
  }

  stepSnapshot(
    message: Message,
    snapshot: Snapshot,
    done: (result: StepResult | "closed" | RegistryError) => void,
  ): void {
    this.#loop.stepSnapshot(message, snapshot, done);
  }

  fortify(reply: Message, epoch: number): boolean {
    return this.#end === undefined && this.#support.fortify(reply, this.#node, epoch);
  }

  fortified(reply: Message, run: number, epoch: number): void {
    if (this.#end !== undefined) return;
    if (this.#support.fortified(reply, run, epoch)) this.#loop.wantsWork();
  }

  supportEnded(node: NodeId): void {
    let isConcerned = false;
    this.#loop.guarded(() => isConcerned = this.#support.leaderLost(this.#node, node));
    if (isConcerned) this.#loop.wantsWork();
  }

  sweep(nowMs: number, askAnewBeforeMs: number): boolean {
    return this.#loop.sweep(nowMs, askAnewBeforeMs);
  }

  retryStorage(): void {
    this.#storage.retry();
  }

  peerLost(isOnNode: (replica: number) => boolean): void {
    if (this.#end !== undefined || this.#leadership.term === 0) return;
    const { voters, votersOutgoing, learners } = this.#members.configuration;
    for (const members of [voters, votersOutgoing, learners]) {
      for (const member of members) if (isOnNode(member)) this.#node.reportUnreachable(member);
    }
  }

  logRefuses(): void {
    const point = this.#recoveredPoint();
    if (point !== undefined) this.#loop.reads?.permitAll(point);
  }

  /**
   * Ends the group if other voters can replace its leader; a sole voter keeps serving reads of durable
   * data.
   */
  logPoisoned(error: RegistryError): void {
    if (this.#end !== undefined) return;
    this.#proposals.answerAll(error);
    if (!this.#members.isSole) this.#loop.ends("given_up");
  }

  work(): void {
    this.#loop.work();
  }

  get #end() {
    return this.#loop.end;
  }

  #roleShown(): GroupStatus["role"] {
    if (this.#end !== undefined) return this.#end === "closed" ? "closed" : "failed";
    if (this.#leadership.isServing) return "leader";
    return this.#node.role === "follower" && this.#node.lead !== 0 ? "follower" : "starting";
  }
}
