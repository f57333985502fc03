/**
 * One group's promises. As a follower: whom this replica promised to vote for nobody else, itself
 * included, while its node supports the leader's. As a leader: who promised that, and so how long it
 * may count on staying the leader.
 *
 * A promise is made with a reply to the leader of (leader, term) and names the supported epoch. It
 * ends only when that support ends, when the leader says that it leads no more, or when a leader of a
 * higher term is followed. Neither a higher term alone ends it, nor forgetting the leader, nor a
 * change of the configuration. An election that the leader itself asked for (TimeoutNow) passes it by
 * in the core; no lease is held in such a term. See src/raft/DESIGN.md for why that is enough.
 */
import { assert } from "../base/assert.ts";
import type { CountedHalves, CountedVoter, Lease, LeaseBook } from "./lease.ts";
import { quorumUntilMs } from "./lease.ts";
import type { Peer, Peers, ReplicaNodes } from "./peers.ts";
import type { Standing } from "./standing.ts";

/** The members of a group, as its replica applied them. The object is replaced when it changes. */
export interface Members {
  readonly voters: readonly number[];
  readonly votersOutgoing: readonly number[];
  readonly learners: readonly number[];
}

/** What is looked at of a replica that follows: whom, and in which term. */
export interface Follower {
  readonly role: string;
  /** 0: nobody is known to lead. */
  readonly lead: number;
  readonly term: number;
}

/** What is looked at of a replica that leads. */
export interface Leader {
  readonly term: number;
  readonly configuration: Members;
  /** The core's own say: see `RaftNode.isLeaseAllowed`. */
  isLeaseAllowed(): boolean;
}

/** What a fortifying reply says: its sender and term, and the frame's run and supported epoch. */
export interface Fortifying {
  readonly replica: number;
  readonly term: number;
  readonly run: number;
  readonly epoch: number;
}

/** What all groups of a node share. */
export interface FortificationContext {
  readonly peers: Peers;
  readonly leases: LeaseBook;
  readonly directory: ReplicaNodes;
  /** False: no lease is ever held, because the machine may be paused unseen. */
  readonly areLeasesOn: boolean;
}

/**
 * What keeps a replica from voting: its promise to a leader (a replica id) of a term, one that may
 * stand since before a restart, or that it does nothing any more.
 */
export type Bond = { readonly leader: number; readonly term: number } | "earlier_run" | "ended";

/** A follower's promise. */
interface Promised {
  readonly leader: number;
  readonly term: number;
  readonly peer: Peer;
  readonly epoch: number;
}

/** What a leader knows in one term. */
interface Leading {
  readonly term: number;
  configuration: Members;
  /** All members but itself. */
  members: readonly number[];
  /** What those of `members` that promised did so under. */
  readonly standings: Map<number, Standing>;
  lease: Lease;
}

/** The promises of one replica of one group. Takes the place of `LeaderSupport` in the core. */
export class Fortification {
  readonly group: number;
  readonly replica: number;
  readonly #context: FortificationContext;
  #promise: Promised | undefined;
  #leading: Leading | undefined;
  /** The highest term about which any member was told that it is not led here (any more). */
  #releasedTerm = 0;

  constructor(group: number, replica: number, context: FortificationContext) {
    this.group = group;
    this.replica = replica;
    this.#context = context;
  }

  /**
   * Whether this replica must neither vote nor campaign: a promise of its own stands, or one of an
   * earlier run may, or it leads and a quorum supports it. `lead`, `term`: whom it follows now.
   */
  isBound(lead: number, term: number): boolean {
    const { peers } = this.#context;
    if (!peers.mayVote()) return true;
    if (lead === this.replica) return this.hasQuorum(term);
    return this.#standingPromise(lead, term) !== undefined;
  }

  /** The promise that stands, after a look at whether it does. */
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
   * What keeps this replica from voting at `nowMs` by the own monotonic clock: its promise, or that
   * one of an earlier run may stand. Without a look at the clocks and without any consequence, for
   * who looks on.
   */
  bondAt(nowMs: number): Bond | undefined {
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
   * Makes the promise that `reply`, an `append_reply` or `heartbeat_reply` about to leave, shall
   * carry; false: it carries none. `node` is the replica as it is now, `epoch` what the frame says
   * that this node supports of the leader's: call it while that frame is put together, when nothing
   * can come in between.
   */
  fortify(
    reply: { readonly to: number; readonly term: number },
    node: Follower,
    epoch: number,
  ): boolean {
    const { to, term } = reply;
    // A reply waits for its write; this replica may have moved on, and even have voted, meanwhile.
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

  /** The term of the promise to a leader on `peer`, if one stands. */
  promisedTerm(peer: Peer): number | undefined {
    const promise = this.#promise;
    if (promise?.peer !== peer) return undefined;
    return this.#standingPromise(0, 0)?.term;
  }

  /** `peer` says that it leads this group in no term up to `term` (any more). */
  released(peer: Peer, term: number): void {
    const promise = this.#promise;
    if (promise?.peer !== peer || promise.term > term) return;
    this.#drop();
    // A promise that stood kept it asleep; nothing else may ever wake it.
    this.#context.peers.wake.add(this.group);
  }

  /**
   * This replica leads `term`, with `configuration` applied. Called before any message of that term
   * leaves; a leader of an earlier term is over by that.
   */
  lead(term: number, configuration: Members): void {
    const { leases } = this.#context;
    if (this.#leading?.term === term) {
      this.#configure(this.#leading, configuration);
      return;
    }
    this.stopLeading();
    this.#drop();
    const standings = new Map<number, Standing>();
    const lease = leases.acquire(this.#halves(configuration, standings));
    const members = this.#others(configuration);
    this.#leading = { term, configuration, members, standings, lease };
  }

  /** This replica leads no more; all members are told until they acknowledge it. */
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

  /** Whether this replica leads `term`, as far as was said here. */
  isLeading(term: number): boolean {
    return this.#leading?.term === term;
  }

  /** Tells `peer` that nothing is led here up to `term`. */
  #release(peer: Peer, term: number): void {
    this.#releasedTerm = Math.max(this.#releasedTerm, term);
    // With nothing heard of it, no promise of its can be standing.
    if (peer.standing === undefined) return;
    if (peer.releases.add(this.group, term)) peer.nextBeatMs = Number.NEGATIVE_INFINITY;
  }

  /** A reply of a member that fortifies arrived, in a frame that says what else `promise` needs. */
  fortified(promise: Fortifying): void {
    const { replica, term, run, epoch } = promise;
    const peer = this.#peerOf(replica);
    const standing = peer?.standing;
    // A promise under an earlier epoch, or from an earlier run, is over, whenever it was made.
    if (peer === undefined || standing?.epoch !== epoch || standing.run !== run) return;
    const leading = this.#leading;
    if (leading?.term !== term) {
      // Made to who led once: delayed appends can bring it about. It would bind for nothing.
      this.#release(peer, term);
      return;
    }
    // What was released may have been dropped there already, before or after this was said.
    if (term <= this.#releasedTerm || !leading.members.includes(replica)) return;
    if (leading.standings.get(replica) === standing) return;
    this.#forget(leading, replica);
    leading.standings.set(replica, standing);
    peer.heard.add(standing.id, this.group, term);
    this.#renew(leading);
  }

  /** A member on `peer` says that it promised itself to this replica for `term`. */
  asked(peer: Peer, term: number): void {
    const leading = this.#leading;
    if (leading?.term !== term) {
      this.#release(peer, term);
      return;
    }
    // Its next reply says it again in a way that counts; a sleeping group is woken for it.
    const isMissing = leading.members.some((replica) => {
      return this.#peerOf(replica) === peer && leading.standings.get(replica) !== peer.standing;
    });
    if (isMissing) this.#context.peers.wake.add(this.group);
  }

  #forget(leading: Leading, replica: number): void {
    const standing = leading.standings.get(replica);
    if (standing === undefined) return;
    leading.standings.delete(replica);
    this.#peerOf(replica)?.heard.remove(standing.id, this.group, leading.term);
  }

  #configure(leading: Leading, configuration: Members): void {
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
    const lease = leases.acquire(this.#halves(leading.configuration, leading.standings));
    leases.release(leading.lease);
    leading.lease = lease;
  }

  #halves(members: Members, standings: ReadonlyMap<number, Standing>): CountedHalves {
    const counted = (replica: number): CountedVoter => {
      return replica === this.replica ? "self" : standings.get(replica);
    };
    return [members.voters.map(counted), members.votersOutgoing.map(counted)];
  }

  #others({ voters, votersOutgoing, learners }: Members): readonly number[] {
    const members = new Set([...voters, ...votersOutgoing, ...learners]);
    members.delete(this.replica);
    return [...members];
  }

  #peerOf(replica: number): Peer | undefined {
    const node = this.#context.directory.nodeOf(replica);
    return node === undefined ? undefined : this.#context.peers.find(node);
  }

  /**
   * Whether this replica may serve a read from its own state at `nowMs` (of `Liveness.nowMs`): it
   * leads, the core allows a lease, and a quorum's support stands. `node` is the replica as it is now.
   */
  hasLease(node: Leader, nowMs: number): boolean {
    const leading = this.#leading;
    if (leading === undefined || leading.term !== node.term) return false;
    if (!this.#context.areLeasesOn || !node.isLeaseAllowed()) return false;
    if (leading.configuration !== node.configuration) this.#configure(leading, node.configuration);
    return this.#stands(leading, nowMs);
  }

  /** Whether a quorum supports this replica as leader of `term`; a lease asks for more. */
  hasQuorum(term: number): boolean {
    const leading = this.#leading;
    if (leading?.term !== term) return false;
    return this.#stands(leading, this.#context.peers.now());
  }

  #stands({ lease }: Leading, nowMs: number): boolean {
    return nowMs < lease.untilMs && !this.#context.peers.isStalled;
  }

  /**
   * Whether the support of now covers a quorum of `next`: a change of the configuration to it is not
   * proposed before, or the lease would end when it is applied.
   */
  supportsIncoming(next: Members): boolean {
    const leading = this.#leading;
    if (leading === undefined || this.#context.peers.isStalled) return false;
    const nowMs = this.#context.peers.now();
    return nowMs < quorumUntilMs(this.#halves(next, leading.standings));
  }

  /** Whether `member` promised under the support that is counted on now. */
  isFortifiedBy(member: number): boolean {
    const standing = this.#leading?.standings.get(member);
    return standing !== undefined && this.#context.peers.now() < standing.untilMs;
  }

  /** Ends this replica here: it is gone, and its id with it. What it leads is told as ended. */
  close(): void {
    this.stopLeading();
    this.#drop();
    assert(this.#leading === undefined && this.#promise === undefined, "A closed replica is bound");
  }
}
