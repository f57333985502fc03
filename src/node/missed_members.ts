/**
 * Learns of members that joined while this node was away. Its own copy of group 0 names them once it is
 * current, but the leader of group 0 may be one of them: then the nodes do not know each other's
 * addresses, or one refuses the other. While this node knows no leader of group 0, it therefore asks the
 * nodes that it has a session with, in turn.
 *
 * Answers only add members and replicas that this node's copy of group 0 does not have.
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
  /** Called when others told of a member that was not known. */
  readonly onTold: () => void;
}

/** Finds members that joined while this node was away. */
export class MissedMembers {
  readonly #options: MissedMembersOptions;
  readonly #members = new Map<number, ClusterMember>();
  /** Numbers of the members that this node's copy of group 0 has, or had since the start. */
  readonly #own = new Set<number>();
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
   * Returns `members` and those of which others told, `CLUSTER_NODES_MAX` at most.
   *
   * @param members those in this node's copy of group 0.
   */
  with(members: readonly ClusterMember[]): ClusterMember[] {
    for (const { nodeId } of members) {
      this.#own.add(nodeId);
      this.#members.delete(nodeId);
    }
    return [...members, ...this.#members.values()].slice(0, CLUSTER_NODES_MAX);
  }

  /** Asks another node if no leader of group 0 has been known here for a while. Never throws. */
  look(hasLeader: boolean): void {
    const { monotonic, connected } = this.#options;
    const nowMs = monotonic.nowMs();
    if (hasLeader) this.#quietSinceMs = nowMs;
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
      const before = this.#members.size;
      for (const member of members) this.#add(member);
      for (const { replica, nodeId } of systemReplicas) {
        if (this.#replicas.size < RAFT_MEMBERS_MAX) this.#replicas.set(replica, toNodeId(nodeId));
      }
      if (this.#members.size > before) onTold();
    } catch (error) {
      logger.debug("A node did not tell the members of the cluster", { node, error });
    }
  }

  /** @throws RangeError for an impossible number. */
  #add(member: ClusterMember): void {
    const nodeId = toNodeId(member.nodeId);
    const isFull = this.#members.size >= CLUSTER_NODES_MAX && !this.#members.has(nodeId);
    if (!isFull && !this.#own.has(nodeId)) this.#members.set(nodeId, member);
  }
}
