/**
 * A group of one replica: an entry is committed when this node's log has it on the disk.
 *
 * It keeps Raft's forms, so that a Raft group can open the folder it wrote: entries carry term and
 * index, every start is a new term whose first entry is empty, and nothing is read before that entry
 * is applied (Raft thesis §6.4). Group time stands still until then and runs from there by the
 * monotonic clock; a clock that runs fast or slow moves all leases of the group alike.
 */
import { InvariantError } from "../base/assert.ts";
import { BoundedQueue } from "../base/bounded_queue.ts";
import { RegistryError } from "../base/errors.ts";
import type { GroupId, GroupTimeMs, LogIndex, Term } from "../base/ids.ts";
import { GROUP_PROPOSALS_MAX } from "../base/limits.ts";
import type { MonotonicClock } from "../base/world.ts";
import type { ImagePoint, LogDone, SharedLog } from "../storage/shared_log.ts";
import type { Group, GroupStatus, Proposed, ReadPoint } from "./group_interface.ts";

/** What an entry of a group's log holds. */
export const ENTRY_EMPTY = 0;
/** See {@link ENTRY_EMPTY}. */
export const ENTRY_COMMAND = 1;

/** What a group replicates: pure, so that the same entries give the same state everywhere. */
export interface StateMachine<Outcome> {
  /**
   * Applies one command; throws only on a broken invariant. The bytes are the caller's.
   *
   * @param leaderNowMs the leader's group time, 0 where it is not known: not part of the state.
   */
  apply(index: LogIndex, term: Term, command: Uint8Array, leaderNowMs: number): Outcome;
  /** The group leads from now on, at this group time. */
  onBecomeLeader(nowMs: GroupTimeMs): void;
  /** The time of the last command applied, ms. */
  readonly timeMs: GroupTimeMs;
  /** The state as chunks; valid until the next apply. */
  writeImage(): Iterable<Uint8Array>;
}

interface Proposal<Outcome> {
  readonly index: LogIndex;
  readonly command: Uint8Array;
  readonly deadlineMs: number;
  /** Cleared when the deadline answered first; the entry is applied all the same. */
  settle: ((proposed: Proposed<Outcome>) => void) | undefined;
}

const EMPTY = new Uint8Array(0);

/** A group whose only replica is this node. */
export class LocalGroup<Outcome> implements Group<Outcome> {
  readonly id: GroupId;
  readonly #machine: StateMachine<Outcome>;
  readonly #log: SharedLog;
  readonly #clock: MonotonicClock;
  readonly #nodeId: number;
  readonly #onFailure: (group: GroupId, error: unknown) => void;
  readonly #proposals = new BoundedQueue<Proposal<Outcome>>(GROUP_PROPOSALS_MAX);
  #waitingReads: (() => void)[] = [];
  #role: GroupStatus["role"] = "starting";
  readonly #term: Term;
  #appliedTerm: Term;
  #appliedIndex: LogIndex;
  #lastIndex: LogIndex;
  readonly #openedIndex: LogIndex;
  #timeBaseMs = 0;
  #timeSinceMs = 0;
  #point: ReadPoint;

  /**
   * @param appliedIndex, appliedTerm where recovery left the machine.
   * @param onFailure told when an invariant broke: the group serves nothing from then on.
   */
  constructor(options: {
    id: GroupId;
    machine: StateMachine<Outcome>;
    log: SharedLog;
    clock: MonotonicClock;
    nodeId: number;
    appliedIndex: LogIndex;
    appliedTerm: Term;
    /** The highest term seen in entries and hard state. */
    lastTerm: Term;
    onFailure: (group: GroupId, error: unknown) => void;
  }) {
    this.id = options.id;
    this.#machine = options.machine;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#nodeId = options.nodeId;
    this.#onFailure = options.onFailure;
    this.#appliedIndex = options.appliedIndex;
    this.#appliedTerm = options.appliedTerm;
    this.#lastIndex = options.appliedIndex;
    this.#openedIndex = options.appliedIndex;
    this.#term = (options.lastTerm + 1) as Term;
    this.#timeBaseMs = options.machine.timeMs;
    this.#point = { appliedIndex: this.#appliedIndex, term: this.#term, ageBoundMs: 0 };
  }

  /**
   * Begins the group's term: its hard state and its first, empty entry. `done` tells when the group
   * leads, or why it cannot.
   */
  start(done: LogDone): void {
    const state = { term: this.#term, vote: this.#nodeId, commit: this.#appliedIndex };
    const index = (this.#lastIndex + 1) as LogIndex;
    const entry = { term: this.#term, kind: ENTRY_EMPTY, data: EMPTY };
    const refused = this.#log.saveHardState(this.id, state) ??
      this.#log.appendOne(this.id, index, entry, (error) => {
        if (error === undefined) this.#lead(index);
        done(error);
      });
    if (refused === undefined) this.#lastIndex = index;
    else done(refused);
  }

  propose(command: Uint8Array, timeoutMs: number): Promise<Proposed<Outcome>> {
    const refused = this.#refusal();
    if (refused !== undefined) return Promise.resolve({ ok: false, error: refused });
    const index = (this.#lastIndex + 1) as LogIndex;
    const entry = { term: this.#term, kind: ENTRY_COMMAND, data: command };
    const error = this.#log.appendOne(
      this.id,
      index,
      entry,
      (failure) => this.#answered(index, failure),
    );
    if (error !== undefined) return Promise.resolve({ ok: false, error });
    this.#lastIndex = index;
    return new Promise((settle) => {
      this.#proposals.push({
        index,
        command,
        deadlineMs: this.#clock.nowMs() + timeoutMs,
        settle,
      });
    });
  }

  readPoint(_maxStalenessMs: number): ReadPoint | undefined {
    return this.#role === "leader" ? this.#point : undefined;
  }

  async readBarrier(
    _maxStalenessMs: number,
    _timeoutMs: number,
  ): Promise<ReadPoint | RegistryError> {
    if (this.#role === "starting") {
      await new Promise<void>((resolve) => this.#waitingReads.push(resolve));
    }
    if (this.#role === "leader") return this.#point;
    return this.#refusal() ??
      new RegistryError("internal", `Group ${this.id} cannot serve a read`);
  }

  timeMs(): GroupTimeMs {
    if (this.#role !== "leader") return this.#machine.timeMs;
    return Math.floor(this.#timeBaseMs + this.#clock.nowMs() - this.#timeSinceMs) as GroupTimeMs;
  }

  status(): GroupStatus {
    return {
      id: this.id,
      role: this.#role,
      term: this.#term,
      appliedIndex: this.#appliedIndex,
      lastIndex: this.#lastIndex,
      leader: this.#role === "leader" ? this.#nodeId : 0,
    };
  }

  close(): void {
    if (this.#role === "closed") return;
    this.#role = "closed";
    this.#releaseReads();
  }

  /** Entries that were appended since it was opened. */
  get entriesAppended(): number {
    return this.#lastIndex - this.#openedIndex;
  }

  /** Answers proposals whose time is up; the owner calls it a few times a second. */
  expireProposals(nowMs: number): void {
    if (this.#proposals.count === 0) return;
    for (const proposal of this.#proposals) {
      if (proposal.settle === undefined || proposal.deadlineMs > nowMs) continue;
      const settle = proposal.settle;
      proposal.settle = undefined;
      settle({
        ok: false,
        error: new RegistryError(
          "deadline_exceeded",
          `Group ${this.id} could not make the command durable in time: its outcome is not known`,
        ),
      });
    }
  }

  /** Replaces the log up to the applied index by an image of the state; `done` tells how it went. */
  writeImage(done: LogDone): void {
    if (this.#role === "failed") {
      // A broken invariant may have left half a change, which must not become durable.
      return done(this.#refusal());
    }
    const point: ImagePoint = {
      index: this.#appliedIndex,
      term: this.#appliedTerm,
      configuration: EMPTY,
    };
    const refused = this.#log.writeImage(this.id, point, this.#machine.writeImage(), done);
    if (refused !== undefined) done(refused);
  }

  #refusal(): RegistryError | undefined {
    switch (this.#role) {
      case "leader":
        if (this.#proposals.count < this.#proposals.capacity) return undefined;
        return new RegistryError(
          "overloaded",
          `Group ${this.id} has ${this.#proposals.count} commands under way, which is its limit`,
          { retryAfterMs: 50 },
        );
      case "closed":
        return new RegistryError("shutting_down", `Group ${this.id} is closed`);
      case "failed":
        return new RegistryError("internal", `Group ${this.id} is quarantined: see the log`);
      case "starting":
      case "follower":
        return new RegistryError("not_leader", `Group ${this.id} has no leader yet`);
    }
  }

  #lead(index: LogIndex): void {
    this.#advance(index);
    this.#timeBaseMs = this.#machine.timeMs;
    this.#timeSinceMs = this.#clock.nowMs();
    if (this.#role === "starting") {
      this.#role = "leader";
      this.#machine.onBecomeLeader(this.timeMs());
    }
    this.#releaseReads();
  }

  /** The log's answer to the oldest proposal: answers come in the order of the indexes. */
  #answered(index: LogIndex, failure: RegistryError | undefined): void {
    const proposal = this.#proposals.shift();
    if (proposal === undefined || proposal.index !== index) {
      throw new InvariantError(
        `Group ${this.id} expected an answer for index ${proposal?.index}: it came for ${index}`,
      );
    }
    if (failure !== undefined) {
      // The log now ends before the first entry that failed; the later ones fail right after.
      if (index <= this.#lastIndex) this.#lastIndex = (index - 1) as LogIndex;
      proposal.settle?.({ ok: false, error: failure });
      return;
    }
    if (this.#role === "failed") {
      proposal.settle?.({ ok: false, error: this.#refusal()! });
      return;
    }
    this.#apply(proposal);
  }

  #apply(proposal: Proposal<Outcome>): void {
    let outcome: Outcome;
    try {
      outcome = this.#machine.apply(
        proposal.index,
        this.#term,
        proposal.command,
        this.timeMs(),
      );
    } catch (error) {
      this.#role = "failed";
      this.#releaseReads();
      this.#onFailure(this.id, error);
      proposal.settle?.({
        ok: false,
        error: new RegistryError("internal", `Group ${this.id} broke an invariant`, {}, error),
      });
      return;
    }
    this.#advance(proposal.index);
    proposal.settle?.({ ok: true, index: proposal.index, term: this.#term, outcome });
  }

  #advance(index: LogIndex): void {
    this.#appliedIndex = index;
    this.#appliedTerm = this.#term;
    this.#point = { appliedIndex: index, term: this.#term, ageBoundMs: 0 };
  }

  #releaseReads(): void {
    const waiting = this.#waitingReads;
    this.#waitingReads = [];
    for (const release of waiting) release();
  }
}
