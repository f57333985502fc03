/**
 * Rebuilds the state machines from the data folder: takes the data that the shared log recovers, group
 * by group, and builds each group's machine from its image and the entries that are known to be
 * committed. All other entries are kept for the group's core to decide. Recovery is synchronous and
 * takes one pass; nothing is served before it is done.
 *
 * Entries up to the hard state's commit index are committed. While this node's replica is the only
 * voter, all entries in its log are (Raft thesis §3.6.2: a majority of one). A group without a
 * configuration was founded by a single replica.
 */
import { defined } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import {
  firstTermOf,
  type GroupId,
  type LogIndex,
  type ReplicaId,
  type Term,
} from "../base/ids.ts";
import { REPLICA_LOG_BYTES } from "../base/limits.ts";
import {
  type Configuration,
  decodeConfChange,
  EMPTY_CONFIGURATION,
  EMPTY_HARD_STATE,
  type Entry,
  entryBytes,
  type HardState,
} from "../raft/mod.ts";
import type {
  CutNotice,
  ImagePoint,
  LoggedHardState,
  SharedLogHandlers,
} from "../storage/shared_log.ts";
import {
  configurationAfter,
  decodeConfiguration,
  entryKindOf,
  FOUNDER_REPLICA,
  isSoleVoter,
  soleConfiguration,
} from "./log_entry.ts";
import { decodeOwner, groupOfOwnerRecord, NODE_STATE_GROUP } from "./log_ids.ts";
import type { ReplicaLogStart } from "./replica_log.ts";
import type { ImageWork, StateMachine } from "./state_machine.ts";

/** Loads an image from chunks, which may be split anywhere. */
export interface ImageTarget {
  /** The bytes are valid during the call only. */
  push(chunk: Uint8Array): void;
  finish(): void;
}

/** A state machine that can be restored from an image. */
export interface RestorableMachine extends StateMachine<unknown> {
  /** Begins to load an image into the machine, which is empty. */
  imageLoader(): ImageTarget;
  /** Empties a machine that is not used any more; returns the work of freeing its memory, if there is any. */
  retire(): ImageWork | undefined;
}

/** The recovered state of a group, apart from its machine. */
export interface RecoveredState {
  /** Index of the last entry applied to the machine. */
  readonly appliedIndex: LogIndex;
  readonly appliedTerm: Term;
  readonly log: ReplicaLogStart;
}

/** The durable state of the node itself: a hard state of `NODE_STATE_GROUP`. */
export interface NodeState {
  /** The highest number given to a run or an epoch; 0 if none was. */
  readonly counter: number;
  /** Whether the node may have promised its support to another node. */
  readonly mayHaveSupported: boolean;
}

/** The events of the open log after its recovery. */
export interface LogEvents {
  cut(notice: CutNotice): void;
  poisoned(error: RegistryError): void;
  writable(writable: boolean): void;
  synced(durationMs: number): void;
  /** Acknowledged data is lost and the operator accepts that; the log continues as `generation`. */
  lost?(what: string, generation: number): void;
  /** A later loss of data acknowledged from now on may go undetected. */
  unmarked?(error: RegistryError): void;
}

/** A group that is being recovered. */
export class RecoveredGroup<Machine extends RestorableMachine> implements RecoveredState {
  readonly machine: Machine;
  /** The lowest term that the group may start with: the first of the log's generation. */
  termMin = 0;
  /** This node's replica, to which the log's content of the group belongs. */
  replica: number;
  appliedIndex = 0 as LogIndex;
  appliedTerm = 0 as Term;
  /** Index of the newest image; 0 if there is none. */
  imageIndex = 0;
  #hardState: HardState = EMPTY_HARD_STATE;
  #configuration: Configuration = EMPTY_CONFIGURATION;
  /** Index of the entry below those that are kept. */
  #keptIndex = 0;
  #keptTerm = 0;
  /** The undecided entries, and before them some applied ones that other members may lack. */
  #kept: Entry[] = [];
  #keptBytes = 0;
  #lastIndex = 0;
  #lastTerm = 0;

  constructor(machine: Machine, replica: number) {
    this.machine = machine;
    this.replica = replica;
  }

  /** Whether the log has entries or an image of the group. */
  get isInLog(): boolean {
    return this.#lastIndex > 0;
  }

  get log(): ReplicaLogStart {
    const { term, vote, commit } = this.#hardState;
    // A crash may have happened between writing entries, or an image, and writing their hard state.
    const known = Math.max(term, this.#lastTerm, this.termMin);
    return {
      hardState: {
        term: known,
        vote: known > term ? 0 : vote,
        commit: Math.max(this.appliedIndex, Math.min(commit, this.#lastIndex)),
      },
      configuration: this.#configuration,
      index: this.#keptIndex,
      term: this.#keptTerm,
      entries: this.#kept,
    };
  }

  hardState({ term, vote, commit }: LoggedHardState): void {
    this.#hardState = { term, vote, commit };
  }

  image({ index, term, configuration }: ImagePoint): void {
    this.#configuration = decodeConfiguration(configuration) ?? soleConfiguration(FOUNDER_REPLICA);
    this.appliedIndex = index;
    this.appliedTerm = term;
    this.imageIndex = index;
    this.#seen(index, term);
    this.#dropped(index, term);
  }

  /** @param data copied if it is kept. */
  entry(index: number, term: number, kind: number, data: Uint8Array): void {
    // Only a sole founder logs entries before there is a configuration.
    if (index === 1) this.#configuration = soleConfiguration(FOUNDER_REPLICA);
    const entryKind = entryKindOf(kind);
    const isNext = this.#lastIndex === this.appliedIndex;
    this.#seen(index, term);
    const wasSole = this.#isSole;
    if (isNext && (wasSole || index <= this.#hardState.commit)) {
      if (entryKind !== "normal") this.#configure(data);
      else if (data.length > 0) {
        this.machine.apply(index as LogIndex, term as Term, data, 0);
      }
      this.appliedIndex = index as LogIndex;
      this.appliedTerm = term as Term;
      if (wasSole) return this.#dropped(index, term);
    }
    this.#keep({ index, term, kind: entryKind, data: data.slice() });
  }

  get #isSole(): boolean {
    return isSoleVoter(this.#configuration, this.replica);
  }

  #configure(data: Uint8Array): void {
    const changed = configurationAfter(this.#configuration, decodeConfChange(data));
    if (typeof changed === "string") {
      throw new RegistryError("corrupt", `A committed configuration is invalid: ${changed}`);
    }
    this.#configuration = changed;
  }

  #seen(index: number, term: number): void {
    this.#lastIndex = index;
    this.#lastTerm = Math.max(this.#lastTerm, term);
  }

  #keep(entry: Entry): void {
    this.#kept.push(entry);
    this.#keptBytes += entryBytes(entry);
    while (this.#keptBytes > REPLICA_LOG_BYTES && this.#kept[0]!.index <= this.appliedIndex) {
      const oldest = this.#kept.shift()!;
      this.#keptBytes -= entryBytes(oldest);
      this.#keptIndex = oldest.index;
      this.#keptTerm = oldest.term;
    }
  }

  /** Drops the kept entries: everything up to `index` is only in the machine. */
  #dropped(index: number, term: number): void {
    this.#kept = [];
    this.#keptBytes = 0;
    this.#keptIndex = index;
    this.#keptTerm = term;
  }
}

/** Collects recovered groups. */
export class Recovery<Machine extends RestorableMachine> {
  readonly groups = new Map<GroupId, RecoveredGroup<Machine>>();
  /** The replicas that owner records name, by group. */
  readonly owners = new Map<GroupId, ReplicaId>();
  /** The groups whose replica was removed from this node for good. */
  readonly retired = new Set<GroupId>();
  /** The log's handlers; the owner adds those for the end of the opening. */
  readonly handlers: Omit<SharedLogHandlers, "ready" | "failed">;
  nodeState: NodeState = { counter: 0, mayHaveSupported: false };
  readonly #newMachine: (group: GroupId) => Machine;
  readonly #ownerDefault: number;
  #termMin = 0;
  #image: { readonly point: ImagePoint; readonly target: ImageTarget } | undefined;

  /**
   * @param newMachine creates the empty machine of a group.
   * @param ownerDefault this node's replica of a group that has no owner record; default: the founder.
   */
  constructor(
    newMachine: (group: GroupId) => Machine,
    events: LogEvents,
    ownerDefault: number = FOUNDER_REPLICA,
  ) {
    this.#newMachine = newMachine;
    this.#ownerDefault = ownerDefault;
    this.handlers = {
      hardState: (group, state) => this.#hardState(group, state),
      imageStart: (group, point) => {
        this.#image = { point, target: this.take(group).machine.imageLoader() };
      },
      imageChunk: (_group, chunk) => defined(this.#image, "An image began").target.push(chunk),
      imageEnd: (group) => this.#imageEnd(group),
      entry: (group, index, term, kind, data) => this.take(group).entry(index, term, kind, data),
      ...events,
    };
  }

  /** Returns the replica to which the log's content of a group belongs. */
  ownerOf(group: GroupId): number {
    return this.owners.get(group) ?? this.#ownerDefault;
  }

  /** Returns the group with that id; an empty one if the log has none. */
  take(group: GroupId): RecoveredGroup<Machine> {
    let recovered = this.groups.get(group);
    if (recovered === undefined) {
      recovered = new RecoveredGroup(this.#newMachine(group), this.ownerOf(group));
      recovered.termMin = this.#termMin;
      this.groups.set(group, recovered);
    }
    return recovered;
  }

  /**
   * Completes the recovery of a log that continues under `generation`: raises terms and the node's
   * counter to its first term. Neither may be used twice, so after a loss of data many are skipped.
   */
  finish(generation: number): void {
    const termMin = firstTermOf(generation);
    this.#termMin = termMin;
    for (const recovered of this.groups.values()) recovered.termMin = termMin;
    const { counter, mayHaveSupported } = this.nodeState;
    this.nodeState = { counter: Math.max(counter, termMin), mayHaveSupported };
  }

  #hardState(group: GroupId, state: LoggedHardState): void {
    if (group === NODE_STATE_GROUP) {
      this.nodeState = { counter: state.term, mayHaveSupported: state.vote !== 0 };
      return;
    }
    const owned = groupOfOwnerRecord(group);
    if (owned === undefined) return this.take(group).hardState(state);
    const { replica, isRetired } = decodeOwner(state);
    this.owners.set(owned, replica);
    if (isRetired) this.retired.add(owned);
    else this.retired.delete(owned);
    // Hard states come in any order, but before everything that depends on the owner.
    const recovered = this.groups.get(owned);
    if (recovered !== undefined) recovered.replica = replica;
  }

  #imageEnd(group: GroupId): void {
    const { point, target } = defined(this.#image, "An image began");
    target.finish();
    this.#image = undefined;
    this.take(group).image(point);
  }
}
