/**
 * What happens in a simulated cluster, as checkers see it: replicas and what they do, clients and
 * what they were told. A checker looks and never touches; what it finds wrong it throws.
 *
 * Times without another word are the world's true time, ms since the run began: no node and no
 * client knows them. `at` fields are places in the one order of all calls and answers.
 */
import type { Bond } from "../../src/liveness/mod.ts";
import type { OutageTiming } from "../../src/replication/available_time.ts";
import type { Configuration } from "../../src/raft/mod.ts";
import type { Position } from "../../src/store/reply.ts";

/** Something that must not be. */
export class Finding extends Error {
  override readonly name = "Finding";
  /** The checker that found it. */
  readonly checker: string;

  constructor(checker: string, message: string) {
    super(message);
    this.checker = checker;
  }
}

/** Which replica it is; one object for its whole life, across restarts of its node. */
export interface ReplicaRef {
  readonly node: number;
  readonly group: number;
  /** Given out once and never again. */
  readonly replica: number;
}

/** A replica at this moment, while its node runs. Getters: read what is needed, keep no view. */
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
  /** What keeps it from voting now, by the node's own clock; undefined: nothing does. */
  readonly bond: Bond | undefined;
  /** A linearizable read that came now would be served by lease, without asking anybody. */
  readonly holdsLease: boolean;
  /** The term of an entry in its log, durable or not; undefined: compacted, or beyond its end. */
  termAt(index: number): number | undefined;
  /** A hash of the state machine's image as of `applied`. Costly: a walk through all of it. */
  imageHash(): number;
}

/** A node's state; a paused or suspended one answers to nobody, so its replicas promise nothing. */
export type NodeState = "up" | "paused" | "suspended" | "down";

/** A node at this moment. */
export interface NodeView {
  readonly id: number;
  readonly state: NodeState;
  /** From 1; grows with each start. */
  readonly run: number;
  /** For how long a sync of its log does not come back, by the node's clock; 0: none is held up. */
  readonly stuckMs: number;
  /** Empty while it is down. */
  readonly replicas: readonly ReplicaView[];
}

/** All of it. */
export interface ClusterView {
  readonly nowMs: number;
  readonly nodes: readonly NodeView[];
  /** The replicas of a group on nodes that are not down. */
  replicasOf(group: number): readonly ReplicaView[];
}

/** An entry that a replica handed to its log, or found there at its start. */
export interface AppendedEntry {
  readonly index: number;
  readonly term: number;
  /** The term of the entry before, in the same log; undefined where an image stands before it. */
  readonly previousTerm: number | undefined;
  /** See the ENTRY_ constants of src/node. */
  readonly kind: number;
  readonly hash: number;
}

/** A command that a replica's state machine applied; entries that hold none are not applied. */
export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  readonly hash: number;
}

/** A state machine's state at an index: an image was written, or loaded. */
export interface ImageTaken {
  readonly index: number;
  readonly term: number;
  readonly hash: number;
}

/**
 * A vote, an acknowledgement of entries, leadership, or the confirmation of a leader by an answer to its
 * heartbeat, that a replica gives to another.
 */
export interface Words {
  readonly kind: "vote" | "acknowledgement" | "leadership" | "confirmation";
  /** The event of the world in which they leave. */
  readonly step: number;
  readonly term: number;
  /** Replica id. */
  readonly to: number;
  /** Of an acknowledgement: all entries up to it. */
  readonly index: number;
  /** What a restart of the node would find at this moment. */
  readonly disk: { readonly term: number; readonly vote: number; readonly lastIndex: number };
}

/** The lease of a record as its leader has it, and as it is logged; ms from now. */
export interface LeaseView {
  readonly key: string;
  /** Until the record is due. */
  readonly leftMs: number;
  /** Until the end of its cover, which is what another leader would know. */
  readonly coverLeftMs: number;
}

/** A read that a replica may serve now, by a barrier. */
export interface PermittedRead {
  /** Of the leader who permitted it. */
  readonly term: number;
  /** The event in which the replica was asked. */
  readonly askedStep: number;
  /** The term that it led then; 0: none, and it asked its leader. */
  readonly askedTerm: number;
  /** Its configuration is another since: which one confirmed the read is not known. */
  readonly isReconfigured: boolean;
}

/** What a client asks of one record. */
export type OperationKind = "get" | "register" | "take_over" | "deregister" | "renew";

/**
 * How it ended. `ok`: as `value` says. `not_found`: told that there is no such record, which a
 * `get` and a `renew` tell of the state. `refused`: nothing was done, for a reason in `code`.
 * `unknown`: it took effect, will, or never does.
 */
export type OperationEnd = "ok" | "not_found" | "refused" | "unknown";

/** One operation of a client, all its attempts together, once it ended. */
export interface Operation {
  readonly client: number;
  readonly group: number;
  /** Unique over all groups. */
  readonly key: string;
  readonly kind: OperationKind;
  /** How it was served: what a group promises of each way differs in how it can break. */
  readonly way: "lease" | "barrier" | "propose" | "memory";
  /** Long leases never end within a run: such keys are registers in the sense of linearizability. */
  readonly isLongLived: boolean;
  readonly ttlMs: number;
  readonly end: OperationEnd;
  /** Of `refused`. */
  readonly code: string;
  /**
   * Names one write among all of the run: of a register what it wrote, of a get what it saw, of a
   * renew or deregister what it meant; 0: none.
   */
  readonly value: number;
  /** Of a register: the record's incarnation as answered. Of the others: as seen or named. */
  readonly incarnation: Position;
  /** Of the log entry by which it took effect, or the applied index that it read at; 0: not known. */
  readonly index: number;
  /** The same entry's, or that of the leader who answered. */
  readonly term: number;
  /** Of a renewal: how far the logged cover reached when it was answered, ms. */
  readonly coverLeftMs: number;
  readonly calledAt: number;
  /** `Infinity` where the end is `unknown`. */
  readonly answeredAt: number;
  readonly calledMs: number;
  readonly answeredMs: number;
  /** When its last attempt began: a lease that it granted counts from no earlier. */
  readonly attemptMs: number;
  /** More than one attempt may have taken effect; only of `renew` and `get`, and of refused ones. */
  readonly attempts: number;
}

/** A record's end by expiry, told once for each group and index: by whom applied it first. */
export interface Expiry {
  readonly group: number;
  readonly key: string;
  readonly incarnation: Position;
  /** The log entry that removed it. */
  readonly index: number;
  readonly atMs: number;
}

/** A stretch in which a node could not serve, or could not log. */
export interface NodeOutage {
  readonly node: number;
  /**
   * Its program stood still, while a clock of its machine went on, or unseen; its log refused writes;
   * a write of its log was pending for too long, counted from its handover.
   */
  readonly kind: "stop" | "unseen_stop" | "refusal" | "stall";
  readonly fromMs: number;
  readonly toMs: number;
}

/** What the run is made of, as far as it changes what may be expected. */
export interface RunFacts {
  readonly seed: number;
  readonly groups: readonly number[];
  readonly nodeCount: number;
  /** Groups may serve reads by lease. */
  readonly leases: boolean;
  /** No clock runs faster or slower than true time by more than this part in a million. */
  readonly driftPpm: number;
  /** How nodes notice outages, and the grace after them. */
  readonly outages: OutageTiming;
  /** Wall clocks are set in this run, which looks like a suspended machine. */
  readonly hasWallJumps: boolean;
}

/** How the run ended, for checkers of what must be there in the end. */
export interface RunEnd {
  readonly view: ClusterView;
  /** When the last fault ended: from then on nothing was broken or held up. */
  readonly healedMs: number;
  /** By key: its state after the last operation, read linearizably; 0: none. */
  readonly finalValues: ReadonlyMap<string, { readonly value: number; readonly atMs: number }>;
  /** Keys with short leases that were asked for once more when all of those must have ended. */
  readonly leftOver: ReadonlyMap<string, { readonly value: number; readonly atMs: number }>;
}

/**
 * Looks at one run, from its start to its end; a new one is made for each run. Every hook may throw
 * a {@link Finding}, and must not keep the views that it is given.
 */
export interface Checker {
  readonly name: string;
  /** A new log entry of a replica, in the order of its log; those above it are gone. */
  onAppend?(ref: ReplicaRef, entry: AppendedEntry): void;
  /** Something leaves that others will rely on. */
  onWords?(ref: ReplicaRef, words: Words): void;
  /** A replica is permitted to serve a read. */
  onRead?(reader: ReplicaView, read: PermittedRead): void;
  /** A vote is on the disk; 0: none is given in that term. */
  onVote?(ref: ReplicaRef, term: number, vote: number): void;
  onApply?(ref: ReplicaRef, entry: AppliedEntry): void;
  /** Its state machine begins to lead, and so to reckon when leases end. */
  onLed?(ref: ReplicaRef, leases: readonly LeaseView[]): void;
  /** A node tells others of its run for the first time since it was started. */
  onRun?(node: number, run: number): void;
  onImage?(ref: ReplicaRef, image: ImageTaken): void;
  /** The image at `index` is what a restart will find, unless a newer one is. */
  onImageDurable?(ref: ReplicaRef, index: number): void;
  /** A node has started, from what its disk held: its replicas may have forgotten their commit. */
  onStart?(node: NodeView): void;
  /** A replica was removed from its group, and its log forgotten. */
  onForget?(ref: ReplicaRef): void;
  onExpired?(expiry: Expiry): void;
  onOperation?(operation: Operation): void;
  /** An owner sends a renewal. */
  onTry?(key: string, incarnation: Position, atMs: number): void;
  /** An outage of a node is over, and the run that it befell goes on. */
  onOutage?(outage: NodeOutage): void;
  /** Something ran on this node, which is up: only replicas of such nodes can have changed. */
  afterStep?(node: NodeView, view: ClusterView): void;
  onEnd?(end: RunEnd): void;
}

/** Makes a checker for one run. */
export type CheckerMaker = (facts: RunFacts) => Checker;
