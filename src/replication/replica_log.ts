/**
 * The in-memory log of one replica, as its core reads it: the entries above some index. Entries at or
 * below that index are in the state machine, and a member that lacks them gets an image.
 *
 * Entries are added when they are submitted to the shared log; the core reads them only once they are
 * durable (`src/raft/storage.ts`). They stay at least until they are applied.
 */
import { assert } from "../base/assert.ts";
import type { Configuration, Entry, HardState, Snapshot } from "../raft/mod.ts";
import { entryBytes, type RaftStorage } from "../raft/mod.ts";

/** The initial state of a replica's log. */
export interface ReplicaLogStart {
  readonly hardState: HardState;
  readonly configuration: Configuration;
  /** Index of the entry below the first one that is kept; 0 if there is none. */
  readonly index: number;
  readonly term: number;
  /** The entries that follow it, without a gap. */
  readonly entries: readonly Entry[];
}

/** Freed slots stay in the array until there are more of them than this, or all are free. */
const SLACK = 64;

/** The log of one replica, in memory. */
export class ReplicaLog implements RaftStorage {
  readonly #start: Pick<ReplicaLogStart, "hardState" | "configuration">;
  readonly #makeSnapshot: () => Snapshot | undefined;
  /** Index of the entry below the first one kept. */
  #offset: number;
  #offsetTerm: number;
  /** Positions `[#head, #end)` are in use, so that the array can be reused. */
  #entries: (Entry | undefined)[];
  #head = 0;
  #end = 0;
  #byteCount = 0;

  /** @param makeSnapshot returns the applied state as a snapshot; undefined if it cannot right now. */
  constructor(start: ReplicaLogStart, makeSnapshot: () => Snapshot | undefined) {
    this.#start = { hardState: start.hardState, configuration: start.configuration };
    this.#makeSnapshot = makeSnapshot;
    this.#offset = start.index;
    this.#offsetTerm = start.term;
    this.#entries = [];
    this.append(start.entries);
  }

  /** The size of the entries kept, bytes. */
  get byteCount(): number {
    return this.#byteCount;
  }

  initialState(): { readonly hardState: HardState; readonly configuration: Configuration } {
    return this.#start;
  }

  firstIndex(): number {
    return this.#offset + 1;
  }

  lastIndex(): number {
    return this.#offset + this.#end - this.#head;
  }

  term(index: number): number | undefined {
    if (index === this.#offset) return this.#offsetTerm;
    if (index < this.#offset || index > this.lastIndex()) return undefined;
    return this.#entries[this.#position(index)]!.term;
  }

  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | undefined {
    if (lo <= this.#offset) return undefined;
    assert(hi <= this.lastIndex() + 1, () => `Entries up to ${hi} were asked for, beyond the last`);
    const wanted: Entry[] = [];
    let bytes = 0;
    for (let position = this.#position(lo); position < this.#position(hi); position++) {
      const entry = this.#entries[position]!;
      bytes += entryBytes(entry);
      if (bytes > bytesMax && wanted.length > 0) break;
      wanted.push(entry);
    }
    return wanted;
  }

  snapshot(): Snapshot | undefined {
    return this.#makeSnapshot();
  }

  /** Removes existing entries from the first new index on, then appends `entries`. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const first = entries[0]!.index;
    assert(
      first > this.#offset && first <= this.lastIndex() + 1,
      () =>
        `Entries must follow in (${this.#offset}, ${this.lastIndex() + 1}]: the first is ${first}`,
    );
    this.#truncate(this.#position(first));
    for (const entry of entries) {
      this.#entries[this.#end++] = entry;
      this.#byteCount += entryBytes(entry);
    }
  }

  /** Removes the entries up to `index`, which must be applied. */
  compactTo(index: number): void {
    if (index <= this.#offset) return;
    assert(index <= this.lastIndex(), () => `Cannot compact up to ${index}: the log ends before`);
    const position = this.#position(index);
    this.#offsetTerm = this.#entries[position]!.term;
    this.#offset = index;
    for (let at = this.#head; at <= position; at++) {
      this.#byteCount -= entryBytes(this.#entries[at]!);
      this.#entries[at] = undefined;
    }
    this.#head = position + 1;
    if (this.#head === this.#end) this.#clear();
    else if (this.#head > SLACK && this.#head > this.#end / 2) {
      this.#entries = this.#entries.slice(this.#head, this.#end);
      this.#end -= this.#head;
      this.#head = 0;
    }
  }

  /** Returns the index up to which entries must be removed so that the rest fits into `bytesMax`. */
  excessIndex(bytesMax: number): number {
    let bytes = this.#byteCount;
    let position = this.#head;
    while (bytes > bytesMax) bytes -= entryBytes(this.#entries[position++]!);
    return this.#offset + position - this.#head;
  }

  /** Replaces the whole log by a snapshot at (index, term). */
  restore(index: number, term: number): void {
    this.#truncate(this.#head);
    this.#clear();
    this.#offset = index;
    this.#offsetTerm = term;
  }

  #position(index: number): number {
    return index - this.#offset - 1 + this.#head;
  }

  #truncate(position: number): void {
    for (let at = position; at < this.#end; at++) {
      this.#byteCount -= entryBytes(this.#entries[at]!);
      this.#entries[at] = undefined;
    }
    this.#end = position;
  }

  /** Marks all positions as free. */
  #clear(): void {
    if (this.#entries.length > SLACK) this.#entries = [];
    this.#head = 0;
    this.#end = 0;
  }
}
