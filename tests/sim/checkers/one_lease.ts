/**
 * While a leader holds a lease, no replica has been elected in a later term; so two leaders of a
 * group never hold leases at once, and none serves data that a later leader has changed. A lease
 * serves only after an entry of the leader's own term is committed, and never in a term whose
 * leadership was to be transferred. Clock: true time, which no node knows; the lease is each node's
 * own, by its own clock. Source: `src/raft/DESIGN.md`, the argument about leases; Raft thesis §6.4.
 */
import { type Checker, type ClusterView, Finding, type NodeView } from "../history.ts";
import type { ReplicaRef, ReplicaView, RunFacts, Words } from "../history.ts";
import { placeKey, replicaName } from "./replica_name.ts";

/** The leader of the highest term of a group. */
interface Elected {
  readonly term: number;
  readonly replica: number;
  readonly atMs: number;
}

/** Checks every replica that could serve a read by lease at this moment. */
export class OneLease implements Checker {
  readonly name = "one_lease";
  readonly #leases: boolean;
  readonly #elected = new Map<number, Elected>();
  /**
   * By term and group: its leader asked another replica to campaign, and the request may arrive
   * late.
   */
  readonly #handedOver = new Set<number>();

  constructor({ leases }: Pick<RunFacts, "leases">) {
    this.#leases = leases;
  }

  onWords({ group }: ReplicaRef, { kind, term }: Words): void {
    if (kind === "leadership") this.#handedOver.add(placeKey(term, group));
  }

  afterStep(node: NodeView, view: ClusterView): void {
    for (const replica of node.replicas) {
      if (replica.role !== "leader") continue;
      this.#leads(replica, view);
      if (replica.holdsLease) this.#held(replica, view.nowMs);
    }
  }

  #leads({ ref, term }: ReplicaView, view: ClusterView): void {
    if ((this.#elected.get(ref.group)?.term ?? 0) >= term) return;
    this.#elected.set(ref.group, { term, replica: ref.replica, atMs: view.nowMs });
    // A replica that held a lease must have lost it by now, even if its node did not run.
    for (const { state, replicas } of view.nodes) {
      if (state !== "up") continue;
      for (const other of replicas) {
        if (other.ref.group !== ref.group || other.ref === ref) continue;
        if (other.role === "leader" && other.holdsLease) this.#held(other, view.nowMs);
      }
    }
  }

  #held(replica: ReplicaView, nowMs: number): void {
    const { committed, configuration, ref, term } = replica;
    const fail = (why: string) => {
      throw new Finding(
        this.name,
        `A lease of group ${ref.group} is held at ${nowMs} ms by ${replicaName(ref)} in term ` +
          `${term}, ${why}`,
      );
    };
    const elected = this.#elected.get(ref.group);
    if (elected !== undefined && (elected.term !== term || elected.replica !== ref.replica)) {
      const { atMs, replica, term } = elected;
      fail(`and replica ${replica} was elected in term ${term} at ${atMs} ms`);
    }
    const { voters, votersOutgoing } = configuration;
    // A sole voter needs no lease: no other can be elected without its vote.
    const isAlone = voters.length + votersOutgoing.length === 1;
    if (!isAlone && !this.#leases) fail("though leases are off");
    if (!isAlone && this.#handedOver.has(placeKey(term, ref.group))) {
      fail("which it wanted to hand over");
    }
    const committedTerm = replica.termAt(committed) ?? term;
    if (committedTerm !== term) fail(`and the last entry committed is of term ${committedTerm}`);
  }
}
