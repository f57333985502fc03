/**
 * The events of a simulated cluster, as checkers see them: replicas and their actions, clients and
 * the replies they received. A checker only reads; it throws its findings.
 *
 * Unless stated otherwise, times are the world's true time, ms since the run began: no node and no
 * client knows them. `at` fields are places in the single order of all calls and replies.
 */
import type { Position } from "../../src/base/position.ts";
import type { VoteRestriction } from "../../src/liveness/mod.ts";
import type { OutageTiming } from "../../src/replication/available_time.ts";
import type { Configuration } from "../../src/raft/mod.ts";

/** A violation of an invariant. */
export class Finding extends Error {
  override readonly name = "Finding";
  /** The checker that reported it. */
  readonly checker: string;

  constructor(checker: string, message: string) {
    super(message);
    this.checker = checker;
  }
}

/** Identifies a replica; one object for its whole life, across restarts of its node. */
export interface ReplicaRef {
  readonly node: number;
  readonly group: number;
  /** Assigned once and never reused. */
  readonly replica: number;
}

/**
 * A replica at this moment, while its node runs. Getters: read only what is needed, and keep no
 * view.
 */
export interface ReplicaView {
  readonly ref: ReplicaRef;
  readonly role: "leader" | "candidate" | "pre_candidate" | "follower";
  readonly term: number;
  readonly vote: number;
  /** Replica id; 0: not known. */
  readonly leader: number;
  readonly committed: number;
  readonly applied: number;
  readonly lastIndex: number;
  readonly configuration: Configuration;
  /** The group was quarantined: an invariant broke. */
  readonly isFailed: boolean;
  /** The reason for which it cannot vote now, by the node's own clock; undefined: there is none. */
  readonly bond: VoteRestriction | undefined;
  /**
   * Whether a linearizable read that arrives now would be served by lease, without asking others.
   */
  readonly holdsLease: boolean;
  /** The term of an entry in its log, durable or not; undefined: compacted, or beyond its end. */
  termAt(index: number): number | undefined;
  /**
   * Returns a hash of the state machine's image as of `applied`. Expensive: it reads the whole
   * state.
   */
  imageHash(): number;
}

/** A node's state; a paused or suspended one answers no other, so its replicas promise nothing. */
export type NodeState = "up" | "paused" | "suspended" | "down";

/** A node at this moment. */
export interface NodeView {
  readonly id: number;
  readonly state: NodeState;
  /** From 1; increases with each start. */
  readonly run: number;
  /** Time for which a sync of its log has not returned, by the node's clock; 0: none is stuck. */
  readonly stuckMs: number;
  /** Empty while it is down. */
  readonly replicas: readonly ReplicaView[];
}

/** The whole cluster. */
export interface ClusterView {
  readonly nowMs: number;
  readonly nodes: readonly NodeView[];
  /** Returns the replicas of a group on nodes that are not down. */
  replicasOf(group: number): readonly ReplicaView[];
}

/** An entry that a replica handed to its log, or found there at its start. */
export interface AppendedEntry {
  readonly index: number;
  readonly term: number;
  /** The term of the previous entry in the same log; undefined if an image precedes it. */
  readonly previousTerm: number | undefined;
  /** See the ENTRY_ constants of src/node. */
  readonly kind: number;
  readonly hash: number;
}

/** A command that a replica's state machine applied; entries without a command are not applied. */
export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  readonly hash: number;
}

/** A state machine's state at an index, when an image was written or loaded. */
export interface ImageTaken {
  readonly index: number;
  readonly term: number;
  readonly hash: number;
}

/**
 * A vote, an acknowledgement of entries, a claim of leadership, or the confirmation of a leader by
 * a reply to its heartbeat, sent from one replica to another.
 */
export interface Words {
  readonly kind: "vote" | "acknowledgement" | "leadership" | "confirmation";
  /** The event of the world in which they are sent. */
  readonly step: number;
  readonly term: number;
  /** Replica id. */
  readonly to: number;
  /** Of an acknowledgement: all entries up to this index. */
  readonly index: number;
  /** The state that a restart of the node would find at this moment. */
  readonly disk: { readonly term: number; readonly vote: number; readonly lastIndex: number };
}

/** The lease of a record as its leader has it, and as it is logged; ms from now. */
export interface LeaseView {
  readonly key: string;
  /** Time until the record is due. */
  readonly leftMs: number;
  /** Time until the end of its cover, which another leader would know. */
  readonly coverLeftMs: number;
}

/** A read that a replica may serve now, by a barrier. */
export interface PermittedRead {
  /** The term of the leader that permitted it. */
  readonly term: number;
  /** The event in which the replica was asked. */
  readonly askedStep: number;
  /** The term that it led then; 0: none, and it asked its leader. */
  readonly askedTerm: number;
  /** The configuration has changed since, so it is not known which one confirmed the read. */
  readonly isReconfigured: boolean;
}

/** A read with a bound on its age, when a replica was permitted to serve it. */
export interface BoundedRead {
  readonly maxStalenessMs: number;
  /** The age that its receipt states. */
  readonly ageBoundMs: number;
  /** The index that it reads. */
  readonly index: number;
  /** When the age was stated; of a read that the leader confirmed, when it was asked. */
  readonly atMs: number;
}

/** The operations that clients request on a record. */
export type OperationKind = "get" | "register" | "take_over" | "deregister" | "renew";

/**
 * The end of an operation. `ok`: as `value` says. `not_found`: the client was told that there is no
 * such record, which for a `get` and a `renew` reveals the state. `refused`: nothing was done, for
 * the reason in `code`. `unknown`: it took effect, will, or never does.
 */
export type OperationEnd = "ok" | "not_found" | "refused" | "unknown";

/** One operation of a client with all its attempts, after it ended. */
export interface Operation {
  readonly client: number;
  readonly group: number;
  /** Unique over all groups. */
  readonly key: string;
  readonly kind: OperationKind;
  /** The way in which it was served: the guarantees of each way can break differently. */
  readonly way: "lease" | "barrier" | "propose" | "memory";
  /**
   * Long leases never end within a run, so such keys are registers in the sense of linearizability.
   */
  readonly isLongLived: boolean;
  readonly ttlMs: number;
  readonly end: OperationEnd;
  /** Of `refused`. */
  readonly code: string;
  /**
   * Identifies one write in the whole run: for a register the value written, for a get the value
   * seen, for a renew or deregister the value meant; 0: none.
   */
  readonly value: number;
  /** Of a register: the record's incarnation in the reply. Of the others: the one seen or named. */
  readonly incarnation: Position;
  /**
   * Index of the log entry by which it took effect, or the applied index of a read; 0: not known.
   */
  readonly index: number;
  /** The term of the same entry, or of the leader that replied. */
  readonly term: number;
  /** Of a renewal: the time that the logged cover still had when it was answered, ms. */
  readonly coverLeftMs: number;
  readonly calledAt: number;
  /** `Infinity` if the end is `unknown`. */
  readonly answeredAt: number;
  readonly calledMs: number;
  readonly answeredMs: number;
  /** Start of its last attempt: a lease that it granted counts from no earlier time. */
  readonly attemptMs: number;
  /**
   * More than one attempt may have taken effect; only for `renew`, `get`, and refused operations.
   */
  readonly attempts: number;
}

/**
 * The expiry of a record, reported once for each group and index, by the first replica to apply it.
 */
export interface Expiry {
  readonly group: number;
  readonly key: string;
  readonly incarnation: Position;
  /** The log entry that removed it. */
  readonly index: number;
  readonly atMs: number;
}

/** A period in which a node could not serve, or could not log. */
export interface NodeOutage {
  readonly node: number;
  /**
   * Its program stood still, either while a clock of its machine advanced, or unnoticed; its log
   * refused writes; a write of its log was pending for too long, counted from its handover.
   */
  readonly kind: "stop" | "unseen_stop" | "refusal" | "stall";
  readonly fromMs: number;
  readonly toMs: number;
}

/** The properties of a run that determine what may be expected of it. */
export interface RunFacts {
  readonly seed: number;
  readonly groups: readonly number[];
  readonly nodeCount: number;
  /** Groups may serve reads by lease. */
  readonly leases: boolean;
  /** No clock deviates from true time by more than this many parts per million. */
  readonly driftPpm: number;
  /** Timing of the detection of outages, and of the grace after them. */
  readonly outages: OutageTiming;
  /** Wall clocks are set in this run, which looks like a suspended machine. */
  readonly hasWallJumps: boolean;
}

/** The end of a run, for checkers that compare final states. */
export interface RunEnd {
  readonly view: ClusterView;
  /** The time at which the last fault ended: afterwards nothing was broken or held up. */
  readonly healedMs: number;
  /** By key: its state after the last operation, read linearizably; 0: none. */
  readonly finalValues: ReadonlyMap<string, { readonly value: number; readonly atMs: number }>;
  /** Keys with short leases that were requested once more when all of those must have ended. */
  readonly leftOver: ReadonlyMap<string, { readonly value: number; readonly atMs: number }>;
}

/**
 * Checks one run, from its start to its end; a new one is made for each run. Every hook may throw a
 * {@link Finding}, and must not keep the views that it is given.
 */
export interface Checker {
  readonly name: string;
  /**
   * A replica has a new log entry, in the order of its log; entries at and above its index are
   * gone.
   */
  onAppend?(ref: ReplicaRef, entry: AppendedEntry): void;
  /** A message is sent on which others will rely. */
  onWords?(ref: ReplicaRef, words: Words): void;
  /** A replica is permitted to serve a read. */
  onRead?(reader: ReplicaView, read: PermittedRead): void;
  /** A replica is permitted to serve a read with a bound on its age. */
  onBoundedRead?(ref: ReplicaRef, read: BoundedRead): void;
  /** A vote is on the disk; 0: none was given in that term. */
  onVote?(ref: ReplicaRef, term: number, vote: number): void;
  onApply?(ref: ReplicaRef, entry: AppliedEntry): void;
  /** The state machine begins to lead, and so to compute the ends of leases. */
  onLed?(ref: ReplicaRef, leases: readonly LeaseView[]): void;
  /** A node tells others its run number for the first time since it was started. */
  onRun?(node: number, run: number): void;
  onImage?(ref: ReplicaRef, image: ImageTaken): void;
  /** A restart will find the image at `index`, unless a newer one exists. */
  onImageDurable?(ref: ReplicaRef, index: number): void;
  /**
   * A node has started from the content of its disk: its replicas may have forgotten their commit.
   */
  onStart?(node: NodeView): void;
  /** A replica was removed from its group, and its log was forgotten. */
  onForget?(ref: ReplicaRef): void;
  onExpired?(expiry: Expiry): void;
  onOperation?(operation: Operation): void;
  /** An owner sends a renewal. */
  onTry?(key: string, incarnation: Position, atMs: number): void;
  /** An outage of a node is over, and the run in which it happened continues. */
  onOutage?(outage: NodeOutage): void;
  /** Something ran on this node, which is up: only replicas of such nodes can have changed. */
  afterStep?(node: NodeView, view: ClusterView): void;
  onEnd?(end: RunEnd): void;
}

/** Creates a checker for one run. */
export type CheckerMaker = (facts: RunFacts) => Checker;
