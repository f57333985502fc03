/**
 * Connects one group to node liveness. Decides whether the leader may serve by a lease, whether the
 * group needs ticks, when a leader steps down, and which replica campaigns first when the leader's
 * node loses its support. The protocol is in `src/liveness/`.
 */
import type { GroupId, NodeId, ReplicaId } from "../base/ids.ts";
import { RANK_TICKS } from "../base/limits.ts";
import type { Fortification, Leader, LeaderLease } from "../liveness/mod.ts";
import type { ConfChange, Configuration, LeaderSupport, Message, RaftNode } from "../raft/mod.ts";
import type { GroupHost } from "./group_host.ts";
import { configurationAfter } from "./log_entry.ts";

/** Node liveness as one replica uses it. */
export class GroupSupport implements LeaderSupport {
  readonly #host: GroupHost;
  readonly #id: GroupId;
  readonly #replica: ReplicaId;
  /** The promises that bind the core. */
  readonly promises: Fortification;
  #configuration: Configuration;
  /** Ticks since this leader lost the support of a quorum; -1 if it never had it. */
  #unsupportedTicks = -1;

  constructor(host: GroupHost, id: GroupId, replica: ReplicaId, configuration: Configuration) {
    this.#host = host;
    this.#id = id;
    this.#replica = replica;
    this.#configuration = configuration;
    this.promises = host.liveness.addGroup(id, replica);
    host.liveness.configured(id, configuration);
  }

  /** Implements `LeaderSupport.isBound`. */
  isBound(lead: number, term: number): boolean {
    return this.promises.isBound(lead, term);
  }

  /** Implements `LeaderSupport.boundTicks`. */
  boundTicks(lead: number, term: number): number {
    return Math.ceil(this.promises.boundMs(lead, term) / this.#host.tickMs);
  }

  /** Sets the configuration. @param ledTerm the term that this replica leads; 0 if it does not lead. */
  configured(configuration: Configuration, ledTerm: number): void {
    this.#configuration = configuration;
    this.#host.liveness.configured(this.#id, configuration);
    if (ledTerm !== 0) this.promises.lead(ledTerm, configuration);
  }

  /**
   * Records that this replica leads `term`, or no term if 0. Must be called before any message of
   * that term leaves, and as soon as another replica may be elected.
   */
  leads(term: number): void {
    this.#unsupportedTicks = -1;
    if (term === 0) this.promises.stopLeading();
    else this.promises.lead(term, this.#configuration);
  }

  /** Reports whether the leader holds a lease now. */
  hasLease(node: RaftNode): boolean {
    return this.promises.hasLease(this.#leader(node), this.#host.liveness.nowMs());
  }

  /** Returns the lease that the leader holds while it stands; undefined if it may rely on none. */
  leaseOf(node: RaftNode): LeaderLease | undefined {
    return this.promises.leaseOf(this.#leader(node));
  }

  #leader(node: RaftNode): Leader {
    return {
      term: node.term,
      configuration: this.#configuration,
      isLeaseAllowed: () => node.isLeaseAllowed(),
    };
  }

  /** Reports whether a member of the group is on `node`. */
  hasMemberOn(node: NodeId): boolean {
    const { voters, votersOutgoing, learners } = this.#configuration;
    const isThere = (replica: number) => this.#host.directory.nodeOf(replica) === node;
    return voters.some(isThere) || votersOutgoing.some(isThere) || learners.some(isThere);
  }

  /**
   * Reports whether the replica needs no ticks. A leader may sleep if every live member has the whole
   * log and has promised. Any other replica may sleep if it has promised to wait for its leader as
   * long as the leader's node is supported.
   */
  maySleep(node: RaftNode): boolean {
    const { liveness } = this.#host;
    if (node.role !== "leader") {
      return liveness.mayVote() && this.promises.isBound(node.lead, node.term);
    }
    if (!liveness.hasPeers || !this.promises.hasQuorum(node.term)) return false;
    let arePromised = true;
    const maySleep = node.maySleep((replica) => {
      const isLive = this.isCountedOn(replica);
      if (isLive && !this.promises.isFortifiedBy(replica)) arePromised = false;
      return isLive;
    });
    return maySleep && arePromised;
  }

  /** Reports whether the node of a member is counted on now. */
  isCountedOn(replica: number): boolean {
    const node = this.#host.directory.nodeOf(replica);
    return node !== undefined && this.#host.liveness.isCountedOn(node);
  }

  /** Steps down a leader that lost its quorum's support; the core itself notices only silence. */
  tickLeader(node: RaftNode): void {
    if (this.promises.hasQuorum(node.term)) this.#unsupportedTicks = 0;
    else if (this.#unsupportedTicks >= 0) this.#unsupportedTicks++;
    if (this.#unsupportedTicks > this.#host.raft.electionTicks) node.stepDown();
  }

  /** Reports whether the lease would survive the change; true if leases are off. */
  coversChange(change: ConfChange): boolean {
    if (!this.#host.areLeasesOn || change.changes.length === 0) return true;
    const next = configurationAfter(this.#configuration, change);
    // The core refuses an invalid change and gives the reason.
    return typeof next === "string" || this.promises.supportsIncoming(next);
  }

  /** Reports whether a reply that is about to leave carries a promise; see `Fortification.fortify`. */
  fortify(reply: Message, node: RaftNode, epoch: number): boolean {
    return this.promises.fortify(reply, node, epoch);
  }

  /**
   * Records a received reply that carries a promise, from a frame of run `run` naming `epoch`. Returns
   * false if that changed nothing.
   */
  fortified({ from: replica, term }: Message, run: number, epoch: number): boolean {
    return this.promises.fortified({ replica, term, run, epoch });
  }

  /**
   * Handles the end of support for `leaderNode`: its followers campaign one after another, and the
   * first one differs from group to group. Returns false if this replica does not follow that node.
   */
  leaderLost(node: RaftNode, leaderNode: NodeId): boolean {
    const { role, lead } = node;
    if (role !== "follower" || lead === 0) return false;
    if (this.#host.directory.nodeOf(lead) !== leaderNode) return false;
    const others = this.#configuration.voters.filter((voter) => voter !== lead);
    const place = others.indexOf(this.#replica);
    if (place === -1) return false;
    const rank = (place + this.#id) % others.length;
    if (rank === 0) node.campaign();
    else node.setElectionTimeout(1 + rank * RANK_TICKS);
    return true;
  }

  /** Removes the replica's group from node liveness. */
  close(): void {
    this.#host.liveness.removeGroup(this.#id);
  }
}
