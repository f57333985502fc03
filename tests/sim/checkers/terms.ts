/**
 * A term begins with a candidate, which votes for itself; all other replicas learn of it from
 * messages. So a pre-vote, which only asks, and a damaged or misread message begin none. Source:
 * Raft thesis §3.4, §9.6.
 */
import { type Checker, Finding, type NodeView, type ReplicaRef } from "../history.ts";
import { replicaName } from "./replica_name.ts";

/** Checks every replica that is the first of its group in a term. */
export class Terms implements Checker {
  readonly name = "terms";
  /** By group: the highest term of any replica. */
  readonly #highest = new Map<number, number>();
  /** By replica: the run in which it was last seen. */
  readonly #runs = new Map<ReplicaRef, number>();

  afterStep(node: NodeView): void {
    for (const { ref, role, term, vote } of node.replicas) {
      const highest = this.#highest.get(ref.group) ?? 0;
      // A replica starts in the term of its foundation, or in a term that it was in before.
      const isStart = this.#runs.get(ref) !== node.run;
      if (isStart) this.#runs.set(ref, node.run);
      if (term <= highest) continue;
      this.#highest.set(ref.group, term);
      if (isStart || vote === ref.replica) continue;
      throw new Finding(
        this.name,
        `Term ${term} begins with ${replicaName(ref)}, a ${role} that voted for ` +
          `${vote === 0 ? "nobody" : `replica ${vote}`}: nobody can have told it of that term`,
      );
    }
  }
}
