/**
 * The members that were removed a moment ago. This node keeps its links to them while group 0 has a replica
 * on them, because they learn of their removal from group 0's log.
 */
import type { ClusterMember } from "../../schemas/gen/wire.ts";
import type { HostedSystem } from "../replication/assembly/cluster_groups.ts";
import { nodeOfReplica } from "../replication/assembly/placed_here.ts";

/** The removed members to which links remain. */
export class LeavingMembers {
  readonly #system: () => HostedSystem | undefined;
  readonly #members = new Map<number, ClusterMember>();

  /** @param system returns group 0; undefined before it is open. */
  constructor(system: () => HostedSystem | undefined) {
    this.#system = system;
  }

  /** Takes those of the members known so far that were removed. */
  note(known: readonly ClusterMember[]): void {
    for (const member of known) {
      if (this.wasRemoved(member)) this.#members.set(member.nodeId, member);
    }
    this.look();
  }

  /** Forgets those that group 0 has no replica of any more; returns whether there were any. */
  look(): boolean {
    const { size } = this.#members;
    for (const node of this.#members.keys()) {
      if (!this.#isLearning(node)) this.#members.delete(node);
    }
    return this.#members.size < size;
  }

  /** Returns the members to link to: of `known` those that were not removed, and the leaving ones. */
  with(known: readonly ClusterMember[]): ClusterMember[] {
    return [...known.filter((member) => !this.wasRemoved(member)), ...this.#members.values()];
  }

  /** Reports whether group 0 says that a node was removed. */
  wasRemoved({ nodeId }: Pick<ClusterMember, "nodeId">): boolean {
    return this.#system()?.store.state.members.wasRemoved(nodeId) === true;
  }

  #isLearning(nodeId: number): boolean {
    const system = this.#system();
    if (system === undefined) return false;
    const { voters, votersOutgoing, learners } = system.group.configuration;
    return [...voters, ...votersOutgoing, ...learners]
      .some((replica) => nodeOfReplica(system.store.state, replica) === nodeId);
  }
}
