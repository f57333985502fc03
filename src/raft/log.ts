/**
 * The log of one replica: what storage holds, with the unstable end above it, and three marks,
 * `applied <= applying <= committed`, none of which ever goes back.
 *
 * Sources: thesis §3.5 (log matching), §3.6.1 (which log is more up to date), §3.6.2 (commit).
 */
import { assert, defined } from "../base/assert.ts";
import type { Entry, Snapshot } from "./message.ts";
import { countWithin, entriesBytes, entryBytes } from "./message.ts";
import type { Storage } from "./storage.ts";
import { Unstable } from "./unstable.ts";

const NO_ENTRIES: readonly Entry[] = [];

/** The log of one replica. */
export class RaftLog {
  readonly #storage: Storage;
  readonly #unstable: Unstable;
  readonly #applyingBytesMax: number;
  #committed: number;
  #applying: number;
  #applied: number;
  #applyingBytes = 0;
  #applyingPaused = false;

  /** @param applyingBytesMax entries handed out to be applied and not reported done. */
  constructor(storage: Storage, applyingBytesMax: number) {
    this.#storage = storage;
    this.#applyingBytesMax = applyingBytesMax;
    this.#unstable = new Unstable(storage.lastIndex() + 1);
    const compacted = storage.firstIndex() - 1;
    this.#committed = compacted;
    this.#applying = compacted;
    this.#applied = compacted;
  }

  /** All up to here is decided for ever. */
  get committed(): number {
    return this.#committed;
  }

  /** All up to here was handed out to be applied. */
  get applying(): number {
    return this.#applying;
  }

  /** All up to here is applied. */
  get applied(): number {
    return this.#applied;
  }

  /** The end that is not durable; its owner is this log. */
  get unstable(): Unstable {
    return this.#unstable;
  }

  /** The most bytes of entries that may be applied, or read to be looked at, at once. */
  get applyingBytesMax(): number {
    return this.#applyingBytesMax;
  }

  /** Index of the first entry that is not compacted. */
  get firstIndex(): number {
    const snapshot = this.#unstable.snapshot;
    return snapshot === undefined ? this.#storage.firstIndex() : snapshot.index + 1;
  }

  /** Index of the last entry. */
  get lastIndex(): number {
    return this.#unstable.lastIndex ?? this.#storage.lastIndex();
  }

  /** Term of the last entry. */
  get lastTerm(): number {
    return defined(this.term(this.lastIndex), "The last entry has no term");
  }

  /** Term of the entry at `index`; undefined: compacted or not there. */
  term(index: number): number | undefined {
    const term = this.#unstable.term(index);
    if (term !== undefined) return term;
    if (index + 1 < this.firstIndex || index > this.lastIndex) return undefined;
    return this.#storage.term(index);
  }

  /** True where the entry at `index` is of `term`. */
  matches(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Whether a log that ends with (index, term) holds all that this one may have committed. */
  isUpToDate(index: number, term: number): boolean {
    const lastTerm = this.lastTerm;
    return term > lastTerm || (term === lastTerm && index >= this.lastIndex);
  }

  /**
   * Takes entries that follow (prevIndex, prevTerm), and with them the commit index. Returns the
   * last index that is now known to match; undefined where the logs do not meet at `prevIndex`.
   */
  maybeAppend(
    prev: { readonly index: number; readonly term: number },
    entries: readonly Entry[],
    commit: number,
  ): number | undefined {
    if (!this.matches(prev.index, prev.term)) return undefined;
    const last = prev.index + entries.length;
    const from = this.#firstConflict(entries);
    if (from < entries.length) {
      const index = entries[from]!.index;
      assert(index > this.#committed, () => `Entry ${index} contradicts what is committed`);
      this.append(from === 0 ? entries : entries.slice(from));
    }
    this.commitTo(Math.min(commit, last));
    return last;
  }

  /** Position of the first entry that this log does not hold; `entries.length`: it holds all. */
  #firstConflict(entries: readonly Entry[]): number {
    const last = this.lastIndex;
    for (let position = 0; position < entries.length; position++) {
      const { index, term } = entries[position]!;
      if (index > last || this.term(index) !== term) return position;
    }
    return entries.length;
  }

  /** Appends `entries`, cutting off what stood in their place; nothing committed may stand there. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const first = entries[0]!.index;
    assert(first > this.#committed, () => `Entry ${first} would replace what is committed`);
    this.#unstable.truncateAndAppend(entries);
  }

  /**
   * The highest index up to `index` whose term is at most `term`, and its term: where a log that
   * holds (index, term) may match this one. Term 0: it is not known here.
   */
  findConflictByTerm(index: number, term: number): { index: number; term: number } {
    for (let at = index; at > 0; at--) {
      const ours = this.term(at);
      if (ours === undefined) return { index: at, term: 0 };
      if (ours <= term) return { index: at, term: ours };
    }
    return { index: 0, term: 0 };
  }

  /** Moves the commit index up to `index`; never back. */
  commitTo(index: number): void {
    if (index <= this.#committed) return;
    assert(
      index <= this.lastIndex,
      () => `Cannot commit ${index}: the log ends at ${this.lastIndex}`,
    );
    this.#committed = index;
  }

  /** Commits up to `index` if that entry is of `term` (§3.6.2: never an earlier term's by count). */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.#committed || term === 0 || this.term(index) !== term) return false;
    this.commitTo(index);
    return true;
  }

  /**
   * Starts from a recovered commit index. One that is behind the snapshot says nothing: where writes
   * overlap, a snapshot of what was applied may be durable before the commit index is.
   */
  recoverCommit(index: number): void {
    assert(
      index <= this.lastIndex,
      () => `The recovered commit index is ${index}, and yet the log ends at ${this.lastIndex}`,
    );
    this.#committed = Math.max(this.#committed, index);
  }

  /** Whether anything waits to be applied; see {@link nextCommitted}. */
  hasNextCommitted(allowUnstable: boolean): boolean {
    return !this.#applyingPaused && this.#unstable.snapshot === undefined &&
      this.#applying < this.#appliable(allowUnstable);
  }

  /**
   * Committed entries that were not handed out yet, within the limit of bytes but at least one.
   * None while a snapshot waits, which comes before them.
   *
   * @param allowUnstable also those that are not durable here (they are elsewhere).
   */
  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return NO_ENTRIES;
    const bytesMax = this.#applyingBytesMax - this.#applyingBytes;
    assert(bytesMax > 0, "Applying goes on above its limit");
    const entries = this.slice(this.#applying + 1, this.#appliable(allowUnstable) + 1, bytesMax);
    return defined(entries, "Committed entries that are not applied were compacted");
  }

  #appliable(allowUnstable: boolean): number {
    return allowUnstable ? this.#committed : Math.min(this.#committed, this.#unstable.offset - 1);
  }

  /** Whether `index` may be applied, and is next, with nothing handed out that is not applied. */
  isNextToApply(index: number): boolean {
    return this.#applying === index - 1 && this.#applied === index - 1 &&
      this.hasNextCommitted(false);
  }

  /** Notes that entries up to `index`, of `bytes`, were handed out to be applied. */
  acceptApplying(index: number, bytes: number, allowUnstable: boolean): void {
    assert(
      index >= this.#applying && index <= this.#committed,
      () => `Cannot apply ${index}: [${this.#applying}, ${this.#committed}] may be applied`,
    );
    this.#applying = index;
    this.#applyingBytes += bytes;
    // Where the limit cut the list, the next entry would exceed it.
    this.#applyingPaused = this.#applyingBytes >= this.#applyingBytesMax ||
      index < this.#appliable(allowUnstable);
  }

  /** Notes that all up to `index` is applied; `bytes` of it are no longer under way. */
  appliedTo(index: number, bytes: number): void {
    assert(
      index >= this.#applied && index <= this.#committed,
      () => `Cannot have applied ${index}: [${this.#applied}, ${this.#committed}] is possible`,
    );
    this.#applied = index;
    this.#applying = Math.max(this.#applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#applyingPaused = this.#applyingBytes >= this.#applyingBytesMax;
  }

  /** Puts `snapshot` in place of the log; it must be ahead of what is committed. */
  restore(snapshot: Snapshot): void {
    assert(snapshot.index > this.#committed, "A snapshot would take the commit index back");
    this.#committed = snapshot.index;
    this.#unstable.restore(snapshot);
  }

  /** The snapshot to send to a member that is too far behind; undefined: none at the moment. */
  snapshot(): Snapshot | undefined {
    return this.#unstable.snapshot ?? this.#storage.snapshot();
  }

  /** The entries from `index` on, within `bytesMax`; undefined when they are compacted. */
  entriesFrom(index: number, bytesMax: number): readonly Entry[] | undefined {
    const last = this.lastIndex;
    return index > last ? NO_ENTRIES : this.slice(index, last + 1, bytesMax);
  }

  /** The entries `[lo, hi)`, within `bytesMax` but at least one; undefined when compacted. */
  slice(lo: number, hi: number, bytesMax: number): readonly Entry[] | undefined {
    if (lo < this.firstIndex) return undefined;
    if (lo === hi) return NO_ENTRIES;
    const offset = this.#unstable.offset;
    if (lo >= offset) return limited(this.#unstable.slice(lo, hi), bytesMax);
    const cut = Math.min(hi, offset);
    const stable = this.#storage.entries(lo, cut, bytesMax);
    if (stable === undefined || hi <= offset || stable.length < cut - lo) return stable;
    const left = bytesMax - entriesBytes(stable);
    if (left <= 0) return stable;
    const unstable = limited(this.#unstable.slice(offset, hi), left);
    if (unstable.length === 1 && entryBytes(unstable[0]!) > left) return stable;
    return [...stable, ...unstable];
  }

  /** Whether a committed entry that is not applied changes the configuration. */
  hasUnappliedConfChange(): boolean {
    return this.#lastConfChanges(this.#applied + 1, this.#committed).last !== 0;
  }

  /**
   * Raises the commit index to the last but one change of the configuration that the log holds above
   * it. A change is appended only when the one before is applied, so that this one is known to be
   * committed, though a crash kept the entries and lost the commit index that came with them. Without
   * it this replica would campaign by a configuration two changes old.
   */
  recoverConfChanges(): void {
    const { previous } = this.#lastConfChanges(this.#committed + 1, this.lastIndex);
    this.#committed = Math.max(this.#committed, previous);
  }

  /** The last change of the configuration in `[from, to]`, and the one before it; 0: none. */
  #lastConfChanges(from: number, to: number): { last: number; previous: number } {
    let [last, previous] = [0, 0];
    for (let next = from; next <= to;) {
      const page = defined(
        this.slice(next, to + 1, this.#applyingBytesMax),
        "Entries that are not applied were compacted",
      );
      for (const { index, kind } of page) {
        if (kind !== "normal") [last, previous] = [index, last];
      }
      next += page.length;
    }
    return { last, previous };
  }
}

function limited(entries: Entry[], bytesMax: number): readonly Entry[] {
  const count = countWithin(entries, bytesMax);
  return count === entries.length ? entries : entries.slice(0, count);
}
