/** A replica and its state machine, as checkers see them; and the machine that tells what it applies. */
import type { LogIndex, Term } from "../../src/base/ids.ts";
import type { RaftGroup } from "../../src/node/group.ts";
import { PartitionMachine } from "../../src/node/machines.ts";
import type { Configuration, RaftStatus } from "../../src/raft/mod.ts";
import type { ApplyReply } from "../../src/store/reply.ts";
import type { PartitionStore } from "../../src/store/store.ts";
import type { AppliedEntry, ReplicaRef, ReplicaView } from "./history.ts";
import type { LogMirror } from "./log_mirror.ts";
import { EMPTY_HASH } from "./log_mirror.ts";
import type { PlacedReplica } from "./placement.ts";
import { hashBytes } from "./trace.ts";

/** A partition's machine that tells what it applies. */
export class WatchedMachine extends PartitionMachine {
  readonly #applied: (entry: AppliedEntry) => void;

  constructor(
    store: PartitionStore,
    scratch: Uint8Array<ArrayBuffer>,
    applied: (entry: AppliedEntry) => void,
  ) {
    super(store, scratch);
    this.#applied = applied;
  }

  override apply(
    index: LogIndex,
    term: Term,
    command: Uint8Array,
    leaderNowMs: number,
  ): ApplyReply {
    const reply = super.apply(index, term, command, leaderNowMs);
    this.#applied({ index, term, hash: hashBytes(command) });
    return reply;
  }
}

/** A replica in one run of its node. */
export class RunningReplica implements ReplicaView {
  readonly ref: PlacedReplica;
  readonly group: RaftGroup<ApplyReply>;
  readonly machine: WatchedMachine;
  isFailed = false;
  readonly #mirror: LogMirror;
  readonly #stepOf: () => number;
  #status: RaftStatus;
  #statusStep = -1;

  /** @param stepOf grows with each event of the world: what was read in one stays as it is. */
  constructor(parts: {
    ref: PlacedReplica;
    group: RaftGroup<ApplyReply>;
    machine: WatchedMachine;
    mirror: LogMirror;
    stepOf: () => number;
  }) {
    this.ref = parts.ref;
    this.group = parts.group;
    this.machine = parts.machine;
    this.#mirror = parts.mirror;
    this.#stepOf = parts.stepOf;
    this.#status = parts.group.raftStatus();
  }

  /** The replica as its core has it, at this step. */
  get status(): RaftStatus {
    const step = this.#stepOf();
    if (step !== this.#statusStep) {
      this.#status = this.group.raftStatus();
      this.#statusStep = step;
    }
    return this.#status;
  }

  get role(): ReplicaView["role"] {
    return this.status.role;
  }

  get term(): number {
    return this.status.term;
  }

  get vote(): number {
    return this.status.vote;
  }

  get leader(): number {
    return this.status.lead;
  }

  get committed(): number {
    return this.status.committed;
  }

  get applied(): number {
    return this.status.applied;
  }

  get lastIndex(): number {
    return this.status.lastIndex;
  }

  get configuration(): Configuration {
    return this.status.configuration;
  }

  /** Up to where a restart of the node would know entries to be committed. */
  get durableCommit(): number {
    return this.#mirror.durableCommit(this.ref.group);
  }

  get holdsLease(): boolean {
    return this.group.readPoint(0) !== undefined;
  }

  termAt(index: number): number | undefined {
    // What it applied and let go of is in the log; all else is known to the core alone, whose log is
    // ahead of the disk's, and may contradict it still.
    const term = this.group.entryTerm(index);
    if (term !== undefined || index > this.applied) return term;
    return this.#mirror.termAt(this.ref.group, index);
  }

  imageHash(): number {
    let hash = EMPTY_HASH;
    for (const chunk of this.machine.writeImage()) hash = hashBytes(chunk, hash);
    return hash;
  }
}

/** True where both name one replica. */
export function sameReplica(left: ReplicaRef | undefined, right: ReplicaRef | undefined): boolean {
  return left?.replica === right?.replica;
}
