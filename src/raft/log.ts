/**
 * The log of one replica: the entries in storage, the unstable end above them, and three indexes,
 * `applied <= applying <= committed`, none of which ever goes back.
 *
 * Sources: thesis §3.5 (log matching), §3.6.1 (which log is more up to date), §3.6.2 (commit).
 */
import { assert, defined } from "../base/assert.ts";
import type { Entry, Snapshot } from "./message.ts";
import { countWithin, entriesBytes, entryBytes } from "./message.ts";
import type { RaftStorage } from "./storage.ts";
import { Unstable } from "./unstable.ts";

const NO_ENTRIES: readonly Entry[] = [];

/** The log of one replica. */
export class RaftLog {
  readonly #storage: RaftStorage;
  readonly #unstable: Unstable;
  readonly #applyingBytesMax: number;
  #committed: number;
  #applying: number;
  #applied: number;
  #applyingBytes = 0;
  #applyingPaused = false;

  /**
   * @param applyingBytesMax limit in bytes on entries handed out to be applied but not yet reported
   * as applied.
   */
  constructor(storage: RaftStorage, applyingBytesMax: number) {
    this.#storage = storage;
    this.#applyingBytesMax = applyingBytesMax;
    this.#unstable = new Unstable(storage.lastIndex() + 1);
    const compacted = storage.firstIndex() - 1;
    this.#committed = compacted;
    this.#applying = compacted;
    this.#applied = compacted;
  }

  /** The commit index: all entries up to it are decided for good. */
  get committed(): number {
    return this.#committed;
  }

  /** All entries up to this index were handed out to be applied. */
  get applying(): number {
    return this.#applying;
  }

  /** All entries up to this index are applied. */
  get applied(): number {
    return this.#applied;
  }

  /** The end of the log that is not durable; this log owns it. */
  get unstable(): Unstable {
    return this.#unstable;
  }

  /** Maximum size in bytes of the entries that may be applied, or read for inspection, at once. */
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

  /** Returns the term of the entry at `index`; undefined if it is compacted or beyond the end. */
  term(index: number): number | undefined {
    const term = this.#unstable.term(index);
    if (term !== undefined) return term;
    if (index + 1 < this.firstIndex || index > this.lastIndex) return undefined;
    return this.#storage.term(index);
  }

  /** Reports whether the entry at `index` has `term`. */
  matches(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /**
   * Reports whether a log that ends with (index, term) holds everything this log may have
   * committed.
   */
  isUpToDate(index: number, term: number): boolean {
    const lastTerm = this.lastTerm;
    return term > lastTerm || (term === lastTerm && index >= this.lastIndex);
  }

  /**
   * Appends entries that follow (prevIndex, prevTerm), and moves the commit index. Returns the last
   * index now known to match, or undefined if the logs do not match at `prevIndex`.
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

  /**
   * Returns the position of the first entry that this log does not hold; `entries.length` if it
   * holds all of them.
   */
  #firstConflict(entries: readonly Entry[]): number {
    const last = this.lastIndex;
    for (let position = 0; position < entries.length; position++) {
      const { index, term } = entries[position]!;
      if (index > last || this.term(index) !== term) return position;
    }
    return entries.length;
  }

  /**
   * Appends `entries`, truncating from the first of them on. Must not replace a committed entry.
   */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const first = entries[0]!.index;
    assert(first > this.#committed, () => `Entry ${first} would replace what is committed`);
    this.#unstable.truncateAndAppend(entries);
  }

  /**
   * Returns the highest index up to `index` whose term is at most `term`, and its term: the last
   * point at which a log that holds (index, term) can match this one. Term 0 means that the term is
   * unknown here.
   */
  findConflictByTerm(index: number, term: number): { index: number; term: number } {
    for (let at = index; at > 0; at--) {
      const ours = this.term(at);
      if (ours === undefined) return { index: at, term: 0 };
      if (ours <= term) return { index: at, term: ours };
    }
    return { index: 0, term: 0 };
  }

  /** Moves the commit index forward to `index`; never back. */
  commitTo(index: number): void {
    if (index <= this.#committed) return;
    assert(
      index <= this.lastIndex,
      () => `Cannot commit ${index}: the log ends at ${this.lastIndex}`,
    );
    this.#committed = index;
  }

  /**
   * Commits up to `index` if that entry is of `term` (§3.6.2: entries of earlier terms are never
   * committed by counting). Reports whether the commit index moved.
   */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.#committed || term === 0 || this.term(index) !== term) return false;
    this.commitTo(index);
    return true;
  }

  /**
   * Sets the recovered commit index. One behind the snapshot is ignored: with overlapping writes, a
   * snapshot of applied entries may become durable before the commit index does.
   */
  recoverCommit(index: number): void {
    assert(
      index <= this.lastIndex,
      () => `The recovered commit index is ${index}, but the log ends at ${this.lastIndex}`,
    );
    this.#committed = Math.max(this.#committed, index);
  }

  /** Reports whether entries wait to be applied; see {@link nextCommitted}. */
  hasNextCommitted(allowUnstable: boolean): boolean {
    return !this.#applyingPaused && this.#unstable.snapshot === undefined &&
      this.#applying < this.#appliable(allowUnstable);
  }

  /**
   * Returns committed entries that were not handed out yet, within the byte limit but at least one.
   * Returns none while a snapshot is pending, as it comes before them.
   *
   * @param allowUnstable includes entries that are not durable here (they are elsewhere).
   */
  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return NO_ENTRIES;
    const bytesMax = this.#applyingBytesMax - this.#applyingBytes;
    assert(bytesMax > 0, "Entries must not be handed out above the applying limit");
    const entries = this.slice(this.#applying + 1, this.#appliable(allowUnstable) + 1, bytesMax);
    return defined(entries, "Committed entries that are not applied were compacted");
  }

  #appliable(allowUnstable: boolean): number {
    return allowUnstable ? this.#committed : Math.min(this.#committed, this.#unstable.offset - 1);
  }

  /**
   * Reports whether the entry at `index` may be applied and is the next one, with no entry handed
   * out that is not applied.
   */
  isNextToApply(index: number): boolean {
    return this.#applying === index - 1 && this.#applied === index - 1 &&
      this.hasNextCommitted(false);
  }

  /** Records that entries up to `index`, `bytes` in size, were handed out to be applied. */
  acceptApplying(index: number, bytes: number, allowUnstable: boolean): void {
    assert(
      index >= this.#applying && index <= this.#committed,
      () => `Cannot apply ${index}: [${this.#applying}, ${this.#committed}] may be applied`,
    );
    this.#applying = index;
    this.#applyingBytes += bytes;
    // Where the limit cut the list short, the next entry would exceed it.
    this.#applyingPaused = this.#applyingBytes >= this.#applyingBytesMax ||
      index < this.#appliable(allowUnstable);
  }

  /** Records that all entries up to `index` are applied; `bytes` of them are no longer pending. */
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

  /** Replaces the log by `snapshot`, which must be ahead of the commit index. */
  restore(snapshot: Snapshot): void {
    assert(snapshot.index > this.#committed, "A snapshot must be ahead of the commit index");
    this.#committed = snapshot.index;
    this.#unstable.restore(snapshot);
  }

  /**
   * Returns the snapshot to send to a member that is too far behind; undefined if none is available
   * now.
   */
  snapshot(): Snapshot | undefined {
    return this.#unstable.snapshot ?? this.#storage.snapshot();
  }

  /** Returns the entries from `index` on, within `bytesMax`; undefined if they are compacted. */
  entriesFrom(index: number, bytesMax: number): readonly Entry[] | undefined {
    const last = this.lastIndex;
    return index > last ? NO_ENTRIES : this.slice(index, last + 1, bytesMax);
  }

  /** Returns the entries `[lo, hi)`, within `bytesMax` but at least one; undefined if compacted. */
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

  /** Reports whether a committed entry that is not applied changes the configuration. */
  hasUnappliedConfChange(): boolean {
    return this.#lastConfChanges(this.#applied + 1, this.#committed).last !== 0;
  }

  /**
   * Raises the commit index to the second-last configuration change in the log above it. A change
   * is appended only after the one before it is applied, so that change is known to be committed,
   * even if a crash kept the entries and lost the commit index written with them. Otherwise this
   * replica would campaign with a configuration two changes old.
   */
  recoverConfChanges(): void {
    const { previous } = this.#lastConfChanges(this.#committed + 1, this.lastIndex);
    this.#committed = Math.max(this.#committed, previous);
  }

  /** Returns the last configuration change in `[from, to]` and the one before it; 0 for none. */
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
