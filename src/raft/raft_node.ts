/**
 * One replica of one group: ticks, messages and proposals in, a {@link Ready} out. Synchronous, pure
 * and without a clock; nothing is sent, written or applied in here.
 *
 * A thrown InvariantError says that this replica must not go on: its owner stops the group and
 * keeps it from the others. Everything that may come from outside is answered by a code instead.
 */
import { assert } from "../base/assert.ts";
import { appendAlone, appliedAlone, wroteAlone } from "./alone.ts";
import type { ConfChange } from "./conf_change.ts";
import { confChangeEntry } from "./conf_change.ts";
import { Core, type Role } from "./core.ts";
import { type CampaignResult, hup, tickElection } from "./election.ts";
import { forwardTransfer } from "./follower.ts";
import { inspect, type InspectRefusal, isOwnAnswer } from "./inspect.ts";
import { tickLeader } from "./leader.ts";
import type { Configuration, Entry, HardState, Message } from "./message.ts";
import { EMPTY_HARD_STATE, entriesBytes, hardStatesEqual, newMessage } from "./message.ts";
import { NO_REPLICA } from "./message.ts";
import { raftSettings } from "./options.ts";
import type { LeaderSupport, RaftOptions, RaftSettings } from "./options.ts";
import { type Proposal, proposeAsLeader, type ProposeResult } from "./proposal.ts";
import { type ReadResult, requestRead } from "./read_index.ts";
import type { Ready } from "./ready.ts";
import { storageAppend, storageAppendReply, storageApply, storageApplyReply } from "./ready.ts";
import { applyConfChange, restoreConfiguration } from "./reconfigure.ts";
import { becomeFollower } from "./roles.ts";
import { maySleep } from "./sleep.ts";
import { snapshotReported } from "./snapshot.ts";
import { type RaftStatus, raftStatus } from "./status.ts";
import { step, type StepOutcome } from "./step.ts";
import type { Storage } from "./storage.ts";
import { isLeaseAllowed, transferLeadership } from "./transfer.ts";

/** What became of a message: taken, or the reason why not. */
export type StepResult = StepOutcome | InspectRefusal;

/** What became of a wish to hand leadership over; `accepted` says that it was begun or sent on. */
export type TransferResult = "accepted" | "no_leader" | "unknown_member" | "learner";

/** What one replica is started with, where settings are shared by many. */
export interface RaftStart {
  readonly id: number;
  readonly storage: Storage;
  readonly settings: RaftSettings;
  /** What the state machine already applied, when it outlived a restart. */
  readonly applied?: number;
  /** What node liveness says about this replica's votes. */
  readonly support?: LeaderSupport;
}

/** What a Ready hands out of a list that the core goes on filling: never an empty one itself. */
function handedOut<T>(list: T[]): readonly T[] {
  return list.length === 0 ? NOTHING : list;
}

const NOTHING: readonly never[] = [];

/** One replica of one group. */
export class RaftNode {
  readonly #core: Core;
  #lastLead: number;
  #lastRole: Role;
  #lastHardState: HardState;
  /** With plain writes: what `advance` tells the core, from when a Ready is handed out. */
  #onAdvance: readonly Message[] | undefined;

  /** Recovers a replica from its storage, as a follower. */
  constructor({ id, storage, settings, applied, support }: RaftStart) {
    if (!Number.isSafeInteger(id) || id < 1) {
      throw new RangeError(`A replica id is an integer from 1: found ${id}`);
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
      // What was applied was committed, whatever the hard state had time to say.
      core.log.recoverCommit(applied);
      core.log.appliedTo(applied, 0);
    }
    if (!settings.skipConfChangeChecks) core.log.recoverConfChanges();
    becomeFollower(core, core.term, NO_REPLICA);
    this.#lastLead = core.lead;
    this.#lastRole = core.role;
    this.#lastHardState = core.hardState();
  }

  /** Starts one replica that shares its settings with no other. */
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

  /** One tick of the owner's clock. A sleeping group gets none. */
  tick(): void {
    if (this.#core.role === "leader") tickLeader(this.#core);
    else tickElection(this.#core);
  }

  /** Starts an election now. */
  campaign(): CampaignResult {
    return hup(this.#core, "timeout");
  }

  /**
   * Proposes entries, all or none, each of which becomes one entry of the log. The bytes must not
   * be changed afterwards.
   */
  propose(...data: readonly Uint8Array[]): ProposeResult {
    assert(data.length > 0, "Nothing is proposed");
    return this.#propose(data.map((bytes) => ({ kind: "normal", data: bytes })));
  }

  /**
   * With asynchronous writes, for a leader without other members: appends an entry by the short way of
   * `alone.ts`. The owner writes it in its turn among the orders, and says so by {@link wroteAlone}.
   * Undefined: nothing was done, and it is to be proposed.
   */
  appendAlone(data: Uint8Array): Entry | undefined {
    return this.#core.settings.asyncStorageWrites ? appendAlone(this.#core, data) : undefined;
  }

  /**
   * An entry of {@link appendAlone} is durable. True: the owner applies it at once, and says so by
   * {@link appliedAlone}; nobody is told of the commit index. False: a `Ready` tells what is next.
   */
  wroteAlone(entry: Entry): boolean {
    const isToBeApplied = wroteAlone(this.#core, entry);
    if (isToBeApplied) this.#lastHardState = this.#core.hardState();
    return isToBeApplied;
  }

  /** An entry is applied that {@link wroteAlone} said is to be. */
  appliedAlone(entry: Entry): void {
    appliedAlone(this.#core, entry);
  }

  /** Proposes a change of the configuration; `v1`: as one change that is never joint. */
  proposeConfChange(change: ConfChange, options: { readonly v1?: boolean } = {}): ProposeResult {
    return this.#propose([confChangeEntry(change, options.v1 === true)]);
  }

  #propose(proposals: readonly Proposal[]): ProposeResult {
    // A leader takes it as it is; only what another may have to take becomes a message.
    if (this.#core.role === "leader") return proposeAsLeader(this.#core, proposals);
    const message = newMessage("propose", this.#core.id);
    message.from = this.#core.id;
    message.entries = proposals.map(({ kind, data }): Entry => ({ term: 0, index: 0, kind, data }));
    // Only reads are ever refused as too many.
    return step(this.#core, message) as ProposeResult;
  }

  /**
   * Applies the committed change of the entry at `index`; the owner calls it for each such entry,
   * before it applies what follows, and keeps the result for its snapshots. A change that a snapshot
   * overtook on its way changes nothing.
   */
  applyConfChange(change: ConfChange, index: number): Configuration {
    return applyConfChange(this.#core, change, index);
  }

  /** Takes a message of another replica, whose `from` the owner has checked. */
  step(message: Message): StepResult {
    return inspect(this.#core, message) ?? step(this.#core, message);
  }

  /**
   * With asynchronous writes: takes an answer to this replica that a `storage_append` or a
   * `storage_apply` carried, once its work is done. Nothing that came from outside may be given here.
   */
  stepOwn(message: Message): void {
    assert(this.#core.settings.asyncStorageWrites, "Storage is answered by advance here");
    assert(isOwnAnswer(this.#core, message), () => `${message.type} is no answer of this storage`);
    step(this.#core, message);
  }

  /** Whether {@link ready} would hold anything. */
  hasReady(): boolean {
    const core = this.#core;
    const { log } = core;
    return core.messages.length > 0 || core.messagesAfterAppend.length > 0 ||
      core.lead !== this.#lastLead || core.role !== this.#lastRole ||
      log.unstable.hasNextEntries || log.unstable.nextSnapshot() !== undefined ||
      log.hasNextCommitted(this.#appliesUnstable) || core.readStates.length > 0 ||
      core.readsDropped.length > 0 || !this.#isHardStateKnown();
  }

  #isHardStateKnown(): boolean {
    const { term, vote, log } = this.#core;
    const last = this.#lastHardState;
    return term === last.term && vote === last.vote && log.committed === last.commit;
  }

  /** With plain writes, entries are written before they are applied, in the same turn. */
  get #appliesUnstable(): boolean {
    return !this.#core.settings.asyncStorageWrites;
  }

  /** Hands out all that is to be done; it must be done, in the order that {@link Ready} tells. */
  ready(): Ready {
    assert(this.#onAdvance === undefined, "A Ready was handed out and not advanced");
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
    const isSoftStateNew = lead !== this.#lastLead || role !== this.#lastRole;
    const entries = log.unstable.nextEntries();
    const last = this.#lastHardState;
    return {
      softState: isSoftStateNew ? { lead, role } : undefined,
      hardState: this.#isHardStateKnown() ? undefined : core.hardState(),
      readStates: handedOut(core.readStates),
      readsDropped: handedOut(core.readsDropped),
      entries,
      snapshot: log.unstable.nextSnapshot(),
      committedEntries: log.nextCommitted(this.#appliesUnstable),
      messages: handedOut(core.messages),
      mustSync: entries.length > 0 || core.term !== last.term || core.vote !== last.vote,
    };
  }

  #withStorageMessages(ready: Ready): readonly Message[] {
    const append = storageAppend(this.#core, ready);
    const apply = storageApply(this.#core, ready);
    if (append === undefined && apply === undefined) return ready.messages;
    const messages = ready.messages.slice();
    if (append !== undefined) messages.push(append);
    if (apply !== undefined) messages.push(apply);
    return messages;
  }

  /** With plain writes: what waits for this Ready's writes, to others now, to itself at advance. */
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
    this.#lastLead = core.lead;
    this.#lastRole = core.role;
    if (ready.hardState !== undefined) this.#lastHardState = ready.hardState;
    if (core.readStates.length > 0) core.readStates = [];
    if (core.readsDropped.length > 0) core.readsDropped = [];
    if (core.reads !== undefined) core.reads.roundOpen = false;
    if (core.messages.length > 0) core.messages = [];
    if (core.messagesAfterAppend.length > 0) core.messagesAfterAppend = [];
    core.log.unstable.acceptInProgress();
    const committed = ready.committedEntries;
    const last = committed.at(-1);
    if (last === undefined) return;
    core.log.acceptApplying(last.index, entriesBytes(committed), this.#appliesUnstable);
  }

  /** With plain writes: says that the Ready handed out last was done, and durable where it must. */
  advance(): void {
    assert(!this.#core.settings.asyncStorageWrites, "Storage answers by messages here");
    const messages = this.#onAdvance;
    assert(messages !== undefined, "There is no Ready to advance");
    this.#onAdvance = undefined;
    for (const message of messages) step(this.#core, message);
  }

  /** Asks for an index at which a linearizable read may be served; see `Ready.readStates`. */
  readIndex(): ReadResult {
    return requestRead(this.#core);
  }

  /** Hands leadership to `transferee`; a follower asks its leader to. */
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
   * Makes a follower forget its leader, within the term, so that it votes at once when asked. False
   * where there is nothing to forget, or where a promise or reads rest on the leader being known.
   */
  forgetLeader(): boolean {
    const core = this.#core;
    if (core.role !== "follower" || core.lead === NO_REPLICA) return false;
    if (core.settings.readMode === "clock" || core.isBound) return false;
    core.lead = NO_REPLICA;
    return true;
  }

  /**
   * Ends this replica's leadership, within the term: node liveness says that no quorum supports it,
   * or its storage is broken. False where it does not lead.
   */
  stepDown(): boolean {
    if (this.#core.role !== "leader") return false;
    becomeFollower(this.#core, this.#core.term, NO_REPLICA);
    return true;
  }

  /** Says that what was sent to `member` last may be lost. */
  reportUnreachable(member: number): void {
    const progress = this.#core.role === "leader" ? this.#core.member(member) : undefined;
    if (progress?.state === "replicate") progress.becomeProbe();
  }

  /** Says whether the snapshot sent to `member` arrived. */
  reportSnapshot(member: number, outcome: "arrived" | "failed"): void {
    const progress = this.#core.role === "leader" ? this.#core.member(member) : undefined;
    if (progress !== undefined) snapshotReported(progress, outcome === "arrived");
  }

  /** Sets after how many ticks in all this replica campaigns, until its role next changes. */
  setElectionTimeout(ticks: number): void {
    this.#core.electionTimeoutTicks = ticks;
  }

  /**
   * Whether a lease of node liveness may serve this group's reads: leader, with an entry of its term
   * committed, and no transfer begun in this term that could still elect another.
   */
  isLeaseAllowed(): boolean {
    return isLeaseAllowed(this.#core);
  }

  /**
   * Whether this replica leads and every member that `isLive` holds the whole log and knows that it
   * is committed, with nothing else under way: then the group may sleep, without ticks or messages.
   */
  maySleep(isLive: (replica: number) => boolean): boolean {
    return maySleep(this.#core, isLive);
  }

  /** What this replica is. */
  get role(): Role {
    return this.#core.role;
  }

  /** The term it is in. */
  get term(): number {
    return this.#core.term;
  }

  /** Who leads, as far as it knows; 0: nobody. */
  get lead(): number {
    return this.#core.lead;
  }

  /** Who belongs to the group, as applied; another object once it changes. */
  get configuration(): Configuration {
    return this.#core.configuration;
  }

  /** The end of the log; right after an accepted proposal at the leader, its last entry. */
  get lastIndex(): number {
    return this.#core.log.lastIndex;
  }

  /** All up to here is decided. */
  get committed(): number {
    return this.#core.log.committed;
  }

  /** All up to here is reported applied. */
  get applied(): number {
    return this.#core.log.applied;
  }

  /** The term of an entry of its log; undefined where that is compacted, or beyond the end. */
  entryTerm(index: number): number | undefined {
    return this.#core.log.term(index);
  }

  /** The replica as it is now. */
  status(): RaftStatus {
    return raftStatus(this.#core);
  }
}
