/**
 * Numbers for region names, shared by the partitions of a node, and counts of live records by region.
 *
 * Derived state only: a number never leaves the process. Number 0 stands for every region that came
 * when the table was full; who needs such a region compares its bytes.
 */
import { REGIONS_INTERNED_MAX } from "../base/limits.ts";
import { KIND_AGENT, type RecordKind } from "../record/key.ts";

/** Live records of one region. */
export interface RegionCount {
  readonly region: string;
  readonly agents: number;
  readonly gateways: number;
}

const CELLS = 8_192;

/** The table. */
export class RegionTable {
  readonly #names: Uint8Array[] = [new Uint8Array(0)];
  /** Open addressing: number by hash of the name. */
  readonly #cells = new Uint16Array(CELLS);
  readonly #agents = new Uint32Array(REGIONS_INTERNED_MAX + 1);
  readonly #gateways = new Uint32Array(REGIONS_INTERNED_MAX + 1);

  /** The number of the region `[start, end)` of `bytes`, given out now if need be; 0: none left. */
  intern(bytes: Uint8Array, start: number, end: number): number {
    const cell = this.#cellOf(bytes, start, end);
    const found = this.#cells[cell]!;
    if (found !== 0 || this.#names.length > REGIONS_INTERNED_MAX) return found;
    const number = this.#names.length;
    this.#names.push(bytes.slice(start, end));
    this.#cells[cell] = number;
    return number;
  }

  /** The number of a region, 0 where it has none. */
  find(bytes: Uint8Array, start: number, end: number): number {
    return this.#cells[this.#cellOf(bytes, start, end)]!;
  }

  /** True where every region has a number, so that one without stands in no record. */
  get complete(): boolean {
    return this.#agents[0] === 0 && this.#gateways[0] === 0;
  }

  /** A live record came to (`by` 1) or went from (`by` -1) a region. */
  add(kind: RecordKind, number: number, by: 1 | -1): void {
    const counts = kind === KIND_AGENT ? this.#agents : this.#gateways;
    counts[number]! += by;
  }

  /** Live records of all regions that have any; those without a number under the name "". */
  counts(): RegionCount[] {
    const counts: RegionCount[] = [];
    const decoder = new TextDecoder();
    for (let number = 0; number < this.#names.length; number++) {
      const agents = this.#agents[number]!;
      const gateways = this.#gateways[number]!;
      if (agents + gateways === 0) continue;
      counts.push({ region: decoder.decode(this.#names[number]), agents, gateways });
    }
    return counts;
  }

  #cellOf(bytes: Uint8Array, start: number, end: number): number {
    // FNV-1a: the table is bounded at half its cells, so that even a bad spread stays harmless.
    let hash = 0x811c9dc5;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
    let cell = (hash ^ (hash >>> 15)) & (CELLS - 1);
    while (this.#cells[cell] !== 0) {
      if (sameBytes(this.#names[this.#cells[cell]!]!, bytes, start, end)) return cell;
      cell = (cell + 1) & (CELLS - 1);
    }
    return cell;
  }
}

function sameBytes(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let index = 0; index < name.length; index++) {
    if (name[index] !== bytes[start + index]) return false;
  }
  return true;
}
