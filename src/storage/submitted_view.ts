/**
 * The submitted state of each group, beside the durable one (the ledger): where the next append may
 * begin, and which live entries a submitted record is about to end. Reset when a failed write is
 * rolled back, because then only durable records count.
 */
import type { Ledger } from "../wal/ledger.ts";

/** Submitted records that end entries of a group: their number, and the lowest index they end. */
interface Endings {
  count: number;
  first: number;
}

/** The submitted state of one log's groups. */
export class SubmittedView {
  readonly #ledger: Ledger;
  /** Last submitted index, by group; absent when it is the ledger's. */
  readonly #last = new Map<number, number>();
  readonly #endings = new Map<number, Endings>();
  /**
   * Submitted forgets, by group: until they are durable, the ledger describes a replica that is
   * gone.
   */
  readonly #forgets = new Map<number, number>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Returns the last submitted index of a group, or that of its image; 0 if none. */
  last(group: number): number {
    return this.#last.get(group) ?? this.#ledger.groups.get(group)?.lastIndex ?? 0;
  }

  /** Returns the last index acknowledged to the group's current replica; 0 if none. */
  acknowledged(group: number): number {
    return this.#forgets.has(group) ? 0 : this.#ledger.groups.get(group)?.lastIndex ?? 0;
  }

  /** Returns the index of the image of the group's current replica; 0 if none. */
  imageIndex(group: number): number {
    return this.#forgets.has(group) ? 0 : this.#ledger.groups.get(group)?.imageIndex ?? 0;
  }

  /**
   * Reports whether a submitted record ends the entry, which then must not be logged again after
   * it.
   */
  isDoomed(group: number, index: number): boolean {
    return index >= (this.#endings.get(group)?.first ?? Infinity);
  }

  /** Records a submitted append that ends at `last`. */
  append(group: number, last: number): void {
    this.#last.set(group, last);
  }

  /** Records a submitted record that ends the group's entries from `first` on. */
  beginEnding(group: number, first: number): void {
    const known = this.#endings.get(group);
    if (known === undefined) this.#endings.set(group, { count: 1, first });
    else {
      known.count++;
      known.first = Math.min(known.first, first);
    }
  }

  /** Records that it is durable, or failed. */
  endEnding(group: number): void {
    const known = this.#endings.get(group);
    if (known !== undefined && --known.count === 0) this.#endings.delete(group);
  }

  /** Records a submitted forget. */
  beginForget(group: number): void {
    this.beginEnding(group, 0);
    this.#forgets.set(group, (this.#forgets.get(group) ?? 0) + 1);
    this.#last.set(group, 0);
  }

  /** Records that it is durable, or failed. */
  endForget(group: number): void {
    this.endEnding(group);
    const left = (this.#forgets.get(group) ?? 0) - 1;
    if (left > 0) this.#forgets.set(group, left);
    else this.#forgets.delete(group);
  }

  /**
   * Records that an image replaced the group's log; only a forget can have been submitted since.
   */
  installed(group: number): void {
    this.endEnding(group);
    if (!this.#forgets.has(group)) this.#last.delete(group);
  }

  /** Resets to the durable state. */
  rollBack(): void {
    this.#last.clear();
  }
}
