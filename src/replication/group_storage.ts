/**
 * Writes one group's data to the shared log. The core's orders (`storage_append`) are written in the
 * order in which they came, and their responses are released in that order, each once its order is
 * durable.
 *
 * Writes that the log refused or that failed are retried, from the oldest order on, until they are
 * durable: an accepted order is never dropped. The commit index is written with entries and after
 * them, so that it never points past the log. Source: Raft thesis §3.8, §10.2.1.
 */
import type { RegistryError } from "../base/errors.ts";
import type { GroupId, LogIndex, Term } from "../base/ids.ts";
import { GROUP_COMMIT_SAVED_EVERY } from "../base/limits.ts";
import type { Entry, HardState, Message, Snapshot } from "../raft/mod.ts";
import type { ImagePoint, SharedLog } from "../storage/shared_log.ts";
import { encodeConfiguration, logEntryOf } from "./log_entry.ts";
import type { ReplicaLog } from "./replica_log.ts";

/** The callbacks of storage to its group. None of them may throw. */
export interface GroupStorageOwner {
  /** Whether this replica is the only voter: then a restart derives the commit index from the log. */
  isSole(): boolean;
  /** Called when the snapshot, which replaces the whole log, is durable. */
  installed(snapshot: Snapshot): void;
  /** Called when the whole order is durable: its responses may be sent. */
  stored(order: Message): void;
  /** Called when an entry of {@link GroupStorage.append} is durable and all earlier steps are done. */
  storedAlone(entry: Entry): void;
  /** Called when a write failed; it will be retried. */
  failed(error: RegistryError): void;
}

/** One step of writing, with the parts that are not durable yet. */
interface Step {
  /** The order that this step completes. */
  readonly order: Message | undefined;
  /** An entry that came from {@link GroupStorage.append}, not from an order. */
  readonly alone: Entry | undefined;
  entries: readonly Entry[];
  hardState: HardState | undefined;
  snapshot: Snapshot | undefined;
  /** The number of unanswered submissions. */
  outstanding: number;
  /** The next step. */
  next: Step | undefined;
}

const NO_ENTRIES: readonly Entry[] = [];

/** The writes of one group. */
export class GroupStorage {
  readonly #id: GroupId;
  readonly #log: SharedLog;
  readonly #replicaLog: ReplicaLog;
  readonly #owner: GroupStorageOwner;
  /** The oldest step. Steps are in order of arrival; those before {@link #due} are with the log. */
  #first: Step | undefined;
  #last: Step | undefined;
  /** The first step that was not submitted to the log. */
  #due: Step | undefined;
  /** The last step that was submitted. */
  #submitted: Step | undefined;
  /** The hard state last saved or submitted. */
  #saved: HardState;
  /** The hard state of the core. */
  #known: HardState;
  #blocked: RegistryError | undefined;
  #closed = false;

  constructor(
    id: GroupId,
    parts: { log: SharedLog; replicaLog: ReplicaLog; owner: GroupStorageOwner },
  ) {
    this.#id = id;
    this.#log = parts.log;
    this.#replicaLog = parts.replicaLog;
    this.#owner = parts.owner;
    this.#saved = this.#known = parts.replicaLog.initialState().hardState;
  }

  /** The reason why nothing can be written now; undefined if writing is possible. */
  get blocked(): RegistryError | undefined {
    return this.#blocked;
  }

  /** Takes an order. Its responses are released by {@link release} or by the log, never here. */
  order(order: Message): void {
    const { entries, snapshot, term } = order;
    if (term !== 0) this.#known = { term, vote: order.vote, commit: order.commit };
    // A commit index alone is written with the next entries, as nobody waits for it.
    const isIdle = entries.length === 0 && snapshot === undefined && order.responses.length === 0;
    if (isIdle && hasVoteOf(this.#saved, this.#known)) return;
    if (snapshot !== undefined) {
      // Entries that came with the snapshot follow it.
      const last = entries.length === 0 ? order : undefined;
      this.#push({ order: last, entries: NO_ENTRIES, snapshot });
    }
    if (snapshot === undefined || entries.length > 0) {
      this.#push({ order, entries, snapshot: undefined });
    }
    this.#submitDue();
  }

  /** Takes an entry of `RaftNode.appendAlone`, to be written after all earlier steps. */
  append(entry: Entry): void {
    this.#enqueue(newStep({ alone: entry, entries: [entry] }));
    this.#submitDue();
  }

  /**
   * Saves the commit index `commit` at once, because a configuration change was applied there.
   * Otherwise a restart would use the previous configuration and wait for members that are gone.
   */
  saveCommit(commit: number): void {
    if (this.#closed || commit <= this.#saved.commit) return;
    this.#saved = { ...this.#saved, commit };
    this.#enqueue(newStep({ hardState: this.#saved }));
    this.#submitDue();
  }

  /**
   * Releases the durable steps at the head of the queue. Steps that need no write complete once all
   * earlier steps are durable.
   */
  release(): void {
    while (this.#first !== this.#due && isDurable(this.#first!)) {
      const step = this.#first!;
      const { order, alone } = step;
      this.#first = step.next;
      if (step === this.#last) this.#last = undefined;
      // Do not keep its bytes in memory.
      if (step === this.#submitted) this.#submitted = undefined;
      if (alone !== undefined) this.#owner.storedAlone(alone);
      else if (order !== undefined) this.#owner.stored(order);
      this.#submitDue();
    }
  }

  /** Retries writes that were refused or failed. */
  retry(): void {
    if (this.#blocked === undefined) return;
    // Steps that are still with the log must be answered before anything may follow them.
    for (let step = this.#first; step !== undefined; step = step.next) {
      if (step.outstanding > 0) return;
    }
    this.#blocked = undefined;
    this.#due = this.#first;
    this.#submitted = undefined;
    this.#submitDue();
    this.release();
  }

  /** Stops writing and releasing. */
  close(): void {
    this.#closed = true;
    this.#first =
      this.#last =
      this.#due =
      this.#submitted =
        undefined;
    this.#blocked = undefined;
  }

  #push(part: Pick<Step, "order" | "entries" | "snapshot">): void {
    if (this.#closed) return;
    this.#enqueue(newStep({ ...part, hardState: this.#hardStateDue(part) }));
  }

  #enqueue(step: Step): void {
    if (this.#closed) return;
    if (this.#last === undefined) this.#first = step;
    else this.#last.next = step;
    this.#last = step;
    this.#due ??= step;
  }

  /**
   * Returns the hard state to save with this step, if any. Term and vote are saved whenever they
   * changed. The commit index is saved now and then, only together with entries, and not beside a
   * snapshot: until the snapshot is durable, it would refer to the log that the snapshot replaces.
   */
  #hardStateDue({ entries, snapshot }: Pick<Step, "entries" | "snapshot">): HardState | undefined {
    const { term, vote, commit } = this.#known;
    const saved = this.#saved;
    const isNew = term !== saved.term || vote !== saved.vote;
    const takesCommit = entries.length > 0 && commit >= saved.commit + GROUP_COMMIT_SAVED_EVERY &&
      !this.#owner.isSole();
    if (!isNew && !takesCommit) return undefined;
    this.#saved = { term, vote, commit: snapshot === undefined ? commit : saved.commit };
    return this.#saved;
  }

  #submitDue(): void {
    while (this.#blocked === undefined && this.#due !== undefined) {
      // Nothing is appended until the image that replaces the whole log is durable.
      if (this.#submitted?.snapshot !== undefined) return;
      const step = this.#due;
      const refused = this.#submit(step);
      if (refused !== undefined) return this.#block(refused);
      this.#submitted = step;
      this.#due = step.next;
    }
  }

  #submit(step: Step): RegistryError | undefined {
    return this.#submitEntries(step) ?? this.#submitHardState(step) ?? this.#submitSnapshot(step);
  }

  #submitEntries(step: Step): RegistryError | undefined {
    const { entries } = step;
    if (entries.length === 0) return undefined;
    const first = entries[0]!.index as LogIndex;
    const done = (error: RegistryError | undefined) => {
      if (error === undefined) step.entries = NO_ENTRIES;
      this.#answered(step, error);
    };
    const refused = entries.length === 1
      ? this.#log.appendOne(this.#id, first, logEntryOf(entries[0]!), done)
      : this.#log.append(this.#id, first, entries.map(logEntryOf), done);
    if (refused !== undefined) return refused;
    this.#replicaLog.append(entries);
    step.outstanding++;
    return undefined;
  }

  #submitHardState(step: Step): RegistryError | undefined {
    if (step.hardState === undefined) return undefined;
    const { term, vote, commit } = step.hardState;
    const state = { term: term as Term, vote, commit: commit as LogIndex };
    const refused = this.#log.saveHardState(this.#id, state, (error) => {
      if (error === undefined) step.hardState = undefined;
      this.#answered(step, error);
    });
    if (refused === undefined) step.outstanding++;
    return refused;
  }

  #submitSnapshot(step: Step): RegistryError | undefined {
    const { snapshot } = step;
    if (snapshot === undefined) return undefined;
    const point: ImagePoint = {
      index: snapshot.index as LogIndex,
      term: snapshot.term as Term,
      configuration: encodeConfiguration(snapshot.configuration),
    };
    const refused = this.#log.installImage(this.#id, point, [snapshot.data], (error) => {
      if (error === undefined) this.#installed(step, snapshot);
      this.#answered(step, error);
    });
    if (refused === undefined) step.outstanding++;
    return refused;
  }

  #installed(step: Step, snapshot: Snapshot): void {
    if (this.#closed) return;
    step.snapshot = undefined;
    this.#replicaLog.restore(snapshot.index, snapshot.term);
    this.#owner.installed(snapshot);
  }

  #answered(step: Step, error: RegistryError | undefined): void {
    step.outstanding--;
    if (this.#closed) return;
    if (error !== undefined) this.#block(error);
    this.release();
    // A retry that was asked for while this was with the log was postponed until now.
    if (error === undefined) this.retry();
  }

  #block(error: RegistryError): void {
    this.#blocked = error;
    this.#owner.failed(error);
  }
}

function newStep(
  { order, alone, entries, hardState, snapshot }: Partial<Step>,
): Step {
  return {
    order,
    alone,
    entries: entries ?? NO_ENTRIES,
    hardState,
    snapshot,
    outstanding: 0,
    next: undefined,
  };
}

function hasVoteOf(saved: HardState, known: HardState): boolean {
  return saved.term === known.term && saved.vote === known.vote;
}

function isDurable({ entries, hardState, snapshot, outstanding }: Step): boolean {
  return outstanding === 0 && entries.length === 0 && hardState === undefined &&
    snapshot === undefined;
}
