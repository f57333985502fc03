/**
 * While a leader holds a lease, a majority of the voters (in a joint configuration, of both halves)
 * is bound to it: each of them has promised itself to that leader in that term and keeps the
 * promise, or waits out the promises that it may have made before a restart, or is not running; and
 * none of them voted in a later term. The argument about leases depends on this, so an unfounded
 * lease is found before it does harm.
 *
 * Clock: a promise is judged by the clock of the node that made it. Source: `src/raft/DESIGN.md`,
 * the argument about leases.
 */
import { type Checker, type ClusterView, Finding, type NodeView } from "../history.ts";
import type { ReplicaView } from "../history.ts";
import { replicaName } from "./replica_name.ts";

/** Checks every replica that could serve a read by lease, after each step of its node. */
export class Bonds implements Checker {
  readonly name = "bonds";

  afterStep({ replicas }: NodeView, view: ClusterView): void {
    for (const leader of replicas) {
      if (leader.role !== "leader") continue;
      const { voters, votersOutgoing } = leader.configuration;
      // A sole voter needs no promises.
      if (voters.length + votersOutgoing.length === 1 || !leader.holdsLease) continue;
      const members = view.replicasOf(leader.ref.group);
      this.#look(leader, voters, members);
      this.#look(leader, votersOutgoing, members);
    }
  }

  #look(leader: ReplicaView, half: readonly number[], members: readonly ReplicaView[]): void {
    let free = 0;
    for (const voter of half) {
      if (voter === leader.ref.replica) continue;
      const member = members.find(({ ref }) => ref.replica === voter);
      if (member !== undefined && !isBound(member, leader)) free++;
    }
    if (free === 0 || 2 * free < half.length) return;
    const { ref, term } = leader;
    throw new Finding(
      this.name,
      `${replicaName(ref)} holds a lease in term ${term}, and ${free} of its voters ` +
        `${half.join(", ")} may vote for another, or did`,
    );
  }
}

function isBound({ bond, term, vote }: ReplicaView, leader: ReplicaView): boolean {
  if (term > leader.term && vote !== 0) return false;
  if (bond === undefined || typeof bond === "string") return bond !== undefined;
  return bond.leader === leader.ref.replica && bond.term === leader.term;
}
