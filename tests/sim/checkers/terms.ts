/**
 * A term begins with a candidate, who votes for itself; all others learn of it from messages. So a
 * pre-vote, which only asks, and a message that was damaged or misread begin none.
 * Source: Raft thesis §3.4, §9.6.
 */
import { type Checker, Finding, type NodeView, type ReplicaRef } from "../history.ts";
import { replicaName } from "./replica_name.ts";

/** Looks at whoever shows a term of its group first. */
export class Terms implements Checker {
  readonly name = "terms";
  /** By group: the highest term that any replica was in. */
  readonly #highest = new Map<number, number>();
  /** By replica: the run in which it was seen. */
  readonly #runs = new Map<ReplicaRef, number>();

  afterStep(node: NodeView): void {
    for (const { ref, role, term, vote } of node.replicas) {
      const highest = this.#highest.get(ref.group) ?? 0;
      // What it starts with is what it was founded with, or was in before.
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
