/** Election safety: at most one replica leads a group in a term. Source: Raft thesis, Figure 3.2. */
import { type Checker, Finding, type NodeView } from "../history.ts";
import { placeKey, replicaName } from "./replica_name.ts";

/** Records the leader of each term of each group, and reports a second one. */
export class OneLeader implements Checker {
  readonly name = "one_leader";
  readonly #leaders = new Map<number, number>();

  afterStep(node: NodeView): void {
    for (const { ref, role, term } of node.replicas) {
      if (role !== "leader") continue;
      const key = placeKey(term, ref.group);
      const leader = this.#leaders.get(key);
      if (leader === undefined) this.#leaders.set(key, ref.replica);
      else if (leader !== ref.replica) {
        throw new Finding(
          this.name,
          `Term ${term} has two leaders: ${replicaName(ref)} leads, and replica ${leader} did`,
        );
      }
    }
  }
}
