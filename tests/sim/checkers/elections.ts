/**
 * Every leader was elected: by votes, durable or sent, of a majority of the voters (in a joint
 * configuration, of both halves), none of which voted for another candidate in that term; and the
 * candidate used a configuration that includes all changes that it knew to be committed. Source:
 * Raft thesis §3.4, §4.3.
 */
import {
  type AppendedEntry,
  type Checker,
  Finding,
  type NodeView,
  type ReplicaRef,
  type ReplicaView,
  type Words,
} from "../history.ts";
import { ENTRY_CONF_CHANGE, ENTRY_CONF_CHANGE_V1 } from "../../../src/replication/log_entry.ts";
import { placeKey, replicaName } from "./replica_name.ts";

/** Records every vote, and counts again when a replica begins to lead. */
export class Elections implements Checker {
  readonly name = "elections";
  /** By group and term: the candidate of each voter. */
  readonly #votes = new Map<number, Map<number, number>>();
  readonly #led = new Set<number>();
  /** By replica: the indexes of configuration changes in its log. */
  readonly #changes = new Map<ReplicaRef, number[]>();

  /**
   * If two votes are sent in one turn, the disk shows the later one, whose term invalidates the
   * first.
   */
  onWords(ref: ReplicaRef, { kind, term, to }: Words): void {
    if (kind === "vote") this.onVote(ref, term, to);
  }

  onVote(ref: ReplicaRef, term: number, vote: number): void {
    if (vote === 0) return;
    const votes = this.#votesOf(ref.group, term);
    const before = votes.get(ref.replica);
    if (before !== undefined && before !== vote) {
      this.#fail(ref, `voted twice in term ${term}: for replica ${before} and replica ${vote}`);
    }
    votes.set(ref.replica, vote);
  }

  onAppend(ref: ReplicaRef, { index, kind }: AppendedEntry): void {
    const changes = this.#changes.get(ref);
    // The entries at and above this index were replaced.
    while (changes !== undefined && changes.at(-1)! >= index) changes.pop();
    if (kind !== ENTRY_CONF_CHANGE && kind !== ENTRY_CONF_CHANGE_V1) return;
    if (changes === undefined) this.#changes.set(ref, [index]);
    else changes.push(index);
  }

  afterStep({ replicas }: NodeView): void {
    for (const replica of replicas) {
      if (replica.role === "leader") this.#lookAtLeader(replica);
      else if (replica.role !== "follower") this.#lookAtCandidate(replica);
    }
  }

  #lookAtLeader({ configuration, ref, term }: ReplicaView): void {
    const key = placeKey(term, ref.group);
    if (this.#led.has(key)) return;
    this.#led.add(key);
    const votes = this.#votesOf(ref.group, term);
    for (const half of [configuration.voters, configuration.votersOutgoing]) {
      const count = half.filter((replica) => votes.get(replica) === ref.replica).length;
      if (half.length === 0 || 2 * count > half.length) continue;
      this.#fail(ref, `leads term ${term} by ${count} votes of ${half.join(", ")}`);
    }
  }

  #lookAtCandidate({ applied, committed, ref, role, term }: ReplicaView): void {
    const pending = this.#changes.get(ref)?.find((at) => at > applied && at <= committed);
    if (pending === undefined) return;
    this.#fail(ref, `is a ${role} of term ${term}, with the change at ${pending} not applied`);
  }

  #votesOf(group: number, term: number): Map<number, number> {
    const key = placeKey(term, group);
    let votes = this.#votes.get(key);
    if (votes === undefined) this.#votes.set(key, votes = new Map());
    return votes;
  }

  #fail(ref: ReplicaRef, what: string): never {
    const name = replicaName(ref);
    throw new Finding(this.name, `${name[0]!.toUpperCase()}${name.slice(1)} ${what}`);
  }
}
