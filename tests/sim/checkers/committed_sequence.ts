/**
 * State machine safety: a group has one committed sequence. No two replicas ever take different
 * entries for committed at an index, and state machines apply the same commands in the same order,
 * with none left out. Source: Raft thesis, Figure 3.2.
 */
import {
  type AppliedEntry,
  type Checker,
  Finding,
  type ImageTaken,
  type NodeView,
  type ReplicaRef,
  type ReplicaView,
} from "../history.ts";
import { replicaName } from "./replica_name.ts";

interface GroupSequence {
  /** By index: the term of the entry that was committed there. */
  readonly terms: number[];
  /** The commands, ascending by index. */
  readonly applied: AppliedEntry[];
}

interface ReplicaPlace {
  run: number;
  /** All of its log up to here was compared. */
  committed: number;
  /** The index that its state machine applied last, or of the image it holds. */
  applied: number;
  /** Where in the group's `applied` the next command must stand; -1: not known. */
  next: number;
}

/** Keeps the sequence of each group as the first replica told it, and compares all others. */
export class CommittedSequence implements Checker {
  readonly name = "committed_sequence";
  readonly #groups = new Map<number, GroupSequence>();
  readonly #places = new Map<ReplicaRef, ReplicaPlace>();

  onApply(ref: ReplicaRef, entry: AppliedEntry): void {
    const { applied } = this.#group(ref.group);
    const place = this.#place(ref);
    // A restart applies anew what it did before, from its image on.
    if (entry.index <= place.applied || place.next === -1) {
      place.next = firstAfter(applied, entry.index - 1);
    }
    place.applied = entry.index;
    const expected = applied[place.next++];
    if (expected === undefined) {
      applied.push(entry);
      return;
    }
    const { hash, index, term } = expected;
    if (index === entry.index && term === entry.term && hash === entry.hash) return;
    const what = index === entry.index
      ? `a command of term ${entry.term}, where another replica has one of term ${term}` +
        (term === entry.term ? " and other content" : "")
      : `entry ${entry.index} next, where another replica applied entry ${index}`;
    throw new Finding(this.name, `At index ${entry.index}, ${replicaName(ref)} applied ${what}`);
  }

  onImage(ref: ReplicaRef, { index }: ImageTaken): void {
    const place = this.#place(ref);
    // One of an earlier state was written meanwhile, or a restart began there.
    if (index <= place.applied) return;
    place.applied = index;
    place.next = firstAfter(this.#group(ref.group).applied, index);
  }

  afterStep(node: NodeView): void {
    for (const replica of node.replicas) this.#compareLog(node.run, replica);
  }

  /** Compares terms, of entries without a command too, as soon as they are committed. */
  #compareLog(run: number, replica: ReplicaView): void {
    const { ref, committed } = replica;
    const place = this.#place(ref);
    if (place.run !== run) {
      place.run = run;
      place.committed = 0;
    }
    if (committed <= place.committed) return;
    const { terms } = this.#group(ref.group);
    // From the end, for what lies below the first index is compacted.
    for (let index = committed; index > place.committed; index--) {
      const term = replica.termAt(index);
      if (term === undefined) break;
      const known = terms[index] ??= term;
      if (known === term) continue;
      throw new Finding(
        this.name,
        `At index ${index}, ${
          replicaName(ref)
        } takes an entry of term ${term} for committed, and ` +
          `another replica one of term ${known}`,
      );
    }
    place.committed = committed;
  }

  #group(group: number): GroupSequence {
    let known = this.#groups.get(group);
    if (known === undefined) this.#groups.set(group, known = { terms: [], applied: [] });
    return known;
  }

  #place(ref: ReplicaRef): ReplicaPlace {
    let place = this.#places.get(ref);
    if (place === undefined) {
      place = { run: 0, committed: 0, applied: 0, next: -1 };
      this.#places.set(ref, place);
    }
    return place;
  }
}

/** Position of the first entry above `index`; the length where there is none. */
function firstAfter(entries: readonly AppliedEntry[], index: number): number {
  let lo = 0;
  let hi = entries.length;
  while (lo < hi) {
    const middle = (lo + hi) >> 1;
    if (entries[middle]!.index > index) hi = middle;
    else lo = middle + 1;
  }
  return lo;
}
