/**
 * State machine safety: a group has one committed sequence. No two replicas commit different
 * entries at one index, and state machines apply the same commands in the same order without gaps.
 * Source: Raft thesis, Figure 3.2.
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
  /** The log has been compared up to this index. */
  committed: number;
  /** The index that the state machine applied last, or that of its image. */
  applied: number;
  /** Position in the group's `applied` at which the next command is expected; -1: not known. */
  next: number;
}

/**
 * Records the sequence of each group as the first replica reports it, and compares all others with
 * it.
 */
export class CommittedSequence implements Checker {
  readonly name = "committed_sequence";
  readonly #groups = new Map<number, GroupSequence>();
  readonly #places = new Map<ReplicaRef, ReplicaPlace>();

  onApply(ref: ReplicaRef, entry: AppliedEntry): void {
    const { applied } = this.#group(ref.group);
    const place = this.#place(ref);
    // A restart applies again what it applied before, starting from its image.
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
    // An image of an earlier state was written meanwhile, or a restart began there.
    if (index <= place.applied) return;
    place.applied = index;
    place.next = firstAfter(this.#group(ref.group).applied, index);
  }

  afterStep(node: NodeView): void {
    for (const replica of node.replicas) this.#compareLog(node.run, replica);
  }

  /**
   * Compares the terms of entries, also of those without a command, as soon as they are committed.
   */
  #compareLog(run: number, replica: ReplicaView): void {
    const { ref, committed } = replica;
    const place = this.#place(ref);
    if (place.run !== run) {
      place.run = run;
      place.committed = 0;
    }
    if (committed <= place.committed) return;
    const { terms } = this.#group(ref.group);
    // From the end, because entries below the first index are compacted.
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

/** Returns the position of the first entry above `index`; the length if there is none. */
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
