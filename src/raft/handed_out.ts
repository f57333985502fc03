/**
 * The state that a replica handed out last in a `Ready`: what the next one leaves out if it is the
 * same. Kept as numbers in one object, because a replica at rest keeps it long after the garbage of
 * its steps: an object of its own for each step would be garbage of the old generation.
 */
import type { Core, ReplicaRole } from "./core.ts";

/** The last soft state and hard state of one replica. */
export class HandedOut {
  #lead: number;
  #role: ReplicaRole;
  #term: number;
  #vote: number;
  #commit: number;

  constructor({ lead, role, term, vote, log }: Core) {
    this.#lead = lead;
    this.#role = role;
    this.#term = term;
    this.#vote = vote;
    this.#commit = log.committed;
  }

  isSoftStateNew({ lead, role }: Core): boolean {
    return lead !== this.#lead || role !== this.#role;
  }

  /** Reports whether term, vote or commit index is new. */
  isHardStateNew(core: Core): boolean {
    return this.isVoteNew(core) || core.log.committed !== this.#commit;
  }

  /** Reports whether the term or the vote is new, on which others may come to rely. */
  isVoteNew({ term, vote }: Core): boolean {
    return term !== this.#term || vote !== this.#vote;
  }

  /** Records that the state of `core` is handed out. */
  note(core: Core): void {
    this.#lead = core.lead;
    this.#role = core.role;
    this.noteHardState(core);
  }

  /** Records that its hard state is known to the owner. */
  noteHardState({ term, vote, log }: Core): void {
    this.#term = term;
    this.#vote = vote;
    this.#commit = log.committed;
  }
}
