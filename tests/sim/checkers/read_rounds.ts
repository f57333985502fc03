/**
 * A read without a lease is served only after a quorum has confirmed its leader since the read was
 * requested; earlier confirmations do not count: a majority of the voters (in a joint
 * configuration, of both halves) has answered a heartbeat of that term since. Source: Raft thesis
 * §6.4.
 */
import {
  type Checker,
  Finding,
  type PermittedRead,
  type ReplicaRef,
  type ReplicaView,
  type RunFacts,
  type Words,
} from "../history.ts";
import { replicaName } from "./replica_name.ts";

/**
 * Records when each replica last confirmed a leader, and counts the confirmations of each permitted
 * read.
 */
export class ReadRounds implements Checker {
  readonly name = "read_rounds";
  readonly #leases: boolean;
  /** By replica: its last reply to a heartbeat. */
  readonly #confirmed = new Map<number, Words>();

  constructor({ leases }: Pick<RunFacts, "leases">) {
    this.#leases = leases;
  }

  onWords({ replica }: ReplicaRef, words: Words): void {
    if (words.kind !== "confirmation") return;
    // Frames of one turn are sent in any order, including replies to a previous leader.
    const last = this.#confirmed.get(replica);
    if (last === undefined || words.term >= last.term) this.#confirmed.set(replica, words);
  }

  onRead(reader: ReplicaView, read: PermittedRead): void {
    const { configuration: { voters, votersOutgoing }, ref, role, term } = reader;
    // A follower asks its leader, but may itself lead by the time of the reply; and a sole voter
    // asks no other.
    if (this.#leases || role !== "leader" || term !== read.term || read.isReconfigured) return;
    if (read.askedTerm !== term) return;
    if (voters.length + votersOutgoing.length === 1) return;
    for (const half of [voters, votersOutgoing]) {
      const count = half.filter((voter) => this.#hasConfirmed(voter, ref.replica, read)).length;
      if (half.length === 0 || 2 * count > half.length) continue;
      throw new Finding(
        this.name,
        `${replicaName(ref)} serves a read in term ${term} that ${count} of its voters ` +
          `${half.join(", ")} confirmed since it was asked for`,
      );
    }
  }

  #hasConfirmed(voter: number, leader: number, { askedStep, term }: PermittedRead): boolean {
    if (voter === leader) return true;
    const words = this.#confirmed.get(voter);
    return words?.to === leader && words.term === term && words.step >= askedStep;
  }
}
