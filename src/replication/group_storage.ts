/**
 * The way of one group's writes into the shared log: orders of its core (`storage_append`) are
 * written in their order, and what each carries is handed out once it is durable, in that order too.
 *
 * What the log refused or could not write is tried again, from the oldest order on, until it is
 * durable: an order that was taken is never dropped. The commit index goes along with entries and
 * after them, so that it never speaks of what is not there. Source: Raft thesis §3.8, §10.2.1.
 */
import type { RegistryError } from "../base/errors.ts";
import type { GroupId, LogIndex, Term } from "../base/ids.ts";
import type { Entry, HardState, Message, Snapshot } from "../raft/mod.ts";
import type { ImagePoint, SharedLog } from "../storage/shared_log.ts";
import { encodeConfiguration, logEntryOf } from "./log_entry.ts";
import type { ReplicaLog } from "./replica_log.ts";

/** What storage asks of its group, and tells it. None of it may throw. */
export interface GroupStorageOwner {
  /** Whether this replica alone decides: then a restart finds the commit index by itself. */
  isSole(): boolean;
  /** The snapshot is durable, in place of the whole log. */
  installed(snapshot: Snapshot): void;
  /** All that the order speaks of is durable: what it carries may go out. */
  stored(order: Message): void;
  /** An entry of {@link GroupStorage.append} is durable, and all before it was handed out. */
  storedAlone(entry: Entry): void;
  /** Something could not be written; it will be tried again. */
  failed(error: RegistryError): void;
}

/** One step of writing, and what of it is not durable. */
interface Step {
  /** The order that is done with this step. */
  readonly order: Message | undefined;
  /** An entry that no order brought. */
  readonly alone: Entry | undefined;
  entries: readonly Entry[];
  hardState: HardState | undefined;
  snapshot: Snapshot | undefined;
  /** Submissions that are not answered. */
  outstanding: number;
  /** The step after it. */
  next: Step | undefined;
}

const NO_ENTRIES: readonly Entry[] = [];

/** The writes of one group. */
export class GroupStorage {
  readonly #id: GroupId;
  readonly #log: SharedLog;
  readonly #replicaLog: ReplicaLog;
  readonly #owner: GroupStorageOwner;
  /** In the order in which they came; those before {@link #due} are with the log. */
  #first: Step | undefined;
  #last: Step | undefined;
  /** The first that is not with the log. */
  #due: Step | undefined;
  /** The last that is, or was. */
  #submitted: Step | undefined;
  /** Saved last, or on its way there. */
  #saved: HardState;
  /** As the core has it. */
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

  /** Why nothing can be written at the moment; undefined: it can. */
  get blocked(): RegistryError | undefined {
    return this.#blocked;
  }

  /** Takes an order. What it carries is handed out by {@link release} or by the log, not here. */
  order(order: Message): void {
    const { entries, snapshot, term } = order;
    if (term !== 0) this.#known = { term, vote: order.vote, commit: order.commit };
    // A commit index alone: it goes along with the next entries, and nobody waits for it.
    const isIdle = entries.length === 0 && snapshot === undefined && order.responses.length === 0;
    if (isIdle && hasVoteOf(this.#saved, this.#known)) return;
    if (snapshot !== undefined) {
      // Entries that came with it follow it.
      const last = entries.length === 0 ? order : undefined;
      this.#push({ order: last, entries: NO_ENTRIES, snapshot });
    }
    if (snapshot === undefined || entries.length > 0) {
      this.#push({ order, entries, snapshot: undefined });
    }
    this.#submitDue();
  }

  /** Takes an entry that the core appended by itself (`RaftNode.appendAlone`), in its turn. */
  append(entry: Entry): void {
    this.#enqueue(newStep({ alone: entry, entries: [entry] }));
    this.#submitDue();
  }

  /**
   * Saves on its own account that all up to `commit` is committed: a change of the configuration is
   * applied there. A restart would else go by the one before, and wait for members that are gone.
   */
  saveCommit(commit: number): void {
    if (this.#closed || commit <= this.#saved.commit) return;
    this.#saved = { ...this.#saved, commit };
    this.#enqueue(newStep({ hardState: this.#saved }));
    this.#submitDue();
  }

  /** Hands out what is durable; what needs no write is, once all before it is. */
  release(): void {
    while (this.#first !== this.#due && isDurable(this.#first!)) {
      const step = this.#first!;
      const { order, alone } = step;
      this.#first = step.next;
      if (step === this.#last) this.#last = undefined;
      // Its bytes are not to be remembered.
      if (step === this.#submitted) this.#submitted = undefined;
      if (alone !== undefined) this.#owner.storedAlone(alone);
      else if (order !== undefined) this.#owner.stored(order);
      this.#submitDue();
    }
  }

  /** Tries again what was refused or failed. */
  retry(): void {
    if (this.#blocked === undefined) return;
    // What is still with the log is answered before anything may follow it.
    for (let step = this.#first; step !== undefined; step = step.next) {
      if (step.outstanding > 0) return;
    }
    this.#blocked = undefined;
    this.#due = this.#first;
    this.#submitted = undefined;
    this.#submitDue();
    this.release();
  }

  /** Nothing more is written or handed out. */
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
   * Term and vote are saved whenever they are new; the commit index only where entries are written
   * anyway, and not beside a snapshot, before which it would speak of what that replaces.
   */
  #hardStateDue({ entries, snapshot }: Pick<Step, "entries" | "snapshot">): HardState | undefined {
    const { term, vote, commit } = this.#known;
    const saved = this.#saved;
    const isNew = term !== saved.term || vote !== saved.vote;
    const takesCommit = entries.length > 0 && commit > saved.commit && !this.#owner.isSole();
    if (!isNew && !takesCommit) return undefined;
    this.#saved = { term, vote, commit: snapshot === undefined ? commit : saved.commit };
    return this.#saved;
  }

  #submitDue(): void {
    while (this.#blocked === undefined && this.#due !== undefined) {
      // Nothing is appended until the image in place of the whole log is durable.
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
    // A try that came while this was with the log was put off until here.
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
