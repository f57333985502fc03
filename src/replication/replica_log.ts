/**
 * The log of one replica as its core reads it: the entries above some index, in memory. What is
 * below that index is in the state machine, and a member that lacks it gets an image.
 *
 * Entries stand here from when they are submitted to the shared log; the core reads them only once
 * they are durable (`src/raft/storage.ts`). They stay at least until they are applied.
 */
import { assert } from "../base/assert.ts";
import type { Configuration, Entry, HardState, Snapshot } from "../raft/mod.ts";
import { entryBytes, type Storage } from "../raft/mod.ts";

/** What a replica's log starts from. */
export interface ReplicaLogStart {
  readonly hardState: HardState;
  readonly configuration: Configuration;
  /** The entry below the first one that is kept; 0: none. */
  readonly index: number;
  readonly term: number;
  /** What follows it, without a gap. */
  readonly entries: readonly Entry[];
}

/** Places of entries that were let go stay in the array until they are so many, or all of them. */
const SLACK = 64;

/** The log of one replica, in memory. */
export class ReplicaLog implements Storage {
  readonly #start: Pick<ReplicaLogStart, "hardState" | "configuration">;
  readonly #makeSnapshot: () => Snapshot | undefined;
  /** The entry below the first one kept. */
  #offset: number;
  #offsetTerm: number;
  /** Positions `[#head, #end)` are in use: an array that is filled anew is not made anew. */
  #entries: (Entry | undefined)[];
  #head = 0;
  #end = 0;
  #byteCount = 0;

  /** @param makeSnapshot the state applied now as a snapshot; undefined: not at the moment. */
  constructor(start: ReplicaLogStart, makeSnapshot: () => Snapshot | undefined) {
    this.#start = { hardState: start.hardState, configuration: start.configuration };
    this.#makeSnapshot = makeSnapshot;
    this.#offset = start.index;
    this.#offsetTerm = start.term;
    this.#entries = [];
    this.append(start.entries);
  }

  /** Bytes of the entries kept. */
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

  /** Appends `entries` after cutting off whatever stood from the first of them on. */
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

  /** Lets go of the entries up to `index`, which are applied. */
  compactTo(index: number): void {
    if (index <= this.#offset) return;
    assert(index <= this.lastIndex(), () => `Cannot let go up to ${index}: the log ends before`);
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

  /** The index up to which entries must go for what is kept to fit into `bytesMax`. */
  excessIndex(bytesMax: number): number {
    let bytes = this.#byteCount;
    let position = this.#head;
    while (bytes > bytesMax) bytes -= entryBytes(this.#entries[position++]!);
    return this.#offset + position - this.#head;
  }

  /** Puts a snapshot, of (index, term), in place of everything. */
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

  /** No position is in use any more. */
  #clear(): void {
    if (this.#entries.length > SLACK) this.#entries = [];
    this.#head = 0;
    this.#end = 0;
  }
}
