/**
 * What was submitted of each group, beside what is durable (the ledger): where the next append may
 * begin, and which live entries a record on its way is about to end. Forgotten when a failed write is
 * cut back, for then only what is durable counts.
 */
import type { Ledger } from "../wal/ledger.ts";

/** Records on their way that end entries of a group: how many, and the lowest index they end. */
interface Endings {
  count: number;
  first: number;
}

/** The submitted state of one log's groups. */
export class SubmittedView {
  readonly #ledger: Ledger;
  /** Last index submitted, by group; absent where it is the ledger's. */
  readonly #last = new Map<number, number>();
  readonly #endings = new Map<number, Endings>();
  /** Forgets on their way, by group: until they are durable the ledger speaks of a replica gone. */
  readonly #forgets = new Map<number, number>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** The last index submitted of a group, or that of its image; 0: none. */
  last(group: number): number {
    return this.#last.get(group) ?? this.#ledger.groups.get(group)?.lastIndex ?? 0;
  }

  /** The last index acknowledged to the replica that the group has now; 0: none. */
  acknowledged(group: number): number {
    return this.#forgets.has(group) ? 0 : this.#ledger.groups.get(group)?.lastIndex ?? 0;
  }

  /** The index of the image of the replica that the group has now; 0: none. */
  imageIndex(group: number): number {
    return this.#forgets.has(group) ? 0 : this.#ledger.groups.get(group)?.imageIndex ?? 0;
  }

  /** True for an entry that a record on its way ends: it must not be logged anew behind that. */
  isDoomed(group: number, index: number): boolean {
    return index >= (this.#endings.get(group)?.first ?? Infinity);
  }

  /** An append was submitted that ends at `last`. */
  append(group: number, last: number): void {
    this.#last.set(group, last);
  }

  /** A record was submitted that ends the group's entries from `first` on. */
  beginEnding(group: number, first: number): void {
    const known = this.#endings.get(group);
    if (known === undefined) this.#endings.set(group, { count: 1, first });
    else {
      known.count++;
      known.first = Math.min(known.first, first);
    }
  }

  /** That record is durable, or failed. */
  endEnding(group: number): void {
    const known = this.#endings.get(group);
    if (known !== undefined && --known.count === 0) this.#endings.delete(group);
  }

  /** A forget was submitted. */
  beginForget(group: number): void {
    this.beginEnding(group, 0);
    this.#forgets.set(group, (this.#forgets.get(group) ?? 0) + 1);
    this.#last.set(group, 0);
  }

  /** It is durable, or failed. */
  endForget(group: number): void {
    this.endEnding(group);
    const left = (this.#forgets.get(group) ?? 0) - 1;
    if (left > 0) this.#forgets.set(group, left);
    else this.#forgets.delete(group);
  }

  /** An image took the place of the group's log; only a forget can have been submitted since. */
  installed(group: number): void {
    this.endEnding(group);
    if (!this.#forgets.has(group)) this.#last.delete(group);
  }

  /** Only what is durable counts. */
  rollBack(): void {
    this.#last.clear();
  }
}
