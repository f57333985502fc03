/**
 * The end of the log that is not known to be durable: new entries and a received snapshot, from
 * their arrival until their write is reported done.
 *
 * `entries[i]` has index `offset + i`. Entries before `offsetInProgress` were handed out to be
 * written. `offset` may be at or below the last index in storage; then the next write truncates
 * storage there. Invariant: `offset <= offsetInProgress <= offset + entries.length`.
 */
import { assert } from "../base/assert.ts";
import type { Entry, Snapshot } from "./message.ts";

const NONE: Entry[] = [];

/** The entries and the snapshot on their way to storage. */
export class Unstable {
  #snapshot: Snapshot | undefined;
  #snapshotInProgress = false;
  #entries: Entry[] = NONE;
  #offset: number;
  #offsetInProgress: number;

  /** @param offset index of the first entry that storage does not hold. */
  constructor(offset: number) {
    this.#offset = offset;
    this.#offsetInProgress = offset;
  }

  /** Index of the first entry that is not durable. */
  get offset(): number {
    return this.#offset;
  }

  /** Index of the first entry that was not handed out to be written. */
  get offsetInProgress(): number {
    return this.#offsetInProgress;
  }

  /** The snapshot whose write is not reported done, if any. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** Count of entries that are not durable. */
  get entryCount(): number {
    return this.#entries.length;
  }

  /** The last index held here; undefined if there is neither an entry nor a snapshot. */
  get lastIndex(): number | undefined {
    if (this.#entries.length > 0) return this.#offset + this.#entries.length - 1;
    return this.#snapshot?.index;
  }

  /** Returns the term of the entry at `index`, if it is held here. */
  term(index: number): number | undefined {
    if (index >= this.#offset) return this.#entries[index - this.#offset]?.term;
    return this.#snapshot?.index === index ? this.#snapshot.term : undefined;
  }

  /** Returns the entries that were not handed out yet. */
  nextEntries(): readonly Entry[] {
    const handedOut = this.#offsetInProgress - this.#offset;
    if (handedOut === this.#entries.length) return NONE;
    return handedOut === 0 ? this.#entries.slice() : this.#entries.slice(handedOut);
  }

  /** Whether {@link nextEntries} returns any entries. */
  get hasNextEntries(): boolean {
    return this.#offsetInProgress - this.#offset < this.#entries.length;
  }

  /** Returns the snapshot, unless it was handed out. */
  nextSnapshot(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.#snapshot;
  }

  /** Records that all entries and the snapshot were handed out. */
  acceptInProgress(): void {
    this.#offsetInProgress = this.#offset + this.#entries.length;
    if (this.#snapshot !== undefined) this.#snapshotInProgress = true;
  }

  /**
   * Records that everything up to (index, term) is durable and that no pending write can change it.
   * Ignored if the entry was replaced, or is already known to be durable.
   */
  stableTo(index: number, term: number): void {
    if (index < this.#offset || this.term(index) !== term) return;
    assert(
      index < this.#offsetInProgress,
      () => `Entry ${index} cannot be durable: it was not written`,
    );
    const count = index + 1 - this.#offset;
    this.#entries = count === this.#entries.length ? NONE : this.#entries.slice(count);
    this.#offset = index + 1;
    this.#offsetInProgress = Math.max(this.#offsetInProgress, this.#offset);
  }

  /** Records that the snapshot at `index` is durable. */
  stableSnapshotTo(index: number): void {
    if (this.#snapshot?.index !== index) return;
    this.#snapshot = undefined;
    this.#snapshotInProgress = false;
  }

  /** Replaces everything by `snapshot`. */
  restore(snapshot: Snapshot): void {
    this.#offset = snapshot.index + 1;
    this.#offsetInProgress = this.#offset;
    this.#entries = NONE;
    this.#snapshot = snapshot;
    this.#snapshotInProgress = false;
  }

  /** Appends `entries`, truncating from the index of the first of them. */
  truncateAndAppend(entries: readonly Entry[]): void {
    const first = entries[0]!.index;
    if (first <= this.#offset) {
      this.#entries = entries.slice();
      this.#offset = first;
      this.#offsetInProgress = first;
      return;
    }
    const keep = first - this.#offset;
    assert(keep <= this.#entries.length, () => `Entries before ${first} are missing`);
    if (keep < this.#entries.length) {
      // Arrays that were handed out are copies, so this one may be truncated.
      this.#entries.length = keep;
      this.#offsetInProgress = Math.min(this.#offsetInProgress, first);
    }
    if (this.#entries === NONE) this.#entries = entries.slice();
    else for (const entry of entries) this.#entries.push(entry);
  }

  /** Returns the entries `[lo, hi)`, all of which must be held here. */
  slice(lo: number, hi: number): Entry[] {
    assert(
      lo >= this.#offset && lo <= hi && hi <= this.#offset + this.#entries.length,
      () => `[${lo}, ${hi}) is not within the unstable log`,
    );
    return this.#entries.slice(lo - this.#offset, hi - this.#offset);
  }
}
