/**
 * A leader commits only entries that a majority of the voters (in a joint configuration, of both
 * halves) acknowledged to it, and only up to entries of its own term; all other replicas commit
 * only entries that a leader committed. Source: Raft thesis §3.5, §3.6.2, §4.3.
 */
import {
  type Checker,
  Finding,
  type NodeView,
  type ReplicaRef,
  type ReplicaView,
  type Words,
} from "../history.ts";
import { placeKey, replicaName } from "./replica_name.ts";

/** The state of a replica when it was last checked. */
interface Seen {
  readonly run: number;
  readonly committed: number;
  readonly configuration: ReplicaView["configuration"];
  /** The term in which it led; 0: none. */
  readonly ledTerm: number;
  readonly decidedAlone: boolean;
}

/** Checks each change of a commit index. */
export class Commits implements Checker {
  readonly name = "commits";
  /** By group and index: the term of the entry; undefined if no log held it any more. */
  readonly #groups = new Map<number, (number | undefined)[]>();
  /** By replica: its last known state. */
  readonly #seen = new Map<number, Seen>();
  /**
   * By group and term: the index up to which the leader knew entries to be committed when it began.
   */
  readonly #found = new Map<number, number>();
  /** By group and term: the index up to which each replica acknowledged the leader's entries. */
  readonly #acknowledged = new Map<number, Map<number, number>>();

  onWords({ group, replica }: ReplicaRef, { index, kind, term }: Words): void {
    if (kind !== "acknowledgement") return;
    const key = placeKey(term, group);
    let indexes = this.#acknowledged.get(key);
    if (indexes === undefined) this.#acknowledged.set(key, indexes = new Map());
    indexes.set(replica, Math.max(indexes.get(replica) ?? 0, index));
  }

  afterStep({ replicas, run }: NodeView): void {
    for (const replica of replicas) {
      const { committed, configuration, ref, role, term } = replica;
      const key = placeKey(ref.group, ref.replica);
      const led = placeKey(term, ref.group);
      if (role === "leader" && !this.#found.has(led)) this.#found.set(led, committed);
      const before = this.#seen.get(key);
      // A sole voter commits everything that it writes, including entries that add members, and
      // finds them committed after a restart.
      const isAlone = decidesAlone(replica);
      const ledTerm = role === "leader" ? term : 0;
      this.#seen.set(key, { run, committed, configuration, ledTerm, decidedAlone: isAlone });
      if (before?.committed === committed) continue;
      // A replica that led at the last check may have committed before it ceased to lead in this
      // very step, because it applied its own removal or learned of a later term.
      const wasLed = before?.run === run ? before.ledTerm : 0;
      const isNews = committed >= this.#termsOf(ref.group).length;
      const countedTerm = role === "leader" ? term : isNews || wasLed === term ? wasLed : 0;
      if (countedTerm !== 0) {
        this.#count(replica, countedTerm, before?.configuration ?? configuration);
      }
      if (countedTerm !== 0 || isAlone || before?.decidedAlone === true) this.#noteCommit(replica);
      else this.#lookAtFollower(replica);
    }
  }

  /**
   * @param term the term in which it leads, or led until this step.
   * @param before its configuration until this step, which may have applied a change.
   */
  #count(replica: ReplicaView, term: number, before: ReplicaView["configuration"]): void {
    const { committed, configuration, ref } = replica;
    const key = placeKey(term, ref.group);
    if (committed <= this.#found.get(key)!) return;
    const entryTerm = replica.termAt(committed) ?? term;
    if (entryTerm !== term) this.#fail(replica, `counted for ${committed} of term ${entryTerm}`);
    const indexes = this.#acknowledged.get(key);
    const holds = (id: number) => id === ref.replica || (indexes?.get(id) ?? 0) >= committed;
    const isMajority = (half: readonly number[]) =>
      half.length === 0 || 2 * half.filter(holds).length > half.length;
    const isHeld = [before, configuration].some(({ voters, votersOutgoing }) =>
      isMajority(voters) && isMajority(votersOutgoing)
    );
    if (!isHeld) this.#fail(replica, `committed ${committed}, which no majority acknowledged`);
  }

  #noteCommit(replica: ReplicaView): void {
    const terms = this.#termsOf(replica.ref.group);
    const { committed } = replica;
    for (let index = terms.length; index <= committed; index++) terms.push(replica.termAt(index));
  }

  #lookAtFollower(replica: ReplicaView): void {
    const { committed, ref } = replica;
    const terms = this.#termsOf(ref.group);
    if (committed >= terms.length) {
      this.#fail(replica, `committed ${committed}, and leaders only ${terms.length - 1}`);
    }
    const [right, found] = [terms[committed], replica.termAt(committed)];
    if (right === undefined || found === undefined || right === found) return;
    this.#fail(replica, `committed ${committed} of term ${found}, and its leader that of ${right}`);
  }

  #termsOf(group: number): (number | undefined)[] {
    let terms = this.#groups.get(group);
    // A group is founded with one entry, in its image.
    if (terms === undefined) this.#groups.set(group, terms = [0, 1]);
    return terms;
  }

  #fail({ ref, role, term }: ReplicaView, what: string): never {
    throw new Finding(this.name, `A ${role} of term ${term} ${what}: ${replicaName(ref)}`);
  }
}

/** Reports whether the replica commits without any other. */
function decidesAlone({ configuration, ref }: ReplicaView): boolean {
  const { voters, votersOutgoing } = configuration;
  return votersOutgoing.length === 0 && voters.length === 1 && voters[0] === ref.replica;
}
