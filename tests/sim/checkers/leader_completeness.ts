/**
 * Leader completeness: what was committed in a term stands in the log of every leader of a later
 * term. The last entry committed is enough to look at: with log matching it stands for all before.
 * Source: Raft thesis, Figure 3.2 and §3.6.3.
 */
import { type Checker, Finding, type NodeView, type ReplicaView } from "../history.ts";
import { placeKey, replicaName } from "./replica_name.ts";

/** The furthest entry that was committed in one term. */
interface Commit {
  readonly inTerm: number;
  index: number;
  term: number;
}

/** Looks at each leader as soon as an entry of its own stands in its log. */
export class LeaderCompleteness implements Checker {
  readonly name = "leader_completeness";
  /** By group, by ascending term of the commit, each above the one before. */
  readonly #commits = new Map<number, Commit[]>();
  readonly #seen = new Set<number>();

  afterStep(node: NodeView): void {
    for (const replica of node.replicas) {
      if (replica.role !== "leader") continue;
      this.#lookAtLeader(replica);
      this.#noteCommit(replica);
    }
  }

  #lookAtLeader(replica: ReplicaView): void {
    const { ref, term } = replica;
    const key = placeKey(term, ref.group);
    if (this.#seen.has(key)) return;
    const commit = (this.#commits.get(ref.group) ?? []).findLast(({ inTerm }) => inTerm < term);
    // Once its own entry stands in its log, all before stands there as it has it.
    if (replica.termAt(replica.lastIndex) !== term) return;
    this.#seen.add(key);
    if (commit === undefined) return;
    const found = replica.termAt(commit.index);
    if (found === commit.term) return;
    // What its image holds was committed; whether it was the same, the images tell.
    if (found === undefined && commit.index <= replica.committed) return;
    throw new Finding(
      this.name,
      `Leader of term ${term} lacks entry ${commit.index} of term ${commit.term}, committed in ` +
        `term ${commit.inTerm}: its log has ${found === undefined ? "none" : `term ${found}`} ` +
        `there, and ends at ${replica.lastIndex} (${replicaName(ref)})`,
    );
  }

  /** Who commits is the leader, which counts; others learn of it later. */
  #noteCommit(replica: ReplicaView): void {
    const { ref, term: inTerm, committed: index } = replica;
    let commits = this.#commits.get(ref.group);
    if (commits === undefined) this.#commits.set(ref.group, commits = []);
    const last = commits.at(-1);
    if (index === 0 || (last !== undefined && index <= last.index)) return;
    const term = replica.termAt(index);
    if (term === undefined) return;
    if (last === undefined || last.inTerm < inTerm) commits.push({ inTerm, index, term });
    else Object.assign(last, { index, term });
  }
}
