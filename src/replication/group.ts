/**
 * The loop of one group: feeds events to the Raft core and carries out the core's orders, one step at
 * a time. Entries and votes go to the shared log, messages to other nodes, and committed entries to
 * the state machine; the results go back to the core.
 *
 * Events (a proposal, a message, a tick, a durable write) only change the core and ask for a turn. All
 * work is done in {@link RaftGroup.work}, so that the events of a turn share one step. Only a group
 * without other members works at once, as no other node waits for it. A broken invariant ends this
 * group and no other.
 *
 * Sources: `src/raft/DESIGN.md` (duties of the owner), Raft thesis §3.8, §6.4, §8, §10.2.1.
 */
import { RegistryError } from "../base/errors.ts";
import type { GroupId, GroupTimeMs, LogIndex, NodeId, ReplicaId, Term } from "../base/ids.ts";
import {
  GROUP_PROPOSALS_MAX,
  GROUP_ROUNDS_MAX,
  REPLICA_LOG_BYTES,
  REPLICA_LOG_BYTES_MAX,
  WAL_ENTRY_BYTES_MAX,
} from "../base/limits.ts";
import type { VoteRestriction } from "../liveness/mod.ts";
import {
  type CampaignResult,
  type ConfChange,
  type Configuration,
  decodeConfChange,
  type Entry,
  type Message,
  type ProposeResult,
  RaftNode,
  type RaftStatus,
  type Ready,
  type Snapshot,
  type StepResult,
  type TransferResult,
} from "../raft/mod.ts";
import type { ImagePoint, LogDone } from "../storage/shared_log.ts";
import {
  endedError,
  type GroupEnd,
  notLeaderError,
  openProposalError,
  overloadedError,
  proposalError,
} from "./group_errors.ts";
import type { GroupHost, HostedGroup } from "./group_host.ts";
import { GroupImages } from "./group_images.ts";
import type { Group, GroupStatus, Proposed, ReadPoint } from "./group_interface.ts";
import { GroupLeadership } from "./group_leadership.ts";
import { GroupProposals } from "./group_proposals.ts";
import { GroupReads } from "./group_reads.ts";
import { GroupStorage } from "./group_storage.ts";
import { GroupSupport } from "./group_support.ts";
import { encodeConfiguration, isSoleVoter } from "./log_entry.ts";
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
export class RaftGroup<Outcome> implements Group<Outcome>, HostedGroup {
  readonly id: GroupId;
  readonly replica: ReplicaId;
  readonly #host: GroupHost;
  readonly #machine: StateMachine<Outcome>;
  readonly #replicaLog: ReplicaLog;
  readonly #storage: GroupStorage;
  readonly #node: RaftNode;
  readonly #support: GroupSupport;
  readonly #leadership: GroupLeadership;
  readonly #proposals: GroupProposals;
  /** Created when a read first waits. */
  #reads: GroupReads | undefined;
  /** Created when an image is first sent or received. */
  #images: GroupImages | undefined;
  readonly #openedIndex: number;
  #end: GroupEnd | undefined;
  #configuration: Configuration;
  #isSole: boolean;
  /** Whether this replica is the only member: no other voters and no learners. */
  #isAlone: boolean;
  #isWorking = false;
  /** Whether the set sweeps this group for passed deadlines. */
  #isSwept = false;
  #appliedIndex: LogIndex;
  #appliedTerm: Term;
  #point: ReadPoint;

  constructor(host: GroupHost, start: GroupStart<Outcome>) {
    const { id, replica, machine, appliedIndex, appliedTerm, log } = start;
    const { configuration } = log;
    this.id = id;
    this.replica = replica;
    this.#host = host;
    this.#machine = machine;
    this.#appliedIndex = appliedIndex;
    this.#appliedTerm = appliedTerm;
    this.#point = { appliedIndex, term: appliedTerm, ageBoundMs: 0 };
    this.#configuration = configuration;
    this.#isSole = isSoleVoter(configuration, replica);
    this.#isAlone = this.#isSole && configuration.learners.length === 0;
    this.#support = new GroupSupport(host, id, replica, configuration);
    this.#leadership = new GroupLeadership(host.availableTime, machine);
    this.#replicaLog = new ReplicaLog(log, () => this.#makeSnapshot());
    this.#storage = new GroupStorage(id, {
      log: host.log,
      replicaLog: this.#replicaLog,
      owner: {
        isSole: () => this.#isSole,
        installed: (snapshot) => this.#guarded(() => this.#installed(snapshot)),
        stored: (order) => this.#stored(order),
        storedAlone: (entry) => this.#storedAlone(entry),
        failed: (error) => this.#storageFailed(error),
      },
    });
    this.#node = new RaftNode({
      id: replica,
      storage: this.#replicaLog,
      settings: host.raft,
      applied: appliedIndex,
      support: this.#support.promises,
    });
    this.#proposals = new GroupProposals(id);
    this.#openedIndex = this.#node.lastIndex;
  }

  // The interface to the rest of the node.

  propose(command: Uint8Array, timeoutMs: number): Promise<Proposed<Outcome>> {
    const { length } = command;
    if (length === 0 || length > WAL_ENTRY_BYTES_MAX) {
      return refused(
        new RegistryError(
          "too_large",
          `Command must have 1 to ${WAL_ENTRY_BYTES_MAX} bytes: it has ${length}`,
        ),
      );
    }
    return this.#proposeAlone<Outcome>(command, timeoutMs) ??
      this.#propose<Outcome>(timeoutMs, () => this.#node.propose(command));
  }

  /** Proposes a configuration change; settles with the resulting configuration. */
  proposeConfChange(change: ConfChange, timeoutMs: number): Promise<Proposed<Configuration>> {
    if (this.#leadership.term !== 0 && !this.#support.coversChange(change)) {
      return refused(overloadedError(`Group ${this.id} waits for the new voters' support`));
    }
    return this.#propose<Configuration>(timeoutMs, () => this.#node.proposeConfChange(change));
  }

  get isLeading(): boolean {
    return this.#leadership.isServing;
  }

  readPoint(_maxStalenessMs: number): ReadPoint | undefined {
    if (!this.#leadership.isServing) return this.#mayReadRecovered() ? this.#point : undefined;
    if (this.#isSole) return this.#point;
    // A follower may already have served entries that are committed but not applied here, because this
    // disk is slower than the others.
    const isBehind = this.#appliedIndex < this.#node.committed;
    return isBehind || !this.#support.hasLease(this.#node) ? undefined : this.#point;
  }

  notLeading(): RegistryError | undefined {
    const isLeader = this.#end !== undefined || this.#leadership.term !== 0 || this.#isSole;
    return isLeader ? undefined : this.#notLeader();
  }

  readBarrier(
    maxStalenessMs: number,
    timeoutMs: number,
  ): Promise<ReadPoint | RegistryError> {
    if (this.#end !== undefined) return Promise.resolve(endedError(this.id, this.#end));
    const point = this.readPoint(maxStalenessMs);
    if (point !== undefined) return Promise.resolve(point);
    const reads = this.#reads ??= new GroupReads(this.id);
    const permitted = reads.add(this.#host.clock.nowMs() + timeoutMs);
    this.#hasWaiters();
    this.#wantsWork();
    return permitted;
  }

  /**
   * Reports whether a sole voter may serve its recovered state while its log takes no entry of its own
   * term. Everything in its log is durable, hence committed (a majority of one) and applied, and no
   * other replica can have committed anything since. Group time stands still meanwhile.
   */
  #mayReadRecovered(): boolean {
    return this.#isSole && this.#end === undefined && this.#appliedIndex >= this.#openedIndex &&
      this.#host.writeRefusal() !== undefined;
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
      appliedIndex: this.#appliedIndex,
      lastIndex: lastIndex as LogIndex,
      leader: this.#host.directory.nodeOf(lead) ?? 0,
    };
  }

  close(): void {
    this.#ends("closed");
  }

  // The interface for operating the cluster.

  /** Transfers leadership to another voter; a follower asks its leader to do so. */
  transferLeader(replica: number): TransferResult {
    let result: TransferResult = "no_leader";
    this.#guarded(() => result = this.#node.transferLeader(replica));
    this.#wantsWork();
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
    this.#guarded(() => result = this.#node.campaign());
    this.#wantsWork();
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
    return this.#configuration;
  }

  /** The number of entries appended since the group was opened. */
  get entriesAppended(): number {
    return this.#node.lastIndex - this.#openedIndex;
  }

  /** Replaces the log up to the applied index by an image of the state, then calls `done`. */
  writeImage(done: LogDone): void {
    // A broken invariant may have left half a change, which must not become durable; and an older
    // image must not overtake one from a leader that is being installed.
    if (this.#end !== undefined) return done(endedError(this.id, this.#end));
    if (this.#images?.isInstalling) {
      return done(overloadedError(`Group ${this.id} is installing an image`));
    }
    const point: ImagePoint = {
      index: this.#appliedIndex,
      term: this.#appliedTerm,
      configuration: encodeConfiguration(this.#configuration),
    };
    const refusal = this.#host.log.writeImage(this.id, point, this.#machine.writeImage(), done);
    if (refusal !== undefined) done(refusal);
  }

  // The interface to the set of groups.

  get wantsTicks(): boolean {
    if (this.#end !== undefined || (this.#isAlone && this.#leadership.term !== 0)) return false;
    return !this.#support.maySleep(this.#node);
  }

  get isSole(): boolean {
    return this.#isSole;
  }

  tick(): void {
    this.#guarded(() => {
      this.#node.tick();
      if (this.#node.role === "leader") this.#support.tickLeader(this.#node);
    });
    this.#wantsWork();
  }

  step(message: Message): StepResult | "closed" {
    let result: StepResult | "closed" = "closed";
    this.#guarded(() => result = this.#node.step(message));
    this.#wantsWork();
    return result;
  }

  stepSnapshot(message: Message, snapshot: Snapshot): StepResult | "closed" {
    if (this.#end !== undefined) return "closed";
    if (snapshot.index > this.#node.committed) {
      const images = this.#images ??= new GroupImages(this.#host, this);
      // Once the other image is durable, the leader learns what this replica lacks and sends again.
      if (images.isTaking) return "overloaded";
      images.read(snapshot, this.#machine);
    }
    return this.step(message);
  }

  fortify(reply: Message, epoch: number): boolean {
    return this.#end === undefined && this.#support.fortify(reply, this.#node, epoch);
  }

  fortified(reply: Message, run: number, epoch: number): void {
    if (this.#end !== undefined) return;
    this.#support.fortified(reply, run, epoch);
    this.#wantsWork();
  }

  supportEnded(node: NodeId): void {
    let isConcerned = false;
    this.#guarded(() => isConcerned = this.#support.leaderLost(this.#node, node));
    if (isConcerned) this.#wantsWork();
  }

  sweep(nowMs: number, askAnewBeforeMs: number): boolean {
    if (this.#end !== undefined) return false;
    this.#proposals.expire(nowMs);
    const reads = this.#reads;
    if (reads !== undefined) {
      reads.expire(nowMs);
      // A leader's own requests are confirmed by the next heartbeats, or dropped.
      if (this.#leadership.term === 0) reads.askAnew(askAnewBeforeMs);
      if (reads.areWanted) this.#wantsWork();
    }
    this.#isSwept = this.#proposals.count + (reads?.count ?? 0) > 0;
    return this.#isSwept;
  }

  retryStorage(): void {
    this.#storage.retry();
  }

  peerLost(isOnNode: (replica: number) => boolean): void {
    if (this.#end !== undefined || this.#leadership.term === 0) return;
    const { voters, votersOutgoing, learners } = this.#configuration;
    for (const members of [voters, votersOutgoing, learners]) {
      for (const member of members) if (isOnNode(member)) this.#node.reportUnreachable(member);
    }
  }

  logRefuses(): void {
    if (this.#mayReadRecovered()) this.#reads?.permitAll(this.#point);
  }

  /**
   * Ends the group if other voters can replace its leader; a sole voter keeps serving reads of durable
   * data.
   */
  logPoisoned(error: RegistryError): void {
    if (this.#end !== undefined) return;
    this.#proposals.answerAll(error);
    if (!this.#isSole) this.#ends("given_up");
  }

  work(): void {
    if (this.#end !== undefined) return;
    this.#isWorking = true;
    try {
      this.#work();
    } catch (error) {
      this.#quarantine(error);
    }
    this.#isWorking = false;
  }

  // One step.

  #work(): void {
    if (this.#reads !== undefined) this.#askReads(this.#reads);
    for (let round = 0; round < GROUP_ROUNDS_MAX && this.#node.hasReady(); round++) {
      this.#do(this.#node.ready());
      this.#storage.release();
      if (this.#end !== undefined) return;
    }
    this.#images?.discardRead();
    if (this.#node.hasReady()) this.#host.wantsTurn(this);
  }

  /** Schedules work; a group without other members works at once. */
  #wantsWork(): void {
    if (this.#isAlone && !this.#isWorking) this.work();
    else this.#host.wantsTurn(this);
  }

  #do(ready: Ready): void {
    for (const { sequence } of ready.readsDropped) {
      this.#reads?.dropped(sequence, this.#notLeader());
    }
    for (const { token, index } of ready.readStates) this.#reads?.confirmed(token.sequence, index);
    if (ready.snapshot !== undefined) this.#images?.beginInstall(ready.snapshot);
    for (const message of ready.messages) {
      switch (message.type) {
        case "storage_append":
          this.#storage.order(message);
          break;
        case "storage_apply":
          this.#apply(message);
          break;
        case "snapshot":
          this.#sendSnapshot(message);
          break;
        default:
          this.#host.send(this, message);
      }
    }
    this.#reads?.permit(this.#point);
  }

  /** Delivers the responses of a durable order, to this core and to other replicas. */
  #stored({ responses }: Message): void {
    if (this.#end !== undefined) return;
    try {
      for (const response of responses) {
        if (response.to === this.replica) this.#node.stepOwn(response);
        else this.#host.send(this, response);
      }
      this.#noticeRole();
    } catch (error) {
      return this.#quarantine(error);
    }
    if (!this.#isWorking) this.#wantsWork();
  }

  /** Applies an entry of the fast path, which is durable and so committed, unless the core changed. */
  #storedAlone(entry: Entry): void {
    if (this.#end !== undefined) return;
    try {
      if (this.#node.wroteAlone(entry)) {
        this.#applyEntry(entry);
        this.#node.appliedAlone(entry);
        this.#letGo();
        this.#reads?.permit(this.#point);
      }
    } catch (error) {
      return this.#quarantine(error);
    }
    if (!this.#isWorking && this.#node.hasReady()) this.#wantsWork();
  }

  #storageFailed(error: RegistryError): void {
    // No other replica can make these durable; their outcome is unknown until the log takes writes.
    if (this.#isSole) this.#proposals.answerAll(error);
    this.#host.isBlocked(this);
  }

  // Applying.

  #apply({ entries, responses }: Message): void {
    for (const entry of entries) this.#applyEntry(entry);
    for (const response of responses) this.#node.stepOwn(response);
    this.#letGo();
  }

  #applyEntry({ index, term, kind, data }: Entry): void {
    let outcome: unknown;
    if (kind !== "normal") {
      outcome = this.#node.applyConfChange(decodeConfChange(data), index);
      this.#configured(outcome as Configuration);
      this.#storage.saveCommit(index);
    } else if (data.length > 0) {
      const leaderNowMs = this.#leadership.isServing ? this.timeMs() : 0;
      outcome = this.#machine.apply(index as LogIndex, term as Term, data, leaderNowMs);
    }
    this.#advance(index, term);
    if (!this.#leadership.isServing && term === this.#leadership.term) this.#serve();
    this.#proposals.applied(index, term, outcome);
  }

  #advance(index: number, term: number): void {
    this.#appliedIndex = index as LogIndex;
    this.#appliedTerm = term as Term;
    this.#point = { appliedIndex: this.#appliedIndex, term: this.#appliedTerm, ageBoundMs: 0 };
  }

  #configured(configuration: Configuration): void {
    this.#configuration = configuration;
    this.#isSole = isSoleVoter(configuration, this.replica);
    const wasAlone = this.#isAlone;
    this.#isAlone = this.#isSole && configuration.learners.length === 0;
    // The set must check whether ticks are needed: messages to the first other member may be lost.
    if (wasAlone !== this.#isAlone) this.#host.wantsTurn(this);
    // A removed leader no longer leads.
    this.#noticeRole();
    this.#support.configured(configuration, this.#leadership.term);
  }

  /** Compacts applied entries that no member needs. */
  #letGo(): void {
    const log = this.#replicaLog;
    if (this.#isAlone) return log.compactTo(this.#appliedIndex);
    if (log.byteCount <= REPLICA_LOG_BYTES) return;
    const excess = log.excessIndex(REPLICA_LOG_BYTES);
    const needed = log.byteCount <= REPLICA_LOG_BYTES_MAX ? this.#matchedIndex() : Infinity;
    log.compactTo(Math.min(this.#appliedIndex, excess, needed));
  }

  /**
   * Returns the index up to which every reachable member has the log, or gets it by an image. Without
   * ticks the core never notices that a member is silent, so node liveness is checked as well.
   */
  #matchedIndex(): number {
    let index = Infinity;
    for (const { id, match, pendingSnapshot, recentActive } of this.#node.status().members) {
      if (id === this.replica || !recentActive || !this.#support.isCountedOn(id)) continue;
      index = Math.min(index, Math.max(match, pendingSnapshot));
    }
    return index;
  }

  // Leading.

  /** Called after each step: begins and ends the state of one term of leadership. */
  #noticeRole(): void {
    if (!this.#leadership.follow(this.#node)) return;
    // A group that works in the calling turn still needs a turn, in which the set checks its ticks.
    if (this.#isAlone) this.#host.wantsTurn(this);
    this.#support.leads(this.#leadership.term);
    this.#proposals.leadershipLost();
    this.#leadership.retire();
  }

  /** Begins to serve: an entry of the led term is applied, and so are all before it. */
  #serve(): void {
    this.#leadership.serve();
    if (this.#isSole) this.#reads?.permitAll(this.#point);
  }

  #propose<Result>(
    timeoutMs: number,
    propose: () => ProposeResult,
  ): Promise<Proposed<Result>> {
    const refusal = this.#proposalRefusal();
    if (refusal !== undefined) return refused(refusal);
    let result: ProposeResult = "no_leader";
    this.#guarded(() => result = propose());
    if (this.#end !== undefined) return refused(endedError(this.id, this.#end));
    const error = proposalError(this.id, result, () => this.#notLeader());
    if (error !== undefined) return refused(error);
    const { lastIndex: index, term } = this.#node;
    const proposed = this.#outcomeOf<Result>({ index, term }, timeoutMs);
    this.#wantsWork();
    return proposed;
  }

  /** The fast path of a group without other members; undefined if the command must be proposed. */
  #proposeAlone<Result>(
    command: Uint8Array,
    timeoutMs: number,
  ): Promise<Proposed<Result>> | undefined {
    if (!this.#isAlone || this.#proposalRefusal() !== undefined) return undefined;
    let entry: Entry | undefined;
    this.#guarded(() => entry = this.#node.appendAlone(command));
    if (entry === undefined) return undefined;
    const proposed = this.#outcomeOf<Result>(entry, timeoutMs);
    this.#storage.append(entry);
    return proposed;
  }

  #outcomeOf<Result>(
    { index, term }: Pick<Entry, "index" | "term">,
    timeoutMs: number,
  ): Promise<Proposed<Result>> {
    const deadlineMs = this.#host.clock.nowMs() + timeoutMs;
    const proposed = this.#proposals.add<Result>({ index, term, deadlineMs });
    this.#hasWaiters();
    return proposed;
  }

  #hasWaiters(): void {
    if (this.#isSwept) return;
    this.#isSwept = true;
    this.#host.hasWaiters(this);
  }

  // Reading.

  #askReads(reads: GroupReads): void {
    if (!reads.areWanted) return;
    const point = this.readPoint(0);
    if (point !== undefined) return reads.permitAll(point);
    const isCovered = this.#leadership.isServing && this.#support.hasLease(this.#node);
    if (isCovered) return reads.covered(this.#node.committed);
    const asked = this.#node.readIndex();
    // Without a leader, or with too many waiting, the next sweep asks for them again.
    if (asked.result === "accepted") {
      reads.asked(asked.token.sequence, this.#host.clock.nowMs());
    }
  }

  // Images.

  #makeSnapshot(): Snapshot | undefined {
    if (this.#appliedIndex === 0) return undefined;
    this.#images ??= new GroupImages(this.#host, this);
    const data = this.#images.make(this.#machine);
    if (data === undefined) return undefined;
    const configuration = this.#configuration;
    return { index: this.#appliedIndex, term: this.#appliedTerm, configuration, data };
  }

  #sendSnapshot(message: Message): void {
    this.#images?.send(message, (delivered) => {
      if (this.#node.term !== message.term) return;
      this.#guarded(() => {
        this.#node.reportSnapshot(message.to, delivered ? "arrived" : "failed");
      });
      this.#wantsWork();
    });
  }

  /** Makes a durable snapshot, which replaced the whole log, the state. */
  #installed({ index, term, configuration }: Snapshot): void {
    this.#images?.install();
    this.#advance(index, term);
    this.#configured(configuration);
    this.#proposals.overtaken(index);
  }

  // Refusals and ends.

  #roleShown(): GroupStatus["role"] {
    if (this.#end !== undefined) return this.#end === "closed" ? "closed" : "failed";
    if (this.#leadership.isServing) return "leader";
    return this.#node.role === "follower" && this.#node.lead !== 0 ? "follower" : "starting";
  }

  #proposalRefusal(): RegistryError | undefined {
    if (this.#end !== undefined) return endedError(this.id, this.#end);
    if (this.#leadership.term === 0) {
      // A sole voter that does not lead yet waits for the log, so the log's refusal is the reason.
      return (this.#isSole ? this.#host.writeRefusal() : undefined) ?? this.#notLeader();
    }
    const { count } = this.#proposals;
    if (count >= GROUP_PROPOSALS_MAX) {
      return overloadedError(`Group ${this.id} has ${count} commands in progress, its limit`);
    }
    return this.#host.writeRefusal() ?? this.#storage.blocked;
  }

  #notLeader(): RegistryError {
    const leader = this.#host.directory.nodeOf(this.#node.lead);
    const known = leader === this.#host.nodeId ? undefined : leader;
    return notLeaderError(this.id, known, this.#node.term);
  }

  /** Runs one step of the core; an exception ends this group. */
  #guarded(run: () => void): void {
    if (this.#end !== undefined) return;
    try {
      run();
      this.#noticeRole();
    } catch (error) {
      this.#quarantine(error);
    }
  }

  #quarantine(error: unknown): void {
    const replica = this.#node.status();
    this.#ends("failed");
    this.#host.logger.error("A group broke an invariant and was stopped", {
      group: this.id,
      error,
      replica,
      appliedIndex: this.#appliedIndex,
    });
    this.#host.failed(this, error);
  }

  #ends(end: GroupEnd): void {
    if (this.#end === "closed" || this.#end === "failed") return;
    this.#end = end;
    this.#leadership.end();
    this.#storage.close();
    this.#support.close();
    this.#proposals.answerAll(openProposalError(this.id, end));
    this.#reads?.refuseAll(endedError(this.id, end));
    this.#images?.close();
  }
}

function refused(error: RegistryError): Promise<{ ok: false; error: RegistryError }> {
  return Promise.resolve({ ok: false, error });
}
