/**
 * Numbers for region names, shared by the partitions of a node, and counts of live records by
 * region.
 *
 * Derived state only: a number never leaves the process. A region without live records keeps its
 * number until another one needs it, so that a region that comes and goes costs nothing. Number 0
 * stands for all regions that were added when every number was in use; such a region is recognized
 * by its bytes, and new ones are refused before they are logged (src/serving/request_admission.ts).
 */
import { isBytesAt } from "../base/bytes.ts";
import { REGIONS_INTERNED_MAX } from "../base/limits.ts";
import type { KindTable } from "../record/kinds.ts";
import { RECORD_KINDS } from "../record/kinds.ts";

/** Number of live records of one kind in one region. */
export interface RegionCount {
  readonly region: string;
  /** Name of the kind. */
  readonly kind: string;
  readonly count: number;
}

const CELLS = 8_192;

/** The table of regions. */
export class RegionTable {
  readonly #names: Uint8Array[] = [new Uint8Array(0)];
  /** Open addressing: number by hash of the name. */
  readonly #cells = new Uint16Array(CELLS);
  readonly #kinds: KindTable;
  /** Live records by region, for each number of a kind. */
  readonly #counts: (Uint32Array | undefined)[] = [];
  /** Live records of all kinds and mirrors by region. */
  readonly #totals = new Uint32Array(REGIONS_INTERNED_MAX + 1);
  /** Count of numbers whose regions have live records. */
  #inUse = 0;
  /** The number most recently reused. */
  #reused = 0;

  constructor(kinds: KindTable = RECORD_KINDS) {
    this.#kinds = kinds;
    for (const { number } of kinds.rows) {
      this.#counts[number] = new Uint32Array(REGIONS_INTERNED_MAX + 1);
    }
  }

  /**
   * Returns the number of the region `[start, end)` of `bytes`, assigning one if necessary; 0 if
   * none is left. The region keeps it until {@link add} has counted its last record away.
   */
  intern(bytes: Uint8Array, start: number, end: number): number {
    const found = this.#cells[this.#cellOf(bytes, start, end)]!;
    if (found !== 0) return found;
    const number = this.#freeNumber();
    if (number === 0) return 0;
    this.#names[number] = bytes.slice(start, end);
    // Freeing a number may have moved the cells.
    this.#cells[this.#cellOf(bytes, start, end)] = number;
    return number;
  }

  /** Whether a region without a number would get one. */
  get hasRoom(): boolean {
    return this.isBelow(REGIONS_INTERNED_MAX);
  }

  /** Reports whether fewer regions than that have live records. */
  isBelow(regionsMax: number): boolean {
    return this.#inUse < regionsMax;
  }

  /** Returns the number of a region, or 0 if it has none. */
  find(bytes: Uint8Array, start: number, end: number): number {
    return this.#cells[this.#cellOf(bytes, start, end)]!;
  }

  /** Returns the name of the region with that number; "" for 0 and for a number that is not in use. */
  nameOf(number: number): string {
    return new TextDecoder().decode(this.#names[number]);
  }

  /** True when every region has a number, so that a region without one occurs in no record. */
  get complete(): boolean {
    return this.#totals[0] === 0;
  }

  /** Counts a live record that was added to (`by` 1) or removed from (`by` -1) a region. */
  add(kind: number, number: number, by: 1 | -1): void {
    this.#counts[kind]![number]! += by;
    this.addMirror(number, by);
  }

  /** Counts a mirror likewise: it uses the number of its region, and is in no count of records. */
  addMirror(number: number, by: 1 | -1): void {
    const before = this.#totals[number]!;
    this.#totals[number]! += by;
    if (number !== 0 && (before === 0 || before + by === 0)) this.#inUse += by;
  }

  /**
   * Returns the live records of all regions that have any, kind by kind; those without a number
   * under the name "".
   */
  counts(): RegionCount[] {
    const counts: RegionCount[] = [];
    const decoder = new TextDecoder();
    for (let number = 0; number < this.#names.length; number++) {
      if (this.#totals[number] === 0) continue;
      const region = decoder.decode(this.#names[number]);
      const found = this.#kinds.rows.flatMap(({ number: kind, name, hasOwnOperations }) => {
        const count = this.#counts[kind]![number]!;
        // Most registries never have some of the kinds.
        return hasOwnOperations === true && count === 0 ? [] : [{ region, kind: name, count }];
      });
      // Of some regions there are mirrors only.
      if (found.some(({ count }) => count > 0)) counts.push(...found);
    }
    return counts;
  }

  /** Returns an unused number, if necessary that of a region without records; 0 if none. */
  #freeNumber(): number {
    if (this.#names.length <= REGIONS_INTERNED_MAX) return this.#names.length;
    if (!this.hasRoom) return 0;
    let number = this.#reused;
    do number = number % REGIONS_INTERNED_MAX + 1; while (
      this.#totals[number]! > 0
    );
    this.#reused = number;
    this.#forget(this.#names[number]!);
    return number;
  }

  /**
   * Empties the cell of a name, and moves back the following cells that would no longer be found.
   */
  #forget(name: Uint8Array): void {
    const mask = CELLS - 1;
    let hole = this.#cellOf(name, 0, name.length);
    for (let at = (hole + 1) & mask; this.#cells[at] !== 0; at = (at + 1) & mask) {
      const other = this.#names[this.#cells[at]!]!;
      const home = homeOf(other, 0, other.length);
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      this.#cells[hole] = this.#cells[at]!;
      hole = at;
    }
    this.#cells[hole] = 0;
  }

  #cellOf(bytes: Uint8Array, start: number, end: number): number {
    let cell = homeOf(bytes, start, end);
    while (this.#cells[cell] !== 0) {
      if (isBytesAt(this.#names[this.#cells[cell]!]!, bytes, start, end)) return cell;
      cell = (cell + 1) & (CELLS - 1);
    }
    return cell;
  }
}

/** Returns the cell at which the search for a name begins. */
function homeOf(bytes: Uint8Array, start: number, end: number): number {
  // FNV-1a: at most half of the cells are used, so that even a poor distribution is harmless.
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return (hash ^ (hash >>> 15)) & (CELLS - 1);
}
