/**
 * Leaders commit by counting, and only entries of their own term; all others commit only what a
 * leader did, and the very entry. Source: Raft thesis §3.5, §3.6.2.
 */
import { type Checker, Finding, type NodeView, type ReplicaView } from "../history.ts";
import { placeKey, replicaName } from "./replica_name.ts";

/** How a replica was when it was last looked at. */
interface Seen {
  readonly run: number;
  readonly committed: number;
  /** The term that it led; 0: none. */
  readonly ledTerm: number;
  readonly decidedAlone: boolean;
}

/** Looks at each commit index that moved. */
export class Commits implements Checker {
  readonly name = "commits";
  /** By group and index: the term of the entry; undefined where no log held it any more. */
  readonly #groups = new Map<number, (number | undefined)[]>();
  /** By replica: how it was last seen. */
  readonly #seen = new Map<number, Seen>();
  /** By group and term: up to where its leader knew entries to be committed when it began. */
  readonly #found = new Map<number, number>();

  afterStep({ replicas, run }: NodeView): void {
    for (const replica of replicas) {
      const { committed, ref, role, term } = replica;
      const key = placeKey(ref.group, ref.replica);
      const led = placeKey(term, ref.group);
      if (role === "leader" && !this.#found.has(led)) this.#found.set(led, committed);
      const before = this.#seen.get(key);
      // One that applied its own removal led until now; one that decided alone committed all that it
      // wrote, and finds it so at a restart, members that it took in among it.
      const isLed = role === "leader" || (before?.run === run && before.ledTerm === term);
      const isAlone = decidesAlone(replica);
      this.#seen.set(key, { run, committed, ledTerm: isLed ? term : 0, decidedAlone: isAlone });
      if (before?.committed === committed) continue;
      if (isLed || isAlone || before?.decidedAlone === true) this.#lookAtLeader(replica, isLed);
      else this.#lookAtFollower(replica);
    }
  }

  #lookAtLeader(replica: ReplicaView, isLed: boolean): void {
    const { committed, ref, term } = replica;
    const terms = this.#termsOf(ref.group);
    const found = this.#found.get(placeKey(term, ref.group)) ?? Infinity;
    const entryTerm = replica.termAt(committed);
    if (isLed && committed > found && (entryTerm ?? term) !== term) {
      this.#fail(replica, `counted for entry ${committed} of term ${entryTerm}`);
    }
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

/** Nobody else is needed to commit. */
function decidesAlone({ configuration, ref }: ReplicaView): boolean {
  const { voters, votersOutgoing } = configuration;
  return votersOutgoing.length === 0 && voters.length === 1 && voters[0] === ref.replica;
}
