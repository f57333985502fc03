/**
 * A {@link RaftStorage} in memory, with the writes that the owner of a core performs: for simulations,
 * scenarios and measurements, and for groups that need not survive their process.
 *
 * The first element of `#entries` stands for the snapshot's last entry, so that its term is known.
 */
import { assert } from "../base/assert.ts";
import type { Configuration, Entry, HardState, Snapshot } from "./message.ts";
import { countWithin, EMPTY_CONFIGURATION, EMPTY_DATA, EMPTY_HARD_STATE } from "./message.ts";
import type { RaftStorage } from "./storage.ts";

/** The log of one replica in memory. */
export class MemoryStorage implements RaftStorage {
  #hardState: HardState = EMPTY_HARD_STATE;
  #snapshot: Snapshot = {
    index: 0,
    term: 0,
    configuration: EMPTY_CONFIGURATION,
    data: EMPTY_DATA,
  };
  #entries: Entry[] = [{ term: 0, index: 0, kind: "normal", data: EMPTY_DATA }];

  initialState(): { hardState: HardState; configuration: Configuration } {
    return { hardState: this.#hardState, configuration: this.#snapshot.configuration };
  }

  firstIndex(): number {
    return this.#entries[0]!.index + 1;
  }

  lastIndex(): number {
    return this.#entries[0]!.index + this.#entries.length - 1;
  }

  term(index: number): number | undefined {
    return this.#entries[index - this.#entries[0]!.index]?.term;
  }

  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | undefined {
    const offset = this.#entries[0]!.index;
    if (lo <= offset) return undefined;
    assert(hi <= this.lastIndex() + 1, `Entries up to ${hi} were asked for, beyond the last`);
    const wanted = this.#entries.slice(lo - offset, hi - offset);
    const count = countWithin(wanted, bytesMax);
    return count === wanted.length ? wanted : wanted.slice(0, count);
  }

  snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** Writes the hard state. */
  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /**
   * Replaces the whole log by `snapshot`. Returns false, and does nothing, for an older snapshot.
   */
  applySnapshot(snapshot: Snapshot): boolean {
    if (this.#snapshot.index !== 0 && this.#snapshot.index >= snapshot.index) return false;
    this.#snapshot = snapshot;
    this.#entries = [marker(snapshot.index, snapshot.term)];
    return true;
  }

  /** Sets the snapshot to hand out, made at an entry that the log holds; the log stays. */
  setSnapshot(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
  }

  /** Drops the entries up to and including `index`. Returns false if they are already gone. */
  compact(index: number): boolean {
    const offset = this.#entries[0]!.index;
    if (index <= offset) return false;
    assert(index <= this.lastIndex(), `Cannot compact up to ${index}: the log ends before`);
    const kept = this.#entries.slice(index - offset);
    kept[0] = marker(index, kept[0]!.term);
    this.#entries = kept;
    return true;
  }

  /** Appends `entries`, truncating from the first of them on. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const offset = this.#entries[0]!.index;
    const first = entries[0]!.index;
    const skip = Math.max(0, offset + 1 - first);
    if (skip >= entries.length) return;
    const at = first + skip - offset;
    assert(at <= this.#entries.length, `Entries before ${first} are missing`);
    if (at < this.#entries.length) this.#entries = this.#entries.slice(0, at);
    for (let position = skip; position < entries.length; position++) {
      this.#entries.push(entries[position]!);
    }
  }
}

function marker(index: number, term: number): Entry {
  return { term, index, kind: "normal", data: EMPTY_DATA };
}
