/** No group is ever quarantined: the invariants asserted by production code hold in every run. */
import { type Checker, Finding, type NodeView } from "../history.ts";
import { replicaName } from "./replica_name.ts";

/** Reports groups that stopped themselves. */
export class Quarantine implements Checker {
  readonly name = "quarantine";

  afterStep(node: NodeView): void {
    for (const { ref, isFailed } of node.replicas) {
      if (!isFailed) continue;
      throw new Finding(this.name, `An invariant broke: ${replicaName(ref)} is quarantined`);
    }
  }
}
