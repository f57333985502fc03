/**
 * Leader completeness: an entry committed in a term is in the log of every leader of a later term.
 * Checking the last committed entry is sufficient: by log matching it implies all earlier ones.
 * Source: Raft thesis, Figure 3.2 and §3.6.3.
 */
import { type Checker, Finding, type NodeView, type ReplicaView } from "../history.ts";
import { placeKey, replicaName } from "./replica_name.ts";

/** The highest entry that was committed in one term. */
interface Commit {
  readonly inTerm: number;
  index: number;
  term: number;
}

/** Checks each leader as soon as its log contains an entry of its own. */
export class LeaderCompleteness implements Checker {
  readonly name = "leader_completeness";
  /** By group, in ascending order of the commit's term, each above the previous one. */
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
    // Once its own entry is in its log, the log holds all earlier entries.
    if (replica.termAt(replica.lastIndex) !== term) return;
    this.#seen.add(key);
    if (commit === undefined) return;
    const found = replica.termAt(commit.index);
    if (found === commit.term) return;
    // The content of its image was committed; the comparison of images shows whether it was the
    // same.
    if (found === undefined && commit.index <= replica.committed) return;
    throw new Finding(
      this.name,
      `Leader of term ${term} lacks entry ${commit.index} of term ${commit.term}, committed in ` +
        `term ${commit.inTerm}: its log has ${found === undefined ? "none" : `term ${found}`} ` +
        `there, and ends at ${replica.lastIndex} (${replicaName(ref)})`,
    );
  }

  /** Records the commit of the leader, which is decisive; others learn of it later. */
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
