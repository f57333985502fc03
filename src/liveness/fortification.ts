/**
 * The promises of one group. For a follower: the leader for which this replica promised not to vote
 * for anybody else, itself included, while its node supports the leader's node. For a leader: which
 * members promised that, and so how long it may count on staying the leader.
 *
 * A promise is made with a reply to the leader of (leader, term) and names the supported epoch. It
 * ends only when that support ends, when the leader reports that it no longer leads, or when a
 * leader of a higher term is followed. It does not end by a higher term alone, by forgetting the
 * leader, or by a configuration change. An election that the leader itself asked for (TimeoutNow)
 * bypasses it in the core; no lease is held in such a term. See src/raft/DESIGN.md for why that is
 * enough.
 */
import { assert } from "../base/assert.ts";
import type { CountedHalves, CountedVoter, LeaderLease, LeaseBook } from "./lease.ts";
import { quorumUntilMs } from "./lease.ts";
import type { Peer, Peers, ReplicaNodes } from "./peers.ts";
import type { ReceivedSupport } from "./received_support.ts";

/** The members of a group, as its replica applied them. The object is replaced at each change. */
export interface AppliedMembers {
  readonly voters: readonly number[];
  readonly votersOutgoing: readonly number[];
  readonly learners: readonly number[];
}

/** The view of a replica that follows. */
export interface Follower {
  readonly role: string;
  /** The known leader; 0 for none. */
  readonly lead: number;
  readonly term: number;
}

/** The view of a replica that leads. */
export interface Leader {
  readonly term: number;
  readonly configuration: AppliedMembers;
  /** Reports whether the core allows a lease: see `RaftNode.isLeaseAllowed`. */
  isLeaseAllowed(): boolean;
}

/**
 * The content of a fortifying reply: its sender and term, and the run and supported epoch of its
 * frame.
 */
export interface Fortifying {
  readonly replica: number;
  readonly term: number;
  readonly run: number;
  readonly epoch: number;
}

/** The objects shared by all groups of a node. */
export interface FortificationContext {
  readonly peers: Peers;
  readonly leases: LeaseBook;
  readonly directory: ReplicaNodes;
  /**
   * Whether leases are used; false if the machine may be paused unnoticed, then no lease is ever
   * held.
   */
  readonly areLeasesOn: boolean;
}

/**
 * The reason for which a replica may not vote: its promise to a leader (a replica id) of a term, a
 * promise that may stand since before a restart, or that the replica has ended.
 */
export type VoteRestriction =
  | { readonly leader: number; readonly term: number }
  | "earlier_run"
  | "ended";

/** The promise of a follower. */
interface Promised {
  readonly leader: number;
  readonly term: number;
  readonly peer: Peer;
  readonly epoch: number;
}

/** The state of a leader in one term. */
interface Leading {
  readonly term: number;
  configuration: AppliedMembers;
  /** All members except itself. */
  members: readonly number[];
  /** The support under which members promised; absent until one does, as most groups are alone. */
  supports: Map<number, ReceivedSupport> | undefined;
  lease: LeaderLease;
}

/** The promises of one replica of one group. Serves as the core's `LeaderSupport`. */
export class Fortification {
  readonly group: number;
  readonly replica: number;
  readonly #context: FortificationContext;
  #promise: Promised | undefined;
  #leading: Leading | undefined;
  /**
   * The highest term for which any member was told that this replica does not lead it (any more).
   */
  #releasedTerm = 0;

  constructor(group: number, replica: number, context: FortificationContext) {
    this.group = group;
    this.replica = replica;
    this.#context = context;
  }

  /**
   * Reports whether this replica must neither vote nor campaign: its own promise stands, or one of
   * an earlier run may stand, or it leads and a quorum supports it. `lead` and `term` are what it
   * follows now.
   */
  isBound(lead: number, term: number): boolean {
    const { peers } = this.#context;
    if (!peers.mayVote()) return true;
    if (lead === this.replica) return this.hasQuorum(term);
    return this.#standingPromise(lead, term) !== undefined;
  }

  /** Returns how long this replica remains {@link isBound} unless support is extended, ms; 0 if not. */
  boundMs(lead: number, term: number): number {
    const { peers } = this.#context;
    if (!this.isBound(lead, term)) return 0;
    const nowMs = peers.now();
    if (!peers.mayVote()) return peers.voteFromMs - nowMs;
    const untilMs = lead === this.replica
      ? this.#leading?.lease.untilMs
      : this.#promise?.peer.given.untilMs;
    return Math.max(0, (untilMs ?? nowMs) - nowMs);
  }

  /** Returns the standing promise, after checking that it still stands. */
  #standingPromise(lead: number, term: number): Promised | undefined {
    const promise = this.#promise;
    if (promise === undefined) return undefined;
    const isSucceeded = lead !== 0 && term > promise.term;
    if (isSucceeded || this.#context.peers.supportedEpoch(promise.peer) !== promise.epoch) {
      this.#drop();
    }
    return this.#promise;
  }

  /**
   * Returns the reason for which this replica may not vote at `nowMs` by its own monotonic clock:
   * its promise, or that a promise of an earlier run may stand. Checks no clock and has no side
   * effects; for observers.
   */
  voteRestrictionAt(nowMs: number): VoteRestriction | undefined {
    if (!this.#context.peers.mayVoteAt(nowMs)) return "earlier_run";
    const promise = this.#promise;
    const stands = promise?.peer.given.isGivenAt(promise.epoch, nowMs) ?? false;
    return stands ? promise : undefined;
  }

  #drop(): void {
    const promise = this.#promise;
    if (promise === undefined) return;
    promise.peer.made.remove(promise.epoch, this.group, promise.term);
    this.#promise = undefined;
  }

  /**
   * Makes the promise to be carried by `reply`, an `append_reply` or `heartbeat_reply` about to
   * leave. Returns false if the reply carries none. `node` is the replica as it is now; `epoch` is
   * the epoch of the leader's node that the frame names as supported. Must be called while that
   * frame is assembled, so that nothing happens in between.
   */
  fortify(
    reply: { readonly to: number; readonly term: number },
    node: Follower,
    epoch: number,
  ): boolean {
    const { to, term } = reply;
    // A reply waits for its write; meanwhile this replica may have moved on, or even voted.
    if (node.role !== "follower" || node.lead !== to || node.term !== term) return false;
    const { peers, directory } = this.#context;
    const leaderNode = directory.nodeOf(to);
    const peer = leaderNode === undefined ? undefined : peers.find(leaderNode);
    if (peer === undefined || epoch === 0 || peers.supportedEpoch(peer) !== epoch) return false;
    const promise = this.#promise;
    if (promise?.leader === to && promise.term === term && promise.epoch === epoch) return true;
    this.#drop();
    this.#promise = { leader: to, peer, term, epoch };
    peer.made.add(epoch, this.group, term);
    return true;
  }

  /** Returns the term of the promise to a leader on `peer`, if one stands. */
  promisedTerm(peer: Peer): number | undefined {
    const promise = this.#promise;
    if (promise?.peer !== peer) return undefined;
    return this.#standingPromise(0, 0)?.term;
  }

  /** Handles a report by `peer` that it leads this group in no term up to `term` (any more). */
  released(peer: Peer, term: number): void {
    const promise = this.#promise;
    if (promise?.peer !== peer || promise.term > term) return;
    this.#drop();
    // A standing promise kept the group asleep; nothing else may ever wake it.
    this.#context.peers.wake.add(this.group);
  }

  /**
   * Records that this replica leads `term`, with `configuration` applied. Must be called before any
   * message of that term leaves. Leadership of an earlier term ends.
   */
  lead(term: number, configuration: AppliedMembers): void {
    const { leases } = this.#context;
    if (this.#leading?.term === term) {
      this.#configure(this.#leading, configuration);
      return;
    }
    this.stopLeading();
    this.#drop();
    const lease = leases.acquire(this.#halves(configuration, undefined));
    const members = this.#others(configuration);
    this.#leading = { term, configuration, members, supports: undefined, lease };
  }

  /** Records that this replica no longer leads. All members are told until they acknowledge it. */
  stopLeading(): void {
    const leading = this.#leading;
    if (leading === undefined) return;
    this.#leading = undefined;
    this.#context.leases.release(leading.lease);
    for (const replica of leading.members) {
      this.#forget(leading, replica);
      const peer = this.#peerOf(replica);
      if (peer !== undefined) this.#release(peer, leading.term);
    }
  }

  /** Reports whether this replica leads `term`, as recorded by `lead` and `stopLeading`. */
  isLeading(term: number): boolean {
    return this.#leading?.term === term;
  }

  /** Tells `peer` that this replica leads no term up to `term`. */
  #release(peer: Peer, term: number): void {
    this.#releasedTerm = Math.max(this.#releasedTerm, term);
    // If nothing was heard from that node, no promise of it can stand.
    if (peer.received === undefined) return;
    if (peer.releases.add(this.group, term)) peer.nextBeatMs = Number.NEGATIVE_INFINITY;
  }

  /**
   * Records a fortifying reply of a member, with the run and epoch of its frame. Returns false if it
   * changed nothing, as most do: they repeat a promise.
   */
  fortified(promise: Fortifying): boolean {
    const { replica, term, run, epoch } = promise;
    const peer = this.#peerOf(replica);
    const received = peer?.received;
    // A promise under an earlier epoch, or from an earlier run, has ended, whenever it was made.
    if (peer === undefined || received?.epoch !== epoch || received.run !== run) return false;
    const leading = this.#leading;
    if (leading?.term !== term) {
      // Made to a former leader, which delayed appends can cause. It would bind the member for
      // nothing.
      this.#release(peer, term);
      return true;
    }
    // The member may already have dropped what was released, before or after it sent this.
    if (term <= this.#releasedTerm || !leading.members.includes(replica)) return false;
    if (leading.supports?.get(replica) === received) return false;
    this.#forget(leading, replica);
    leading.supports ??= new Map();
    leading.supports.set(replica, received);
    peer.heard.add(received.id, this.group, term);
    this.#renew(leading);
    return true;
  }

  /** Handles a report that a member on `peer` has promised itself to this replica for `term`. */
  asked(peer: Peer, term: number): void {
    const leading = this.#leading;
    if (leading?.term !== term) {
      this.#release(peer, term);
      return;
    }
    // Its next reply repeats the promise in a form that counts; a sleeping group is woken for it.
    const isMissing = leading.members.some((replica) => {
      return this.#peerOf(replica) === peer && leading.supports?.get(replica) !== peer.received;
    });
    if (isMissing) this.#context.peers.wake.add(this.group);
  }

  #forget(leading: Leading, replica: number): void {
    const received = leading.supports?.get(replica);
    if (received === undefined) return;
    leading.supports?.delete(replica);
    this.#peerOf(replica)?.heard.remove(received.id, this.group, leading.term);
  }

  #configure(leading: Leading, configuration: AppliedMembers): void {
    if (leading.configuration === configuration) return;
    const members = this.#others(configuration);
    for (const replica of leading.members) {
      if (!members.includes(replica)) this.#forget(leading, replica);
    }
    leading.configuration = configuration;
    leading.members = members;
    this.#renew(leading);
  }

  #renew(leading: Leading): void {
    const { leases } = this.#context;
    const lease = leases.acquire(this.#halves(leading.configuration, leading.supports));
    leases.release(leading.lease);
    leading.lease = lease;
  }

  #halves(members: AppliedMembers, supports: Leading["supports"]): CountedHalves {
    const counted = (replica: number): CountedVoter => {
      return replica === this.replica ? "self" : supports?.get(replica);
    };
    return [members.voters.map(counted), members.votersOutgoing.map(counted)];
  }

  #others({ voters, votersOutgoing, learners }: AppliedMembers): readonly number[] {
    const members = new Set([...voters, ...votersOutgoing, ...learners]);
    members.delete(this.replica);
    return [...members];
  }

  #peerOf(replica: number): Peer | undefined {
    const node = this.#context.directory.nodeOf(replica);
    return node === undefined ? undefined : this.#context.peers.find(node);
  }

  /**
   * Reports whether this replica may serve a read from its own state at `nowMs` (of
   * `Liveness.nowMs`): it leads, the core allows a lease, and a quorum's support stands. `node` is
   * the replica as it is now.
   */
  hasLease(node: Leader, nowMs: number): boolean {
    const lease = this.leaseOf(node);
    return lease !== undefined && this.#stands(lease, nowMs);
  }

  /**
   * Returns the lease that permits such reads while it stands; undefined if this replica may rely on
   * none now. Another object takes its place whenever it counts on others.
   */
  leaseOf(node: Leader): LeaderLease | undefined {
    const leading = this.#leading;
    if (leading === undefined || leading.term !== node.term) return undefined;
    if (!this.#context.areLeasesOn || !node.isLeaseAllowed()) return undefined;
    if (leading.configuration !== node.configuration) this.#configure(leading, node.configuration);
    return leading.lease;
  }

  /**
   * Reports whether a quorum supports this replica as leader of `term`. A lease has further
   * conditions.
   */
  hasQuorum(term: number): boolean {
    const leading = this.#leading;
    if (leading?.term !== term) return false;
    return this.#stands(leading.lease, this.#context.peers.now());
  }

  #stands(lease: LeaderLease, nowMs: number): boolean {
    return nowMs < lease.untilMs && !this.#context.peers.isStalled;
  }

  /**
   * Reports whether current support covers a quorum of `next`. A configuration change to `next` is
   * not proposed before that, or the lease would end when it is applied.
   */
  supportsIncoming(next: AppliedMembers): boolean {
    const leading = this.#leading;
    if (leading === undefined || this.#context.peers.isStalled) return false;
    const nowMs = this.#context.peers.now();
    return nowMs < quorumUntilMs(this.#halves(next, leading.supports));
  }

  /** Reports whether `member` promised under the support that is counted on now. */
  isFortifiedBy(member: number): boolean {
    const received = this.#leading?.supports?.get(member);
    return received !== undefined && this.#context.peers.now() < received.untilMs;
  }

  /**
   * Ends this replica, which is gone together with its id. Members of a group it leads are told
   * that its leadership ended.
   */
  close(): void {
    this.stopLeading();
    this.#drop();
    assert(
      this.#leading === undefined && this.#promise === undefined,
      "A closed replica must hold no promise and lead nothing",
    );
  }
}
