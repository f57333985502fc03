/**
 * One group's loop: what happens to it is told to its core, and what the core wants done is done, in
 * one step at a time. Entries and votes go to the shared log, messages to other nodes, committed
 * entries to the state machine; their answers go back to the core.
 *
 * Events (a proposal, a message, a tick, a write that is durable) only change the core and ask for a
 * turn; all work is done in {@link RaftGroup.work}, so that everything that happened in a turn is one
 * step. A broken invariant ends this group and no other.
 * Sources: `src/raft/DESIGN.md` (what the owner owes), Raft thesis §3.8, §6.4, §8, §10.2.1.
 */
import { assert } from "../base/assert.ts";
import { concatBytes } from "../base/bytes.ts";
import { RegistryError } from "../base/errors.ts";
import type { GroupId, GroupTimeMs, LogIndex, NodeId, ReplicaId, Term } from "../base/ids.ts";
import {
  GROUP_PROPOSALS_MAX,
  GROUP_RETRY_MS,
  GROUP_ROUNDS_MAX,
  RANK_TICKS,
  REPLICA_LOG_BYTES,
  REPLICA_LOG_BYTES_MAX,
  WAL_ENTRY_BYTES_MAX,
} from "../base/limits.ts";
import type { Fortification, Leader } from "../liveness/mod.ts";
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
import type { GroupHost, HostedGroup } from "./group_host.ts";
import type { Group, GroupStatus, Proposed, ReadPoint } from "./group_interface.ts";
import { GroupProposals } from "./group_proposals.ts";
import { GroupReads } from "./group_reads.ts";
import { GroupStorage } from "./group_storage.ts";
import { configurationAfter, encodeConfiguration, isSoleVoter } from "./log_entry.ts";
import { ReplicaLog, type ReplicaLogStart } from "./replica_log.ts";
import type { PreparedImage, StateMachine } from "./state_machine.ts";

/** What a group starts from: how recovery left it. */
export interface GroupStart<Outcome> {
  readonly id: GroupId;
  readonly replica: ReplicaId;
  readonly machine: StateMachine<Outcome>;
  /** Where recovery left the machine. */
  readonly appliedIndex: LogIndex;
  readonly appliedTerm: Term;
  readonly log: ReplicaLogStart;
}

/** One group on this node. */
export class RaftGroup<Outcome> implements Group<Outcome>, HostedGroup {
  readonly id: GroupId;
  /** This node's replica. */
  readonly replica: ReplicaId;
  readonly #host: GroupHost;
  readonly #machine: StateMachine<Outcome>;
  readonly #replicaLog: ReplicaLog;
  readonly #storage: GroupStorage;
  readonly #node: RaftNode;
  readonly #promises: Fortification;
  /** The replica as its lease sees it. */
  readonly #asLeader: Leader;
  readonly #proposals: GroupProposals;
  readonly #reads: GroupReads;
  readonly #openedIndex: number;
  #state: "running" | "given_up" | "failed" | "closed" = "running";
  #configuration: Configuration;
  #isSole: boolean;
  /** Neither voters nor learners beside this replica. */
  #isAlone: boolean;
  #appliedIndex: LogIndex;
  #appliedTerm: Term;
  #point: ReadPoint;
  /** The term that this replica leads, as of its last turn or proposal; 0: none. */
  #ledTerm = 0;
  /** The term in which this replica leads and has applied an entry of it; 0: none. */
  #servingTerm = 0;
  /** Ticks since a quorum's support was lost that this leader had; -1: it never had it. */
  #unsupportedTicks = -1;
  #timeBaseMs = 0;
  #timeSinceMs = 0;
  /** An image that was read and that the core has not handed out yet. */
  #prepared: { readonly snapshot: Snapshot; readonly image: PreparedImage } | undefined;
  /** The one that the core handed out, on its way to the disk. */
  #installing: PreparedImage | undefined;
  #imagePlaces = 0;
  /** The snapshot sent last to each member: what is reported of an earlier one says nothing. */
  readonly #snapshotsSent = new Map<number, number>();

  constructor(host: GroupHost, start: GroupStart<Outcome>) {
    this.id = start.id;
    this.replica = start.replica;
    this.#host = host;
    this.#machine = start.machine;
    this.#appliedIndex = start.appliedIndex;
    this.#appliedTerm = start.appliedTerm;
    this.#configuration = start.log.configuration;
    this.#isSole = isSoleVoter(this.#configuration, this.replica);
    this.#isAlone = this.#isSole && this.#configuration.learners.length === 0;
    this.#promises = host.liveness.addGroup(start.id, start.replica);
    host.liveness.configured(start.id, this.#configuration);
    this.#replicaLog = new ReplicaLog(start.log, () => this.#makeSnapshot());
    this.#storage = new GroupStorage(start.id, {
      log: host.log,
      replicaLog: this.#replicaLog,
      owner: {
        isSole: () => this.#isSole,
        installed: (snapshot) => this.#guarded(() => this.#installed(snapshot)),
        stored: (order) => this.#guarded(() => this.#stored(order)),
        failed: (error) => this.#storageFailed(error),
      },
    });
    this.#node = new RaftNode({
      id: start.replica,
      storage: this.#replicaLog,
      settings: host.raft,
      applied: start.appliedIndex,
      support: this.#promises,
    });
    const node = this.#node;
    const configuration = () => this.#configuration;
    this.#asLeader = {
      get term() {
        return node.term;
      },
      get configuration() {
        return configuration();
      },
      isLeaseAllowed: () => node.isLeaseAllowed(),
    };
    this.#proposals = new GroupProposals(start.id);
    this.#reads = new GroupReads(start.id);
    this.#openedIndex = this.#node.lastIndex;
    this.#point = { appliedIndex: this.#appliedIndex, term: this.#appliedTerm, ageBoundMs: 0 };
  }

  // As the rest of the node sees it.

  propose(command: Uint8Array, timeoutMs: number): Promise<Proposed<Outcome>> {
    const { length } = command;
    if (length === 0 || length > WAL_ENTRY_BYTES_MAX) {
      return refusedLater(
        new RegistryError(
          "too_large",
          `Command must have 1 to ${WAL_ENTRY_BYTES_MAX} bytes: it has ${length}`,
        ),
      );
    }
    return this.#propose<Outcome>(timeoutMs, () => this.#node.propose(command));
  }

  /** Proposes a change of the configuration; settles with the one it led to. */
  proposeConfChange(change: ConfChange, timeoutMs: number): Promise<Proposed<Configuration>> {
    if (this.#node.role === "leader" && !this.#supportsChange(change)) {
      return refusedLater(overloaded(`Group ${this.id} waits for the new voters' support`));
    }
    return this.#propose<Configuration>(timeoutMs, () => this.#node.proposeConfChange(change));
  }

  readPoint(_maxStalenessMs: number): ReadPoint | undefined {
    return this.#mayServe() ? this.#point : undefined;
  }

  readBarrier(
    maxStalenessMs: number,
    timeoutMs: number,
  ): Promise<ReadPoint | RegistryError> {
    const refused = this.#refusal();
    if (refused !== undefined) return Promise.resolve(refused);
    const point = this.readPoint(maxStalenessMs);
    if (point !== undefined) return Promise.resolve(point);
    this.#host.hasWaiters(this);
    this.#host.wantsTurn(this);
    return this.#reads.add(this.#host.clock.nowMs() + timeoutMs);
  }

  timeMs(): GroupTimeMs {
    if (!this.#isServing()) return this.#machine.timeMs;
    const runMs = this.#host.clock.nowMs() - this.#timeSinceMs;
    return Math.floor(this.#timeBaseMs + runMs) as GroupTimeMs;
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
    this.#end("closed");
  }

  // As whoever runs the cluster sees it.

  /** Hands leadership to another voter; a follower asks its leader to. */
  transferLeader(replica: number): TransferResult {
    if (this.#state !== "running") return "no_leader";
    const result = this.#node.transferLeader(replica);
    this.#host.wantsTurn(this);
    return result;
  }

  /** Starts an election now. */
  campaign(): CampaignResult {
    if (this.#state !== "running") return "not_promotable";
    const result = this.#node.campaign();
    this.#host.wantsTurn(this);
    return result;
  }

  /** The replica as its core has it. */
  raftStatus(): RaftStatus {
    return this.#node.status();
  }

  /** The term of an entry of its log, as far as that is in memory; undefined: it is not. */
  entryTerm(index: number): number | undefined {
    return this.#node.entryTerm(index);
  }

  /** Who belongs to the group, as far as this replica has applied it. */
  get configuration(): Configuration {
    return this.#configuration;
  }

  /** Entries that were appended since it was opened. */
  get entriesAppended(): number {
    return this.#node.lastIndex - this.#openedIndex;
  }

  /** Replaces the log up to the applied index by an image of the state; `done` tells how it went. */
  writeImage(done: LogDone): void {
    // A broken invariant may have left half a change, which must not become durable; and an image
    // that is on its way from a leader must not be overtaken by an older one.
    if (this.#state !== "running" || this.#installing !== undefined) {
      return done(this.#refusal() ?? overloaded(`Group ${this.id} takes an image`));
    }
    const point: ImagePoint = {
      index: this.#appliedIndex,
      term: this.#appliedTerm,
      configuration: encodeConfiguration(this.#configuration),
    };
    const refused = this.#host.log.writeImage(this.id, point, this.#machine.writeImage(), done);
    if (refused !== undefined) done(refused);
  }

  // As the set of groups sees it.

  /**
   * Whether time has to be told to it. Not to a leader to whom nobody owes anything, nor to a follower
   * that promised to wait for its leader as long as that node is supported.
   */
  get wantsTicks(): boolean {
    if (this.#state !== "running") return false;
    const { role, lead, term } = this.#node;
    if (role === "leader") return !this.#isAlone && !this.#maySleep();
    return !(this.#host.liveness.mayVote() && this.#promises.isBound(lead, term));
  }

  /** Whether it decides alone, and so may lead at once. */
  get isSole(): boolean {
    return this.#isSole;
  }

  /** How many proposals and reads wait. */
  get waiting(): number {
    return this.#proposals.count + this.#reads.count;
  }

  /** One tick of the set's clock. */
  tick(): void {
    if (this.#state !== "running") return;
    this.#guarded(() => {
      this.#node.tick();
      if (this.#node.role === "leader") this.#watchSupport();
    });
    this.#host.wantsTurn(this);
  }

  fortify(reply: Message, epoch: number): boolean {
    return this.#state === "running" && this.#promises.fortify(reply, this.#node, epoch);
  }

  fortified({ from: replica, term }: Message, run: number, epoch: number): void {
    if (this.#state !== "running") return;
    this.#promises.fortified({ replica, term, run, epoch });
    this.#host.wantsTurn(this);
  }

  /** Its voters campaign one after another, beginning with another one in each group. */
  supportEnded(node: NodeId): void {
    const { role, lead } = this.#node;
    if (this.#state !== "running" || role !== "follower" || lead === 0) return;
    if (this.#host.directory.nodeOf(lead) !== node) return;
    const others = this.#configuration.voters.filter((voter) => voter !== lead);
    const place = others.indexOf(this.replica);
    if (place === -1) return;
    const rank = (place + this.id) % others.length;
    if (rank === 0) this.campaign();
    else this.#node.setElectionTimeout(1 + rank * RANK_TICKS);
  }

  /** Takes a message that its sender may send; what became of it. */
  step(message: Message): StepResult | "closed" {
    if (this.#state !== "running") return "closed";
    let result: StepResult | "closed" = "closed";
    this.#guarded(() => result = this.#node.step(message));
    this.#host.wantsTurn(this);
    return result;
  }

  /**
   * Takes a snapshot, whose data is a whole image.
   *
   * @throws RegistryError `corrupt` where the image cannot be read; then nothing was done.
   */
  stepSnapshot(message: Message, snapshot: Snapshot): StepResult | "closed" {
    if (this.#state !== "running") return "closed";
    if (snapshot.index > this.#node.committed) {
      const image = this.#machine.readImage(snapshot.data);
      this.#prepared?.image.discard();
      this.#prepared = { snapshot, image };
    }
    return this.step(message);
  }

  /** Answers proposals and reads whose time is up, and asks anew for reads that got no answer. */
  sweep(nowMs: number, askAnewBeforeMs: number): void {
    if (this.#state !== "running") return;
    this.#proposals.expire(nowMs);
    this.#reads.expire(nowMs);
    // A leader's own requests are confirmed by the next heartbeats, or dropped.
    if (this.#node.role !== "leader") this.#reads.askAnew(askAnewBeforeMs);
    if (this.#reads.areWanted) this.#host.wantsTurn(this);
  }

  /** Tries again what the log refused; true when nothing is refused any more. */
  retryStorage(): boolean {
    this.#storage.retry();
    return this.#storage.blocked === undefined;
  }

  /** What was sent last to replicas of the node may be lost. */
  peerLost(isOnNode: (replica: number) => boolean): void {
    if (this.#state !== "running" || this.#node.role !== "leader") return;
    const { voters, votersOutgoing, learners } = this.#configuration;
    for (const members of [voters, votersOutgoing, learners]) {
      for (const member of members) if (isOnNode(member)) this.#node.reportUnreachable(member);
    }
  }

  /**
   * The log acknowledges nothing any more. A leader that others can replace stops; one that decides
   * alone goes on answering reads of what is durable.
   */
  logPoisoned(error: RegistryError): void {
    if (this.#state !== "running") return;
    this.#proposals.answerAll(error);
    if (this.#isSole) return;
    this.#end("given_up");
  }

  /** All that is due, in this turn. */
  work(): void {
    if (this.#state !== "running") return;
    this.#guarded(() => {
      this.#noticeRole();
      this.#askReads();
      for (let round = 0; round < GROUP_ROUNDS_MAX; round++) {
        if (this.#node.hasReady()) this.#do(this.#node.ready());
        this.#storage.release();
        if (this.#state !== "running" || !this.#node.hasReady()) break;
      }
      this.#discardPrepared();
      this.#letGo();
      if (this.#state === "running" && this.#node.hasReady()) this.#host.wantsTurn(this);
    });
  }

  // One step.

  #do(ready: Ready): void {
    this.#noticeRole();
    for (const { sequence } of ready.readsDropped) this.#reads.dropped(sequence, this.#notLeader());
    for (const { token, index } of ready.readStates) this.#reads.confirmed(token.sequence, index);
    if (ready.snapshot !== undefined) this.#beginInstall(ready.snapshot);
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
    this.#reads.permit(this.#point);
  }

  #apply(order: Message): void {
    for (const entry of order.entries) this.#applyEntry(entry);
    for (const response of order.responses) this.#node.stepOwn(response);
  }

  #applyEntry({ index, term, kind, data }: Entry): void {
    let outcome: unknown;
    if (kind !== "normal") {
      outcome = this.#node.applyConfChange(decodeConfChange(data), index);
      this.#configured(outcome as Configuration);
      this.#storage.saveCommit(index);
    } else if (data.length > 0) {
      const leaderNowMs = this.#isServing() ? this.timeMs() : 0;
      outcome = this.#machine.apply(index as LogIndex, term as Term, data, leaderNowMs);
    }
    this.#advance(index, term);
    if (term === this.#node.term && this.#node.role === "leader" && this.#servingTerm !== term) {
      this.#serve(term);
    }
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
    this.#isAlone = this.#isSole && configuration.learners.length === 0;
    this.#host.liveness.configured(this.id, configuration);
    // A leader that was removed leads no more.
    this.#noticeRole();
    if (this.#ledTerm !== 0) this.#promises.lead(this.#ledTerm, configuration);
  }

  /** An order of the core is durable: its answers may be given, here and to others. */
  #stored({ responses }: Message): void {
    for (const response of responses) {
      if (response.to === this.replica) this.#node.stepOwn(response);
      else this.#host.send(this, response);
    }
    if (this.#node.hasReady()) this.#host.wantsTurn(this);
  }

  #storageFailed(error: RegistryError): void {
    // Nobody else can make these durable; what becomes of them is not known until there is room.
    if (this.#isSole) this.#proposals.answerAll(error);
    this.#host.isBlocked(this);
  }

  /** Lets go of applied entries that nobody is waiting for. */
  #letGo(): void {
    const log = this.#replicaLog;
    if (this.#isAlone) return log.compactTo(this.#appliedIndex);
    if (log.byteCount <= REPLICA_LOG_BYTES) return;
    const excess = log.excessIndex(REPLICA_LOG_BYTES);
    const needed = log.byteCount <= REPLICA_LOG_BYTES_MAX ? this.#matchedIndex() : Infinity;
    log.compactTo(Math.min(this.#appliedIndex, excess, needed));
  }

  /** Up to where every member that is heard of holds the log, or gets it by an image. */
  #matchedIndex(): number {
    let index = Infinity;
    for (const { match, pendingSnapshot, recentActive } of this.#node.status().members) {
      if (recentActive) index = Math.min(index, Math.max(match, pendingSnapshot));
    }
    return index;
  }

  // Leading.

  #isServing(): boolean {
    const { role, term } = this.#node;
    return this.#servingTerm !== 0 && role === "leader" && term === this.#servingTerm;
  }

  /** Whether nobody else can lead now, so that the commit index here is that of the group. */
  #holdsLease(): boolean {
    if (this.#state !== "running" || !this.#isServing()) return false;
    return this.#isSole || this.#promises.hasLease(this.#asLeader, this.#host.liveness.nowMs());
  }

  /**
   * Whether a read of the applied state is linearizable now, without asking anybody. What is committed
   * and not applied here, because the own disk is slower than the others', a follower may have shown.
   */
  #mayServe(): boolean {
    return this.#holdsLease() && (this.#isSole || this.#appliedIndex >= this.#node.committed);
  }

  /** Whether this leader needs no ticks: nobody that lives lacks anything, and all of them promised. */
  #maySleep(): boolean {
    const { directory, liveness } = this.#host;
    if (!liveness.hasPeers || !this.#promises.hasQuorum(this.#node.term)) return false;
    let arePromised = true;
    const maySleep = this.#node.maySleep((replica) => {
      const node = directory.nodeOf(replica);
      const isLive = node !== undefined && liveness.isCountedOn(node);
      if (isLive && !this.#promises.isFortifiedBy(replica)) arePromised = false;
      return isLive;
    });
    return maySleep && arePromised;
  }

  /** Ends a leadership whose quorum's support is gone: the core alone hears of silence only. */
  #watchSupport(): void {
    if (this.#promises.hasQuorum(this.#node.term)) this.#unsupportedTicks = 0;
    else if (this.#unsupportedTicks >= 0) this.#unsupportedTicks++;
    if (this.#unsupportedTicks > this.#host.raft.electionTicks) this.#node.stepDown();
  }

  /** An entry of the term that this replica leads is applied, and so is all before it. */
  #serve(term: number): void {
    this.#servingTerm = term;
    this.#timeBaseMs = this.#machine.timeMs;
    this.#timeSinceMs = this.#host.clock.nowMs();
    this.#machine.onBecomeLeader(this.timeMs());
    if (this.#mayServe()) this.#reads.permitAll(this.#point);
  }

  /** Ends what belongs to a leadership that is over. */
  #noticeRole(): void {
    const { role, term } = this.#node;
    const ledTerm = role === "leader" ? term : 0;
    if (ledTerm === this.#ledTerm) return;
    this.#ledTerm = ledTerm;
    this.#unsupportedTicks = -1;
    // Before any message of the term leaves, and as soon as another may be elected.
    if (ledTerm === 0) this.#promises.stopLeading();
    else this.#promises.lead(ledTerm, this.#configuration);
    this.#proposals.leadershipLost();
    if (this.#servingTerm === 0) return;
    this.#servingTerm = 0;
    this.#machine.onLoseLeadership();
  }

  #propose<Result>(
    timeoutMs: number,
    propose: () => ProposeResult,
  ): Promise<Proposed<Result>> {
    const refused = this.#refusal() ?? this.#proposalRefusal();
    if (refused !== undefined) return refusedLater(refused);
    let result: ProposeResult = "no_leader";
    this.#guarded(() => {
      this.#noticeRole();
      result = propose();
    });
    const error = this.#refusal() ?? this.#errorOf(result);
    if (error !== undefined) return refusedLater(error);
    this.#host.hasWaiters(this);
    this.#host.wantsTurn(this);
    const { lastIndex: index, term } = this.#node;
    return this.#proposals.add<Result>({
      index,
      term,
      deadlineMs: this.#host.clock.nowMs() + timeoutMs,
    });
  }

  /** Whether the lease would stand on once the change is applied; where there is no lease, yes. */
  #supportsChange(change: ConfChange): boolean {
    if (!this.#host.areLeasesOn || change.changes.length === 0) return true;
    const next = configurationAfter(this.#configuration, change);
    // What cannot be is refused by the core, which says why.
    return typeof next === "string" || this.#promises.supportsIncoming(next);
  }

  // Reading.

  #askReads(): void {
    if (!this.#reads.areWanted) return;
    if (this.#mayServe()) return this.#reads.permitAll(this.#point);
    if (this.#holdsLease()) return this.#reads.covered(this.#node.committed);
    const asked = this.#node.readIndex();
    // Without a leader, or with too many waiting, they are asked for again at the next sweep.
    if (asked.result === "accepted") {
      this.#reads.asked(asked.token.sequence, this.#host.clock.nowMs());
    }
  }

  // Images.

  #makeSnapshot(): Snapshot | undefined {
    if (this.#appliedIndex === 0 || !this.#host.takeImagePlace()) return undefined;
    this.#imagePlaces++;
    return {
      index: this.#appliedIndex,
      term: this.#appliedTerm,
      configuration: this.#configuration,
      data: concatBytes(Array.from(this.#machine.writeImage(), (chunk) => chunk.slice())),
    };
  }

  #sendSnapshot(message: Message): void {
    const { to: member, term } = message;
    const number = (this.#snapshotsSent.get(member) ?? 0) + 1;
    this.#snapshotsSent.set(member, number);
    this.#host.sendSnapshot(this, message, (delivered) => {
      this.#giveImagePlaces(1);
      const isNewest = this.#snapshotsSent.get(member) === number;
      if (this.#state !== "running" || !isNewest || this.#node.term !== term) return;
      this.#node.reportSnapshot(member, delivered ? "arrived" : "failed");
      this.#host.wantsTurn(this);
    });
  }

  #giveImagePlaces(count: number): void {
    for (let given = 0; given < count && this.#imagePlaces > 0; given++) {
      this.#imagePlaces--;
      this.#host.giveImagePlace();
    }
  }

  #beginInstall(snapshot: Snapshot): void {
    assert(this.#prepared?.snapshot === snapshot, "A snapshot was taken that nobody read");
    assert(this.#installing === undefined, "Two images are on their way to the disk");
    this.#installing = this.#prepared.image;
    this.#prepared = undefined;
  }

  /** The snapshot is durable: from here on it is the state. */
  #installed({ index, term, configuration }: Snapshot): void {
    assert(this.#installing !== undefined, "An image was installed that nobody read");
    this.#installing.install();
    this.#installing = undefined;
    this.#advance(index, term);
    this.#configured(configuration);
    this.#proposals.overtaken(index);
  }

  /** An image that the core did not want. */
  #discardPrepared(): void {
    this.#prepared?.image.discard();
    this.#prepared = undefined;
  }

  // Refusals and ends.

  #roleShown(): GroupStatus["role"] {
    if (this.#state === "closed") return "closed";
    if (this.#state !== "running") return "failed";
    if (this.#isServing()) return "leader";
    return this.#node.role === "follower" && this.#node.lead !== 0 ? "follower" : "starting";
  }

  #refusal(): RegistryError | undefined {
    switch (this.#state) {
      case "running":
        return undefined;
      case "closed":
        return new RegistryError("shutting_down", `Group ${this.id} is closed`);
      case "given_up":
        return new RegistryError("storage_unavailable", `Group ${this.id} has lost its log`);
      case "failed":
        return new RegistryError("internal", `Group ${this.id} is quarantined: see the log`);
    }
  }

  #proposalRefusal(): RegistryError | undefined {
    if (this.#node.role !== "leader") return this.#notLeader();
    const { count } = this.#proposals;
    if (count >= GROUP_PROPOSALS_MAX) {
      return overloaded(`Group ${this.id} has ${count} commands under way, which is its limit`);
    }
    return this.#host.writeRefusal() ?? this.#storage.blocked;
  }

  #errorOf(result: ProposeResult): RegistryError | undefined {
    switch (result) {
      case "accepted":
        return undefined;
      case "no_leader":
      case "not_leader":
      case "not_member":
        return this.#notLeader();
      case "transferring":
        return overloaded(`Group ${this.id} hands its leadership over`);
      case "over_limit":
        return overloaded(`Group ${this.id} has too much that is not committed`);
      case "conf_change_ignored":
        return overloaded(`Group ${this.id} is changing its configuration`);
      case "conf_change_invalid":
        return new RegistryError("invalid_argument", "The configuration cannot be changed so", {
          field: "change",
        });
    }
  }

  #notLeader(): RegistryError {
    const leaderHint = this.#host.directory.nodeOf(this.#node.lead);
    if (leaderHint === undefined || leaderHint === this.#host.nodeId) {
      return new RegistryError("not_leader", `Group ${this.id} has no leader here yet`);
    }
    return new RegistryError("not_leader", `Group ${this.id} is led by node ${leaderHint}`, {
      leaderHint,
    });
  }

  /** Runs a part of this group's work; what it throws ends this group. */
  #guarded(run: () => void): void {
    if (this.#state !== "running") return;
    try {
      run();
    } catch (error) {
      const dump = this.#node.status();
      this.#end("failed");
      this.#host.logger.error("A group broke an invariant and does nothing more", {
        group: this.id,
        error,
        replica: dump,
        appliedIndex: this.#appliedIndex,
      });
      this.#host.failed(this, error);
    }
  }

  #end(state: "closed" | "failed" | "given_up"): void {
    if (this.#state === "closed" || this.#state === "failed") return;
    this.#state = state;
    this.#storage.close();
    this.#host.liveness.removeGroup(this.id);
    const error = this.#refusal()!;
    // What was proposed may be in the log, here or elsewhere: only `closed` reads as if it were not.
    this.#proposals.answerAll(state === "closed" ? outcomeUnknown(this.id) : error);
    this.#reads.refuseAll(error);
    this.#giveImagePlaces(this.#imagePlaces);
    this.#prepared?.image.discard();
    this.#installing?.discard();
    this.#prepared = this.#installing = undefined;
  }
}

function refusedLater(error: RegistryError): Promise<{ ok: false; error: RegistryError }> {
  return Promise.resolve({ ok: false, error });
}

function overloaded(message: string): RegistryError {
  return new RegistryError("overloaded", message, { retryAfterMs: GROUP_RETRY_MS });
}

function outcomeUnknown(id: GroupId): RegistryError {
  return new RegistryError(
    "connection_lost",
    `Group ${id} was closed before the command was applied: its outcome is not known`,
  );
}
