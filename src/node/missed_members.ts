/**
 * Learns of members that joined while this node was away, and of where known ones are now. Its own copy
 * of group 0 describes them once it is current, but the leader of group 0 may be one of them: then the
 * nodes do not know each other's addresses, or one refuses the other. While this node knows no leader of
 * group 0, it therefore asks the nodes that it has a session with, in turn.
 *
 * Answers add members and replicas that this node's copy of group 0 does not have, and describe those
 * members anew that this node has no session with, until its copy changes or a leader is known. They
 * remove nobody.
 */
import type {
  ClusterMember,
  JoinClusterReply,
  JoinClusterRequest,
} from "../../schemas/gen/wire.ts";
import { type NodeId, nodeId as toNodeId } from "../base/ids.ts";
import { CLUSTER_NODES_MAX, MEMBERS_ASK_MS, RAFT_MEMBERS_MAX } from "../base/limits.ts";
import type { Logger } from "../base/logger.ts";
import type { MonotonicClock } from "../base/world.ts";

/** The dependencies of {@link MissedMembers}. */
export interface MissedMembersOptions {
  readonly monotonic: MonotonicClock;
  readonly logger: Logger;
  /** Returns the nodes with a session. */
  readonly connected: () => readonly number[];
  /** Returns the description of this node. */
  readonly request: () => JoinClusterRequest;
  /** Asks a node which members it knows. @throws RegistryError its refusal, or the failure to ask. */
  readonly ask: (node: number, request: JoinClusterRequest) => Promise<JoinClusterReply>;
  /** Called when the result of {@link MissedMembers.with} may have changed. */
  readonly onTold: () => void;
}

/** Finds members that joined while this node was away. */
export class MissedMembers {
  readonly #options: MissedMembersOptions;
  /** The members as others described them: unknown here, or described otherwise. */
  readonly #told = new Map<number, ClusterMember>();
  /** Those in this node's copy of group 0, and those that were in it since the start. */
  readonly #own = new Map<number, ClusterMember>();
  /** Numbers of those that are in it now. */
  #present: ReadonlySet<number> = new Set();
  /** Nodes by their replicas of group 0. */
  readonly #replicas = new Map<number, NodeId>();
  /** When a leader of group 0 was last known here, or others were last asked. */
  #quietSinceMs: number;
  #turn = 0;

  constructor(options: MissedMembersOptions) {
    this.#options = options;
    this.#quietSinceMs = options.monotonic.nowMs();
  }

  /** Returns the node of a replica of group 0, as others told. */
  nodeOf(replica: number): NodeId | undefined {
    return this.#replicas.get(replica);
  }

  /**
   * Returns `members` and those of which others told, `CLUSTER_NODES_MAX` at most, as they were described
   * last.
   *
   * @param members those in this node's copy of group 0.
   */
  with(members: readonly ClusterMember[]): ClusterMember[] {
    this.#present = new Set(members.map(({ nodeId }) => nodeId));
    for (const member of members) {
      const before = this.#own.get(member.nodeId);
      if (before === undefined || !isSame(before, member)) this.#told.delete(member.nodeId);
      this.#own.set(member.nodeId, member);
    }
    const described = members.map((member) => this.#told.get(member.nodeId) ?? member);
    const added = [...this.#told.values()].filter(({ nodeId }) => !this.#present.has(nodeId));
    return [...described, ...added].slice(0, CLUSTER_NODES_MAX);
  }

  /** Asks another node if no leader of group 0 has been known here for a while. Never throws. */
  look(hasLeader: boolean): void {
    const { monotonic, connected } = this.#options;
    const nowMs = monotonic.nowMs();
    if (hasLeader) {
      this.#quietSinceMs = nowMs;
      this.#trustOwn();
    }
    if (nowMs - this.#quietSinceMs < MEMBERS_ASK_MS) return;
    const nodes = connected();
    if (nodes.length === 0) return;
    this.#quietSinceMs = nowMs;
    void this.#ask(nodes[this.#turn++ % nodes.length]!);
  }

  async #ask(node: number): Promise<void> {
    const { ask, logger, onTold, request } = this.#options;
    try {
      const { members, systemReplicas } = await ask(node, request());
      const isNews = members.map((member) => this.#add(member)).includes(true);
      for (const { replica, nodeId } of systemReplicas) {
        if (this.#replicas.size < RAFT_MEMBERS_MAX) this.#replicas.set(replica, toNodeId(nodeId));
      }
      if (isNews) onTold();
    } catch (error) {
      logger.debug("A node did not tell the members of the cluster", { node, error });
    }
  }

  /** Forgets what others told of members that this node's copy of group 0 describes, for it is current. */
  #trustOwn(): void {
    const known = [...this.#told.keys()].filter((node) => this.#present.has(node));
    if (known.length === 0) return;
    for (const node of known) this.#told.delete(node);
    this.#options.onTold();
  }

  /** Reports whether others may know better where a member of this node's copy is. */
  #isDoubtful(node: number): boolean {
    const { connected, request } = this.#options;
    return this.#present.has(node) && node !== request().nodeId && !connected().includes(node);
  }

  /** Returns whether the description is news. @throws RangeError for an impossible number. */
  #add(member: ClusterMember): boolean {
    const nodeId = toNodeId(member.nodeId);
    const own = this.#own.get(nodeId);
    if (own !== undefined && !this.#isDoubtful(nodeId)) return false;
    const before = this.#told.get(nodeId) ?? own;
    if (before === undefined && this.#told.size >= CLUSTER_NODES_MAX) return false;
    if (before !== undefined && isSame(before, member)) return false;
    this.#told.set(nodeId, member);
    return true;
  }
}

function isSame(one: ClusterMember, other: ClusterMember): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
