/**
 * From the folder to the state machines: takes what the shared log recovers, group by group, and
 * builds each group's machine from its image and the entries that are known to be committed. The
 * others are kept for the group's core to decide. Synchronous and in one pass; nothing is served
 * before it is done.
 *
 * Committed is what the hard state says, and, as long as this node's replica decides alone, all that
 * is in its log (Raft thesis §3.6.2: a majority of one). A group without a configuration was founded
 * by one replica alone.
 */
import { defined } from "../base/assert.ts";
import { RegistryError } from "../base/errors.ts";
import {
  firstTermOf,
  type GroupId,
  type LogIndex,
  NODE_STATE_GROUP,
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
  HardState as LoggedHardState,
  ImagePoint,
  SharedLog,
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
import type { ReplicaLogStart } from "./replica_log.ts";
import type { StateMachine } from "./state_machine.ts";

/** Takes an image piece by piece, cut anywhere. */
export interface ImageTarget {
  /** The bytes are valid during the call only. */
  push(chunk: Uint8Array): void;
  finish(): void;
}

/** A machine that can be restored. */
export interface RestorableMachine extends StateMachine<unknown> {
  /** Begins to load an image into the machine, which is empty. */
  imageLoader(): ImageTarget;
}

/** How a group begins, apart from its machine. */
export interface RecoveredState {
  /** Where the machine stands. */
  readonly appliedIndex: LogIndex;
  readonly appliedTerm: Term;
  readonly log: ReplicaLogStart;
}

/** What this node must not forget about itself: a hard state of `NODE_STATE_GROUP`. */
export interface NodeState {
  /** The highest number given to a run or an epoch; 0: none was. */
  readonly counter: number;
  /** Whether it may have promised its support to another node. */
  readonly mayHaveSupported: boolean;
}

/** What the open log tells after its recovery. */
export interface LogEvents {
  cut(notice: CutNotice): void;
  poisoned(error: RegistryError): void;
  writable(writable: boolean): void;
  synced(durationMs: number): void;
  /** Acknowledged data is gone, which the operator accepts; the log goes on under `generation`. */
  lost?(what: string, generation: number): void;
  /** The loss of what is acknowledged from now on may not be found out. */
  unmarked?(error: RegistryError): void;
}

/** A group that is being recovered. */
export class RecoveredGroup<Machine extends RestorableMachine> implements RecoveredState {
  readonly machine: Machine;
  /** It begins at this term at least: the first of the log's generation. */
  termMin = 0;
  readonly #replica: number;
  appliedIndex = 0 as LogIndex;
  appliedTerm = 0 as Term;
  #hardState: HardState = EMPTY_HARD_STATE;
  #configuration: Configuration = EMPTY_CONFIGURATION;
  /** The entry below those that are kept. */
  #keptIndex = 0;
  #keptTerm = 0;
  /** Those not decided, and before them some that others may lack. */
  #kept: Entry[] = [];
  #keptBytes = 0;
  #lastIndex = 0;
  #lastTerm = 0;

  constructor(machine: Machine, replica: number) {
    this.machine = machine;
    this.#replica = replica;
  }

  get log(): ReplicaLogStart {
    const { term, vote, commit } = this.#hardState;
    // The crash may have come between entries, or an image, and the hard state that goes with them.
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
    this.#seen(index, term);
    this.#dropped(index, term);
  }

  /** @param data is copied where it is kept. */
  entry(index: number, term: number, kind: number, data: Uint8Array): void {
    // Only what a founder logged alone stands before any configuration.
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
    return isSoleVoter(this.#configuration, this.#replica);
  }

  #configure(data: Uint8Array): void {
    const changed = configurationAfter(this.#configuration, decodeConfChange(data));
    if (typeof changed === "string") {
      throw new RegistryError("corrupt", `A committed configuration cannot be: ${changed}`);
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

  /** All up to here is in the machine and nowhere else. */
  #dropped(index: number, term: number): void {
    this.#kept = [];
    this.#keptBytes = 0;
    this.#keptIndex = index;
    this.#keptTerm = term;
  }
}

/** Gathers recovered groups; `ready` and `failed` of the handlers settle {@link done}. */
export class Recovery<Machine extends RestorableMachine> {
  readonly groups = new Map<GroupId, RecoveredGroup<Machine>>();
  readonly handlers: SharedLogHandlers;
  /** The open log, once all that it holds has been applied. */
  readonly done: Promise<SharedLog>;
  nodeState: NodeState = { counter: 0, mayHaveSupported: false };
  readonly #newMachine: (group: GroupId) => Machine;
  readonly #replicaOf: (group: GroupId) => number;
  #termMin = 0;
  #image: { readonly point: ImagePoint; readonly target: ImageTarget } | undefined;

  /**
   * @param newMachine makes the empty machine of a group.
   * @param replicaOf this node's replica of a group; default: the founder's.
   */
  constructor(
    newMachine: (group: GroupId) => Machine,
    events: LogEvents,
    replicaOf: (group: GroupId) => number = () => FOUNDER_REPLICA,
  ) {
    this.#newMachine = newMachine;
    this.#replicaOf = replicaOf;
    const { promise, resolve, reject } = Promise.withResolvers<SharedLog>();
    this.done = promise;
    this.handlers = {
      hardState: (group, state) => this.#hardState(group, state),
      imageStart: (group, point) => {
        this.#image = { point, target: this.take(group).machine.imageLoader() };
      },
      imageChunk: (_group, chunk) => defined(this.#image, "An image began").target.push(chunk),
      imageEnd: (group) => this.#imageEnd(group),
      entry: (group, index, term, kind, data) => this.take(group).entry(index, term, kind, data),
      ready: (log) => {
        this.#beginAt(firstTermOf(log.generation));
        resolve(log);
      },
      failed: reject,
      ...events,
    };
  }

  /** The group of that id, empty where the log did not know it. */
  take(group: GroupId): RecoveredGroup<Machine> {
    let recovered = this.groups.get(group);
    if (recovered === undefined) {
      recovered = new RecoveredGroup(this.#newMachine(group), this.#replicaOf(group));
      recovered.termMin = this.#termMin;
      this.groups.set(group, recovered);
    }
    return recovered;
  }

  /** Numbers of this node, like terms of its groups, are never given twice: a loss skips many. */
  #beginAt(termMin: Term): void {
    this.#termMin = termMin;
    for (const recovered of this.groups.values()) recovered.termMin = termMin;
    const { counter, mayHaveSupported } = this.nodeState;
    this.nodeState = { counter: Math.max(counter, termMin), mayHaveSupported };
  }

  #hardState(group: GroupId, state: LoggedHardState): void {
    if (group === NODE_STATE_GROUP) {
      this.nodeState = { counter: state.term, mayHaveSupported: state.vote !== 0 };
    } else {
      this.take(group).hardState(state);
    }
  }

  #imageEnd(group: GroupId): void {
    const { point, target } = defined(this.#image, "An image began");
    target.finish();
    this.#image = undefined;
    this.take(group).image(point);
  }
}
