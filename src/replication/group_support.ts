/**
 * One group and the liveness of nodes: until when its leader may serve by a lease, when it needs no
 * ticks, when it ends its leadership, and who campaigns first when a leader's node is supported no
 * more. See `src/liveness/` for what stands behind it.
 */
import type { GroupId, NodeId, ReplicaId } from "../base/ids.ts";
import { RANK_TICKS } from "../base/limits.ts";
import type { Fortification, Leader } from "../liveness/mod.ts";
import type { ConfChange, Configuration, Message, RaftNode } from "../raft/mod.ts";
import type { GroupHost } from "./group_host.ts";
import { configurationAfter } from "./log_entry.ts";

/** What one replica rests on of node liveness. */
export class GroupSupport {
  readonly #host: GroupHost;
  readonly #id: GroupId;
  readonly #replica: ReplicaId;
  /** What binds the core. */
  readonly promises: Fortification;
  #configuration: Configuration;
  /** Ticks since the support of a quorum was lost that this leader had; -1: it never had it. */
  #unsupportedTicks = -1;

  constructor(host: GroupHost, id: GroupId, replica: ReplicaId, configuration: Configuration) {
    this.#host = host;
    this.#id = id;
    this.#replica = replica;
    this.#configuration = configuration;
    this.promises = host.liveness.addGroup(id, replica);
    host.liveness.configured(id, configuration);
  }

  /** The configuration is this one from now on. @param ledTerm what this replica leads; 0: nothing. */
  configured(configuration: Configuration, ledTerm: number): void {
    this.#configuration = configuration;
    this.#host.liveness.configured(this.#id, configuration);
    if (ledTerm !== 0) this.promises.lead(ledTerm, configuration);
  }

  /**
   * This replica leads `term`, or (0) nothing. Told before any message of that term leaves, and as
   * soon as another may be elected.
   */
  leads(term: number): void {
    this.#unsupportedTicks = -1;
    if (term === 0) this.promises.stopLeading();
    else this.promises.lead(term, this.#configuration);
  }

  /** Whether a lease covers this moment. */
  hasLease(node: RaftNode): boolean {
    const leader: Leader = {
      term: node.term,
      configuration: this.#configuration,
      isLeaseAllowed: () => node.isLeaseAllowed(),
    };
    return this.promises.hasLease(leader, this.#host.liveness.nowMs());
  }

  /**
   * Whether no time has to be told to the replica. A leader: nobody that lives lacks anything, and all
   * of them promised. Others: it promised to wait for its leader as long as that node is supported.
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

  /** Whether the node of a member is counted on now. */
  isCountedOn(replica: number): boolean {
    const node = this.#host.directory.nodeOf(replica);
    return node !== undefined && this.#host.liveness.isCountedOn(node);
  }

  /** Ends a leadership whose quorum's support is gone; the core itself only hears of silence. */
  tickLeader(node: RaftNode): void {
    if (this.promises.hasQuorum(node.term)) this.#unsupportedTicks = 0;
    else if (this.#unsupportedTicks >= 0) this.#unsupportedTicks++;
    if (this.#unsupportedTicks > this.#host.raft.electionTicks) node.stepDown();
  }

  /** Whether the lease would stand on once the change is applied; where there are no leases, yes. */
  coversChange(change: ConfChange): boolean {
    if (!this.#host.areLeasesOn || change.changes.length === 0) return true;
    const next = configurationAfter(this.#configuration, change);
    // What cannot be is refused by the core, which says why.
    return typeof next === "string" || this.promises.supportsIncoming(next);
  }

  /** Whether a reply that is about to leave carries a promise; see `Fortification.fortify`. */
  fortify(reply: Message, node: RaftNode, epoch: number): boolean {
    return this.promises.fortify(reply, node, epoch);
  }

  /** A reply that carries one arrived, in a frame of that run that names that epoch. */
  fortified({ from: replica, term }: Message, run: number, epoch: number): void {
    this.promises.fortified({ replica, term, run, epoch });
  }

  /**
   * The support of `leaderNode` ended: its followers campaign one after another, beginning with
   * another one in each group. False where this replica does not follow there.
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

  /** The replica is gone from here. */
  close(): void {
    this.#host.liveness.removeGroup(this.#id);
  }
}
