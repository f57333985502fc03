/**
 * A leader whose disk is stuck serves nothing by lease: its node stops its heartbeats so that
 * others may take over, and must not act as a leader any longer. Clock: the node's own, by which it
 * measures. Source: `STALL_MS` in src/base/limits.ts.
 */
import { STALL_MS } from "../../../src/base/limits.ts";
import { type Checker, Finding, type NodeView } from "../history.ts";
import { replicaName } from "./replica_name.ts";

/** Additional time in which a node may notice, ms: it checks at each tick. */
const NOTICED_MS = 250;

/** Checks nodes whose syncs do not return. */
export class StalledLeader implements Checker {
  readonly name = "stalled_leader";

  afterStep({ replicas, stuckMs }: NodeView): void {
    if (stuckMs <= STALL_MS + NOTICED_MS) return;
    for (const { configuration, holdsLease, ref, role } of replicas) {
      // A sole voter may serve durable data, and no other can take over.
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
