/**
 * A leader whose disk is stuck serves nothing by lease: its node beats no more, so that others may
 * take over, and must not go on as if it still led. Clock: true time; the node measures by its own.
 * Source: `STALL_MS` in src/base/limits.ts.
 */
import { STALL_MS } from "../../../src/base/limits.ts";
import { type Checker, type ClusterView, Finding, type NodeView } from "../history.ts";
import { replicaName } from "./replica_name.ts";

/** How much later than that a node may notice, ms: it looks with each tick, by a clock of its own. */
const NOTICED_MS = 250;

/** Looks at nodes whose syncs do not come back. */
export class StalledLeader implements Checker {
  readonly name = "stalled_leader";

  afterStep({ replicas, stuckSinceMs }: NodeView, { nowMs }: ClusterView): void {
    if (stuckSinceMs === undefined || nowMs <= stuckSinceMs + STALL_MS + NOTICED_MS) return;
    for (const { configuration, holdsLease, ref, role } of replicas) {
      // Who decides alone may show what is durable, and nobody can take over.
      const isAlone = configuration.voters.length + configuration.votersOutgoing.length === 1;
      if (role !== "leader" || isAlone || !holdsLease) continue;
      throw new Finding(
        this.name,
        `The disk of node ${ref.node} is stuck for ${nowMs - stuckSinceMs} ms, and yet ` +
          `${replicaName(ref)} holds a lease`,
      );
    }
  }
}
