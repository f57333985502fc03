/**
 * From the folder to the state machines: takes what the shared log recovers, group by group, and
 * builds each group's machine from its image and its entries. Synchronous and in one pass; nothing
 * is served before it is done.
 */
import { defined } from "../base/assert.ts";
import type { GroupId, LogIndex, Term } from "../base/ids.ts";
import type { RegistryError } from "../base/errors.ts";
import type {
  CutNotice,
  HardState,
  ImagePoint,
  SharedLog,
  SharedLogHandlers,
} from "../storage/shared_log.ts";
import { ENTRY_COMMAND, type StateMachine } from "./local_group.ts";

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

/** A group as recovery left it. */
export interface RecoveredGroup<Machine extends RestorableMachine> {
  readonly machine: Machine;
  appliedIndex: LogIndex;
  appliedTerm: Term;
  /** The highest term seen in entries and hard state. */
  lastTerm: Term;
}

/** What the open log tells after its recovery. */
export interface LogEvents {
  cut(notice: CutNotice): void;
  poisoned(error: RegistryError): void;
  writable(writable: boolean): void;
  synced(durationMs: number): void;
}

/** Gathers recovered groups; `ready` and `failed` of the handlers settle {@link done}. */
export class Recovery<Machine extends RestorableMachine> {
  readonly groups = new Map<GroupId, RecoveredGroup<Machine>>();
  readonly handlers: SharedLogHandlers;
  /** The open log, once all that it holds has been applied. */
  readonly done: Promise<SharedLog>;
  readonly #newMachine: (group: GroupId) => Machine;
  #image: { readonly point: ImagePoint; readonly target: ImageTarget } | undefined;

  /** @param newMachine makes the empty machine of a group. */
  constructor(newMachine: (group: GroupId) => Machine, events: LogEvents) {
    this.#newMachine = newMachine;
    const { promise, resolve, reject } = Promise.withResolvers<SharedLog>();
    this.done = promise;
    this.handlers = {
      hardState: (group, state) => this.#hardState(group, state),
      imageStart: (group, point) => {
        this.#image = { point, target: this.take(group).machine.imageLoader() };
      },
      imageChunk: (_group, chunk) => defined(this.#image, "An image began").target.push(chunk),
      imageEnd: (group) => this.#imageEnd(group),
      entry: (group, index, term, kind, data) => this.#entry(group, index, term, kind, data),
      ready: resolve,
      failed: reject,
      ...events,
    };
  }

  /** The group of that id, empty where the log did not know it. */
  take(group: GroupId): RecoveredGroup<Machine> {
    let recovered = this.groups.get(group);
    if (recovered === undefined) {
      recovered = {
        machine: this.#newMachine(group),
        appliedIndex: 0 as LogIndex,
        appliedTerm: 0 as Term,
        lastTerm: 0 as Term,
      };
      this.groups.set(group, recovered);
    }
    return recovered;
  }

  #hardState(group: GroupId, state: HardState): void {
    const recovered = this.take(group);
    if (state.term > recovered.lastTerm) recovered.lastTerm = state.term;
  }

  #imageEnd(group: GroupId): void {
    const { point, target } = defined(this.#image, "An image began");
    target.finish();
    this.#image = undefined;
    this.#applied(this.take(group), point.index, point.term);
  }

  #entry(group: GroupId, index: LogIndex, term: Term, kind: number, data: Uint8Array): void {
    const recovered = this.take(group);
    if (kind === ENTRY_COMMAND) recovered.machine.apply(index, term, data, 0);
    this.#applied(recovered, index, term);
  }

  #applied(recovered: RecoveredGroup<Machine>, index: LogIndex, term: Term): void {
    recovered.appliedIndex = index;
    recovered.appliedTerm = term;
    if (term > recovered.lastTerm) recovered.lastTerm = term;
  }
}
