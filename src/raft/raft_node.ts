/**
 * One replica of one group: it takes ticks, messages and proposals, and returns a {@link Ready}.
 * Synchronous, pure and without a clock; nothing is sent, written or applied here.
 *
 * A thrown InvariantError means that this replica must not continue: its owner stops the group and
 * isolates it from the others. Invalid input from outside is answered with a code instead.
 */
import { assert } from "../base/assert.ts";
import { appendAlone, appliedAlone, wroteAlone } from "./alone.ts";
import type { ConfChange } from "./conf_change.ts";
import { confChangeEntry } from "./conf_change.ts";
import { Core, type ReplicaRole } from "./core.ts";
import { type CampaignResult, hup, tickElection } from "./election.ts";
import { forwardTransfer } from "./follower.ts";
import { HandedOut } from "./handed_out.ts";
import { inspect, type InspectRefusal, isOwnAnswer } from "./inspect.ts";
import { tickLeader } from "./leader.ts";
import type { Configuration, Entry, Message } from "./message.ts";
import { EMPTY_HARD_STATE, entriesBytes, hardStatesEqual, newMessage } from "./message.ts";
import { NO_REPLICA } from "./message.ts";
import { raftSettings } from "./options.ts";
import type { LeaderSupport, RaftOptions, RaftSettings } from "./options.ts";
import { type Proposal, proposeAsLeader, type ProposeResult } from "./proposal.ts";
import { type ReadResult, requestRead } from "./read_index.ts";
import type { Ready } from "./ready.ts";
import { storageAppend, storageAppendReply, storageApply, storageApplyReply } from "./ready.ts";
import { applyConfChange, restoreConfiguration } from "./reconfigure.ts";
import { broadcastAppend } from "./replication.ts";
import { becomeFollower } from "./roles.ts";
import { maySleep } from "./sleep.ts";
import { snapshotReported } from "./snapshot.ts";
import { type RaftStatus, raftStatus } from "./status.ts";
import { step, type StepOutcome } from "./step.ts";
import type { RaftStorage } from "./storage.ts";
import { isLeaseAllowed, transferLeadership } from "./transfer.ts";

/** The outcome of a message: accepted, or the reason for which it was not. */
export type StepResult = StepOutcome | InspectRefusal;

/**
 * The outcome of a transfer request; `accepted` means that the transfer started or was forwarded.
 */
export type TransferResult = "accepted" | "no_leader" | "unknown_member" | "learner";

/** The options to start one replica whose settings are shared by many. */
export interface RaftStart {
  readonly id: number;
  readonly storage: RaftStorage;
  readonly settings: RaftSettings;
  /** The applied index of a state machine that survived a restart. */
  readonly applied?: number;
  /** Node liveness as it concerns this replica's votes. */
  readonly support?: LeaderSupport;
}

/**
 * Returns the list to hand out in a Ready. The core goes on filling its own lists, so an empty one
 * is never handed out itself.
 */
function handedOut<T>(list: T[]): readonly T[] {
  return list.length === 0 ? NOTHING : list;
}

const NOTHING: readonly never[] = [];

/** One replica of one group. */
export class RaftNode {
  readonly #core: Core;
  readonly #last: HandedOut;
  /**
   * With synchronous writes: the replies that `advance` delivers to the core, while a Ready is
   * handed out.
   */
  #onAdvance: readonly Message[] | undefined;

  /** Recovers a replica from its storage, as a follower. */
  constructor({ id, storage, settings, applied, support }: RaftStart) {
    if (!Number.isSafeInteger(id) || id < 1) {
      throw new RangeError(`A replica id must be an integer from 1: found ${id}`);
    }
    const { hardState, configuration } = storage.initialState();
    const core = new Core(id, storage, settings, support);
    this.#core = core;
    restoreConfiguration(core, configuration, Math.max(core.log.applied, applied ?? 0));
    if (!hardStatesEqual(hardState, EMPTY_HARD_STATE)) {
      core.log.recoverCommit(hardState.commit);
      core.term = hardState.term;
      core.vote = hardState.vote;
    }
    if (applied !== undefined) {
      // Applied entries were committed, even if the hard state does not say so yet.
      core.log.recoverCommit(applied);
      core.log.appliedTo(applied, 0);
    }
    if (!settings.skipConfChangeChecks) core.log.recoverConfChanges();
    becomeFollower(core, core.term, NO_REPLICA);
    this.#last = new HandedOut(core);
  }

  /** Starts one replica that does not share its settings. */
  static start(options: RaftOptions): RaftNode {
    const { id, storage, applied, support } = options;
    return new RaftNode({
      id,
      storage,
      settings: raftSettings(options),
      ...(applied === undefined ? {} : { applied }),
      ...(support === undefined ? {} : { support }),
    });
  }

  /** Advances the replica by one tick of the owner's clock. A sleeping group gets none. */
  tick(): void {
    if (this.#core.role === "leader") tickLeader(this.#core);
    else tickElection(this.#core);
  }

  /** Starts an election now. */
  campaign(): CampaignResult {
    return hup(this.#core, "timeout");
  }

  /**
   * Proposes entries, all or none; each becomes one entry of the log. The bytes must not be changed
   * afterwards.
   */
  propose(...data: readonly Uint8Array[]): ProposeResult {
    assert(data.length > 0, "A proposal must hold at least one entry");
    return this.#propose(data.map((bytes) => ({ kind: "normal", data: bytes })));
  }

  /**
   * Appends an entry by the fast path of `alone.ts`: with asynchronous writes, for a leader without
   * other members. The owner writes the entry in its order among the storage messages, and reports
   * it by {@link wroteAlone}. Returns undefined if nothing was done; the entry must then be
   * proposed.
   */
  appendAlone(data: Uint8Array): Entry | undefined {
    return this.#core.settings.asyncStorageWrites ? appendAlone(this.#core, data) : undefined;
  }

  /**
   * Records that an entry of {@link appendAlone} is durable. Returns true if the owner must apply
   * it now and report that by {@link appliedAlone}; no other replica needs the commit index.
   * Returns false if a `Ready` says what comes next.
   */
  wroteAlone(entry: Entry): boolean {
    const isToBeApplied = wroteAlone(this.#core, entry);
    if (isToBeApplied) this.#last.noteHardState(this.#core);
    return isToBeApplied;
  }

  /** Records that an entry is applied for which {@link wroteAlone} returned true. */
  appliedAlone(entry: Entry): void {
    appliedAlone(this.#core, entry);
  }

  /** Proposes a configuration change; with `v1`, as a single change that is never joint. */
  proposeConfChange(change: ConfChange, options: { readonly v1?: boolean } = {}): ProposeResult {
    return this.#propose([confChangeEntry(change, options.v1 === true)]);
  }

  #propose(proposals: readonly Proposal[]): ProposeResult {
    // A leader appends it directly; a message is needed only if it may have to be forwarded.
    if (this.#core.role === "leader") return proposeAsLeader(this.#core, proposals);
    const message = newMessage("propose", this.#core.id);
    message.from = this.#core.id;
    message.entries = proposals.map(({ kind, data }): Entry => ({ term: 0, index: 0, kind, data }));
    // Only reads are ever refused as too many.
    return step(this.#core, message) as ProposeResult;
  }

  /**
   * Applies the committed change of the entry at `index`. The owner calls it for each such entry,
   * before it applies the following entries, and keeps the result for its snapshots. A change that
   * a snapshot has overtaken has no effect.
   */
  applyConfChange(change: ConfChange, index: number): Configuration {
    return applyConfChange(this.#core, change, index);
  }

  /** Handles a message of another replica. The owner must have checked its `from`. */
  step(message: Message): StepResult {
    return inspect(this.#core, message) ?? step(this.#core, message);
  }

  /**
   * Handles a reply carried by a `storage_append` or a `storage_apply` message, once its work is
   * done; with asynchronous writes only. Messages from outside must not be passed here.
   */
  stepOwn(message: Message): void {
    assert(this.#core.settings.asyncStorageWrites, "stepOwn needs asyncStorageWrites: use advance");
    assert(
      isOwnAnswer(this.#core, message),
      () => `${message.type} is no reply of this replica's storage`,
    );
    step(this.#core, message);
  }

  /** Reports whether {@link ready} would hold anything. */
  hasReady(): boolean {
    const core = this.#core;
    const { log } = core;
    return core.messages.length > 0 || core.messagesAfterAppend.length > 0 ||
      this.#last.isSoftStateNew(core) ||
      log.unstable.hasNextEntries || log.unstable.nextSnapshot() !== undefined ||
      log.hasNextCommitted(this.#appliesUnstable) || core.readStates.length > 0 ||
      core.readsDropped.length > 0 || this.#last.isHardStateNew(core);
  }

  /** With synchronous writes, entries are written before they are applied, in the same turn. */
  get #appliesUnstable(): boolean {
    return !this.#core.settings.asyncStorageWrites;
  }

  /** Hands out all pending work; it must be done in the order described at {@link Ready}. */
  ready(): Ready {
    assert(this.#onAdvance === undefined, "The last Ready must be advanced before the next one");
    const ready = this.#collect();
    ready.messages = this.#core.settings.asyncStorageWrites
      ? this.#withStorageMessages(ready)
      : this.#withWaitingMessages(ready);
    this.#accept(ready);
    return ready;
  }

  #collect(): Ready & { messages: readonly Message[] } {
    const core = this.#core;
    const { lead, role, log } = core;
    const last = this.#last;
    const entries = log.unstable.nextEntries();
    return {
      softState: last.isSoftStateNew(core) ? { lead, role } : undefined,
      hardState: last.isHardStateNew(core) ? core.hardState() : undefined,
      readStates: handedOut(core.readStates),
      readsDropped: handedOut(core.readsDropped),
      entries,
      snapshot: log.unstable.nextSnapshot(),
      committedEntries: log.nextCommitted(this.#appliesUnstable),
      messages: handedOut(core.messages),
      mustSync: entries.length > 0 || last.isVoteNew(core),
    };
  }

  #withStorageMessages(ready: Ready): readonly Message[] {
    const append = storageAppend(this.#core, ready);
    const apply = storageApply(this.#core, ready);
    const { messages } = this.#core;
    if (messages.length === 0) {
      if (append === undefined) return apply === undefined ? NOTHING : [apply];
      return apply === undefined ? [append] : [append, apply];
    }
    // The core begins a new list with each Ready.
    if (append !== undefined) messages.push(append);
    if (apply !== undefined) messages.push(apply);
    return messages;
  }

  /**
   * With synchronous writes: adds messages to others that wait for this Ready's writes, and keeps
   * those to this replica for `advance`.
   */
  #withWaitingMessages(ready: Ready): readonly Message[] {
    const core = this.#core;
    const others: Message[] = [];
    const own: Message[] = [];
    for (const message of core.messagesAfterAppend) {
      (message.to === core.id ? own : others).push(message);
    }
    const append = storageAppendReply(core, ready);
    if (append !== undefined) own.push(append);
    const apply = storageApplyReply(core, ready.committedEntries);
    if (apply !== undefined) own.push(apply);
    this.#onAdvance = own.length === 0 ? NOTHING : own;
    return others.length === 0 ? ready.messages : [...ready.messages, ...others];
  }

  #accept(ready: Ready): void {
    const core = this.#core;
    this.#last.note(core);
    if (core.readStates.length > 0) core.readStates = [];
    if (core.readsDropped.length > 0) core.readsDropped = [];
    if (core.reads !== undefined) core.reads.roundOpen = false;
    core.beginMessages();
    core.log.unstable.acceptInProgress();
    const committed = ready.committedEntries;
    const last = committed.at(-1);
    if (last === undefined) return;
    core.log.acceptApplying(last.index, entriesBytes(committed), this.#appliesUnstable);
  }

  /**
   * Reports that the last Ready is done, and durable where required; with synchronous writes only.
   */
  advance(): void {
    assert(
      !this.#core.settings.asyncStorageWrites,
      "advance must not be called with asyncStorageWrites",
    );
    const messages = this.#onAdvance;
    assert(messages !== undefined, "There is no Ready to advance");
    this.#onAdvance = undefined;
    for (const message of messages) step(this.#core, message);
  }

  /** Requests an index at which a linearizable read may be served; see `Ready.readStates`. */
  readIndex(): ReadResult {
    return requestRead(this.#core);
  }

  /** Transfers leadership to `transferee`; a follower forwards the request to its leader. */
  transferLeader(transferee: number): TransferResult {
    const core = this.#core;
    if (core.role !== "leader") {
      return core.role === "follower" && forwardTransfer(core, transferee)
        ? "accepted"
        : "no_leader";
    }
    const member = core.member(transferee);
    if (member === undefined) return "unknown_member";
    if (member.isLearner) return "learner";
    transferLeadership(core, transferee);
    return "accepted";
  }

  /**
   * Makes a follower forget its leader, within the term, so that it votes at once when asked.
   * Returns false if there is no leader to forget, or if a promise or reads depend on the leader
   * being known.
   */
  forgetLeader(): boolean {
    const core = this.#core;
    if (core.role !== "follower" || core.lead === NO_REPLICA) return false;
    if (core.settings.readMode === "clock" || core.isBound) return false;
    core.lead = NO_REPLICA;
    return true;
  }

  /**
   * Ends this replica's leadership, within the term: for a leader that no quorum supports according
   * to node liveness, or whose storage failed. Returns false if it does not lead.
   */
  stepDown(): boolean {
    if (this.#core.role !== "leader") return false;
    becomeFollower(this.#core, this.#core.term, NO_REPLICA);
    return true;
  }

  /** Reports that the last message to `member` may be lost. */
  reportUnreachable(member: number): void {
    const progress = this.#core.role === "leader" ? this.#core.member(member) : undefined;
    if (progress?.state === "replicate") progress.becomeProbe();
  }

  /** Reports that the storage has a snapshot, which it was asked for while the snapshot was being made. */
  snapshotMade(): void {
    if (this.#core.role === "leader") broadcastAppend(this.#core, false);
  }

  /** Reports whether the snapshot sent to `member` arrived. */
  reportSnapshot(member: number, outcome: "arrived" | "failed"): void {
    const progress = this.#core.role === "leader" ? this.#core.member(member) : undefined;
    if (progress !== undefined) snapshotReported(progress, outcome === "arrived");
  }

  /** Sets the election timeout of this replica in ticks, until its role next changes. */
  setElectionTimeout(ticks: number): void {
    this.#core.electionTimeoutTicks = ticks;
  }

  /**
   * Reports whether a lease of node liveness may serve this group's reads: this replica leads, an
   * entry of its term is committed, and no transfer started in this term could still elect another
   * replica.
   */
  isLeaseAllowed(): boolean {
    return isLeaseAllowed(this.#core);
  }

  /**
   * Reports whether this replica leads, every member for which `isLive` is true holds the whole log
   * and knows that it is committed, and nothing else is pending. Then the group may sleep, without
   * ticks or messages.
   */
  maySleep(isLive: (replica: number) => boolean): boolean {
    return maySleep(this.#core, isLive);
  }

  /** The current role of this replica. */
  get role(): ReplicaRole {
    return this.#core.role;
  }

  /** The current term. */
  get term(): number {
    return this.#core.term;
  }

  /** The leader known to this replica; 0 for none. */
  get lead(): number {
    return this.#core.lead;
  }

  /** The members of the group, as applied; a new object after each change. */
  get configuration(): Configuration {
    return this.#core.configuration;
  }

  /**
   * Index of the last entry; right after an accepted proposal at the leader, that of the proposal.
   */
  get lastIndex(): number {
    return this.#core.log.lastIndex;
  }

  /** The commit index. */
  get committed(): number {
    return this.#core.log.committed;
  }

  /** Index of the last entry reported as applied. */
  get applied(): number {
    return this.#core.log.applied;
  }

  /** Returns the term of an entry of the log; undefined if it is compacted or beyond the end. */
  entryTerm(index: number): number | undefined {
    return this.#core.log.term(index);
  }

  /** Returns the current status of the replica. */
  status(): RaftStatus {
    return raftStatus(this.#core);
  }
}
