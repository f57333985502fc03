/**
 * A leader whose disk is stuck serves nothing by lease: its node beats no more, so that others may
 * take over, and must not go on as if it still led. Clock: the node's own, by which it measures.
 * Source: `STALL_MS` in src/base/limits.ts.
 */
import { STALL_MS } from "../../../src/base/limits.ts";
import { type Checker, Finding, type NodeView } from "../history.ts";
import { replicaName } from "./replica_name.ts";

/** How much later than that a node may notice, ms: it looks with each tick. */
const NOTICED_MS = 250;

/** Looks at nodes whose syncs do not come back. */
export class StalledLeader implements Checker {
  readonly name = "stalled_leader";

  afterStep({ replicas, stuckMs }: NodeView): void {
    if (stuckMs <= STALL_MS + NOTICED_MS) return;
    for (const { configuration, holdsLease, ref, role } of replicas) {
      // Who decides alone may show what is durable, and nobody can take over.
      const isAlone = configuration.voters.length + configuration.votersOutgoing.length === 1;
      if (role !== "leader" || isAlone || !holdsLease) continue;
      throw new Finding(
        this.name,
        `The disk of node ${ref.node} is stuck for ${stuckMs} ms, and yet ` +
          `${replicaName(ref)} holds a lease`,
      );
    }
  }
}
