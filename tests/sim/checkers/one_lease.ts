/**
 * Two leaders of a group never hold a lease at once. More is looked for, and more must hold: once
 * the leader of a term held a lease, none of an earlier term ever does again, for its reads would
 * not see what the later one committed. Clock: true time, which no node knows; the lease is each
 * node's own, by its own clock. Source: `src/raft/DESIGN.md`, the argument about leases.
 */
import { type Checker, type ClusterView, Finding, type NodeView } from "../history.ts";
import type { ReplicaView, RunFacts } from "../history.ts";
import { replicaName } from "./replica_name.ts";

interface Holder {
  readonly term: number;
  readonly replica: number;
  readonly sinceMs: number;
}

/** Looks at whoever could serve a read by lease right now. */
export class OneLease implements Checker {
  readonly name = "one_lease";
  readonly #leases: boolean;
  readonly #holders = new Map<number, Holder>();

  constructor({ leases }: Pick<RunFacts, "leases">) {
    this.#leases = leases;
  }

  afterStep(node: NodeView, view: ClusterView): void {
    for (const replica of node.replicas) {
      if (replica.role === "leader" && replica.holdsLease) this.#held(replica, view);
    }
  }

  #held(replica: ReplicaView, view: ClusterView): void {
    const { ref, term } = replica;
    const last = this.#holders.get(ref.group);
    if (last !== undefined && last.term >= term) {
      if (last.term === term && last.replica === ref.replica) return;
      this.#fail(
        ref.group,
        `${replicaName(ref)} by term ${term}, after replica ${last.replica} ` +
          `did by term ${last.term} (from ${last.sinceMs} ms on)`,
        view.nowMs,
      );
    }
    const { voters, votersOutgoing } = replica.configuration;
    // Who decides alone needs no lease.
    if (!this.#leases && voters.length + votersOutgoing.length > 1) {
      this.#fail(ref.group, `${replicaName(ref)}, though leases are off`, view.nowMs);
    }
    this.#holders.set(ref.group, { term, replica: ref.replica, sinceMs: view.nowMs });
    // It is new: whoever held one before must have lost it by now, though nothing ran there.
    for (const { state, replicas } of view.nodes) {
      if (state !== "up") continue;
      for (const other of replicas) {
        if (other.ref.group !== ref.group || other.ref === ref) continue;
        if (other.role !== "leader" || !other.holdsLease) continue;
        this.#fail(
          ref.group,
          `${replicaName(ref)} by term ${term}, and at once ` +
            `${replicaName(other.ref)} by term ${other.term}`,
          view.nowMs,
        );
      }
    }
  }

  #fail(group: number, who: string, atMs: number): never {
    throw new Finding(this.name, `A lease of group ${group} is held at ${atMs} ms by ${who}`);
  }
}
