/**
 * A replica and its state machine, as checkers see them; and the machine that reports the commands
 * it applies.
 */
import type { GroupTimeMs, LogIndex, Term } from "../../src/base/ids.ts";
import type { MonotonicClock } from "../../src/base/world.ts";
import type { VoteRestriction } from "../../src/liveness/mod.ts";
import type { RaftGroup } from "../../src/replication/group.ts";
import { PartitionMachine } from "../../src/replication/machines.ts";
import type { Configuration, RaftStatus } from "../../src/raft/mod.ts";
import { KIND_AGENT } from "../../src/record/key.ts";
import type { ApplyReply } from "../../src/store/reply.ts";
import type { PartitionStore } from "../../src/store/store.ts";
import type { AppliedEntry, LeaseView, ReplicaView } from "./history.ts";
import { keyName } from "./load.ts";
import type { LogMirror } from "./log_mirror.ts";
import { EMPTY_HASH } from "./log_mirror.ts";
import type { PlacedReplica } from "./placement.ts";
import { hashBytes } from "./trace.ts";

/** Events of a machine. */
export interface MachineEvents {
  applied(entry: AppliedEntry): void;
  /** The machine leads from now on, with these leases. */
  led(leases: readonly LeaseView[]): void;
}

/**
 * A partition's machine that reports the commands it applies, and the leases with which it begins
 * to lead.
 */
export class WatchedMachine extends PartitionMachine {
  readonly #events: MachineEvents;

  constructor(store: PartitionStore, scratch: Uint8Array<ArrayBuffer>, events: MachineEvents) {
    super(store, scratch);
    this.#events = events;
  }

  override onBecomeLeader(nowMs: GroupTimeMs): void {
    super.onBecomeLeader(nowMs);
    const { store } = this;
    const leases: LeaseView[] = [];
    store.forEachSlot(KIND_AGENT, (slot) => {
      const { id, leaseExpiryMs } = store.agentView(slot);
      const key = keyName(id);
      const coverLeftMs = Math.max(0, leaseExpiryMs - nowMs);
      leases.push({ key, coverLeftMs, leftMs: store.remainingMs(slot, nowMs) });
    });
    this.#events.led(leases);
  }

  override apply(
    index: LogIndex,
    term: Term,
    command: Uint8Array,
    leaderNowMs: number,
  ): ApplyReply {
    const reply = super.apply(index, term, command, leaderNowMs);
    this.#events.applied({ index, term, hash: hashBytes(command) });
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
  readonly #clock: MonotonicClock;
  readonly #stepOf: () => number;
  #status: RaftStatus;
  #statusStep = -1;
  #holdsLease = false;
  #leaseStep = -1;

  /**
   * @param stepOf increases with each event of the world: values read in one event stay valid in
   * it.
   */
  constructor(parts: {
    ref: PlacedReplica;
    group: RaftGroup<ApplyReply>;
    machine: WatchedMachine;
    mirror: LogMirror;
    clock: MonotonicClock;
    stepOf: () => number;
  }) {
    this.ref = parts.ref;
    this.group = parts.group;
    this.machine = parts.machine;
    this.#mirror = parts.mirror;
    this.#clock = parts.clock;
    this.#stepOf = parts.stepOf;
    this.#status = parts.group.raftStatus();
  }

  /** The replica's status in its core, at this step. */
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

  /** Index up to which a restart of the node would know entries to be committed. */
  get durableCommit(): number {
    return this.#mirror.durableCommit(this.ref.group);
  }

  get holdsLease(): boolean {
    const step = this.#stepOf();
    if (step !== this.#leaseStep) {
      this.#holdsLease = this.group.readPoint(0) !== undefined;
      this.#leaseStep = step;
    }
    return this.#holdsLease;
  }

  get bond(): VoteRestriction | undefined {
    return this.group.voteRestrictionAt(this.#clock.nowMs());
  }

  termAt(index: number): number | undefined {
    // Applied and released entries are in the log; all others are known only to the core, whose log
    // is ahead of the disk's, and may still contradict it.
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
